# SPDX-License-Identifier: Apache-2.0
"""What one cell of a benchmark on real text trains, and the scenario of `collab-sim run` that says the same.

Every cell reads texts that were anonymized once (texts.py), so its sites look for nothing more in them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

import torch

from coordinator.settings import (
    AnonymizationSection,
    FederationSettings,
    PrivacySection,
    RoundsSection,
    RunSection,
    TaskSection,
    TrainingSection,
    UpdateSection,
)
from privacy.base.canonical import digest_of
from privacy.protocol.anonymization_check import IDENTIFIERS
from privacy.text.settings import TextSettings
from simulations.benchmarks.texts import CorpusRecipe, Texts
from simulations.scenario import ColumnsSection, CorpusSection, Scenario, SitesSection

TrainedScope = Literal["head", "top2", "lora", "full"]
Variant = Literal["central", "federated", "federated_eps8", "federated_eps3", "federated_eps1", "alone"]
SCOPES: tuple[TrainedScope, ...] = ("head", "top2", "lora")
VARIANTS: tuple[Variant, ...] = ("central", "federated", "federated_eps8", "alone")
EPSILONS: dict[Variant, float] = {"federated_eps8": 8.0, "federated_eps3": 3.0, "federated_eps1": 1.0}
DELTA = "0.00001"
MOST_EPSILON = 8.0  # of a site whose run is not private: nothing is spent


@dataclass(frozen=True)
class Setting:
    """What is chosen on dev. Passes over the rows = rounds x steps x sample_rate."""

    optimizer: Literal["sgd", "adam"]
    learning_rate: float
    head_learning_rate: float
    momentum: float
    rounds: int
    steps: int
    sample_rate: float
    clip_norm: float
    max_grad_norm: float = 1.0
    server_momentum: float = 0.0

    @property
    def passes(self) -> float:
        return self.rounds * self.steps * self.sample_rate


@dataclass(frozen=True)
class Experiment:
    """One run. `site` names the site of the variant alone."""

    scope: TrainedScope
    variant: Variant
    seed: int
    setting: Setting
    site: str = ""

    @property
    def name(self) -> str:
        """Unique, and readable in a folder."""
        shown = digest_of({"setting": json.dumps(asdict(self.setting), sort_keys=True)})[:8]
        return "-".join(part for part in (self.scope, self.variant, self.site, f"s{self.seed}", shown) if part)


def scenario_of(experiment: Experiment, texts: Texts) -> Scenario:
    """The scenario of a cell on `texts`."""
    return Scenario(
        title=f"{texts.corpus.name}: {experiment.name}",
        seed=experiment.seed,
        corpus=_corpus(texts.corpus),
        sites=_sites(experiment),
        federation=_federation(experiment, texts),
    )


def _corpus(corpus: CorpusRecipe) -> CorpusSection:
    columns = ColumnsSection(label="", spans="spans") if corpus.marks_spans else ColumnsSection()
    return CorpusSection(kind="by-field", field="client", minimum=1, labels="plan", columns=columns)


def _sites(experiment: Experiment) -> SitesSection:
    epsilon = EPSILONS.get(experiment.variant)
    return SitesSection(
        threads=max(torch.get_num_threads(), 1),
        epsilon_limit=epsilon or MOST_EPSILON,
        dev_fraction=0.0,
        allow_non_private=epsilon is None,
        text=TextSettings(names="none"),
        min_recall=dict.fromkeys(IDENTIFIERS, 0.0),
    )


def _federation(experiment: Experiment, texts: Texts) -> FederationSettings:
    corpus, setting = texts.corpus, experiment.setting
    sites = 1 if experiment.variant in ("central", "alone") else len(texts.sites)  # all of them, or the cell fails
    return FederationSettings(
        run=RunSection(name=corpus.name, run_id="cell"),
        task=TaskSection(name=corpus.task, labels=texts.labels, max_tokens=corpus.max_tokens),
        training=_training(experiment),
        privacy=_privacy(experiment),
        update=UpdateSection(
            clip_norm=setting.clip_norm,
            scale_log2=16 if setting.clip_norm <= 25 else 14,
            server_momentum=setting.server_momentum,
        ),
        anonymization=AnonymizationSection(self_check_notes=1),
        rounds=RoundsSection(min_sites=sites, deadline_seconds=100_000.0, evaluate=False),
    )


def _training(experiment: Experiment) -> TrainingSection:
    scope, setting = experiment.scope, experiment.setting
    return TrainingSection(
        scope="top" if scope == "top2" else scope,
        top_layers=0 if scope in ("head", "full") else 2,
        optimizer=setting.optimizer,
        learning_rate=setting.learning_rate,
        head_learning_rate=setting.head_learning_rate,
        momentum=setting.momentum,
        rounds=setting.rounds,
        steps_per_round=setting.steps,
        sample_rate=setting.sample_rate,
        physical_batch_size=256 if scope == "head" else 32,
    )


def _privacy(experiment: Experiment) -> PrivacySection:
    epsilon = EPSILONS.get(experiment.variant)
    return PrivacySection(
        mode="dp_sgd" if epsilon else "none",
        unit="record",
        target_epsilon=epsilon or MOST_EPSILON,
        target_delta=float(DELTA),
        max_grad_norm=experiment.setting.max_grad_norm,
        clipping="bookkeeping",
    )
