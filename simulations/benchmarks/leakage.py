# SPDX-License-Identifier: Apache-2.0
"""What leaks, measured over several seeds, and how small a bug is still caught -> out/bench-leakage.json.

    python -m simulations.benchmarks.leakage [--quick]

The checks are those of `collab-sim leakage`, by the same code. A `caught` row is the share of audits, each with coins
and noise of its own, whose bound at 95 % confidence lies above the claimed epsilon. One thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch

from privacy.base.canonical import decimal_string
from privacy.base.randomness import PublicSeed
from privacy.leakage.one_run import Audit, refutable
from privacy.leakage.verdict import Check
from simulations.benchmarks.report import Row, of_repeats, write_report
from simulations.leakage.canaries import CANARIES, HeadAudit
from simulations.leakage.checks import FULL, QUICK, Extent, Leakage
from simulations.leakage.subject import Claim, Plant, Subject
from simulations.leakage.update import UpdateInversion

SEEDS = (1, 2, 3)
AUDITS = 20
NOISES = ("0.00001", "0.0001", "0.001", "0.01", "0.1")
"""Noise multipliers at which the inversion is tried, beside none and 0.3."""


def checked(seed: int, extent: Extent) -> dict[str, Check]:
    """All checks of one seed."""
    began = time.monotonic()
    checks: dict[str, Check] = {check.name: check for check in Leakage(PublicSeed.from_integer(seed), extent).run()}
    print(f"seed {seed}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return checks


def figures(by_seed: Sequence[dict[str, Check]], check: str, name: str) -> list[float]:
    """One figure of all seeds."""
    return [float(one[check].figures[name] or 0) for one in by_seed]


def noise_row(by_seed: Sequence[dict[str, Check]]) -> Row:
    """How far the noise's standard deviation is from the claimed one."""
    return of_repeats(
        "noise_sigma_error",
        [abs(error) for error in figures(by_seed, "noise", "sigma_error")],
        "relative",
        reach="<= 0.001",
        beside={"worst_correlation": max(figures(by_seed, "noise", "worst_correlation"))},
        note="12.6 million values of the training loop's own noise",
    )


# -- the audit --------------------------------------------------------------------------------------------------------


def audit_rows(seed: int, claim: Claim, audits: int) -> list[Row]:
    """The claim, the bound of an honest loop, and how often each planted bug is caught."""
    head = HeadAudit(Subject(PublicSeed.from_integer(seed)), claim)
    honest = [head.run(attempt) for attempt in range(audits)]
    lower = [one.epsilon_lower for one in honest]
    note = f"epsilon {claim.epsilon:.3f}, delta {claim.delta}, noise {claim.noise_multiplier}, q {claim.sample_rate}, "
    rows = [
        Row("audit_epsilon_claimed", round(claim.epsilon, 4), "epsilon", n=1, note=f"{note}{claim.steps} steps, PRV"),
        of_repeats(
            "audit_epsilon_lower",
            lower,
            "epsilon",
            reach="<= claimed",
            beside={"refuted": share(honest), "canaries": CANARIES, "most_refutable": refutable(CANARIES, claim.delta)},
            note="an honest loop; each at 95 % confidence",
        ),
    ]
    plants: tuple[Plant, ...] = ("noise", "sampling", "seed")
    for plant in plants:
        runs = [head.run(attempt, plant) for attempt in range(audits)]
        beside = {"bound": median(one.epsilon_lower for one in runs), "least": min(one.epsilon_lower for one in runs)}
        rows.append(
            Row(f"audit_bug_{plant}_caught", share(runs), "share", reach="1", n=audits, beside=beside, note=BUGS[plant])
        )
    return [*rows, smaller_bugs(head, claim, audits)]


BUGS: dict[Plant, str] = {
    "noise": "a tenth of the noise",
    "sampling": "every unit in every step",
    "seed": "the adversary makes the same noise and takes it off",
}


def smaller_bugs(head: HeadAudit, claim: Claim, audits: int) -> Row:
    """How often less noise than claimed is caught, by how much less."""
    beside = {}
    for divisor in (1.5, 2, 3, 5):
        less = decimal_string(round(float(claim.noise_multiplier) / divisor, 4))
        weaker = HeadAudit(head.subject, replace(claim, noise_multiplier=less))
        beside[f"by_{divisor:g}"] = share([weaker.run(attempt) for attempt in range(audits)])
    caught = [float(name.removeprefix("by_")) for name, rate in beside.items() if rate == 1]
    value = min(caught, default=None)
    return Row("audit_smallest_noise_bug", value, "x less", n=audits, beside=beside, note="caught in every audit")


def share(audits: Sequence[Audit]) -> float:
    """Of the audits, how many refute the claim."""
    return round(sum(one.refuted for one in audits) / len(audits), 4)


# -- inversion and membership -----------------------------------------------------------------------------------------


def inversion_rows(by_seed: Sequence[dict[str, Check]], seed: int, *, quick: bool) -> list[Row]:
    """What is recovered without and with noise, and where in between it ends."""
    between = {}
    if not quick:
        attack = UpdateInversion(Subject(PublicSeed.from_integer(seed)))
        between = {f"noise_{noise}": attack.run(noise).recovered for noise in NOISES}
    chance = median(figures(by_seed, "inversion", "noised_chance"))
    least = min(figures(by_seed, "inversion", "noised_p_value"))
    words = median(figures(by_seed, "inversion", "noised_words"))
    return [
        of_repeats(
            "inversion_clipped_only",
            figures(by_seed, "inversion", "clipped_only_recovered"),
            "share",
            reach=">= 0.9",
            beside=between,
            note=f"of some {words:.0f} words of 8 notes, off the int32 payload of one clipped full-scope step",
        ),
        of_repeats(
            "inversion_noised",
            figures(by_seed, "inversion", "noised_recovered"),
            "share",
            reach="as chance",
            beside={"chance": round(chance, 4), "least_p_value": least},
            note="noise multiplier 0.3, half of the least that a site's default policy allows",
        ),
    ]


def membership_rows(by_seed: Sequence[dict[str, Check]]) -> list[Row]:
    """The rate at 1 % false alarms of the private model, with the plain model beside it."""
    names = {
        "low": "private_loss_low",
        "high": "private_loss_high",
        "auc": "private_loss_auc",
        "shadows": "private_shadows_tpr",
        "shadows_high": "private_shadows_high",
        "plain": "plain_loss_tpr",
        "plain_auc": "plain_loss_auc",
        "plain_shadows": "plain_shadows_tpr",
        "plain_shadows_low": "plain_shadows_low",
    }
    beside = {name: round(median(figures(by_seed, "membership", of)), 4) for name, of in names.items()}
    allowed = median(figures(by_seed, "membership", "tpr_allowed"))
    rows = median(figures(by_seed, "membership", "private_loss_members"))
    return [
        of_repeats(
            "mia_tpr_at_1pct",
            figures(by_seed, "membership", "private_loss_tpr"),
            "share",
            reach=f"<= {allowed:.4f}",
            beside=beside,
            note=f"epsilon 1 on {rows:.0f} rows, a third of them mislabelled; low and high at 95 %",
        )
    ]


def main(arguments: list[str]) -> int:
    """Measure, write the report; 1 where a check fails or a planted bug is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, few audits: under two minutes")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    began = time.monotonic()
    seeds, extent, audits = (SEEDS[:1], QUICK, 3) if given.quick else (SEEDS, replace(FULL, audits=1), AUDITS)
    by_seed = [checked(seed, extent) for seed in seeds]
    claim = Leakage(PublicSeed.from_integer(seeds[0]), extent).claim
    rows = [
        noise_row(by_seed),
        *audit_rows(seeds[0], claim, audits),
        *inversion_rows(by_seed, seeds[0], quick=given.quick),
        *membership_rows(by_seed),
    ]
    write_report("leakage", rows, seconds=time.monotonic() - began, quick=given.quick)
    held = all(check.passed for one in by_seed for check in one.values())
    caught = all(row.value == 1 for row in rows if row.name.startswith("audit_bug_"))
    return 0 if held and caught else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
