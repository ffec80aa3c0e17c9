# SPDX-License-Identifier: Apache-2.0
"""When a run ends early, and which round's model it keeps: one rule on published figures, for all who recompute it.

The figures are those of `round_evaluated`: from counts that sites noised and charged, or that an evaluator made of
public data. Nothing else decides, so a decision costs no epsilon (post-processing). The greatest of several noised
figures is too high on average: what is kept is a choice, its figure no estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from privacy.base.identifiers import Digest

if TYPE_CHECKING:
    from privacy.protocol.entries import RoundEvaluated

Measure = Literal["accuracy", "macro_f1"]


@dataclass(frozen=True)
class Rule:
    """`patience`: evaluations without a better figure after which the run ends; 0: never."""

    measure: Measure = "accuracy"
    keep: Literal["last", "best"] = "last"
    patience: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, JsonValue]) -> Rule:
        """The rule in a run's settings as they were logged; of a run before there was one, the last model."""
        rounds = settings.get("rounds")
        logged = rounds if isinstance(rounds, dict) else {}
        patience = logged.get("patience")
        return cls(
            measure="macro_f1" if logged.get("measure") == "macro_f1" else "accuracy",
            keep="best" if logged.get("keep") == "best" else "last",
            patience=patience if isinstance(patience, int) else 0,
        )


@dataclass
class Selection:
    """The evaluated models of a run, in order of rounds. `best`: which evaluation had the greatest figure, counted from
    1; the first of equals; None before there is one."""

    rule: Rule
    best: int | None = None
    _figure: Decimal = Decimal("-Infinity")
    _model: Digest = ""
    _evaluations: int = 0

    def take(self, evaluated: RoundEvaluated, model: Digest) -> None:
        """The next evaluation, of `model`. One whose counts left nothing to count is no gain and chooses nothing."""
        self._evaluations += 1
        figure = evaluated.accuracy if self.rule.measure == "accuracy" else evaluated.macro_f1
        if figure is not None and Decimal(figure) > self._figure:
            self.best, self._figure, self._model = self._evaluations, Decimal(figure), model

    @property
    def is_over(self) -> bool:
        """Whether the last `patience` evaluations brought nothing better."""
        return self.rule.patience > 0 and self._evaluations - (self.best or 0) >= self.rule.patience

    def kept(self, newest: Digest) -> Digest:
        """The model that the run ends with."""
        return newest if self.rule.keep == "last" or self.best is None else self._model
