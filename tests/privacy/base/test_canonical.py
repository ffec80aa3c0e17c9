# SPDX-License-Identifier: Apache-2.0
"""One value, one encoding: what is hashed or signed has no second form, no float and no surprise."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from privacy.base.canonical import DecimalString, canonical_bytes, decimal_string, digest_of
from privacy.base.errors import ContractError
from privacy.base.identifiers import sha256

KEYS = st.text("abcxyz019_", min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
DECIMAL = TypeAdapter(DecimalString)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_the_order_in_which_a_value_was_made_does_not_show(value: dict[str, object]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert canonical_bytes(value) == canonical_bytes(backwards)
    assert json.loads(canonical_bytes(value)) == value
    assert digest_of(value) == sha256(canonical_bytes(value))


@given(VALUES, VALUES)
def test_two_values_have_two_encodings(first: object, second: object) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (canonical_bytes(first) == canonical_bytes(second)) == same


@pytest.mark.parametrize(
    "value",
    [1.5, {"a": [1, {"b": 0.0}]}, {"A": 1}, {"a-b": 1}, {"": 1}, {1: 2}, 2**53, {"a": -(2**53)}, "\ud800", {"a": {1}}],
)
def test_what_has_no_canonical_encoding_is_refused(value: object) -> None:
    with pytest.raises(ContractError):
        canonical_bytes(value)


def test_the_encoding_is_that_of_rfc_8785() -> None:
    value = {"b": [True, None, 'é\n\u0007"'], "a": -1}
    assert canonical_bytes(value) == '{"a":-1,"b":[true,null,"é\\n\\u0007\\""]}'.encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_its_decimal_string(value: float) -> None:
    text = decimal_string(value)
    assert float(text) == value
    assert DECIMAL.validate_python(text) == text
    assert "e" not in text.lower()


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_equal_numbers_have_one_decimal_string(value: Decimal) -> None:
    assert decimal_string(value) == decimal_string(value.normalize())
    assert Decimal(decimal_string(value)) == value


@pytest.mark.parametrize(
    "text", ["", "-0", "+1", "01", "1.", ".5", "1.50", "1e3", "1E3", " 1", "1\n", "NaN", "inf", "٣"]
)
def test_a_second_way_to_write_a_number_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        DECIMAL.validate_python(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_has_no_decimal_string(value: float) -> None:
    with pytest.raises(ContractError, match="finite"):
        decimal_string(value)
