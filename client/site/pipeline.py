# SPDX-License-Identifier: Apache-2.0
"""What a site trains and counts: its records (client.site.records) on the models that plans name (client.site.models).

Frozen activations are computed once for a model and a split, and only then does a round begin to cost anything. One
instance belongs to one process.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.data.chain import StageProgress
from client.data.splits import Split
from client.learning import tasks
from client.learning.model import device
from client.learning.model.model import SharedBert, build, load_arrays, trainable_arrays
from client.learning.model.pretrained import Pretrained
from client.learning.training.evaluation import Counts
from client.learning.training.features import ALONE, BATCH_TOKENS
from client.learning.training.pace import seconds_of_round
from client.learning.training.training import TextExamples, count, prepare, run_round
from client.settings.site_settings import SiteFolder
from client.site.models import SiteModels
from client.site.records import NO_ROWS, SiteRecords
from privacy.base.canonical import digest_of
from privacy.base.identifiers import Digest, HexBytes
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp.training import StepRecord
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import RoundPlan
from privacy.update.delta import ModelContract, flatten, unflatten


@dataclass(frozen=True, repr=False)
class Trained:
    """What a round of training left: the trained arrays as one vector, and the training log, which stays here."""

    vector: NDArray[np.float32]
    steps: tuple[StepRecord, ...]
    examples: int
    left_out: int = 0
    """Records whose label is not the plan's, or which lack what the task reads."""
    ran_away: bool = False
    """A trained number left the range in which a model can be computed: what came out is what went in."""


@dataclass(eq=False, repr=False)
class PreparedModel:
    """The model of one contract with the site's examples on it."""

    pretrained: Pretrained
    model: SharedBert
    examples: dict[Split, TextExamples] = field(default_factory=dict)


class _RanAway(Exception):
    """A trained number is greater than a model may hold."""


def _within(network: nn.Module, bound: float) -> bool:
    """Whether every trained number is finite and at most `bound`: a comparison with NaN is False."""
    with torch.no_grad():
        largest = [parameter.abs().max() for parameter in network.parameters() if parameter.requires_grad]
        return bool((torch.stack(largest) <= bound).all())


class SitePipeline:
    """What a site makes of its records and of the models that plans name, in this process.

    `site_key` keys the records, unless they are given, and the choice of dev notes.
    """

    def __init__(
        self,
        folder: SiteFolder,
        site_key: SecretSeed,
        progress: StageProgress = lambda what, done, total: None,
        *,
        records: SiteRecords | None = None,
        models: SiteModels | None = None,
    ) -> None:
        self._folder, self._settings, self._key = folder, folder.settings, site_key
        self.progress = progress
        self.records = records or SiteRecords(
            folder, site_key, lambda what, done, total: self.progress(what, done, total)
        )
        self.models = models or SiteModels(folder.model_folders)
        self._without_data: SitePipeline | None = None
        self._prepared: dict[Digest, PreparedModel] = {}

    def without_data(self) -> SitePipeline:
        """What this site would work with if it had no rows at all: it trains and counts all the same."""
        if self._without_data is None:
            nothing = SiteRecords(self._folder, self._key, known=NO_ROWS)
            self._without_data = SitePipeline(
                self._folder, self._key, self.progress, records=nothing, models=self.models
            )
        return self._without_data

    # -- records on a model -------------------------------------------------------------------------------------------

    def examples(self, contract: ModelContract, public_seed: HexBytes, split: Split) -> TextExamples:
        """The split's records as examples on the contract's model, with the frozen part's activations.

        Those of dev are read row by row (client.learning.training.training.count). Raises what reading and anonymizing
        raise.
        """
        prepared = self.prepared(contract, public_seed)
        if split not in prepared.examples:
            prepared.examples[split] = prepare(
                self.records.anonymized().records[split],
                contract.task,
                prepared.model,
                prepared.pretrained,
                batch_tokens=ALONE if split == "dev" else BATCH_TOKENS,
                on_progress=lambda done, total: self.progress("reading", done, total),
            )
        return prepared.examples[split]

    def seconds_of_round(self, outline: RunOutline, contract: ModelContract, public_seed: HexBytes) -> float:
        """What client.learning.training.pace measures of the contract's model, without any text."""
        hides = tasks.load(contract.task.name).MASKING != "never"
        return seconds_of_round(
            self.prepared(contract, public_seed).model, outline, self._settings.policy.size_bucket, hides=hides
        )

    def prepared(self, contract: ModelContract, public_seed: HexBytes) -> PreparedModel:
        """The model of the contract, built anew for another one than the last."""
        key = digest_of({"contract": digest_of(contract), "seed": public_seed})
        if key not in self._prepared:
            self._prepared.clear()
            pretrained = self.models.pretrained(contract.pretrained_digest)
            heads = tasks.load(contract.task.name).heads(contract.task)
            where = device.prepare(self._settings.compute)
            model = build(pretrained, contract.training, heads, PublicSeed.from_hex(public_seed), where)
            self._prepared[key] = PreparedModel(pretrained, model)
        return self._prepared[key]

    # -- what is done with them ---------------------------------------------------------------------------------------

    def train(
        self,
        plan: RoundPlan,
        contract: ModelContract,
        public_seed: HexBytes,
        model_in: NDArray[np.float32],
        seed: SecretSeed,
        on_step: Callable[[StepRecord], None],
    ) -> Trained:
        """One round of the plan from `model_in`, on the train split. The budget was reserved before.

        Where a step brings a trained number over the policy's max_weight, which a learning rate can do to noise alone,
        the round ends and changes nothing: from there on what a model says, and of which row, hangs on what overflows
        first. Steps are private, and so is when they end. Nothing of a half-trained network is kept.
        """
        prepared, examples = self.prepared(contract, public_seed), self.examples(contract, public_seed, "train")
        load_arrays(prepared.model.trainable, unflatten(contract, model_in))
        steps: list[StepRecord] = []

        def keep(record: StepRecord) -> None:
            steps.append(record)
            on_step(record)
            if not _within(prepared.model.trainable, self._settings.policy.max_weight):
                raise _RanAway

        size_bucket, vector = plan.cohort[self._settings.site.name].size_bucket, model_in
        try:
            run_round(plan, prepared.model, examples, seed=seed, size_bucket=size_bucket, on_step=keep)
            vector = flatten(contract, trainable_arrays(prepared.model.trainable))
        except _RanAway:
            pass
        return Trained(vector, tuple(steps), len(examples), examples.refused, vector is model_in)

    def count(self, contract: ModelContract, public_seed: HexBytes, model: NDArray[np.float32]) -> Counts:
        """Exact counts of `model` on the dev split (an evaluator's: on all rows), one note of each privacy unit."""
        public = self._settings.site.role == "evaluator"
        prepared = self.prepared(contract, public_seed)
        examples = self.examples(contract, public_seed, "test" if public else "dev")
        load_arrays(prepared.model.trainable, unflatten(contract, model))
        if public:
            return count(prepared.model, examples, batch_tokens=BATCH_TOKENS)
        units = examples.units(self._settings.policy.unit)
        return count(prepared.model, examples, [min(rows, key=lambda row: self._rank(examples, row)) for rows in units])

    def _rank(self, examples: TextExamples, row: int) -> bytes:
        """A keyed order of a patient's notes: which of them is counted depends on that patient alone."""
        key = self._key.derive("dev-note").expose("choice of dev notes")
        return hmac.digest(key, examples.records[row].record_id.encode(), "sha256")
