# SPDX-License-Identifier: Apache-2.0
"""How well does this site's anonymizer find what is known to be there? Measured on notes invented for this check alone.

The figures leave the site, so they must not depend on its data: the notes are generated from a secret seed, and the
engine is loaded from `TextSettings.without_private_lists()`. A value counts as found when findings cover all of it,
whatever they call it. What Safe Harbor lets stay is not measured: ages under 90, years, states and countries; nor
are quasi-identifiers (DEMOGRAPHIC, MONEY), whose masking is a choice of the site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

import numpy as np

from privacy.base.errors import AnonymizationError
from privacy.base.randomness import SecretSeed
from privacy.protocol.anonymization_check import FEWEST_PLANTED, IDENTIFIERS, EntityRecall, Identifier, SelfCheck
from privacy.text.find import engines
from privacy.text.find.engines import Engine
from privacy.text.invent.notes import InventedNote, notes
from privacy.text.invent.templates import FilledSlot
from privacy.text.reading.records import Finding
from privacy.text.run import analysis
from privacy.text.settings import TextSettings

FLAGS: Final[tuple[Identifier, ...]] = ("biometric", "photo")
"""Identifiers that a text speaks of and that no replacement cures: a note is flagged, and the flag is what is found."""

MAY_BE_KEPT: Final = frozenset({"DEMOGRAPHIC", "MONEY"})
NOT_MEASURED: Final = MAY_BE_KEPT | {"AGE_UNDER_90"}
ALLOWED_SLOTS: Final = frozenset({"country", "decade", "state", "year"})
"""Dates and places that Safe Harbor lets stay: 45 CFR 164.514(b)(2)(i)(B) and (C)."""

_BY_TAG: Final[dict[str, Identifier]] = {identifier.upper(): identifier for identifier in IDENTIFIERS}
_MOST_TOPPED_UP: Final = 500
"""So many notes, or as many as were asked for if that is more, end the search for enough values of each floor."""


def load_engine(settings: TextSettings) -> Engine:
    """The site's engine as the self-check uses it: without the site's private lists."""
    return engines.load(settings.without_private_lists())


def check(
    engine: Engine, settings: TextSettings, seed: SecretSeed, least_notes: int, floors: Collection[Identifier]
) -> SelfCheck:
    """Measure `engine` (of `load_engine`) on at least `least_notes` notes that follow from `seed`.

    More notes are invented until each identifier in `floors` has FEWEST_PLANTED values, within reason. The same
    arguments give the same figures. Raises AnonymizationError when a note cannot be analyzed: invented notes are
    ordinary text.
    """
    planted: Counter[Identifier] = Counter()
    found: Counter[Identifier] = Counter()
    count = 0
    for note in _batch(seed, least_notes, floors):
        count += 1
        _count(note, _analyzed(engine, note[0].text, settings), settings, planted, found)
    recall = {name: EntityRecall(planted=planted[name], found=found[name]) for name in IDENTIFIERS if planted[name]}
    return SelfCheck(notes=count, recall=recall, engine_fingerprint=engine.fingerprint)


def identifier_of(value: FilledSlot) -> Identifier | None:
    """What `value` counts as in the self-check; None if Safe Harbor lets it stay, or if it identifies nobody."""
    return None if value.slot in ALLOWED_SLOTS else _BY_TAG.get(value.entity_type or "")


def _batch(seed: SecretSeed, least_notes: int, floors: Collection[Identifier]) -> Iterator[InventedNote]:
    key = int.from_bytes(seed.expose("notes of the self-check")[:16], "big")
    planted: Counter[Identifier] = Counter()
    generator = np.random.Generator(np.random.Philox(key=key))
    for number, note in enumerate(notes(generator, max(least_notes, _MOST_TOPPED_UP))):
        if number >= least_notes and all(planted[name] >= FEWEST_PLANTED for name in floors):
            return
        planted.update(_planted(note))
        yield note


def _planted(note: InventedNote) -> list[Identifier]:
    piece, flags = note
    values = [identifier for value in piece.values if (identifier := identifier_of(value))]
    return values + [_BY_TAG[flag] for flag in flags]


def _analyzed(engine: Engine, text: str, settings: TextSettings) -> tuple[Finding, ...]:
    outcome = analysis.check(text, settings) or analysis.analyze(engine, text, settings.row_time_limit_seconds)
    if isinstance(outcome, str):
        raise AnonymizationError(
            f"an invented note of the self-check could not be anonymized ({outcome}); nothing was trained",
            next_step="look at text.max_characters and text.row_time_limit_seconds, or report it",
        )
    return outcome


def _is_masked(finding: Finding, settings: TextSettings) -> bool:
    """A flag masks nothing, nor does a finding of a type that the site keeps."""
    kind = finding.entity_type
    if kind in MAY_BE_KEPT:
        return settings.replacement.mode_of(kind) != "keep"
    return _BY_TAG.get(kind) not in FLAGS


def _count(
    note: InventedNote,
    findings: tuple[Finding, ...],
    settings: TextSettings,
    planted: Counter[Identifier],
    found: Counter[Identifier],
) -> None:
    piece, flags = note
    raised = {_BY_TAG.get(finding.entity_type) for finding in findings}
    masked = [finding for finding in findings if _is_masked(finding, settings)]
    covered = {at for finding in masked for at in range(finding.start, finding.end)}
    for value in piece.values:
        if identifier := identifier_of(value):
            planted[identifier] += 1
            found[identifier] += covered.issuperset(range(value.start, value.end))
    for flag in flags:
        planted[_BY_TAG[flag]] += 1
        found[_BY_TAG[flag]] += _BY_TAG[flag] in raised
