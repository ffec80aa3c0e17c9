# SPDX-License-Identifier: Apache-2.0
"""How long a phase waits for its sites: from the plan and what sites declared, never from how long one of them took.

How long a site takes follows from its true size, so nothing is learnt from it: a deadline starts from what the plan
needs of a slow core at the largest declared bucket, and doubles while sites that are there do not finish. A site that
is not there is waited for as long as the settings say. Time is the coordinator's own and in no plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from coordinator.planning import Recipe
from privacy.protocol.messages import Phase
from privacy.protocol.outline import RunOutline
from privacy.protocol.run import Run

SLOW_CORE: Final = 2e10
"""Floating-point operations a second that are counted on: chosen low, not measured. A deadline may be generous."""
SMALLEST_BERT: Final = 30_000_000
"""Values of a model whose size nobody tells the coordinator: it knows what is trained alone."""
OVERHEAD_SECONDS: Final = 60.0
MOST_SECONDS: Final = 604_800.0
MOST_DOUBLINGS: Final = 6


@dataclass(frozen=True)
class Deadline:
    """Seconds for a site that is connected, and for one that is not."""

    present: float
    absent: float


def seconds_needed(outline: RunOutline, trained_values: int, size_bucket: int) -> float:
    """What one round may take on a slow core: each unit read once by the whole model, and each drawn row trained on."""
    tokens, notes = outline.task.max_tokens, outline.privacy.notes_per_unit if outline.privacy else 1
    drawn = float(outline.sample_rate) * size_bucket * notes * outline.num_steps
    read = 2.0 * max(SMALLEST_BERT, trained_values) * size_bucket
    learnt = 6.0 * trained_values * drawn
    return OVERHEAD_SECONDS + tokens * (read + learnt) / SLOW_CORE


def doublings(run: Run, phase: Phase, server_round: int) -> int:
    """How many of the last rounds in a row ended `phase` without an answer of a site that was asked."""
    doubled = 0
    for number in reversed(run.asked_in.get(phase, ())):
        if number < server_round:
            if (phase, number) not in run.silent or doubled == MOST_DOUBLINGS:
                break
            doubled += 1
    return doubled


def deadline(recipe: Recipe, run: Run, phase: Phase, server_round: int) -> Deadline:
    """How long `phase` of a round waits."""
    rules, opened = recipe.settings.rounds, recipe.opened
    if phase == "hello":
        return Deadline(max(rules.prepare_seconds, rules.hello_seconds), rules.hello_seconds)
    largest = max(site.size_bucket for site in opened.roster.values())
    needed = seconds_needed(opened.outline, recipe.contract.size, largest) if opened.outline else 0.0
    patient = max(rules.deadline_seconds, needed) * math.ldexp(1.0, doublings(run, phase, server_round))
    return Deadline(min(patient, MOST_SECONDS), rules.deadline_seconds)
