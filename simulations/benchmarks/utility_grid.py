# SPDX-License-Identifier: Apache-2.0
"""The corpora of bench-utility, and which settings are tried for which cell. All are settings of federation.toml.

Under privacy the head trains by the recipe of docs/run-a-federation.md: every row joins each step, one local step a
round, forty rounds (twenty at epsilon 1), plain SGD; only the rate is tried. What is not private has more to choose
from. The scopes that train the backbone have one setting each, fixed beforehand: they take minutes.
"""

from __future__ import annotations

from dataclasses import replace

from simulations.benchmarks.experiment_plan import EPSILONS, Experiment, Setting, TrainedScope, Variant
from simulations.benchmarks.experiments import Experiments
from simulations.benchmarks.grid import RunTrial, best_on_dev
from simulations.benchmarks.texts import CorpusRecipe

SPANS = "token_classification"
CORPORA = {
    "medquad": CorpusRecipe("medquad", max_tokens=64, split="field:client", quick=0.05, least_rows=5),
    "banking77": CorpusRecipe(
        "banking77", max_tokens=64, split="dirichlet:10,0.5,1", quick=0.1, least_rows=20, carved=10
    ),
    "ncbi": CorpusRecipe("ncbi", 96, split="uniform:5,1", quick=0.05, least_rows=5, task=SPANS, folder="ncbi_disease"),
    "wnut": CorpusRecipe("wnut", 96, split="uniform:5,1", quick=0.1, least_rows=5, task=SPANS, folder="wnut17"),
}
"""Nine natural sites; ten, each label spread by a Dirichlet(0.5) draw of seed 1; five equal ones at random, seed 1."""

LARGEST = 3
"""Sites that are tried as the best one alone: those with the most rows, and more than one label."""

VARIANTS: tuple[Variant, ...] = ("central", "federated", *EPSILONS, "alone")
SCOPES: tuple[TrainedScope, ...] = ("head", "lora", "full")

PRIVATE = Setting("sgd", 0.1, 16.0, momentum=0.0, rounds=40, steps=1, sample_rate=1.0, clip_norm=100.0)
PRIVATE_FEW = replace(PRIVATE, rounds=20)
GOES_ON = replace(PRIVATE, server_momentum=0.9)
GOES_ON_FEW = replace(GOES_ON, rounds=20)
PLAIN = replace(PRIVATE, rounds=20, steps=5)
ADAM = Setting("adam", 0.1, 1e-2, momentum=0.0, rounds=20, steps=5, sample_rate=0.2, clip_norm=100.0)


def _rates(base: Setting, *rates: float) -> tuple[Setting, ...]:
    return tuple(replace(base, head_learning_rate=rate) for rate in rates)


LABELS: dict[Variant, tuple[Setting, ...]] = {
    "central": (*_rates(PLAIN, 16.0), *_rates(ADAM, 3e-2)),
    "federated": (*_rates(PLAIN, 8.0, 16.0), *_rates(PRIVATE, 16.0, 32.0), *_rates(ADAM, 3e-2)),
    "federated_eps8": _rates(PRIVATE, 16.0, 32.0),
    "federated_eps3": _rates(PRIVATE, 16.0, 32.0),
    "federated_eps1": _rates(PRIVATE_FEW, 8.0, 16.0),
    "alone": _rates(ADAM, 1e-2),
}
"""What is tried for the head of a text's label."""

ENTITIES: dict[Variant, tuple[Setting, ...]] = {
    "central": _rates(ADAM, 3e-2),
    "federated": (*_rates(ADAM, 3e-2), *_rates(GOES_ON, 2.0, 4.0)),
    "federated_eps8": (*_rates(PRIVATE, 4.0), *_rates(GOES_ON, 2.0, 4.0)),
    "federated_eps3": _rates(GOES_ON, 2.0),
    "federated_eps1": _rates(GOES_ON_FEW, 2.0),
    "alone": _rates(ADAM, 3e-2),
}
"""What is tried for the head of a word's type."""

LORA = Setting("adam", 2e-3, 1e-2, momentum=0.0, rounds=5, steps=15, sample_rate=0.04, clip_norm=100.0)
LORA_PRIVATE = replace(LORA, steps=2, sample_rate=0.3)
FULL = Setting("adam", 2e-4, 2e-3, momentum=0.0, rounds=3, steps=100, sample_rate=0.01, clip_norm=100.0)
BACKBONE: dict[tuple[TrainedScope, Variant], Setting] = {
    ("lora", "federated"): LORA,
    ("lora", "federated_eps8"): LORA_PRIVATE,
    ("full", "central"): FULL,
}
"""Fixed beforehand. Passes over the rows: rounds x steps x sample_rate."""

HEADS: tuple[Variant, ...] = ("federated", "federated_eps8", "federated_eps3", "federated_eps1", "central", "alone")
ORDER: tuple[tuple[TrainedScope, Variant, int], ...] = (
    *((("head", variant, 1)) for variant in HEADS),
    ("full", "central", 1),
    *((("head", variant, 2)) for variant in HEADS),
    ("lora", "federated", 1),
    ("lora", "federated_eps8", 1),
)
"""The most telling cells first, so that an interrupted run has them."""


def trials(bench: Experiments, scope: TrainedScope, variant: Variant, *, quick: bool = False) -> list[Experiment]:
    """The cells of seed 1 among which dev chooses."""
    if scope != "head":
        fixed = [BACKBONE[scope, variant]] if (scope, variant) in BACKBONE else []
        return [Experiment(scope, variant, 1, setting) for setting in fixed]
    settings = (ENTITIES if bench.texts.corpus.marks_spans else LABELS)[variant]
    sites = _largest_sites(bench)[:LARGEST] if variant == "alone" else [""]
    if quick:
        settings, sites = (replace(settings[0], rounds=2),), sites[:1]
    return [Experiment(scope, variant, 1, setting, site) for site in sites for setting in settings]


def _largest_sites(bench: Experiments) -> list[str]:
    """The sites with something to learn (one label is nothing), the largest first."""
    sizes = bench.texts.sites
    sites = [site for site in sizes if bench.texts.corpus.marks_spans or _labels(bench, site) > 1]
    return sorted(sites, key=lambda site: -sizes[site])


def _labels(bench: Experiments, site: str) -> int:
    return len({row.label for row in bench.texts.of("train", site)})


def choose(
    bench: Experiments, scope: TrainedScope, variant: Variant, run: RunTrial | None = None, *, quick: bool = False
) -> Experiment | None:
    """The cell of seed 1 that dev chooses. Trials that are missing are `run`; without it, None."""
    return best_on_dev(bench, trials(bench, scope, variant, quick=quick), run)
