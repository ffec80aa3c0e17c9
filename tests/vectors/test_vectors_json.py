# SPDX-License-Identifier: Apache-2.0
"""RFC 8785: canonical JSON as the standard has it, under our rules (no floats, keys [a-z0-9_])."""

from __future__ import annotations

import json
from typing import Any

import pytest

from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError


def test_literals_integers_and_escapes_are_encoded_as_in_section_3_2() -> None:
    given = json.loads(
        r"""{"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null,true,false], "number": 56}"""
    )
    # section 3.2.4, without the floats of the example
    expected = bytes.fromhex(
        "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d626572223a35362c"
        "22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d"
    )
    assert canonical_bytes(given) == expected


def test_control_characters_have_their_one_escape() -> None:
    assert canonical_bytes("\b\t\n\f\r\x00\x1f\x7f\u2028") == b'"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\xe2\x80\xa8"'


def test_members_are_sorted_and_nothing_is_between_them() -> None:
    assert canonical_bytes({"b": [1, -1, 0], "a_1": {}, "a": "", "0": []}) == b'{"0":[],"a":"","a_1":{},"b":[1,-1,0]}'


def test_the_largest_integers_are_those_of_appendix_b() -> None:
    assert canonical_bytes(2**53 - 1) == b"9007199254740991"
    for value in (2**53, -(2**53)):
        with pytest.raises(ContractError):
            canonical_bytes(value)


@pytest.mark.parametrize("value", [1.0, 1e30, float("nan"), {"a": [0.5]}, {"A": 1}, {"é": 1}, {"a b": 1}, "\ud800"])
def test_what_our_rules_exclude_is_refused(value: Any) -> None:
    with pytest.raises(ContractError):
        canonical_bytes(value)
