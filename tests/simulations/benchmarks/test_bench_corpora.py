# SPDX-License-Identifier: Apache-2.0
"""The benchmark on real text keeps its form and its cells: a tiny invented corpus, through the product's own rounds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

PHRASES = {"cough": "The patient coughs at night and wheezes.", "rash": "An itching red rash covers both forearms."}
FORM = {"bench", "date", "commit", "machine", "seconds", "quick", "rows"}
ROW = {"name", "value", "unit", "reach", "spread", "n", "beside", "note"}
NAMED = [
    f"{metric}_{variant}"
    for metric in ("accuracy", "macro_f1")
    for variant in ("central", "federated", "federated_eps8", "best_site_alone", "tfidf")
]


@pytest.fixture(scope="module")
def corpora() -> ModuleType:
    pytest.importorskip("sklearn", reason="benchmarks need the extra 'bench'")
    from simulations.benchmarks import corpora, grid

    tiny = replace(grid.HEAD, rounds=1, steps=2, sample_rate=0.5)
    grid.TRIALS = {("head", variant): (tiny,) for variant in ("federated", "federated_eps8", "central")}
    return corpora


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for split, rows in (("train", 40), ("dev", 6), ("test", 6)):
        lines = [
            {"id": "same", "text": f"{text} Visit {n}.", "label": label, "client": f"clinic {'ab'[n % 2]}"}
            for n in range(rows // 2)
            for label, text in PHRASES.items()
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def run(corpora: ModuleType, data: Path, out: Path, *more: str) -> dict[str, dict[str, object]]:
    """Rows of the report by name, after a check of the report's form."""
    assert corpora.main(["medquad", "--data", str(data), "--out", str(out), "--seeds", "1", *more]) == 0
    report = json.loads((out / "bench-medquad.json").read_text())
    assert set(report) == FORM
    assert all(set(row) == ROW for row in report["rows"])
    return {row["name"]: row for row in report["rows"]}


@pytest.fixture(scope="module")
def out(corpora: ModuleType, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    run(corpora, data, folder, "--cells", "head-federated*-1")
    return folder


def test_the_report_has_every_named_figure_and_says_why_one_is_missing(
    corpora: ModuleType, data: Path, out: Path
) -> None:
    from simulations.benchmarks.figures.files import load

    rows = run(corpora, data, out, "--report")
    assert set(NAMED) <= set(rows)
    assert {row.name for row in load()["medquad"].measurements[0].rows} <= set(rows), "the docs show what is taken"
    assert 0 <= rows["accuracy_federated"]["value"] <= 1  # type: ignore[operator]
    assert "epsilon spent" in str(rows["accuracy_federated_eps8"]["note"])
    assert rows["accuracy_central"]["value"] is None
    assert "not measured" in str(rows["accuracy_central"]["note"])
    assert rows["points_dp_costs"]["value"] == pytest.approx(
        100 * (rows["accuracy_federated"]["value"] - rows["accuracy_federated_eps8"]["value"]),
        abs=0.02,  # type: ignore[operator]
    )


def test_only_the_cell_that_was_lost_is_computed_again_and_comes_out_the_same(
    corpora: ModuleType, data: Path, out: Path
) -> None:
    cells = out / "medquad" / "cells"
    (lost,) = cells.glob("head-federated-s1-*.dev.json")
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in cells.glob("*.json")}
    lost.unlink()
    run(corpora, data, out, "--cells", "head-federated*-1")
    after = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in cells.glob("*.json")}
    assert {name for name in before if after[name] != before[name]} == {lost.name}
    first, second = (json.loads(one[lost.name][1]) for one in (before, after))
    assert first["final_model_sha256"] == second["final_model_sha256"]
    assert first["scores"] == second["scores"]
    assert second["rounds_replayed"] == 1


@pytest.mark.slow
def test_a_cell_whose_sites_do_not_all_answer_fails_instead_of_measuring_the_rest(
    corpora: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from privacy.base.errors import Unreachable
    from simulations.benchmarks.activations import SharedRecords

    whole = SharedRecords._anonymize

    def at_one_site(self: SharedRecords) -> object:
        if self._settings.site.name == "clinic_b":
            raise ValueError("broken")
        return whole(self)

    monkeypatch.setattr(SharedRecords, "_anonymize", at_one_site)
    with pytest.raises(Unreachable, match="clinic_b answered without its data"):
        run(corpora, data, tmp_path, "--cells", "head-federated-1")
    assert not list((tmp_path / "medquad" / "cells").glob("head*.json"))


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


@pytest.mark.slow
def test_a_private_cell_that_was_killed_while_a_site_trained_begins_anew(
    corpora: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simulations.benchmarks.activations import SharedPipeline

    def dying(self: SharedPipeline, *arguments: object, **more: object) -> object:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(SharedPipeline, "train", dying)
        with pytest.raises(Killed):
            run(corpora, data, tmp_path, "--cells", "head-federated_eps8-1")
    rows = run(corpora, data, tmp_path, "--cells", "head-federated_eps8-1")
    assert "epsilon spent 7." in str(rows["accuracy_federated_eps8"]["note"])


def test_the_demo_benchmark_tells_the_worst_margin_and_whether_two_runs_agree(corpora: ModuleType) -> None:
    from simulations.benchmarks import demo

    site = {"identifiers_found": 9, "identifiers_planted": 10}
    outcome = {"sites": [site], "accuracy_before": 0.25, "accuracy_majority": 0.3, "log": {"rounds_replayed": 4}}
    runs = [
        outcome | {"accuracy_after": after, "wall_seconds": 60.0, "final_model_sha256": "ab" * 32}
        for after in (0.9, 0.45, 0.8)
    ]
    rows = {row.name: row for row in demo.rows_of(runs, runs[0] | {"final_model_sha256": "cd" * 32}, "")}
    assert rows["points_above_start_and_majority"].value == 15.0
    assert rows["identifiers_found"].value == 0.9
    assert rows["same_final_model"].value == 0
    assert {"seconds", "accuracy_before", "accuracy_after", "rounds_replayed"} <= set(rows)
