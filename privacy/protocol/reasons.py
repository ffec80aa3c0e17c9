# SPDX-License-Identifier: Apache-2.0
"""Why something was not accepted: a code that may cross an institution's border, and a sentence that stays where it is
read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

ReasonCode = Literal[
    "anonymization_failed",
    "budget_exceeded",
    "bug",
    "clip_exceeded",
    "data_unusable",
    "declined",
    "encoding_overflow",
    "integrity",
    "label_unknown",
    "log_forked",
    "malformed",
    "mechanism_check_failed",
    "model_mismatch",
    "no_reply",
    "not_finite",
    "not_in_cohort",
    "policy",
    "recall_below_floor",
    "replayed",
    "run_unknown",
    "signature",
    "stale_proof",
    "storage",
    "wrong_shape",
]
"""All that a failure may say across a border. Those that depend on a site's data are read in old logs, never sent."""


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it must be. `reason` may cross the border, the sentence stays."""

    sentence: str
    reason: ReasonCode = "malformed"


def unless(holds: bool, sentence: str, reason: ReasonCode = "malformed") -> Iterator[Fault]:
    """One Fault, or none: for a law that says `yield from unless(what must hold, "what is wrong if not")`."""
    if not holds:
        yield Fault(sentence, reason)
