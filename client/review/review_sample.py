# SPDX-License-Identifier: Apache-2.0
"""A sample of the corpus for a person to look through: drawn by rule, answered row by row, kept in one private file.

The rule. A row is in the first stratum that fits: `weak`, with a finding that scores below WEAK_SCORE, or with an
unknown capitalised word inside a sentence, five digits in a row or a number with two hyphens left; `bare`, with nothing
found; `rest`. Half of a stratified sample is drawn from `weak`, a quarter from each other one. Within a stratum the
order is a keyed hash under the site's key and the seed, so that nobody outside can tell who is in the sample, and the
same seed draws the same rows. The file holds rows under keyed names and marks as offsets: never a word, never a record
id.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from client.data.corpus_view import CorpusView
from client.review.residual import Stratum, allocate
from client.review.site_files import write
from client.settings.site_settings import SiteFolder
from privacy.base.errors import IntegrityError, SettingsError
from privacy.base.identifiers import Digest, SiteId
from privacy.base.randomness import SecretSeed
from privacy.text.lists import no_name
from privacy.text.reading.records import Finding, Offsets
from privacy.text.reading.tokens import tokens_of

WEAK_SCORE: Final = 0.5
FILE: Final = "review-sample.json"

Design = Literal["stratified", "uniform"]
StratumName = Literal["weak", "bare", "rest", "all"]
Marks = tuple[tuple[Offsets, ...], ...]
"""What was missed in a row: for each identifier all places where it stands, in offsets of the original text."""

_WEIGHTS: Final[Mapping[StratumName, float]] = {"weak": 2, "bare": 1, "rest": 1}
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
_LONG_NUMBER = re.compile(r"(?<![\w.])(?:\d{5,}|\d+(?:-\d+){2,})(?!\w)")
_SENTENCE_END = re.compile(r"[.!?:;\n\r][\s\"'(\[*-]*$|^\W*$")
_GONE: Final = "_"
"""Stands for a character of a finding: part of a sentence, but of no word and no number."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What sample is wanted: `seed` None is another one for each draw; `new`: even where there is one."""

    rows: int
    design: Design
    seed: int | None
    new: bool


class SampledRow(BaseModel):
    """One row of the sample, by its keyed name, and the reviewer's answer to it."""

    model_config = _STRICT
    row: str = Field(pattern=r"^[0-9a-f]{32}$")
    stratum: StratumName
    answer: Literal["open", "reviewed", "skipped"] = "open"
    missed: Marks = ()


class Sample(BaseModel):
    """A sample and its answers so far. `earlier_draws`: how many samples the site drew before this one."""

    model_config = _STRICT
    version: Literal[1] = 1
    site: SiteId
    design: Design
    seed: int
    earlier_draws: int
    engine_fingerprint: Digest
    replacement: str
    sizes: dict[StratumName, int]
    rows: tuple[SampledRow, ...]

    def answered(self, at: int, answer: Literal["open", "reviewed", "skipped"], missed: Marks = ()) -> Sample:
        """The sample with another answer to row `at`."""
        row = self.rows[at].model_copy(update={"answer": answer, "missed": missed})
        return self.model_copy(update={"rows": (*self.rows[:at], row, *self.rows[at + 1 :])})

    def next_open(self, start: int = 0) -> int | None:
        """The first row from `start` on without an answer, then from the beginning."""
        order = [*range(start, len(self.rows)), *range(min(start, len(self.rows)))]
        return next((at for at in order if self.rows[at].answer == "open"), None)

    def strata(self) -> list[Stratum]:
        """The counts that `client.review.residual` bounds."""
        return [self._stratum(name, size) for name, size in self.sizes.items()]

    def _stratum(self, name: StratumName, size: int) -> Stratum:
        rows = [row for row in self.rows if row.stratum == name]
        reviewed = [row for row in rows if row.answer == "reviewed"]
        return Stratum(
            name=name,
            rows=size,
            drawn=len(rows),
            reviewed=len(reviewed),
            skipped=sum(row.answer == "skipped" for row in rows),
            leaking=sum(bool(row.missed) for row in reviewed),
            missed=sum(len(row.missed) for row in reviewed),
        )


# Drawing --------------------------------------------------------------------------------------------------------------


def left_over(text: str, findings: Sequence[Finding]) -> list[Offsets]:
    """Where weak evidence stands in what is left of `text`: unknown capitalised words, and long numbers; sorted."""
    letters = list(text)
    for finding in findings:
        letters[finding.start : finding.end] = list(_GONE * (finding.end - finding.start))
    remaining = "".join(letters)
    spans = [match.span() for match in _LONG_NUMBER.finditer(remaining)]
    for token in tokens_of(remaining):
        named = token.capital and not token.shouted and not token.initial and token.plain not in no_name()
        if named and not _SENTENCE_END.search(remaining[max(0, token.start - 20) : token.start]):
            spans.append((token.start, token.name_end))
    return sorted(spans)


def stratum_of(text: str, findings: Sequence[Finding]) -> StratumName:
    """The stratum of a row, by the rule above: a function of the row alone."""
    if any(finding.score < WEAK_SCORE for finding in findings) or left_over(text, findings):
        return "weak"
    return "rest" if findings else "bare"


def draw(
    texts: CorpusView,
    candidates: Sequence[tuple[int, Sequence[Finding]]],
    site_key: SecretSeed,
    site: SiteId,
    drawing: Draw,
    before: Sample | None,
) -> Sample:
    """A fresh sample. `found` holds the rows that were not refused, with their findings; `before`: the last sample."""
    earlier_draws = before.earlier_draws + 1 if before else 0
    seed = earlier_draws if drawing.seed is None else drawing.seed
    design = drawing.design
    key = site_key.derive("review-sample", str(seed)).expose("order of a review sample")
    names = texts.names_of_rows(row_key(site_key))
    strata: dict[StratumName, list[str]] = {"all": []} if design == "uniform" else {"weak": [], "bare": [], "rest": []}
    for at, findings in candidates:
        name: StratumName = "all" if design == "uniform" else stratum_of(texts.rows[at][1].text, findings)
        strata[name].append(names[at])

    def rank(row: str) -> bytes:
        return hmac.digest(key, row.encode(), "sha256")

    sizes = {name: len(rows) for name, rows in strata.items()}
    wanted = allocate(list(sizes.values()), [_WEIGHTS.get(name, 1) for name in sizes], drawing.rows)
    drawn = [
        SampledRow(row=row, stratum=name)
        for (name, rows), n in zip(strata.items(), wanted, strict=True)
        for row in sorted(rows, key=rank)[:n]
    ]
    return Sample(
        site=site,
        design=design,
        seed=seed,
        earlier_draws=earlier_draws,
        engine_fingerprint=texts.fingerprint,
        replacement=texts.replacement,
        sizes=sizes,
        rows=tuple(sorted(drawn, key=lambda drawn_row: rank(drawn_row.row))),  # mixed: a reviewer cannot tell strata
    )


def row_key(site_key: SecretSeed) -> bytes:
    """The key under which rows are named in the file."""
    return site_key.derive("review-rows").expose("names of reviewed rows")


# Keeping --------------------------------------------------------------------------------------------------------------


def path_of(folder: SiteFolder) -> Path:
    """Where the site's sample lies."""
    return folder.reports / FILE


def load(folder: SiteFolder) -> Sample | None:
    """The site's sample, or None. Raises IntegrityError when the file is no sample of this site."""
    try:
        sample = Sample.model_validate_json(path_of(folder).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        sample = None
    if sample is None or sample.site != folder.name:
        raise IntegrityError(
            f"{FILE} is not a review sample of {folder.name}",
            next_step="put a backup in its place, or move it away and draw a new sample",
        )
    return sample


def keep(folder: SiteFolder, sample: Sample) -> None:
    """Write the sample, whole and private, at once."""
    write(folder, path_of(folder), sample.model_dump_json().encode())


def put_aside(folder: SiteFolder, sample: Sample) -> None:
    """Keep a sample that makes room for another one."""
    path = folder.reports / f"review-sample-{sample.earlier_draws}.json"
    write(folder, path, sample.model_dump_json().encode())


def find_rows(sample: Sample, texts: CorpusView, site_key: SecretSeed) -> list[int]:
    """Where the sample's rows are in `texts`. Raises SettingsError when data, engine or replacement are others now."""
    places = {name: at for at, name in enumerate(texts.names_of_rows(row_key(site_key)))}
    gone = sum(row.row not in places for row in sample.rows)
    changed = None
    if gone:
        changed = f"{gone} of its {len(sample.rows)} rows are no longer in the data as they were"
    elif (sample.engine_fingerprint, sample.replacement) != (texts.fingerprint, texts.replacement):
        changed = "texts are anonymized in another way now"
    if changed:
        raise SettingsError(
            f"the review sample cannot be gone on with: {changed}",
            next_step=f"collab-client --site {sample.site} review-sample --new (the answers so far are kept aside)",
        )
    return [places[row.row] for row in sample.rows]
