# SPDX-License-Identifier: Apache-2.0
"""Invented clinical notes with identifiers at known places: the private text of simulated hospitals.

A note's label is the service whose illness it describes. Label and layout are drawn apart, so a layout gives nothing
away; the words of one illness are spread over few notes, and an unrelated illness stands in many notes as a distractor.
Same seed and arguments, same notes, on every machine with the same numpy; more patients only append notes.
Everything is invented; telephone numbers and public hosts lie in ranges reserved for fiction.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from privacy.base.errors import SettingsError
from privacy.base.randomness import PublicSeed
from privacy.text.invent.rng import Rng
from privacy.text.report import PlantedSpan
from simulations._phrases import cardiology, gastroenterology, neurology, people, pulmonology, shapes
from simulations._phrases.condition import Condition
from simulations._phrases.layouts import LAYOUTS, NEUTRAL, Layout
from simulations._phrases.writer import Writer, identifiers_in

SERVICES: Final[Mapping[str, tuple[Condition, ...]]] = {
    "cardiology": cardiology.CONDITIONS,
    "gastroenterology": gastroenterology.CONDITIONS,
    "neurology": neurology.CONDITIONS,
    "pulmonology": pulmonology.CONDITIONS,
}
LABELS: Final = tuple(SERVICES)
STYLES: Final = tuple(LAYOUTS)
ENTITY_TYPES: Final = ("PERSON", "DATE", "PHONE", "EMAIL", "MRN", "SSN", "LOCATION", "AGE", "ACCOUNT", "URL")
FEWEST_PLANTED: Final = 4
MOST_PLANTED: Final = 9

_CERTAIN_ROWS = 2  # the story and the findings stand in every note, early
_OPTIONAL_ROW = 0.4
_NOTES_A_PATIENT = (1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5)  # mean 2.7
_STYLE_MIXES: Mapping[str, tuple[int, int, int, int]] = {  # labels of every 24 notes, in the order of LABELS
    "sectioned": (7, 5, 6, 6),
    "narrative": (5, 7, 5, 7),
    "telegraphic": (6, 6, 7, 5),
    "letter": (6, 6, 6, 6),
}


@dataclass(frozen=True)
class Note:
    """One invented note. `planted` is sorted by place and never overlaps."""

    record_id: str
    patient_id: str
    text: str
    label: str
    planted: tuple[PlantedSpan, ...]


def clinical_notes(
    seed: PublicSeed, patients: int, style: str = "sectioned", *, mix: Mapping[str, int] | None = None
) -> list[Note]:
    """All notes of `patients` invented patients (1 to 5 each, 2.7 on average) of one hospital that writes in `style`.

    `mix` says how many notes of each label stand in every run of sum(mix) notes; without it, the style's own
    near-balanced mix (21 to 29 % a label). Raises SettingsError for a style, label or number that does not exist.
    """
    if patients < 1:
        raise SettingsError(f"{patients} patients give no notes", next_step="ask for at least one patient")
    home = _style_seed(seed, style)
    return list(_notes(home, range(patients), lambda _: LAYOUTS[style], _checked_mix(style, mix)))


def holdout_notes(seed: PublicSeed, count: int) -> list[Note]:
    """`count` notes of patients of no hospital, in all styles by turns, labels balanced: for evaluation only."""
    if count < 1:
        raise SettingsError(f"{count} notes evaluate nothing", next_step="ask for at least one note")
    styles = [LAYOUTS[style] for style in STYLES]
    balanced = dict.fromkeys(LABELS, 5)
    notes = _notes(seed.derive("notes/holdout"), range(count), lambda at: styles[at % len(styles)], balanced)
    return list(islice(notes, count))


def write_site_data(folder: Path, notes: Iterable[Note]) -> None:
    """Write `notes.jsonl` (record_id, patient_id, text, label) and `planted.jsonl` (record_id, spans), both mode 0600.

    Each file appears whole or not at all, and replaces an older one.
    """
    written = list(notes)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    rows = [{k: v for k, v in asdict(note).items() if k != "planted"} for note in written]
    spans = [{"record_id": note.record_id, "spans": [asdict(span) for span in note.planted]} for note in written]
    write_lines(folder / "notes.jsonl", rows)
    write_lines(folder / "planted.jsonl", spans)


def write_lines(file: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write one JSON object a line to `file`, mode 0600; the file appears whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    partial.replace(file)


def read_planted(file: Path) -> dict[str, tuple[PlantedSpan, ...]]:
    """The planted spans of each record_id, from a `planted.jsonl` of `write_site_data`."""
    rows = (json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line)
    return {row["record_id"]: tuple(PlantedSpan(**span) for span in row["spans"]) for row in rows}


def _style_seed(seed: PublicSeed, style: str) -> PublicSeed:
    if style not in LAYOUTS:
        raise SettingsError(f"there is no note style '{style}'", next_step=f"choose one of: {', '.join(STYLES)}")
    return seed.derive(f"notes/{style}")


def _checked_mix(style: str, mix: Mapping[str, int] | None) -> Mapping[str, int]:
    if mix is None:
        return dict(zip(LABELS, _STYLE_MIXES[style], strict=True))
    if not set(mix) <= set(LABELS) or any(share < 0 for share in mix.values()) or sum(mix.values()) < 1:
        raise SettingsError("a mix gives whole shares to labels", next_step=f"name some of: {', '.join(LABELS)}")
    return {label: mix.get(label, 0) for label in LABELS}


def _labels(seed: PublicSeed, mix: Mapping[str, int]) -> Iterator[str]:
    """Labels without end: every run of sum(mix) holds each as often as `mix` says, in a random order of its own."""
    rng = Rng(seed.derive("labels").numpy_generator())
    block = [label for label in LABELS for _ in range(mix[label])]
    while True:
        yield from rng.shuffled(block)


def _notes(
    home: PublicSeed, patients: Iterable[int], layout_of: Callable[[int], Layout], mix: Mapping[str, int]
) -> Iterator[Note]:
    labels = _labels(home, mix)
    staff_rng = Rng(home.derive("clinicians").numpy_generator())
    staff = [_full_name(staff_rng) for _ in range(24)]
    for number in patients:
        patient = _Patient(home, number, staff)
        for at in range(patient.visits):
            yield patient.note(at, next(labels), layout_of(number))


def _full_name(rng: Rng) -> str:
    return f"{people.given_name(rng, rng.chance(0.5))} {people.surname(rng)}"


class _Patient:
    """One invented person: constant name, age and numbers, and per service two illnesses that their notes are about."""

    def __init__(self, home: PublicSeed, number: int, staff: list[str]) -> None:
        self.rng = rng = Rng(home.derive(f"patient/{number}").numpy_generator())
        self.patient_id = f"{home.hex()[:8]}-p{number:04d}"
        self.staff = staff
        self.visits = rng.choose(_NOTES_A_PATIENT)
        female = rng.chance(0.5)
        self.given, self.family = people.given_name(rng, female), people.surname(rng)
        self.age = rng.integer(90, 101) if rng.chance(0.1) else rng.integer(19, 89)
        self.illnesses = {label: rng.shuffled(SERVICES[label]) for label in LABELS}
        self.constant = {
            "family": self.family,
            "age": str(self.age),
            "mrn": shapes.mrn(rng),
            "born": shapes.birth_date(rng, self.age),
            "ssn": shapes.ssn(rng),
            "address": shapes.address(rng),
            "account": shapes.account(rng),
            "email": shapes.email(rng, self.given, self.family),
            "relative": people.given_name(rng, rng.chance(0.5)) + " " + self._relatives_surname(),
            "title": rng.choose(("Ms.", "Mrs.") if female else ("Mr.", "Mr.", "Rev.")),
        }

    def note(self, at: int, label: str, layout: Layout) -> Note:
        """The patient's note number `at`, about one of their illnesses of the service `label`."""
        rng = self.rng
        other = rng.choose([service for service in LABELS if service != label])
        illness, distractor = self.illnesses[label][at % 2], self.illnesses[other][2]
        writer = Writer(layout.abbreviations, self._fillers(illness, distractor))
        writer.add(rng.choose(layout.openings))
        for at_row, row in enumerate(layout.body):
            if at_row < _CERTAIN_ROWS or rng.chance(_OPTIONAL_ROW):
                writer.add(rng.choose(row), layout.separator)
        target = rng.integer(FEWEST_PLANTED, MOST_PLANTED) - 1
        for line in rng.shuffled(layout.administrative):
            if len(writer.planted) + identifiers_in(line) <= target:
                writer.add(line, "\n")
        writer.add(rng.choose(layout.signatures), "\n")
        return Note(f"{self.patient_id}-n{at + 1}", self.patient_id, writer.text(), label, tuple(writer.planted))

    def _fillers(self, illness: Condition, distractor: Condition) -> Callable[[str], str]:
        rng = self.rng
        decks: dict[str, list[str]] = {}
        words: dict[str, tuple[str, ...]] = {
            "complaint": illness.complaints,
            "finding": illness.findings,
            "study": illness.studies,
            "drug": illness.drugs,
            "plan": illness.plans,
            "name": illness.names,
            "other_name": distractor.names,
            "other_drug": distractor.drugs,
            "other_finding": distractor.findings,
            **NEUTRAL,
        }
        fresh: dict[str, Callable[[], str]] = {
            "patient": lambda: self._own_name(),
            "date": lambda: shapes.date(rng),
            "phone": lambda: shapes.phone(rng),
            "url": lambda: shapes.url(rng),
            "clinician": lambda: rng.choose(self.staff),
            "vitals": lambda: _vitals(rng),
        }

        def fill(slot: str) -> str:
            if slot in self.constant:
                return self.constant[slot]
            if slot in fresh:
                return fresh[slot]()
            if not decks.get(slot):
                decks[slot] = rng.shuffled(words[slot])
            return decks[slot].pop()

        return fill

    def _relatives_surname(self) -> str:
        return self.family if self.rng.chance(0.6) else people.surname(self.rng)

    def _own_name(self) -> str:
        plain, turned = f"{self.given} {self.family}", f"{self.family}, {self.given}"
        return self.rng.choose((plain, plain, plain, turned, f"{self.family.upper()}, {self.given}"))


def _vitals(rng: Rng) -> str:
    pressure = f"BP {rng.integer(98, 168)}/{rng.integer(56, 98)}"
    return rng.choose(
        (
            f"{pressure}, HR {rng.integer(54, 112)}",
            f"{pressure}, temp {rng.integer(362, 379) / 10}",
            f"HR {rng.integer(54, 112)}, sats {rng.integer(93, 99)}%",
            f"Weight {rng.integer(48, 118)} kg, {pressure}",
        )
    )
