# SPDX-License-Identifier: Apache-2.0
"""One encoding per value: canonical JSON (RFC 8785), canonical decimals. Whatever is hashed or signed passes here.

Rules: no floats (a real number is a decimal string), integers below 2^53, keys `[a-z0-9_]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated

import rfc8785
from pydantic import AfterValidator, BaseModel

from privacy.base.errors import ContractError
from privacy.base.identifiers import Digest, sha256

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

_KEY = re.compile(r"[a-z0-9_]+")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")


def _check_decimal(text: str) -> str:
    if _DECIMAL.fullmatch(text) is None or text == "-0":
        raise ValueError("not a canonical decimal such as 0, -1.5 or 0.001")
    return text


DecimalString = Annotated[str, AfterValidator(_check_decimal)]
"""A real number as its one canonical decimal string: no exponent, no leading or trailing zeros, no '-0', no '+'."""


def decimal_string(value: float | int | Decimal) -> DecimalString:
    """The canonical decimal string of `value`; a float becomes its shortest round-trip form.

    Raises ContractError for NaN or infinity.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ContractError("a real number in a signed body must be finite")
    text = format(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def is_key(text: str) -> bool:
    """Whether `text` may be a key in a signed body."""
    return _KEY.fullmatch(text) is not None


def _check(value: Json) -> None:
    if isinstance(value, float):
        raise ContractError("no floats in anything signed: use a decimal string")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not is_key(key):
                raise ContractError("a key in a signed body must match [a-z0-9_]+")
            _check(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            _check(item)


def canonical_bytes(value: Json | BaseModel) -> bytes:
    """The RFC 8785 encoding of `value`. Raises ContractError on a float, a key or an integer outside the rules."""
    plain: Json = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    _check(plain)
    try:
        return rfc8785.dumps(plain)  # type: ignore[no-any-return]
    except (rfc8785.CanonicalizationError, ValueError) as error:
        raise ContractError("this value has no canonical encoding") from error


def digest_of(value: Json | BaseModel) -> Digest:
    """SHA-256 over `canonical_bytes(value)`."""
    return sha256(canonical_bytes(value))
