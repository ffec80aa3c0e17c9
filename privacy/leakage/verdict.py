# SPDX-License-Identifier: Apache-2.0
"""One check's result as it is shown and stored: figures, whether it holds, and what it can and cannot show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

CheckName = Literal["noise", "sampling", "audit", "inversion", "matching", "membership"]


@dataclass(frozen=True)
class Meaning:
    """What a reader may conclude. Both sentences stand in every report."""

    shows: str
    cannot_show: str


MEANING: Final[dict[CheckName, Meaning]] = {
    "noise": Meaning(
        "the noise of a step is Gaussian, of the planned size to one part in a thousand, and differs between sites, "
        "rounds, attempts and steps",
        "that the training used this noise, or that nobody else knows its seed",
    ),
    "sampling": Meaning(
        "units join steps by independent coins of the claimed probability",
        "that the training drew so, or that the coins are secret",
    ),
    "audit": Meaning(
        "an epsilon below the bound is false, at 95 % confidence, for this code and setting",
        "that the claim is true: a bound below the claim refutes nothing, and a leak that no canary meets stays unseen",
    ),
    "inversion": Meaning(
        "whether the words of a batch can be read off the update that leaves a site, by linear algebra",
        "that no stronger attack exists: noise far below any useful epsilon defeats this one too",
    ),
    "matching": Meaning(
        "how often the one note of a batch is told from forty candidates by whoever knows the model, against what "
        "the noise allows",
        "that a note hides: at the noise of one step it is guessed more often than by chance, as epsilon says",
    ),
    "membership": Meaning(
        "how often a row's loss gives away that it was trained on, at one false alarm in a hundred",
        "what more shadow models, a better attack, or a row made to be found would give away",
    ),
}


@dataclass(frozen=True)
class Check:
    """A finished check. `verdict` is one sentence with the figures that matter."""

    name: CheckName
    passed: bool
    verdict: str
    figures: dict[str, float | int | str | bool | None]
    seconds: float

    def as_json(self) -> dict[str, object]:
        """The check with its meaning, for a report."""
        meaning = MEANING[self.name]
        return {
            "check": self.name,
            "passed": self.passed,
            "verdict": self.verdict,
            "figures": self.figures,
            "shows": meaning.shows,
            "cannot_show": meaning.cannot_show,
            "seconds": round(self.seconds, 2),
        }
