# SPDX-License-Identifier: Apache-2.0
"""One cell of a benchmark on real text: a run of the product's own federation, measured on the pooled dev or test rows.

A cell is a scope, a variant, a seed and a setting. Its federation is built on disk (simulations/build.py), told over
the in-process grid by the real coordinator and client code, verified and replayed; the last model and what dev says of
it are kept under cells/. An interrupted cell goes on in the round where it was; a private one begins anew, since what
was interrupted stays charged and the last round would not fit in the budget any more. The variants:

    central         one site that holds all training rows
    federated       the sites of the corpus, weighted by their declared buckets
    federated_eps8  the same with DP-SGD, epsilon 8 at each site (unit record, delta 1e-5, PRV); also eps3 and eps1
    alone           one site with its own rows only
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score

from client.learning import tasks
from client.learning.model.model import build as build_model
from client.learning.model.model import load_arrays
from client.learning.training.evaluation import Counts
from client.learning.training.training import TextExamples, predict
from client.site.events import AnsweredWithoutDataEvent
from privacy.base.errors import Unreachable
from privacy.base.files import write_whole
from privacy.base.randomness import PublicSeed
from privacy.protocol.messages import parse
from privacy.protocol.plans import TaskPlan
from privacy.update.delta import ModelContract, model_vector, unflatten
from simulations.benchmarks.activations import Activations, SharedPipeline
from simulations.benchmarks.experiment_plan import DELTA, EPSILONS, Experiment, scenario_of
from simulations.benchmarks.texts import Text, Texts
from simulations.build import build
from simulations.corpora import write_lines
from simulations.federation import Federation

MOST_ENTITIES = 1000  # that count in one text


@dataclass(frozen=True)
class AccuracyScores:
    """Shares of right answers, and their mean F1 over the labels that occur or are predicted.

    Where spans are found, `accuracy` is their recall and `entity_f1` the F1 over all of them; else it is None.
    """

    accuracy: float
    macro_f1: float
    rows: int
    entity_f1: float | None = None

    @property
    def figure(self) -> float:
        """What dev chooses by and tables show: entity F1 where there are entities, else accuracy."""
        return self.accuracy if self.entity_f1 is None else self.entity_f1


def score_spans(predicted: Sequence[Any], examples: TextExamples, task: TaskPlan) -> AccuracyScores:
    """What the spans in `predicted` are worth: all entities count, those behind the cut as not found."""
    counting = task.model_copy(update={"counted": MOST_ENTITIES})
    pairs = zip(predicted, examples.task_examples, strict=True)
    counts = [np.array(examples.task.count(one, reading, counting), np.int64) for one, reading in pairs]
    right, actual, claimed = np.sum(counts, axis=0)  # each (types,)
    by_type = 2 * right / np.maximum(actual + claimed, 1)
    total = Counts(*(tuple(int(one) for one in vector) for vector in (right, actual, claimed)))
    f1 = float(2 * right.sum() / max(int(actual.sum() + claimed.sum()), 1))
    return AccuracyScores(total.accuracy or 0.0, float(by_type.mean()), len(predicted), f1)


def score(predicted: Sequence[str], rows: Sequence[Text]) -> AccuracyScores:
    """What `predicted` is worth on `rows`."""
    true = [row.label for row in rows]
    macro_f1 = float(f1_score(true, list(predicted), average="macro", zero_division=0))
    return AccuracyScores(float(accuracy_score(true, list(predicted))), macro_f1, len(rows))


class Experiments:
    """The cells of one corpus in the folder `out`: run where there is no result yet, else read."""

    def __init__(self, texts: Texts, out: Path) -> None:
        self.texts, self.out = texts, out
        self.activations = Activations(texts, out / "activations")
        for name in ("cells", "models", "work", "data"):
            (out / name).mkdir(parents=True, exist_ok=True)

    # -- results that are kept ----------------------------------------------------------------------------------------

    def file(self, cell: Experiment, split: str) -> Path:
        """Where a cell's result on a split lies."""
        return self.out / "cells" / f"{cell.name}.{split}.json"

    def result(self, cell: Experiment, split: str) -> dict[str, object] | None:
        """A cell's result on dev or test, if it is there and of these texts."""
        file = self.file(cell, split)
        if not file.exists():
            return None
        result: dict[str, object] = json.loads(file.read_text())
        return result if result["texts"] == self.texts.digest else None

    def scores(self, cell: Experiment, split: str) -> AccuracyScores | None:
        """The figures of a kept result."""
        result = self.result(cell, split)
        return None if result is None else AccuracyScores(**result["scores"])  # type: ignore[arg-type]

    def seconds(self) -> float:
        """Wall seconds of every cell and trial that is kept, one after another."""
        results = [json.loads(file.read_text()) for file in sorted((self.out / "cells").glob("*.dev.json"))]
        return float(sum(one["seconds"] for one in results if one["texts"] == self.texts.digest))

    def keep(self, cell: Experiment, split: str, scores: AccuracyScores, **facts: object) -> None:
        """Write a result in one step."""
        result = {"cell": asdict(cell), "texts": self.texts.digest, "split": split, "scores": asdict(scores), **facts}
        write_whole(self.file(cell, split), json.dumps(result, indent=1).encode())

    # -- the run ------------------------------------------------------------------------------------------------------

    def run(self, cell: Experiment) -> AccuracyScores:
        """Train the cell's model, unless that was done, and say what dev makes of it. Test is not read."""
        known = self.scores(cell, "dev")
        if known is not None:
            return known
        began, work = time.monotonic(), self.out / "work" / cell.name
        fresh = cell.variant in EPSILONS or _is_of_other_texts(work, self.texts.digest)
        built = build(scenario_of(cell, self.texts), work, self._data(cell), fresh=fresh)
        write_whole(work / "texts", self.texts.digest.encode())
        federation = Federation(built)
        for name, site in federation.sites.items():
            site.pipeline = SharedPipeline(site.folder, built.identities[name].site_key, self.activations)
        closed = federation.rounds()
        _check_all_had_data(federation)
        log = federation.audit()
        coordinator = built.federation
        model = (coordinator.blobs / closed.final_model).read_bytes()
        contract = coordinator.contract.read_bytes()
        write_whole(self.out / "models" / f"{cell.name}.safetensors", model)
        write_whole(self.out / "models" / f"{cell.name}.json", contract)
        scores = self._measure(cell, "dev")
        spent = [site.ledger.spent(site.settings.data.dataset, "record", DELTA) for site in federation.sites.values()]
        self.keep(
            cell,
            "dev",
            scores,
            seconds=round(time.monotonic() - began, 1),
            final_model_sha256=closed.final_model,
            rounds_replayed=log.rounds_replayed,
            log_entries=log.entries,
            epsilon=max(float(one.epsilon) for one in spent) if cell.variant in EPSILONS else None,
            noise_multiplier=spent[0].events[0].noise_multiplier if cell.variant in EPSILONS else None,
            accountant=spent[0].accountant,
            unit=spent[0].unit,
            delta=spent[0].delta,
        )
        shutil.rmtree(work)
        return scores

    def test(self, cell: Experiment) -> AccuracyScores:
        """What the kept model is worth on test; read once, then kept."""
        scores = self.scores(cell, "test")
        if scores is None:
            scores = self._measure(cell, "test")
            self.keep(cell, "test", scores)
        return scores

    def _measure(self, cell: Experiment, split: str) -> AccuracyScores:
        contract = parse(ModelContract, (self.out / "models" / f"{cell.name}.json").read_bytes())
        stored = (self.out / "models" / f"{cell.name}.safetensors").read_bytes()
        pretrained, seed = self.activations.pretrained, PublicSeed.from_integer(cell.seed)
        heads = tasks.load(contract.task.name).heads(contract.task)
        model = build_model(pretrained, contract.training, heads, seed, torch.device("cpu"))
        load_arrays(model.trainable, unflatten(contract, model_vector(contract, stored)))
        rows = self.texts.of(split)
        examples = self.activations.examples([row.record for row in rows], contract.task, model)
        predicted = predict(model, examples)
        if self.texts.corpus.marks_spans:
            return score_spans(predicted, examples, contract.task)
        return score([contract.task.labels[int(at)] for at in predicted], rows)

    # -- what it is built from ----------------------------------------------------------------------------------------

    def _data(self, cell: Experiment) -> Path:
        """A folder of rows as `collab-sim run by-source` takes them: one site, or all of them, or all as one."""
        folder = self.out / "data" / (cell.site or ("pooled" if cell.variant == "central" else "sites"))
        if not (folder / "train.jsonl").exists():
            folder.mkdir(exist_ok=True)
            for split, rows in (("train", self.texts.of("train", cell.site)), ("test", self.texts.of("dev")[:1])):
                of_site = (lambda row: "pooled") if cell.variant == "central" else (lambda row: row.site)
                write_lines(folder / f"{split}.jsonl", [self._given(row) | {"client": of_site(row)} for row in rows])
        return folder

    def _given(self, row: Text) -> dict[str, object]:
        """The row as a site's file holds it."""
        marks = {"spans": [list(span) for span in row.spans]} if self.texts.corpus.marks_spans else {"label": row.label}
        return {"id": row.id, "text": row.text, **marks}


def _check_all_had_data(federation: Federation) -> None:
    """A site whose data fail as a whole answers with noise alone, and is no site to measure. Raises Unreachable."""
    for name, site in federation.sites.items():
        events = [event for run in site.reports.runs() for event in site.reports.events(run)]
        if any(isinstance(event, AnsweredWithoutDataEvent) for event in events):
            raise Unreachable(
                f"{name} answered without its data: nothing is measured", next_step="its report in out/ says why"
            )


def _is_of_other_texts(work: Path, digest: str) -> bool:
    mark = work / "texts"
    return not mark.exists() or mark.read_text() != digest
