# SPDX-License-Identifier: Apache-2.0
"""Plans from a recipe and the log: pure functions, so that a restarted coordinator plans the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from coordinator.cohort import cohort
from coordinator.settings import FederationSettings
from privacy.base.canonical import DecimalString, decimal_string
from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest, HexBytes, RunId, SiteId
from privacy.base.randomness import PublicSeed
from privacy.protocol.entries import RunOpened
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import CohortMember, EvaluationPlan, RoundPlan
from privacy.protocol.run import Run
from privacy.update.delta import ModelContract


@dataclass(frozen=True)
class Recipe:
    """What a run starts from: the settings, the body that opens it, the contract of its model and the first model."""

    settings: FederationSettings
    opened: RunOpened
    contract: ModelContract
    initial_model: bytes

    @property
    def clip_norm(self) -> str:
        """The update's l2 bound as a plan writes it."""
        return decimal_string(self.settings.update.clip_norm)


def check_same_settings(opened: RunOpened, run_id: RunId, settings: Digest) -> None:
    """Raises SettingsError unless the run `opened` can go on with settings of that digest."""
    if opened.outline is None:
        raise SettingsError(
            f"run {run_id} was opened by an older version of collab, whose plans sites no longer answer",
            next_step="choose a new run.run_id; what the log holds of the old run stays as it is",
        )
    if opened.settings_digest != settings:
        raise SettingsError(
            f"run {run_id} was opened with other settings",
            next_step="restore federation.toml to go on with it, or choose a new run.run_id",
        )


def members(recipe: Recipe, sites: Sequence[SiteId]) -> dict[SiteId, CohortMember]:
    """The trainers among `sites`, with weights from their declared buckets."""
    roster = recipe.opened.roster
    return cohort(
        {site: roster[site].size_bucket for site in sites if roster[site].role == "trainer"},
        rule=recipe.settings.update.weights,
        clip_norm=Decimal(recipe.clip_norm),
        scale_log2=recipe.settings.update.scale_log2,
    )


def _seed(recipe: Recipe, purpose: str, server_round: int) -> HexBytes:
    return PublicSeed.from_hex(recipe.opened.public_seed).derive(f"{purpose}/{server_round}").hex()


def run_outline(
    settings: FederationSettings,
    contract: ModelContract,
    noise_multiplier: DecimalString | None,
    evaluation_noise_multiplier: DecimalString | None,
) -> RunOutline:
    """The whole planned run: from the settings, the model's contract and the calibrated noise."""
    return RunOutline(
        planned_rounds=settings.training.rounds,
        min_sites=settings.rounds.min_sites,
        task=contract.task,
        pretrained_digest=contract.pretrained_digest,
        tokenizer_digest=contract.tokenizer_digest,
        training=contract.training,
        unit=settings.privacy.unit,
        sample_rate=decimal_string(settings.training.sample_rate),
        num_steps=settings.training.steps_per_round,
        privacy=settings.privacy_params(noise_multiplier),
        update_clip_norm=decimal_string(settings.update.clip_norm),
        encoding=settings.update.encoding(),
        aggregation=settings.update.aggregation,
        anonymization=settings.anonymization.plan(),
        server_momentum=settings.update.momentum(),
        evaluate_every=settings.evaluate_every,
        figures=settings.figures,
        evaluation_noise_multiplier=evaluation_noise_multiplier,
        target_delta=decimal_string(settings.privacy.target_delta),
    )


def _outline(recipe: Recipe) -> RunOutline:
    assert recipe.opened.outline is not None  # rounds.Rounds refuses to go on with a run that has none
    return recipe.opened.outline


def round_plan(recipe: Recipe, run: Run, server_round: int, sites: Sequence[SiteId]) -> RoundPlan:
    """The plan of round `server_round` for `sites`, from the newest model."""
    opened, outline = recipe.opened, _outline(recipe)
    return RoundPlan(
        run_id=recipe.settings.run.run_id,
        server_round=server_round,
        planned_rounds=outline.planned_rounds,
        cohort=members(recipe, sites),
        min_sites=outline.min_sites,
        public_seed=_seed(recipe, "round", server_round),
        task=outline.task,
        pretrained_digest=outline.pretrained_digest,
        tokenizer_digest=outline.tokenizer_digest,
        contract_digest=opened.contract_digest,
        model_digest=run.model_digest,
        training=outline.training,
        unit=outline.unit,
        sample_rate=outline.sample_rate,
        num_steps=outline.num_steps,
        privacy=outline.privacy,
        update_clip_norm=outline.update_clip_norm,
        encoding=outline.encoding,
        aggregation=outline.aggregation,
        anonymization=outline.anonymization,
        server_momentum=outline.server_momentum,
    )


def evaluation_plan(recipe: Recipe, run: Run, server_round: int, sites: Sequence[SiteId]) -> EvaluationPlan:
    """The plan that asks `sites` to count how the newest model does."""
    opened, outline = recipe.opened, _outline(recipe)
    return EvaluationPlan(
        run_id=recipe.settings.run.run_id,
        server_round=server_round,
        sites=tuple(sites),
        public_seed=_seed(recipe, "evaluation", server_round),
        task=outline.task,
        pretrained_digest=outline.pretrained_digest,
        tokenizer_digest=outline.tokenizer_digest,
        contract_digest=opened.contract_digest,
        model_digest=run.model_digest,
        training=outline.training,
        unit=outline.unit,
        noise_multiplier=outline.evaluation_noise_multiplier,
        target_delta=outline.target_delta,
        figures=outline.figures,
    )
