# SPDX-License-Identifier: Apache-2.0
"""Addresses of machines and pages (Safe Harbor rows 14 and 15, and MAC and UUID): URL, IP, MAC, UUID, network paths.

Presidio has recognizers of these too; ours add hosts without a public suffix, ports, IPv6 in every legal form, Cisco's
MAC form, and paths of file shares.
"""

from __future__ import annotations

import ipaddress
import re

from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_SCHEME = r"(?<![\w+])(?:https?|ftps?|sftp|ssh|smb|file|ldap|rtsp|dicom|hl7|tel|sip|mailto):/{0,3}[^\s<>\"'|]{3,300}"
_WWW = r"(?<![\w.@-])www\d?\.[^\s<>\"'|]{3,300}"
_HOST = (
    r"(?<![\w.@/-])(?:[a-z0-9][a-z0-9-]{0,62}\.){1,6}(?:com|org|net|edu|gov|mil|int|info|biz|io|ai|app|dev|health|care|clinic|"
    r"hospital|doctor|me|us|uk|ca|de|fr|es|it|nl|se|no|fi|dk|ch|at|be|ie|au|nz|in|jp|cn|br|mx|pt|pl|eu|local|lan|intranet|corp|"
    r"internal|example|test|ly|gl|be|tv|co)(?::\d{2,5})?(?:/[^\s<>\"'|]{0,300}|(?![\w@.-]|\s?@))"
)
_SHARE = r"(?<![\w\\])\\\\[\w.$-]{1,64}(?:\\[\w.$ -]{1,64}){1,8}"
_USER_FOLDER = r"(?i:\b[A-Z]:\\(?:Users|Documents\sand\sSettings)\\[\w.-]{1,64}|/(?:home|Users)/[\w.-]{1,64})"
_IPV4 = r"(?<![\w.-])(?P<id>\d{1,3}(?:\.\d{1,3}){3})(?:[:/]\d{1,5})?(?![\w-]|\.\d)"
_IPV6 = r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?:%\w{1,16})?(?:/\d{1,3})?(?![\w:])"
_MAC = (
    r"(?<![\w:-])[0-9A-F]{2}([:-])(?:[0-9A-F]{2}\1){4}[0-9A-F]{2}(?![\w:-])|"
    r"(?<![\w.])(?:[0-9A-F]{4}\.){2}[0-9A-F]{4}(?![\w.])"
)
_UUID = (
    r"(?<![\w-])[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}(?![\w-])|"
    r"(?<!\w)(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{32,64}(?!\w)"
)


def _is_ipv4(match: re.Match[str]) -> bool:
    return all(int(part) <= 255 for part in match.group("id").split("."))


def _is_ipv6(match: re.Match[str]) -> bool:
    address = match.group().split("/")[0].split("%")[0]
    if address.count(":") < 2 or not any(character.isalnum() for character in address):
        return False
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def _ends_in_word(match: re.Match[str]) -> bool:
    """A host that starts a sentence after a missing space ('pain.no fever') is none: one dot and no path."""
    host = match.group()
    return (
        host.count(".") > 1
        or "/" in host
        or ":" in host
        or not host.lower().endswith(
            (".no", ".in", ".it", ".at", ".me", ".us", ".be", ".co", ".no", ".is", ".test", ".care")
        )
    )


def build(settings: TextSettings) -> Rules:
    """The recognizer of network addresses; needs no settings."""
    dot, colon = re.compile(r"\.[A-Za-z]"), re.compile(r":")
    return Rules(
        "network",
        [
            PatternRule("URL", 0.8, re.compile(_SCHEME, re.IGNORECASE), prefilter=colon),
            PatternRule("URL", 0.7, re.compile(_WWW, re.IGNORECASE), prefilter=dot),
            PatternRule("URL", 0.5, re.compile(_HOST, re.IGNORECASE), keep=_ends_in_word, prefilter=dot),
            PatternRule("URL", 0.6, re.compile(_SHARE), prefilter=re.compile(r"\\\\")),
            PatternRule("URL", 0.6, re.compile(_USER_FOLDER), prefilter=re.compile(r"[\\/]")),
            PatternRule("IP_ADDRESS", 0.7, re.compile(_IPV4), keep=_is_ipv4),
            PatternRule("IP_ADDRESS", 0.7, re.compile(_IPV6), keep=_is_ipv6, prefilter=re.compile(r":[0-9A-Fa-f:]*:")),
            PatternRule("MAC_ADDRESS", 0.8, re.compile(_MAC, re.IGNORECASE)),
            PatternRule("UUID", 0.8, re.compile(_UUID, re.IGNORECASE)),
        ],
    )
