# SPDX-License-Identifier: Apache-2.0
"""The benchmark of utility keeps its form, splits and figures: spans by the task's own count, costs in points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data"
COSTS = ("cost_eps8", "cost_eps3", "cost_eps1", "cost_eps8_to_central_full", "gain_over_best_site")


@pytest.fixture(scope="module")
def benchmarks() -> None:
    pytest.importorskip("sklearn", reason="benchmarks need the extra 'bench'")


def write(folder: Path, **splits: list[dict[str, object]]) -> Path:
    folder.mkdir(exist_ok=True)
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_carved_dev_split_shares_no_row_with_train_and_is_the_same_again(benchmarks: None, tmp_path: Path) -> None:
    from simulations.benchmarks.texts import CorpusRecipe

    rows = [{"id": f"row-{at}", "text": f"text {at}", "label": "a"} for at in range(100)]
    corpus, data = (
        CorpusRecipe("any", 64, "dirichlet:2,1,1", 1.0, carved=10),
        write(tmp_path, train=rows, test=rows[:3]),
    )
    first, second = corpus.read(data), corpus.read(data)
    ids = {split: {str(row["id"]) for row in rows} for split, rows in first.items()}
    assert first == second
    assert len(ids["dev"]) == 10
    assert ids["train"] | ids["dev"] == {str(row["id"]) for row in rows}
    assert not ids["train"] & ids["dev"]


def test_marked_words_are_anonymized_with_their_spans(benchmarks: None, tmp_path: Path) -> None:
    from simulations.benchmarks.texts import CorpusRecipe, prepare

    row = {
        "id": "1",
        "tokens": ["Mail", "jo@example.org", "about", "measles", "."],
        "tags": ["O", "O", "O", "B-D", "O"],
    }
    data = write(tmp_path / "data", train=[row, row], dev=[row], test=[row])
    corpus = CorpusRecipe("any", 64, "uniform:2,1", 1.0, least_rows=1, task="token_classification")
    texts = prepare(corpus, data, tmp_path / "out", tell=lambda line: None)
    assert prepare(corpus, data, tmp_path / "out", tell=lambda line: None).rows == texts.rows
    assert texts.sites == {"site_1": 1, "site_2": 1}
    assert texts.labels == ("D",)
    for text in texts.rows:
        ((start, end, label),) = text.spans
        assert "jo@example.org" not in text.text
        assert (text.text[start:end], label) == ("measles", "D")


def test_entity_f1_counts_what_lies_behind_the_cut_as_not_found(benchmarks: None) -> None:
    from client.learning.tasks import TaskExample, token_classification
    from privacy.protocol.plans import TaskPlan
    from simulations.benchmarks.experiments import score_spans

    plan = TaskPlan(name="token_classification", labels=("a", "b"), max_tokens=64)
    task_examples = [
        TaskExample(np.array([-100, 1, 2, 0, -100])),
        TaskExample(np.array([-100, 3, 0, -100]), beyond=(0, 2)),
    ]
    examples = SimpleNamespace(task=token_classification, task_examples=task_examples)
    scores = score_spans([np.array([0, 1, 2, 3, 0]), np.array([0, 3, 0, 0])], examples, plan)
    assert scores.accuracy == pytest.approx(2 / 4)  # recall: two of one entity, one, and two behind the cut
    assert scores.entity_f1 == pytest.approx(2 * 2 / (4 + 3))
    assert scores.figure == scores.entity_f1


@pytest.fixture
def table(benchmarks: None, tmp_path: Path) -> ModuleType:
    from simulations.benchmarks import utility_table

    return utility_table


def bench(table: ModuleType, out: Path, figures: dict[tuple[str, str], float]) -> object:
    """A bench of two sites whose cells have the given figures on dev and test, where they were not left out."""
    from simulations.benchmarks.experiments import AccuracyScores, Experiments
    from simulations.benchmarks.texts import Text, Texts
    from simulations.benchmarks.utility_grid import CORPORA, trials

    rows = tuple(Text(f"{at}", "words", "ab"[at % 2], f"site_{at % 3 % 2}", "train") for at in range(9))
    made = Experiments(Texts(CORPORA["medquad"], rows, "digest", {}), out)
    for (scope, variant), figure in figures.items():
        for cell in trials(made, scope, variant):
            for split in ("dev", "test"):
                made.keep(
                    cell, split, AccuracyScores(figure, figure, 10), seconds=1.0, epsilon=7.9, noise_multiplier="3.5"
                )
    return made


def test_a_cost_is_the_difference_of_the_best_scopes_on_dev_in_points(table: ModuleType, tmp_path: Path) -> None:
    figures = {
        ("head", "federated"): 0.80,
        ("lora", "federated"): 0.90,
        ("head", "federated_eps8"): 0.85,
        ("lora", "federated_eps8"): 0.70,
        ("head", "alone"): 0.6,
        ("full", "central"): 0.95,
    }
    made = table.Table(bench(table, tmp_path, figures), 1, quick=False)
    rows = {row.name: row for row in made.rows()}
    assert {f"medquad_{name}" for name in COSTS} <= set(rows)
    assert rows["medquad_cost_eps8"].value == 5.0
    assert rows["medquad_cost_eps8_to_central_full"].value == 10.0
    assert rows["medquad_gain_over_best_site"].value == 25.0
    assert rows["medquad_federated_eps8"].beside["noise_multiplier"] == 3.5
    assert "scope head" in rows["medquad_federated_eps8"].note
    missing = rows["medquad_cost_eps1"]
    assert missing.value is None
    assert "not measured" in missing.note


def test_the_plot_draws_what_was_measured_and_nothing_else(table: ModuleType, tmp_path: Path) -> None:
    from simulations.benchmarks.utility_plot import draw

    figures = {("head", "federated"): 0.9, ("head", "federated_eps8"): 0.8, ("head", "federated_eps1"): 0.5}
    rows = table.Table(bench(table, tmp_path, figures), 1, quick=False).rows()
    picture = ElementTree.fromstring(draw({row.name: row for row in rows}, ["medquad"]))
    drawn = [element.tag.rpartition("}")[2] for element in picture.iter()]
    assert drawn.count("circle") == 2
    words = [element.text for element in picture.iter() if element.text]
    assert {"0.900", "0.800", "0.500"} <= set(words)


@pytest.mark.slow
def test_a_quick_run_has_every_named_figure_and_says_why_one_is_missing(tmp_path: Path) -> None:
    if not (DATA / "banking77").is_dir() or not (DATA / "ncbi_disease").is_dir():
        pytest.skip("the shared corpora are not beside the checkout")
    pytest.importorskip("sklearn", reason="benchmarks need the extra 'bench'")
    command = [sys.executable, "-m", "simulations.benchmarks.utility", "--quick", "--out", tmp_path, "--data", DATA]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    report = json.loads((tmp_path / "bench-utility.json").read_text())
    rows = {row["name"]: row for row in report["rows"]}
    assert report["quick"] is True
    assert {f"{corpus}_{cost}" for corpus in ("banking77", "ncbi") for cost in COSTS} <= set(rows)
    assert rows["banking77_cost_eps8"]["value"] is not None
    assert "not measured" in rows["ncbi_cost_eps8_to_central_full"]["note"]
    assert all(row["value"] is not None or row["note"] for row in rows.values())
    assert (tmp_path / "bench-utility.svg").read_text().startswith("<svg")
