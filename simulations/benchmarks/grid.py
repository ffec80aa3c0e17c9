# SPDX-License-Identifier: Apache-2.0
"""Which settings are tried for which cell, and how dev chooses. All are settings of federation.toml; no other tuning.

The backbone is expensive: a trial makes one pass over the rows, the cell that it chooses for makes `PASSES`, and some
cells take a setting that was fixed beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simulations.benchmarks.experiment_plan import Experiment, Setting, TrainedScope, Variant
from simulations.benchmarks.experiments import AccuracyScores, Experiments

HEAD = Setting("sgd", 0.1, 1.0, momentum=0.5, rounds=20, steps=5, sample_rate=0.2, clip_norm=20.0)
HEAD_ADAM = replace(HEAD, optimizer="adam", momentum=0.0)
HEAD_ADAM_ALONE = replace(HEAD_ADAM, head_learning_rate=1e-2)
PLAIN = Setting("sgd", 0.1, 2.0, momentum=0.5, rounds=5, steps=10, sample_rate=0.02, clip_norm=20.0)
PLAIN_ADAM = replace(PLAIN, optimizer="adam", momentum=0.0)
NOISED = Setting("sgd", 0.5, 4.0, momentum=0.5, rounds=5, steps=2, sample_rate=0.1, clip_norm=20.0)
"""One pass over the rows: fifty small steps, or ten large ones under noise."""


def _at(base: Setting, *rates: tuple[float, float]) -> tuple[Setting, ...]:
    """`base` at each pair of learning rates: of the transformer's arrays, and of the head."""
    return tuple(replace(base, learning_rate=rate, head_learning_rate=of_head) for rate, of_head in rates)


def _heads(*rates: float) -> tuple[Setting, ...]:
    return _at(HEAD, *((0.1, rate) for rate in rates))


TRIALS: dict[tuple[TrainedScope, Variant], tuple[Setting, ...]] = {
    ("head", "federated"): (*_heads(0.5, 1.0, 2.0, 4.0, 8.0), *_at(HEAD_ADAM, (0.1, 1e-2), (0.1, 3e-2))),
    ("head", "federated_eps8"): _heads(2.0, 4.0, 8.0, 16.0),
    ("head", "central"): (*_heads(2.0, 4.0), *_at(HEAD_ADAM, (0.1, 1e-2), (0.1, 3e-2))),
    ("lora", "federated"): _at(PLAIN, (0.1, 2.0), (0.4, 2.0)),
    ("lora", "federated_eps8"): _at(NOISED, (0.5, 4.0)),
    ("lora", "central"): _at(PLAIN_ADAM, (2e-3, 1e-2)),
    ("top2", "federated"): (*_at(PLAIN, (0.03, 2.0)), *_at(PLAIN_ADAM, (3e-4, 1e-2))),
    ("top2", "federated_eps8"): _at(NOISED, (0.1, 4.0)),
    ("top2", "central"): _at(PLAIN_ADAM, (3e-4, 1e-2)),
}
"""What is tried on dev; a single setting was fixed beforehand."""

PASSES: dict[TrainedScope, int] = {"lora": 3, "top2": 1}
"""How many times a trial's rounds a cell has. The top layers cost too much for more within two hours on two cores."""

NOTES: dict[tuple[TrainedScope, Variant], str] = {
    (scope, "alone"): "setting of the central cell, site of the head's" for scope in ("lora", "top2")
}

_TRAINED: tuple[tuple[TrainedScope, Variant], ...] = (
    ("lora", "federated"),
    ("lora", "central"),
    ("lora", "federated_eps8"),
    ("top2", "federated"),
    ("top2", "federated_eps8"),
    ("top2", "central"),
    ("lora", "alone"),
    ("top2", "alone"),
)

ORDER: tuple[tuple[TrainedScope, Variant, int], ...] = (
    *((("head", variant, seed)) for seed in (1, 2) for variant in ("federated", "federated_eps8", "central", "alone")),
    *((scope, variant, seed) for seed in (1, 2) for scope, variant in _TRAINED),
)
"""The most telling cells first, so that an interrupted run has them."""

RunTrial = Callable[[Experiment], AccuracyScores]


def trials(bench: Experiments, scope: TrainedScope, variant: Variant) -> list[Experiment]:
    """The cells of seed 1 among which dev chooses; none where the setting is another cell's."""
    if (scope, variant) == ("head", "alone"):
        several = [site for site in bench.texts.sites if len({row.label for row in bench.texts.of("train", site)}) > 1]
        return [
            Experiment("head", "alone", 1, HEAD_ADAM_ALONE, site) for site in several
        ]  # one label is nothing to learn
    return [Experiment(scope, variant, 1, setting) for setting in TRIALS.get((scope, variant), ())]


def choose(bench: Experiments, scope: TrainedScope, variant: Variant, run: RunTrial | None = None) -> Experiment | None:
    """The cell of seed 1 that dev chooses. Trials that are missing are `run`; without it, None."""
    if scope != "head" and variant == "alone":
        chosen, site = choose(bench, scope, "central"), choose(bench, "head", "alone")
        return replace(chosen, variant=variant, site=site.site) if chosen and site else None
    best = best_on_dev(bench, trials(bench, scope, variant), run)
    return best and replace(best, setting=replace(best.setting, rounds=best.setting.rounds * PASSES.get(scope, 1)))


def best_on_dev(bench: Experiments, candidates: list[Experiment], run: RunTrial | None = None) -> Experiment | None:
    """The candidate that dev likes best, the first of equals; a single one needs no dev.

    Those that are missing are `run`; without it, None.
    """
    scores = [run(cell) if run and len(candidates) > 1 else bench.scores(cell, "dev") for cell in candidates]
    if not candidates or (len(candidates) > 1 and None in scores):
        return None
    ranked = [(score.figure if score else 0.0, cell) for score, cell in zip(scores, candidates, strict=True)]
    return max(ranked, key=lambda one: one[0])[1]
