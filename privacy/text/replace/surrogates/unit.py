# SPDX-License-Identifier: Apache-2.0
"""What stands in place of the findings of one privacy unit: every mode of every type comes together here.

`write_records` does it for rows of any units, one unit after the other.

Rules: what is written depends on the settings, the unit's key and the unit's own findings, on nothing else, and is
forgotten with this object; where a mode cannot do its work (a form it cannot read, foreign characters, a value that
would come out unchanged) a tag is written, never the original.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from privacy.base.errors import AnonymizationError
from privacy.text.lists.zip_prefixes import zip3
from privacy.text.reading.modes import Mode
from privacy.text.reading.records import FLAG_TYPES, AnonymizedRecord, Finding, TextRow
from privacy.text.reading.view import read
from privacy.text.replace.replacement import Write, resolve, rewrite, tag
from privacy.text.replace.spans import carry
from privacy.text.replace.surrogates import dates, generalize, numbers, online, places
from privacy.text.replace.surrogates.keyed import SurrogateKey, UnitKey
from privacy.text.replace.surrogates.names import NameSurrogates
from privacy.text.settings import TextSettings

SHIFTS = tuple(days for days in range(1, 366) if days % 7)
"""Days that dates of a unit may move, back or forth: no whole weeks, or a weekday would stay what it was."""

FindingText = tuple[str, str]
"""A finding's type and its words."""


class UnitReplacement:
    """Writes stand-ins for one unit; `found` are the findings of all its rows, `key` None if no mode needs one."""

    def __init__(self, settings: TextSettings, key: UnitKey | None, found: Iterable[FindingText]) -> None:
        self._modes = settings.replacement
        self._key = key
        self._order = dates.order_of(settings.countries)
        self._has_zip = "US" in settings.countries
        if key is not None:
            persons = (read(words).text for kind, words in found if kind == "PERSON")
            self._names = NameSurrogates(key, persons if self._modes.mode_of("PERSON") == "surrogate" else ())
            choices = key.choices("DATE_TIME", "")
            self._days = SHIFTS[choices.below(len(SHIFTS))] * (1 if choices.below(2) else -1)

    def write(self, entity_type: str, words: str) -> str | None:
        """What stands in place of a finding, or None if its words may stay. Fits `replacement.rewrite`."""
        mode = self._modes.mode_of(entity_type)
        if mode == "tag":
            return tag(entity_type, words)
        folded = read(words).text
        text = folded.strip()
        if mode == "keep":
            return self._kept(entity_type, text, words)
        written = self._stand_in(mode, entity_type, text) if text else None
        if written is None:
            return tag(entity_type, words)
        return folded.replace(text, written, 1)

    def _kept(self, entity_type: str, text: str, words: str) -> str | None:
        if entity_type != "AGE":
            return None
        age = generalize.age_in(text)
        return None if age is not None and age < 90 else generalize.age_band(text) or tag(entity_type, words)

    def _stand_in(self, mode: Mode, entity_type: str, text: str) -> str | None:
        if mode == "generalize":
            return self._generalized(entity_type, text)
        if mode == "shift":
            return dates.shift(text, self._days, self._order)
        return self._surrogate(entity_type, text)

    def _generalized(self, entity_type: str, text: str) -> str | None:
        if entity_type == "AGE":
            return generalize.age_band(text)
        if entity_type == "LOCATION":
            return zip3(text) if self._has_zip else None
        year = dates.year_in(text, self._order)
        return None if year is None else str(year)

    def _surrogate(self, entity_type: str, text: str) -> str | None:
        if self._key is None:
            return None
        if entity_type == "PERSON":
            return self._names.write(text)
        if entity_type in ("LOCATION", "ORGANIZATION"):
            return places.write(self._key, entity_type, text)
        if entity_type == "EMAIL_ADDRESS":
            return online.email(self._key, text, self._names.of)
        if entity_type in _ONLINE:
            return _ONLINE[entity_type](self._key, text)
        return numbers.write(self._key, entity_type, text)


_ONLINE: Mapping[str, online.OnlineSurrogate] = {
    "IP_ADDRESS": online.ip_address,
    "MAC_ADDRESS": online.mac_address,
    "URL": online.url,
    "UUID": online.uuid,
}


class Analyzed(NamedTuple):
    """A row, what was found in its text, and what was found in its pair."""

    row: TextRow
    findings: tuple[Finding, ...]
    of_pair: tuple[Finding, ...] = ()


def write_records(
    settings: TextSettings, key: SurrogateKey | None, analyzed: Sequence[Analyzed]
) -> list[AnonymizedRecord]:
    """The records of rows and their findings, in order. What becomes of a row depends on the rows of its unit alone.

    For one set of surrogates, all rows of a patient must be given at once. Raises AnonymizationError if the settings
    need a key and there is none, or if a finding makes no sense.
    """
    modes = settings.replacement
    if modes.keyed and key is None:
        raise AnonymizationError(
            "the replacement settings need the site's key, and none was given",
            next_step="enrol the site, or set text.replacement.default to 'tag'",
        )
    if not modes.keyed:
        key = None
    records: dict[int, AnonymizedRecord] = {}
    for indices in _units(key, [one.row for one in analyzed]):
        rows = [analyzed[index] for index in indices]
        write = UnitReplacement(settings, _unit_key(key, rows[0].row), _found(rows) if key is not None else ()).write
        for index, one in zip(indices, rows, strict=True):
            records[index] = _record(one, write)
    return [records[index] for index in range(len(analyzed))]


def _record(analyzed: Analyzed, write: Write) -> AnonymizedRecord:
    row = analyzed.row
    text = rewrite(row.text, analyzed.findings, write)
    pair = None if row.pair is None else rewrite(row.pair, analyzed.of_pair, write)
    flags = {finding.entity_type for finding in (*analyzed.findings, *analyzed.of_pair)} & FLAG_TYPES
    return AnonymizedRecord(
        row.record_id,
        text.text,
        row.label,
        row.patient_id,
        text.findings,
        tuple(sorted(flags)),
        carry(row.spans, text),
        None if pair is None else pair.text,
        () if pair is None else pair.findings,
    )


def _units(key: SurrogateKey | None, rows: Sequence[TextRow]) -> list[list[int]]:
    """Where the rows of each unit stand. A row without a patient is a unit of its own, whatever its id."""
    patients: defaultdict[str, list[int]] = defaultdict(list)
    alone = []
    for index, row in enumerate(rows):
        if key is not None and key.unit == "patient" and row.patient_id is not None:
            patients[row.patient_id].append(index)
        else:
            alone.append([index])
    return [*patients.values(), *alone]


def _unit_key(key: SurrogateKey | None, row: TextRow) -> UnitKey | None:
    if key is None:
        return None
    if key.unit == "patient" and row.patient_id is not None:
        return key.of_patient(row.patient_id)
    return key.of_record(row.record_id)


def _found(rows: Iterable[Analyzed]) -> list[FindingText]:
    return [
        (f.entity_type, text[f.start : f.end])
        for one in rows
        for text, findings in ((one.row.text, one.findings), (one.row.pair or "", one.of_pair))
        for f in resolve(text, findings)
    ]
