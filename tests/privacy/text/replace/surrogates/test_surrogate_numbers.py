# SPDX-License-Identifier: Apache-2.0
"""Numbers keep their shape and nothing else, and lie where nobody's number lies, if such a place is set aside."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from privacy.text.replace.surrogates import numbers, online
from privacy.text.replace.surrogates.keyed import SurrogateKey, UnitKey

UNHURRIED = limits(deadline=None)  # the first use of a list reads it
KEY = SurrogateKey(bytes(range(32)), "patient").of_patient("p1")
KEYS = st.binary(min_size=32, max_size=32).map(UnitKey)


def shape(text: str) -> str:
    return re.sub(r"[a-z]", "x", re.sub(r"[A-Z]", "X", re.sub(r"\d", "0", text)))


@UNHURRIED
@given(KEYS, st.from_regex(r"[A-Z]{0,3}[-/ ]?[0-9a-z]{1,4}[-. ]?[0-9]{1,8}", fullmatch=True))
def test_a_number_keeps_its_shape_and_is_never_the_original(key: UnitKey, number: str) -> None:
    surrogate = numbers.write(key, "MEDICAL_RECORD_NUMBER", number)
    assert surrogate is None or (shape(surrogate) == shape(number) and surrogate != number)


def test_two_ways_of_writing_a_number_have_the_same_surrogate() -> None:
    one, two = (numbers.write(KEY, "MEDICAL_RECORD_NUMBER", text) for text in ("H-123 456", "H123456"))
    assert one is not None
    assert two is not None
    assert re.sub(r"\W", "", one) == two


@UNHURRIED
@given(KEYS, st.from_regex("[0-9]{3}-?[0-9]{2}-?[0-9]{4}", fullmatch=True))
def test_a_social_security_number_was_never_issued(key: UnitKey, ssn: str) -> None:
    surrogate = numbers.write(key, "US_SSN", ssn)
    assert surrogate is not None
    digits = surrogate.replace("-", "")
    assert digits[0] == "9"
    assert 1 <= int(digits[3:5]) <= 49
    assert shape(surrogate) == shape(ssn)


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("(312) 867-5309", r"\(\d{3}\) 555-01\d\d"),
        ("312.867.5309", r"\d{3}\.555\.01\d\d"),
        ("1-800-867-5309", r"1-\d{3}-555-01\d\d"),
        ("867-5309", r"555-01\d\d"),
        ("312-867-5309 x123", r"\d{3}-555-01\d\d x\d{3}"),
        ("312-867-5309, ext. 12", r"\d{3}-555-01\d\d, ext\. \d\d"),
        ("+44 20 7946 0958", r"\+99 9\d \d{4} \d{4}"),
        ("+1 312 867 5309", r"\+9 99\d \d{3} \d{4}"),
        ("0612345678", r"0\d{9}"),
        ("4711", r"\d{4}"),
    ],
)
def test_a_telephone_number_is_one_that_is_nobodys_where_its_shape_allows(phone: str, expected: str) -> None:
    surrogate = numbers.write(KEY, "PHONE_NUMBER", phone)
    assert surrogate is not None
    assert re.fullmatch(expected, surrogate)
    assert surrogate != phone


@UNHURRIED
@given(KEYS, st.sampled_from(["4111 1111 1111 1111", "5500000000000004", "3400 000000 00009"]))
def test_a_card_number_fails_its_check(key: UnitKey, card: str) -> None:
    surrogate = numbers.write(key, "CREDIT_CARD", card)
    assert surrogate is not None
    assert shape(surrogate) == shape(card)
    assert not numbers._luhn(re.sub(r"\D", "", surrogate))


def test_an_iban_has_impossible_check_digits() -> None:
    surrogate = numbers.write(KEY, "IBAN_CODE", "GB29 NWBK 6016 1331 9268 19")
    assert surrogate is not None
    assert re.fullmatch(r"[A-Z]{2}00 [A-Z]{4}( \d{4}){3} \d\d", surrogate)


@pytest.mark.parametrize("text", ["", "...", "№ 17", "１２", "\U0001f600 12"])
def test_what_has_no_shape_that_can_be_kept_is_left_to_a_tag(text: str) -> None:
    assert numbers.write(KEY, "ID_NUMBER", text) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("maria.lopez12@ward.local", r"monika\.lund\d\d@example\.org"),
        ("bob_7@x.com", r"[a-z]{3}_\d@example\.org"),
        ("M.Lopez@x.com", r"M\.Lund@example\.org"),
    ],
)
def test_an_e_mail_address_moves_to_example_org_and_its_names_with_it(address: str, expected: str) -> None:
    known = {"maria": "monika", "lopez": "lund", "m": "M", "Lopez": "Lund", "M": "M"}
    surrogate = online.email(KEY, address, known.get)
    assert surrogate is not None
    assert re.fullmatch(expected, surrogate, re.IGNORECASE)


@pytest.mark.parametrize("url", ["https://www.ward.example/p?id=7", "ward.example", "http://10.1.2.3:80/x", "a.b"])
def test_a_url_becomes_a_page_of_example_org(url: str) -> None:
    surrogate = online.url(KEY, url)
    assert surrogate is not None
    assert re.fullmatch(r"(https?://)?(www\.)?[a-z]{6}\.example\.org(/[a-z]{6})?", surrogate)


@UNHURRIED
@given(KEYS, st.ip_addresses())
def test_an_ip_address_becomes_one_that_is_set_aside_for_documentation(
    key: UnitKey, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    surrogate = online.ip_address(key, str(address))
    assert surrogate is not None
    found = ipaddress.ip_address(surrogate)
    ranges = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
    assert any(found in ipaddress.ip_network(documentation) for documentation in ranges)
    assert found != address
    assert found.version == address.version


def test_hardware_addresses_and_uuids_keep_their_form() -> None:
    assert re.fullmatch(r"00:00:5E:00:53:[0-9A-F]{2}", online.mac_address(KEY, "AA:BB:CC:00:11:22") or "")
    assert re.fullmatch(r"0000\.5e00\.53[0-9a-f]{2}", online.mac_address(KEY, "aabb.cc00.1122") or "")
    form = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    assert re.fullmatch(form, online.uuid(KEY, "123e4567-e89b-12d3-a456-426614174000") or "")
