# SPDX-License-Identifier: Apache-2.0
"""Conformance: what every engine in privacy/text/find/engines must do. New files are visited by themselves."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from privacy.base import parts
from privacy.text.anonymize import Anonymizer
from privacy.text.find import engines
from privacy.text.find.engines import Engine
from privacy.text.reading.records import ENTITY_TYPES, TextRow
from privacy.text.run.analysis import analyze
from privacy.text.settings import TextSettings

NAMES = parts.names("privacy.text.find.engines")
FRAMES = st.sampled_from(
    [
        "The patient gave {} at the desk.",
        "Note: {}",
        "{}",
        "see\n{}\nfor this",
        "({})",
        "pain;{}, cough",
        "REPORTED {} TODAY",
    ]
)
DIGITS = st.text("0123456789", min_size=9, max_size=9)
HOSTS = st.sampled_from(["ward.local", "a.lan", "x-y.corp", "h.internal", "mail.example.com", "dept.hosp.example.org"])
USERS = st.from_regex(r"[a-z][a-z0-9]{0,8}([._-][a-z0-9]{1,8})?", fullmatch=True)


@pytest.fixture(scope="module", params=NAMES)
def any_engine(request, engine: Engine, settings: TextSettings) -> Engine:  # type: ignore[no-untyped-def]
    name = request.param
    return engine if name == settings.engine else engines.load(settings.model_copy(update={"engine": name}))


def _anonymized(engine: Engine, text: str) -> str:
    records, _ = Anonymizer(engine, TextSettings()).run([TextRow("r", text, None, None)])
    return records[0].text


EXAMPLES = hypothesis_settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@EXAMPLES
@given(frame=FRAMES, user=USERS, host=HOSTS)
def test_a_planted_email_never_survives(any_engine: Engine, frame: str, user: str, host: str) -> None:
    text = _anonymized(any_engine, frame.format(f"{user}@{host}"))
    assert host not in text
    assert "@" not in text


@EXAMPLES
@given(frame=FRAMES, digits=DIGITS)
def test_a_planted_ssn_shape_never_survives(any_engine: Engine, frame: str, digits: str) -> None:
    for ssn in (
        f"{digits[:3]}-{digits[3:5]}-{digits[5:]}",
        f"SSN {digits}",
        f"SSN: {digits[:3]} {digits[3:5]} {digits[5:]}",
    ):
        assert re.search(r"\d{4}", _anonymized(any_engine, frame.format(ssn))) is None


@EXAMPLES
@given(
    frame=FRAMES,
    digits=DIGITS,
    length=st.integers(5, 9),
    label=st.sampled_from(["MRN", "MRN:", "MRN #", "Medical record number:", "chart no."]),
)
def test_a_planted_record_number_never_survives(
    any_engine: Engine, frame: str, digits: str, length: int, label: str
) -> None:
    number = digits[:length]
    assert number not in _anonymized(any_engine, frame.format(f"{label} {number}"))


def test_the_same_text_gives_the_same_findings_sorted_and_of_known_types(any_engine: Engine) -> None:
    text = "Patient: Quenby Zorblatt, MRN 4827193, mail q@ward.local, 3 April 1976, call (617) 555-0123."
    first = any_engine.analyze(text)
    assert first == any_engine.analyze(text) == sorted(first)
    assert {f.entity_type for f in first} <= ENTITY_TYPES
    assert {"PERSON", "MEDICAL_RECORD_NUMBER", "EMAIL_ADDRESS", "DATE_TIME", "PHONE_NUMBER"} <= {
        f.entity_type for f in first
    }


def test_the_fingerprint_is_a_digest(any_engine: Engine) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", any_engine.fingerprint)


@pytest.mark.parametrize(
    "hostile",
    [
        "A. " * 3000,
        "Van De " * 1500,
        "1" * 9000,
        "1-" * 4500,
        "a@" * 4500,
        "Dr. " * 2500,
        "Patient:" * 1200,
        "a.b" * 3000,
        "Jan 1 " * 1500,
        "(1" * 4500,
        pytest.param("O'" * 4500, marks=pytest.mark.slow),  # the name model has most pieces to read
        "1 2 " * 2000,
        "x" * 9000,
        "\n" * 9000,
        "Main St " * 1000,
    ],
)
def test_hostile_text_costs_no_more_than_seconds(any_engine: Engine, hostile: str) -> None:
    started = time.process_time()
    assert isinstance(analyze(any_engine, hostile, 50), tuple)
    assert time.process_time() - started < 25


@EXAMPLES
@given(st.text(max_size=200))
def test_any_text_is_analyzed_or_refused_with_a_reason(any_engine: Engine, text: str) -> None:
    outcome = analyze(any_engine, text, 20)
    assert isinstance(outcome, tuple), outcome
    assert all(0 <= f.start < f.end <= len(text) for f in outcome)
