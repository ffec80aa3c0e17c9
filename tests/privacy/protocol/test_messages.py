# SPDX-License-Identifier: Apache-2.0
"""What crosses a border is signed, canonical and strict: any flipped bit, and any second encoding, is refused."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError, IntegrityError
from privacy.log.keys import SigningKey
from privacy.protocol.messages import (
    MAX_BODY_BYTES,
    Envelope,
    Header,
    ReasonCode,
    Refusal,
    SignedMessage,
    SiteMetrics,
    open_message,
    parse,
    seal,
)

KEY, OTHER = SigningKey(b"\x01" * 32), SigningKey(b"\x02" * 32)
REFUSAL = Refusal(plan_digest="0" * 64, reason="policy", seen_tree_size=7)


def sealed(key: SigningKey = KEY, payload: bytes = b"") -> SignedMessage:
    return seal(
        REFUSAL,
        Header(
            kind="refusal",
            run_id="spring",
            server_round=1,
            attempt=1,
            phase="update",
            sender="clinic",
            context_digest="1" * 64,
            log_vkey="collab/woods+e973f7aa+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
            recipient="coordinator",
        ),
        key,
        payload=payload,
    )


def reason(message: SignedMessage) -> str:
    with pytest.raises((IntegrityError, ContractError)) as refused:
        open_message(message, Refusal, KEY.verify_key())
    return refused.value.reason


def test_what_was_sealed_opens_and_sealing_is_deterministic() -> None:
    assert open_message(sealed(), Refusal, KEY.verify_key()) == REFUSAL
    assert sealed(payload=b"x") == sealed(payload=b"x")


def test_another_key_opens_nothing() -> None:
    assert reason(sealed(OTHER)) == "signature"


@pytest.mark.parametrize(
    "field",
    [
        {"kind": "site_update"},
        {"run_id": "autumn"},
        {"server_round": 2},
        {"attempt": 2},
        {"phase": "evaluate"},
        {"sender": "other"},
        {"context_digest": "2" * 64},
        {"body_digest": "2" * 64},
        {"signature": "00" * 64},
        {"signature": "00"},
        {"signature": ""},
    ],
)
def test_the_signature_covers_every_field_of_the_envelope(field: dict[str, object]) -> None:
    message = sealed()
    assert reason(SignedMessage(message.envelope.model_copy(update=field), message.body)) == "signature"


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_no_bit_of_a_body_can_be_flipped(place: int, bit: int) -> None:
    message = sealed()
    body = bytearray(message.body)
    body[place % len(body)] ^= 1 << bit
    assert reason(SignedMessage(message.envelope, bytes(body))) == "signature"


SECOND_ENCODINGS = [
    canonical_bytes(REFUSAL) + b"\n",
    b" " + canonical_bytes(REFUSAL),
    json.dumps(REFUSAL.model_dump()).encode(),
    json.dumps(dict(reversed(REFUSAL.model_dump().items())), separators=(",", ":")).encode(),
    canonical_bytes(REFUSAL).replace(b"policy", b"p\\u006flicy"),
    canonical_bytes(REFUSAL)[:-1] + b',"seen_tree_size":7}',
]


@pytest.mark.parametrize("encoded", SECOND_ENCODINGS)
def test_a_value_has_one_encoding(encoded: bytes) -> None:
    assert parse(Refusal, canonical_bytes(REFUSAL)) == REFUSAL
    with pytest.raises(ContractError):
        parse(Refusal, encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b"{" * 100_000,
        canonical_bytes(REFUSAL).replace(b"policy", b"because Jane Doe is ill"),
        canonical_bytes(REFUSAL).replace(b'"seen_tree_size":7', b'"seen_tree_size":"7"'),
        canonical_bytes(REFUSAL).replace(b'"seen_tree_size":7', b'"seen_tree_size":7.0'),
        canonical_bytes(REFUSAL).replace(b'"seen_tree_size":7', b'"seen_tree_size":-1'),
        canonical_bytes(REFUSAL).replace(b'"seen_tree_size":7', b'"seen_tree_size":true'),
        canonical_bytes(REFUSAL)[:-1] + b',"why":"Jane Doe"}',
        b" " * (MAX_BODY_BYTES + 1),
    ],
)
def test_what_is_no_refusal_is_malformed_and_never_quoted(encoded: bytes) -> None:
    with pytest.raises(ContractError) as refused:
        parse(Refusal, encoded)
    assert refused.value.reason == "malformed"
    assert "Jane" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_refusal_can_say_nothing_but_a_known_code() -> None:
    for code in get_args(ReasonCode):
        assert Refusal(plan_digest="0" * 64, reason=code, seen_tree_size=0).reason == code
    with pytest.raises(ValidationError):
        Refusal(plan_digest="0" * 64, reason="patient Doe", seen_tree_size=0)  # type: ignore[arg-type]


def test_a_number_in_a_signed_body_has_one_form() -> None:
    for text in ("1.50", "1e3", "NaN", "-0"):
        with pytest.raises(ValidationError):
            SiteMetrics(
                plan_digest="0" * 64,
                right=(1,),
                actual=(1,),
                predicted=(1,),
                noise_std=text,
                spent=None,
                seen_tree_size=0,
            )


def test_a_message_shown_to_people_says_who_and_when_alone() -> None:
    assert repr(sealed(payload=b"secret")) == "SignedMessage(refusal of clinic, round 1)"


@pytest.mark.parametrize(
    "field", [{"kind": "poem"}, {"sender": "../x"}, {"run_id": "A"}, {"attempt": 0}, {"server_round": -1}, {"extra": 1}]
)
def test_an_envelope_outside_its_bounds_is_none(field: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Envelope.model_validate(sealed().envelope.model_dump() | field)
