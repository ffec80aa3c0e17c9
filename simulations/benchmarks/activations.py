# SPDX-License-Identifier: Apache-2.0
"""Frozen activations of a benchmark's texts, computed once by the product's code and shared by all cells and sites.

A real site computes them itself and keeps them in memory (client/learning/training/features.py). Here nine sites,
several variants and seeds read the same public texts, so they are kept on disk and mapped. `SharedPipeline` is a site's
material that takes texts and activations from here and is otherwise the product's own.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from client.data.chain import AnonymizingChain
from client.data.splits import Split
from client.learning import tasks
from client.learning.model.model import SharedBert
from client.learning.model.pretrained import load_packaged
from client.learning.model.tokenization import TokenizedExample, WordPieces, pack, tokenize_records
from client.learning.tasks import TaskExample
from client.learning.training.features import Features, compute_features
from client.learning.training.training import TextExamples
from client.settings.site_settings import SiteFolder
from client.site.pipeline import SitePipeline
from client.site.records import Anonymized, SiteRecords
from privacy.base.identifiers import HexBytes
from privacy.base.randomness import SecretSeed
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord
from privacy.text.report import AnonymizationReport
from privacy.update.delta import ModelContract
from simulations.benchmarks.texts import Texts


class Activations:
    """The word pieces and the frozen activations of `texts` at `max_tokens`, in `folder`."""

    def __init__(self, texts: Texts, folder: Path, tell: Callable[[str], None] = print) -> None:
        self.texts, self._folder, self._tell = texts, folder, tell
        self.pretrained = load_packaged()
        self._places = {row.id: place for place, row in enumerate(texts.rows)}
        self._rows: list[TokenizedExample] = []
        self._values: dict[str, Tensor] = {}

    @property
    def rows(self) -> list[TokenizedExample]:
        """The word pieces of each row."""
        if not self._rows:
            tokenizer = self.pretrained.tokenizer(self.texts.corpus.max_tokens)
            self._rows = tokenize_records([row.record for row in self.texts.rows], tokenizer, "text")
        return self._rows

    @cached_property
    def pieces(self) -> WordPieces:
        """The word pieces of all rows."""
        return pack(self.rows)

    def examples(self, records: Sequence[AnonymizedRecord], plan: TaskPlan, model: SharedBert) -> TextExamples:
        """`records` (rows that follow one another in the texts) as examples on `model`; every label is the plan's."""
        rows = self._slice(records)
        start, stop = (int(self.pieces.offsets[place]) for place in (rows.start, rows.stop))
        pieces = WordPieces(self.pieces.ids[start:stop], self.pieces.offsets[rows.start : rows.stop + 1] - start)
        values = None
        if model.frozen_encoder is not None:
            values = self.values(model)[rows] if model.entry == "pooled" else self.values(model)[start:stop]
        task = tasks.load(plan.name)
        read = [task.read(record, of_row, plan) for record, of_row in zip(records, self.rows[rows], strict=True)]
        task_examples = tuple(one for one in read if isinstance(one, TaskExample))
        if len(task_examples) != len(records):
            raise ValueError("a record's label is not the plan's")
        return TextExamples(
            task, plan, Features(model, pieces, values), task_examples, tuple(records), 0, pieces.lengths
        )

    def _slice(self, records: Sequence[AnonymizedRecord]) -> slice:
        """The places of `records` in the texts. Raises ValueError unless they follow one another there."""
        first = self._places[records[0].record_id]
        rows = slice(first, first + len(records))
        if [row.id for row in self.texts.rows[rows]] != [record.record_id for record in records]:
            raise ValueError("these records do not follow one another in the texts")
        return rows

    def values(self, model: SharedBert) -> Tensor:
        """What the frozen part of `model` gives for all rows (client.learning.training.features.Features.values)."""
        if model.frozen_encoder is None:
            raise ValueError("nothing of this model is frozen")
        layers = len(list(model.frozen_encoder.encoder.layer.values()))  # type: ignore[operator,union-attr]
        name = f"{model.entry}-{layers}-{self.texts.corpus.max_tokens}-{self.texts.digest[:12]}.npy"
        if name not in self._values:
            with exclusive(self._folder / f"{name}.lock"):
                file = self._folder / name
                if not file.exists():
                    self._compute(model, file)
            self._values[name] = torch.from_numpy(np.load(file, mmap_mode="c"))
        return self._values[name]

    def _compute(self, model: SharedBert, file: Path) -> None:
        last_told = [0]

        def progress(done: int, total: int) -> None:
            if done - last_told[0] >= 1000:
                last_told[0] = done
                self._tell(f"{self.texts.corpus.name}: {done} of {total} rows through the frozen layers")

        computed = compute_features(model, self.pieces, progress, max_bytes=1 << 62)
        assert computed.values is not None
        partial = file.with_suffix(".partial.npy")
        np.save(partial, computed.values.numpy())
        partial.replace(file)


class SharedRecords(SiteRecords):
    """A site's records whose texts are anonymized already."""

    def __init__(self, folder: SiteFolder, site_key: SecretSeed, texts: Texts) -> None:
        super().__init__(folder, site_key)
        self._texts = texts

    def _anonymize(self) -> Anonymized:
        corpus = AnonymizingChain(self._folder, self._key).corpus()
        records = {
            split: tuple(
                AnonymizedRecord(row.record_id, row.text, row.label, row.patient_id, (), spans=row.spans)
                for row in rows
            )
            for split, rows in corpus.by_split.items()
        }
        total = sum(len(rows) for rows in records.values())
        fingerprint = str(self._texts.facts["engine"])
        replacement = self._settings.text.replacement.digest
        report = AnonymizationReport(total, total, (), (), 1.0, 1.0, total, 0.0, fingerprint, replacement)
        return Anonymized(records, corpus.report, report)


class SharedPipeline(SitePipeline):
    """A site's pipeline whose texts are anonymized already and whose activations are shared."""

    def __init__(self, folder: SiteFolder, site_key: SecretSeed, activations: Activations) -> None:
        super().__init__(folder, site_key, records=SharedRecords(folder, site_key, activations.texts))
        self._activations = activations

    def examples(self, contract: ModelContract, public_seed: HexBytes, split: Split) -> TextExamples:
        prepared = self.prepared(contract, public_seed)
        if split not in prepared.examples:
            records = self.records.anonymized().records[split]
            prepared.examples[split] = self._activations.examples(records, contract.task, prepared.model)
        return prepared.examples[split]


@contextmanager
def exclusive(file: Path, *, wait: bool = True) -> Iterator[bool]:
    """A lock between processes, freed when its holder ends, however it ends. Without `wait`: False if it is taken."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
