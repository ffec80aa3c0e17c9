# SPDX-License-Identifier: Apache-2.0
"""Surrogates of numbers: another number of the same shape, drawn under the unit's key from the digits and letters.

Digits become digits, letters become letters of the same case, what separates them stays; never the original. Where a
range is set aside, the surrogate lies in it and is nobody's: social security and taxpayer numbers begin with 9 and have
a group below 50 (never issued), US telephone numbers are 555-01xx, international ones begin with
+999 (unassigned; +1 and ten digits are US ones), card numbers fail Luhn's check, IBAN check digits are 00.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

from privacy.text.replace.surrogates.keyed import Choices, UnitKey

DrawDigits = Callable[[Choices, str], str]
"""As many digits as are given, chosen."""

_SEPARATORS = frozenset(" \t\r\n.,:;/#()[]+-*'_&=|\\")
_EXTENSION = re.compile(r"(?P<number>.*?\d)(?P<cue>[\s,;]{0,3}(?:x|ext\.?|extension)\s?)(?P<extension>\d{1,6})", re.I)


def write(key: UnitKey, entity_type: str, text: str) -> str | None:
    """A number of the shape of `text` (folded by `view`), or None if it has no shape that can be kept."""
    if not is_shape(text):
        return None
    if entity_type == "PHONE_NUMBER":
        return _phone(key, text)
    if entity_type == "IBAN_CODE":
        return _iban(key, text)
    draw = _SET_ASIDE.get(entity_type)
    if draw is not None and not any(character.isalpha() for character in text):
        return _poured(key, entity_type, text, draw)
    return scrambled(key, entity_type, text)


def normal(text: str) -> str:
    """Letters in lower case and digits alone: what two ways of writing one number share."""
    return "".join(character.lower() for character in text if character.isalnum())


def is_shape(text: str) -> bool:
    """Whether `text` is ASCII letters and digits with separators, at least one of the former."""
    rest = {character for character in text if not (character.isascii() and character.isalnum())}
    return bool(normal(text)) and rest <= _SEPARATORS


def scrambled(key: UnitKey, entity_type: str, text: str, *, hexadecimal: bool = False) -> str | None:
    """`text` with other letters and digits in its shape; `hexadecimal`: letters and digits stay hexadecimal ones."""
    choices = key.choices(entity_type, normal(text))
    for _ in range(16):
        surrogate = "".join(_other(choices, character, hexadecimal) for character in text)
        if normal(surrogate) != normal(text):
            return surrogate
    return None


def _other(choices: Choices, character: str, hexadecimal: bool) -> str:
    if not character.isalnum():
        return character
    if character.isdigit():
        return string.digits[choices.below(10)]
    letters = string.ascii_lowercase[: 6 if hexadecimal else 26]
    letter = letters[choices.below(len(letters))]
    return letter.upper() if character.isupper() else letter


def _digits(choices: Choices, own: str) -> str:
    return "".join(string.digits[choices.below(10)] for _ in own)


def _poured(key: UnitKey, entity_type: str, text: str, draw: DrawDigits) -> str | None:
    """`text` with the digits that `draw` gives for their number, never its own."""
    own = "".join(character for character in text if character.isdigit())
    choices = key.choices(entity_type, own)
    for _ in range(16):
        drawn = draw(choices, own)
        if drawn != own:
            given = iter(drawn)
            return "".join(next(given) if character.isdigit() else character for character in text)
    return None


def _never_issued(choices: Choices, own: str) -> str:
    drawn = _digits(choices, own)
    return drawn if len(own) != 9 else f"9{drawn[1:3]}{1 + choices.below(49):02d}{drawn[5:]}"


def _no_card(choices: Choices, own: str) -> str:
    drawn = _digits(choices, own)
    return drawn[:-1] + str((int(drawn[-1]) + 1) % 10) if _luhn(drawn) else drawn


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


_SET_ASIDE: dict[str, DrawDigits] = {"CREDIT_CARD": _no_card, "US_ITIN": _never_issued, "US_SSN": _never_issued}


def _iban(key: UnitKey, text: str) -> str | None:
    surrogate = scrambled(key, "IBAN_CODE", text)
    return None if surrogate is None else re.sub(r"^([A-Za-z]{2}\W?)\d(\W?)\d", r"\g<1>0\g<2>0", surrogate)


def _phone(key: UnitKey, text: str) -> str | None:
    extended = _EXTENSION.fullmatch(text)
    number = extended.group("number") if extended else text
    if any(character.isalpha() for character in number):
        return scrambled(key, "PHONE_NUMBER", text)
    written = _poured(key, "PHONE_NUMBER", number, _international if number.lstrip(" (").startswith("+") else _national)
    if written is None or extended is None:
        return written
    extension = _poured(key, "PHONE_NUMBER", extended.group("extension"), _digits)
    return None if extension is None else written + extended.group("cue") + extension


def _national(choices: Choices, own: str) -> str:
    """555-01xx in any area if it has the length of a US number, else other digits behind the same leading zeros."""
    drawn = _digits(choices, own)
    if len(own) in (7, 10, 11) and own[0] in {7: "23456789", 10: "23456789", 11: "1"}[len(own)]:
        area = str(200 + choices.below(800))
        return (("1" if len(own) == 11 else "") + area if len(own) > 7 else "") + f"55501{drawn[-2:]}"
    zeros = len(own) - len(own.lstrip("0"))
    return own[:zeros] + drawn[zeros:]


def _international(choices: Choices, own: str) -> str:
    return f"999{_digits(choices, own)}"[: len(own)]
