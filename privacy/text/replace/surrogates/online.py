# SPDX-License-Identifier: Apache-2.0
"""Surrogates of what names a mailbox, a page or a machine: all of them in ranges that are set aside for documentation.

E-mail addresses and URLs at example.org (RFC 2606), IPv4 in 192.0.2.0/24, 198.51.100.0/24 or 203.0.113.0/24 (RFC 5737),
IPv6 in 2001:db8::/32 (RFC 3849), MAC addresses in 00-00-5E-00-53-00 to -FF (RFC 7042); UUIDs are other random ones.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

from privacy.text.lists import plain
from privacy.text.replace.surrogates.keyed import Choices, UnitKey
from privacy.text.replace.surrogates.numbers import is_shape, normal, scrambled

OnlineSurrogate = Callable[[UnitKey, str], str | None]
"""A surrogate of a text (folded by `view`), or None."""

_DOCUMENTATION = ("192.0.2", "198.51.100", "203.0.113")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{1,9}://)?(?P<www>www\.)?[^\s/?#]+(?P<path>[/?#].*)?", re.DOTALL)
_PORT = re.compile(r"[\d.]+(?P<port>[:/]\d{1,5})?")


def email(key: UnitKey, text: str, name_of: Callable[[str], str | None]) -> str | None:
    """An address at example.org; parts of the mailbox that are names of the unit (`name_of`) become surrogates."""
    mailbox, at, host = text.rpartition("@")
    if not at or not host.strip() or not is_shape(mailbox):
        return None
    written = re.sub(r"[A-Za-z]+", lambda word: plain(name_of(word.group()) or "\0"), mailbox)
    if "\0" in written or normal(written) == normal(mailbox):
        return _mailbox(key, mailbox)
    digits = key.choices("EMAIL_ADDRESS", normal(mailbox))
    return re.sub(r"\d", lambda _: string.digits[digits.below(10)], written) + "@example.org"


def _mailbox(key: UnitKey, mailbox: str) -> str | None:
    written = scrambled(key, "EMAIL_ADDRESS", mailbox)
    return None if written is None else f"{written}@example.org"


def url(key: UnitKey, text: str) -> str | None:
    """A page of example.org: scheme and www as they were, host and path invented."""
    match = _URL.fullmatch(text.strip())
    if match is None:
        return None
    choices = key.choices("URL", text.strip().lower())
    scheme, www = match.group("scheme") or "", match.group("www") or ""
    path = f"/{_word(choices)}" if match.group("path") and len(match.group("path")) > 1 else ""
    return f"{scheme.lower()}{www.lower()}{_word(choices)}.example.org{path}"


def ip_address(key: UnitKey, text: str) -> str | None:
    """An address of a documentation range; a port or a prefix length goes."""
    choices = key.choices("IP_ADDRESS", text.lower())
    for _ in range(16):
        if _PORT.fullmatch(text):
            address = f"{_DOCUMENTATION[choices.below(3)]}.{1 + choices.below(254)}"
        else:
            address = f"2001:db8::{choices.below(1 << 16):x}:{choices.below(1 << 16):x}"
        if address != text.lower():
            return address
    return None


def mac_address(key: UnitKey, text: str) -> str | None:
    """A hardware address of the documentation range, with the separators and the case of `text`."""
    if not is_shape(text) or len(normal(text)) != 12:
        return None
    choices = key.choices("MAC_ADDRESS", normal(text))
    last = choices.below(256)
    digits = f"00005e0053{last:02x}"
    if digits == normal(text):
        digits = f"00005e0053{(last + 1) % 256:02x}"
    given = iter(digits.upper() if text.isupper() else digits)
    return "".join(next(given) if character.isalnum() else character for character in text)


def uuid(key: UnitKey, text: str) -> str | None:
    """Another UUID in the same form."""
    return scrambled(key, "UUID", text, hexadecimal=True) if is_shape(text) else None


def _word(choices: Choices) -> str:
    return "".join(string.ascii_lowercase[choices.below(26)] for _ in range(6))
