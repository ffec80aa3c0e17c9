# SPDX-License-Identifier: Apache-2.0
"""Digits that are dropped before the library sees them are no number to the library either.

The rule is read off the metadata; here it is held against the library: all strings of few digits (slow, and more of
them with COLLAB_LONG_PROOFS=1) and
drawn ones of every length, for Presidio's eight regions and for others with unlike numbering plans.
"""

from __future__ import annotations

import os
import random
from itertools import product

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from privacy.text.find.engines._phones import PhoneFinder, Region

DEFAULT = PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS
UNLIKE = ("AT", "AU", "AR", "CH", "IT", "MX", "SM", "JP", "CN", "NG", "KZ", "AC")


def taken(digits: str, region: str) -> bool:
    """Whether the library takes the digits by themselves for a number."""
    return phonenumbers.PhoneNumberMatcher(digits, region)._parse_and_verify(digits, 0) is not None


LONGEST = dict.fromkeys(DEFAULT, 6) if os.environ.get("COLLAB_LONG_PROOFS") else {"US": 5, "DE": 5}
"""Digits up to which every string is tried, 4 elsewhere. With COLLAB_LONG_PROOFS=1 six everywhere: some 20 minutes."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("region", DEFAULT)
def test_no_short_string_of_digits_is_dropped_that_the_library_takes(region: str) -> None:
    rule = Region(region)
    for length in range(1, LONGEST.get(region, 4) + 1):
        for characters in product("0123456789", repeat=length):
            digits = "".join(characters)
            assert not (rule.hopeless(digits) and taken(digits, region)), (digits, region)


@pytest.mark.parametrize("region", [*DEFAULT, *UNLIKE])
def test_no_drawn_string_of_any_length_is_dropped_that_the_library_takes(region: str) -> None:
    rule, draw = Region(region), random.Random(region)
    starts = ["", "", "0", "00", "011", "1", str(phonenumbers.country_code_for_region(region))]
    example = phonenumbers.example_number(region)
    national = phonenumbers.national_significant_number(example) if example else "5"
    for _ in range(400):
        body = draw.choice([national, "".join(draw.choices("0123456789", k=draw.randint(1, 14)))])
        digits = draw.choice(starts) + body
        assert not (rule.hopeless(digits) and taken(digits, region)), (digits, region)


CANDIDATES = st.text(st.sampled_from("0123456789012345678901234567890123456789+-/().[]x ,:\uff0b\u2013"), max_size=60)


@hypothesis_settings(max_examples=150, deadline=None, derandomize=True)
@given(CANDIDATES)
def test_one_reading_for_all_regions_finds_what_a_matcher_for_each_finds(text: str) -> None:
    regions = (*DEFAULT, "CH", "AU", "AR")
    want = {(m.start, m.end) for region in regions for m in phonenumbers.PhoneNumberMatcher(text, region)}
    assert PhoneFinder(regions).find(text) == want


def test_a_region_without_a_numbering_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="no phone numbers are known"):
        PhoneFinder(["ZZ"])
