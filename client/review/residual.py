# SPDX-License-Identifier: Apache-2.0
"""How much a person still found in anonymized text, and how much more there may be: rates with an upper bound.

Rules: the bound is one-sided at 95 %, exact for any number of rows (Clopper & Pearson, Biometrika 26, 1934) and only
wider where rows are drawn without replacement; strata share the error (Bonferroni: each gets error / strata) and are
combined by their shares of the rows; a row that the reviewer skipped counts as leaking in the bound. Pure: no text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from scipy.special import betaincinv

ERROR: Final = 0.05
"""The chance, over the draw, that the true rate lies above the bound."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """One part of the corpus: of `rows`, `drawn` are in the sample; of these `reviewed` were read by a person and
    `skipped` were not judged; `leaking` of the reviewed held an identifier, `missed` identifiers together."""

    name: str
    rows: int
    drawn: int
    reviewed: int
    skipped: int
    leaking: int
    missed: int

    def __post_init__(self) -> None:
        if not 0 <= self.leaking <= min(self.reviewed, self.missed):
            raise ValueError("rows that leak were reviewed, and hold at least one missed identifier each")
        if not self.reviewed + self.skipped <= self.drawn <= self.rows or min(self.skipped, self.rows) < 0:
            raise ValueError("reviewed and skipped rows were drawn, and drawn rows are in the stratum")

    @property
    def answered(self) -> int:
        return self.reviewed + self.skipped


@dataclass(frozen=True, slots=True)
class Residual:
    """`rate`: share of documents with a missed identifier; `upper`: its one-sided bound at level 1 - `error`.

    `missed_per_document` is an estimate alone: without knowing how many identifiers one document can hold, no bound
    on it is honest. `complete` says whether every drawn row has an answer; before that, the figures may still move.
    `rate` and `missed_per_document` are None while a stratum with rows has none reviewed.
    """

    rate: float | None
    upper: float
    missed_per_document: float | None
    error: float
    complete: bool


def upper_bound(leaking: int, reviewed: int, error: float = ERROR) -> float:
    """The one-sided Clopper-Pearson bound: the largest rate under which `leaking` or fewer have chance `error`.

    0 of 200 at 5 % is 1.49 %. Without a reviewed row it is 1. Raises ValueError for impossible counts.
    """
    if not 0 <= leaking <= reviewed or not 0 < error < 1:
        raise ValueError("leaking rows are among the reviewed ones, and an error lies between 0 and 1")
    return 1.0 if leaking == reviewed else float(betaincinv(leaking + 1, reviewed - leaking, 1 - error))


def residual(strata: Sequence[Stratum], error: float = ERROR) -> Residual:
    """The rate over all strata. One stratum is a uniform sample.

    Each stratum with rows is bounded at error / strata, so that all bounds hold together with 1 - error; their mean,
    weighted by the strata's shares of the rows, is then a bound of the whole. A stratum whose rows were all reviewed
    is known: its rate stands for its bound. Raises ValueError when no stratum has rows.
    """
    held = [stratum for stratum in strata if stratum.rows > 0]
    if not held:
        raise ValueError("there is no row to speak of")
    rows = sum(stratum.rows for stratum in held)

    def total(of: Callable[[float, Stratum], float]) -> float:
        return sum(of(stratum.rows / rows, stratum) for stratum in held)

    upper = min(1.0, total(lambda share, stratum: share * _upper(stratum, error / len(held))))
    complete = all(stratum.answered == stratum.drawn for stratum in held)
    if not all(stratum.reviewed for stratum in held):
        return Residual(None, upper, None, error, complete)
    rate = total(lambda share, stratum: share * stratum.leaking / stratum.reviewed)
    missed = total(lambda share, stratum: share * stratum.missed / stratum.reviewed)
    return Residual(rate, upper, missed, error, complete)


def _upper(stratum: Stratum, error: float) -> float:
    if stratum.reviewed == stratum.rows:
        return stratum.leaking / stratum.rows
    return upper_bound(stratum.leaking + stratum.skipped, stratum.answered, error)


def allocate(sizes: Sequence[int], weights: Sequence[float], wanted: int) -> list[int]:
    """How many of `wanted` rows to draw from strata of `sizes`, by `weights`: what one lacks, the others give.

    A stratum with rows gets at least one while `wanted` allows it; the sum is min(wanted, all rows).
    """
    drawn = [0] * len(sizes)
    for at in sorted(range(len(sizes)), key=lambda at: -weights[at]):
        if sizes[at] and sum(drawn) < wanted:
            drawn[at] = 1
    while sum(drawn) < min(wanted, sum(sizes)):
        open_ones = [at for at in range(len(sizes)) if drawn[at] < sizes[at]]
        neediest = min(open_ones, key=lambda at: ((drawn[at] + 1) / max(weights[at], 1e-9), at))
        drawn[neediest] += 1
    return drawn
