# SPDX-License-Identifier: Apache-2.0
"""A site's texts on their way from files to numbers, each done once: rows -> anonymized records -> features.

Raw text lives only inside `_anonymize`; what is kept is anonymized. Frozen activations are computed once for a model
and a split, and only then does a round begin to cost anything. One instance belongs to one process: a new process
finds the findings in the span cache.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.data.chain import AnonymizingChain, StageProgress
from client.data.corpus import CorpusReport
from client.data.naming import split_of_site
from client.data.splits import SPLITS, Split
from client.learning import tasks
from client.learning.model import device
from client.learning.model.model import SharedBert, build, load_arrays, trainable_arrays
from client.learning.model.pretrained import Pretrained, find_pretrained, load_pretrained
from client.learning.training.contract import describe_pretrained
from client.learning.training.evaluation import Counts
from client.learning.training.features import ALONE, BATCH_TOKENS
from client.learning.training.pace import seconds_of_round
from client.learning.training.training import TextExamples, count, prepare, run_round
from client.settings.site_settings import SiteFolder
from privacy.base.canonical import digest_of
from privacy.base.errors import IntegrityError
from privacy.base.identifiers import Digest, HexBytes, RunId, sha256
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp.reservations import PinnedSplit
from privacy.dp.training import StepRecord
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.text.reading.records import AnonymizedRecord, TextRow
from privacy.text.report import AnonymizationReport, commitment
from privacy.update.delta import ModelContract, flatten, unflatten


@dataclass(frozen=True, repr=False)
class Anonymized:
    """All that the site keeps of its texts."""

    records: dict[Split, tuple[AnonymizedRecord, ...]]
    corpus: CorpusReport
    report: AnonymizationReport


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


_CONTRACTS_KEPT = 4
_NO_ROWS = Anonymized(
    dict.fromkeys(SPLITS, ()),
    CorpusReport(
        read=0,
        refused={},
        cut=0,
        rows=dict.fromkeys(SPLITS, 0),
        patients=dict.fromkeys(SPLITS, 0),
        most_notes=dict.fromkeys(SPLITS, 0),
        labels={},
        repeated_anywhere=0,
    ),
    AnonymizationReport(0, 0, (), (), 1.0, 1.0, 0, 0.0, "0" * 64, "0" * 64),
)


class _RanAway(Exception):
    """A trained number is greater than a model may hold."""


def _within(network: nn.Module, bound: float) -> bool:
    """Whether every trained number is finite and at most `bound`: a comparison with NaN is False."""
    with torch.no_grad():
        largest = [parameter.abs().max() for parameter in network.parameters() if parameter.requires_grad]
        return bool((torch.stack(largest) <= bound).all())


class SitePipeline:
    """The site's texts and models in this process. `site_key` keys split, cache, surrogates and choice of dev notes."""

    def __init__(
        self, folder: SiteFolder, site_key: SecretSeed, progress: StageProgress = lambda what, done, total: None
    ) -> None:
        self._folder, self._settings, self._key = folder, folder.settings, site_key
        self.progress = progress
        self._anonymized: Anonymized | None = None
        self._nothing: SitePipeline | None = None
        self._built: dict[Digest, tuple[ModelContract, Digest]] = {}
        self._benches: dict[Digest, PreparedModel] = {}
        self._pretrained: dict[Digest, Pretrained] = {}

    # -- from rows to anonymized records ------------------------------------------------------------------------------

    def anonymized(self) -> Anonymized:
        """The site's records, anonymized; made the first time. Raises SettingsError, AnonymizationError."""
        if self._anonymized is None:
            self._anonymized = self._anonymize()
        return self._anonymized

    def _anonymize(self) -> Anonymized:
        chain = AnonymizingChain(self._folder, self._key)
        corpus = chain.corpus()
        with chain.anonymizer() as anonymizer:
            records, report = anonymizer.run(corpus.rows, lambda done, total: self.progress("anonymizing", done, total))
        return Anonymized(_by_split(corpus.by_split, records), corpus.report, report)

    def without_data(self) -> SitePipeline:
        """What this site would work with if it had no rows at all: it trains and counts all the same."""
        if self._nothing is None:
            nothing = SitePipeline(self._folder, self._key, self.progress)
            nothing._anonymized = _NO_ROWS
            nothing._built, nothing._pretrained = self._built, self._pretrained
            self._nothing = nothing
        return self._nothing

    def split(self) -> PinnedSplit:
        """What fixes which unit is in which part: key and fractions, and the settings that name a unit."""
        return split_of_site(self._settings, self._key)

    def all_records(self) -> list[AnonymizedRecord]:
        """Every anonymized record, of all splits."""
        records = self.anonymized().records
        return [record for split in SPLITS for record in records[split]]

    def anonymization_commitment(self, run_id: RunId) -> Digest:
        """Binds the anonymization report without saying its counts: salted under the site's key, anew for each run."""
        salt = self._key.derive("anonymization-salt", run_id).expose("commitment salt")
        return commitment(self.anonymized().report, salt)

    # -- from records to examples on a model --------------------------------------------------------------------------

    def contract(
        self, plan: RoundPlan | EvaluationPlan | RunOutline, public_seed: HexBytes
    ) -> tuple[ModelContract, Digest]:
        """What this site itself builds for a plan, and the digest of its first model. `public_seed` is the run's.

        It follows from all that the plan says of the model, not from the digest under which the plan names it. Raises
        IntegrityError("model_mismatch") when the named pretrained model or tokenizer is not here.
        """
        key = digest_of(
            {
                "task": plan.task.model_dump(mode="json"),
                "training": plan.training.model_dump(mode="json"),
                "pretrained": plan.pretrained_digest,
                "tokenizer": plan.tokenizer_digest,
                "seed": public_seed,
            }
        )
        if key not in self._built:
            pretrained = self._load(plan.pretrained_digest)
            if pretrained.tokenizer_digest != plan.tokenizer_digest:
                raise IntegrityError("this site's tokenizer is another than the plan's", reason="model_mismatch")
            seed = PublicSeed.from_hex(public_seed)
            contract, initial = describe_pretrained(plan.task, plan.training, pretrained, seed)
            while len(self._built) >= _CONTRACTS_KEPT:  # a coordinator may name as many as it likes
                self._built.pop(next(iter(self._built)))
            self._built[key] = (contract, sha256(initial))
        return self._built[key]

    def _load(self, digest: Digest) -> Pretrained:
        if digest not in self._pretrained:
            self._pretrained[digest] = load_pretrained(find_pretrained(digest, self._folder.model_folders), digest)
        return self._pretrained[digest]

    def examples(self, contract: ModelContract, public_seed: HexBytes, split: Split) -> TextExamples:
        """The split's records as examples on the contract's model, with the frozen part's activations.

        Those of dev are read row by row (client.learning.training.training.count). Raises what reading and anonymizing
        raise.
        """
        bench = self._bench(contract, public_seed)
        if split not in bench.examples:
            bench.examples[split] = prepare(
                self.anonymized().records[split],
                contract.task,
                bench.model,
                bench.pretrained,
                batch_tokens=ALONE if split == "dev" else BATCH_TOKENS,
                on_progress=lambda done, total: self.progress("reading", done, total),
            )
        return bench.examples[split]

    def seconds_of_round(self, outline: RunOutline, contract: ModelContract, public_seed: HexBytes) -> float:
        """What client.learning.training.pace measures of the contract's model, without any text."""
        hides = tasks.load(contract.task.name).MASKING != "never"
        return seconds_of_round(
            self._bench(contract, public_seed).model, outline, self._settings.policy.size_bucket, hides=hides
        )

    def _bench(self, contract: ModelContract, public_seed: HexBytes) -> PreparedModel:
        key = digest_of({"contract": digest_of(contract), "seed": public_seed})
        if key not in self._benches:
            self._benches.clear()
            pretrained = self._load(contract.pretrained_digest)
            heads = tasks.load(contract.task.name).heads(contract.task)
            where = device.prepare(self._settings.compute)
            model = build(pretrained, contract.training, heads, PublicSeed.from_hex(public_seed), where)
            self._benches[key] = PreparedModel(pretrained, model)
        return self._benches[key]

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
        bench, examples = self._bench(contract, public_seed), self.examples(contract, public_seed, "train")
        load_arrays(bench.model.trainable, unflatten(contract, model_in))
        steps: list[StepRecord] = []

        def keep(record: StepRecord) -> None:
            steps.append(record)
            on_step(record)
            if not _within(bench.model.trainable, self._settings.policy.max_weight):
                raise _RanAway

        size_bucket, vector = plan.cohort[self._settings.site.name].size_bucket, model_in
        try:
            run_round(plan, bench.model, examples, seed=seed, size_bucket=size_bucket, on_step=keep)
            vector = flatten(contract, trainable_arrays(bench.model.trainable))
        except _RanAway:
            pass
        return Trained(vector, tuple(steps), len(examples), examples.refused, vector is model_in)

    def count(self, contract: ModelContract, public_seed: HexBytes, model: NDArray[np.float32]) -> Counts:
        """Exact counts of `model` on the dev split (an evaluator's: on all rows), one note of each privacy unit."""
        public = self._settings.site.role == "evaluator"
        bench = self._bench(contract, public_seed)
        examples = self.examples(contract, public_seed, "test" if public else "dev")
        load_arrays(bench.model.trainable, unflatten(contract, model))
        if public:
            return count(bench.model, examples, batch_tokens=BATCH_TOKENS)
        units = examples.units(self._settings.policy.unit)
        return count(bench.model, examples, [min(rows, key=lambda row: self._rank(examples, row)) for rows in units])

    def _rank(self, examples: TextExamples, row: int) -> bytes:
        """A keyed order of a patient's notes: which of them is counted depends on that patient alone."""
        key = self._key.derive("dev-note").expose("choice of dev notes")
        return hmac.digest(key, examples.records[row].record_id.encode(), "sha256")


def _by_split(
    rows: Mapping[Split, Sequence[TextRow]], records: Sequence[AnonymizedRecord]
) -> dict[Split, tuple[AnonymizedRecord, ...]]:
    """Give each record, in order, back to the split that its row came from; refused rows have none."""
    waiting = deque(records)
    kept: dict[Split, list[AnonymizedRecord]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        for row in rows[split]:
            if waiting and (waiting[0].record_id, waiting[0].patient_id) == (row.record_id, row.patient_id):
                kept[split].append(waiting.popleft())
    assert not waiting
    return {split: tuple(found) for split, found in kept.items()}
