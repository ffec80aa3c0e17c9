# SPDX-License-Identifier: Apache-2.0
"""The self-check measures the real engine on fresh invented notes, and says nothing of what a site wrote of itself."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from privacy.base.errors import AnonymizationError
from privacy.base.identifiers import Digest
from privacy.base.randomness import SecretSeed
from privacy.protocol.anonymization_check import FEWEST_PLANTED, IDENTIFIERS, SelfCheck, fewest_found
from privacy.text import self_check
from privacy.text.find.engines import Engine
from privacy.text.invent.slots import SLOTS
from privacy.text.reading.modes import ReplacementSettings
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

SETTINGS = TextSettings(names="none")
SEED = SecretSeed(b"\x21" * 32)


@dataclass
class Stub:
    """An engine that finds one thing of a kind over the whole text, finds nothing ("none"), or fails ("fails")."""

    kind: str
    fingerprint: Digest = "5" * 64

    def analyze(self, text: str) -> list[Finding]:
        if self.kind == "fails":
            raise RuntimeError(text)
        return [] if self.kind == "none" else [Finding(0, len(text), self.kind, 1.0, "stub")]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return self_check.load_engine(SETTINGS)


@pytest.fixture(scope="module")
def measured(engine: Engine) -> SelfCheck:
    return self_check.check(engine, SETTINGS, SEED, 20, ())


def test_the_real_engine_finds_what_has_a_shape_and_never_more_than_was_planted(measured: SelfCheck) -> None:
    assert measured.notes == 20
    assert all(0 <= recall.found <= recall.planted for recall in measured.recall.values())
    for name in ("email_address", "us_ssn", "url"):
        recall = measured.recall[name]  # type: ignore[index]
        assert recall.found >= fewest_found(recall.planted, "0.9") > 0


def test_the_same_seed_gives_the_same_figures_and_another_seed_another_batch(
    engine: Engine, measured: SelfCheck
) -> None:
    assert self_check.check(engine, SETTINGS, SecretSeed(b"\x21" * 32), 20, ()) == measured
    other = self_check.check(engine, SETTINGS, SecretSeed(b"\x22" * 32), 20, ())
    assert other.recall != measured.recall
    assert other.engine_fingerprint == measured.engine_fingerprint == engine.fingerprint


def test_what_a_site_wrote_of_its_own_changes_neither_figures_nor_fingerprint(measured: SelfCheck) -> None:
    """Else a reader of the log could try guesses of a deny list until the fingerprint fits."""
    own = TextSettings(names="none", deny_list=("Mercy Ward", "the", "Smith"), mrn_pattern=r"ZQ\d{6}")
    engine = self_check.load_engine(own)
    assert self_check.check(engine, own, SEED, 20, ()) == measured


def test_values_count_by_whole_cover_whatever_the_findings_call_them() -> None:
    everything = self_check.check(Stub("PERSON"), SETTINGS, SEED, 3, ())
    nothing = self_check.check(Stub("none"), SETTINGS, SEED, 3, ())
    values = set(everything.recall) - set(self_check.FLAGS)
    assert all(everything.recall[name].found == everything.recall[name].planted for name in values)
    assert all(recall.found == 0 for recall in nothing.recall.values())


def test_a_finding_that_the_site_lets_stand_hides_nothing() -> None:
    kept = TextSettings(replacement=ReplacementSettings(by_type={"MONEY": "keep"}))
    standing, masked = (self_check.check(Stub("MONEY"), settings, SEED, 2, ()) for settings in (kept, SETTINGS))
    assert all(recall.found == 0 for recall in standing.recall.values())
    assert masked.recall["person"].found == masked.recall["person"].planted > 0


def test_a_flag_is_found_by_a_flag_and_by_nothing_else() -> None:
    flagged = self_check.check(Stub("PERSON"), SETTINGS, SEED, 1, ("biometric", "photo"))
    for name in self_check.FLAGS:
        assert (flagged.recall[name].found, flagged.recall[name].planted >= FEWEST_PLANTED) == (0, True)


def test_notes_are_invented_until_each_floor_has_enough_values() -> None:
    check = self_check.check(Stub("none"), SETTINGS, SEED, 1, ("ip_address", "health_plan_id"))
    assert check.notes > 1
    assert min(check.recall["ip_address"].planted, check.recall["health_plan_id"].planted) == FEWEST_PLANTED


def test_a_note_that_cannot_be_analyzed_stops_the_check_and_is_not_quoted() -> None:
    with pytest.raises(AnonymizationError, match="analysis_failed") as stopped:
        self_check.check(Stub("fails"), SETTINGS, SEED, 1, ())
    assert len(str(stopped.value)) < 300


def test_every_kind_of_invented_value_is_either_measured_or_left_out_knowingly() -> None:
    kinds = {slot.entity_type for slot in SLOTS.values() if slot.entity_type is not None}
    measured = {name.upper() for name in IDENTIFIERS} - {flag.upper() for flag in self_check.FLAGS}
    assert kinds == measured | self_check.NOT_MEASURED
    assert set(SLOTS) >= self_check.ALLOWED_SLOTS
