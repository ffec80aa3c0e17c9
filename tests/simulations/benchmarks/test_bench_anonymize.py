# SPDX-License-Identifier: Apache-2.0
"""bench-anonymize keeps its form and its cells: tiny invented sets, through the product's own anonymizer."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

FORM = {"bench", "date", "commit", "machine", "seconds", "quick", "rows"}
ROW = {"name", "value", "unit", "reach", "spread", "n", "beside", "note"}
LABELLED = {
    "synth_person_masked",
    "synth_documents_leaking",
    "synth_any_recall",
    "synth_any_precision",
    "tab_direct_masked",
    "tab_quasi_masked",
    "tab_words_kept",
    "wnut_person_masked",
    "wnut_person_precision",
    "ncbi_disease_tokens_masked",
    "mtsamples_words_masked",
}
TITLED = "Dr. Quenby Zorblatt saw the patient on 3 April 1976."
DIRECT = {"start": 4, "end": 19, "type": "PERSON", "value": "Quenby Zorblatt", "identifier_type": "DIRECT"}
DATE = {"start": 39, "end": 51, "type": "DATETIME", "value": "3 April 1976", "identifier_type": "QUASI"}
SPANS = {"text": TITLED, "spans": [DIRECT, DATE]}
TAGGED = {"text": "fever with aniridia", "tokens": ["fever", "with", "aniridia"], "tags": ["O", "O", "B-Disease"]}
PERSONS = {"text": "thanks Zorblatt", "tokens": ["thanks", "Zorblatt"], "tags": ["O", "B-person"]}
SETS: dict[str, dict[str, object]] = {
    "presidio_synth": SPANS,
    "tab144": SPANS,
    "wnut17": PERSONS,
    "ncbi_disease": TAGGED,
    "mtsamples": {"text": "The wound was closed in layers."},
}


@pytest.fixture(scope="module")
def anonymize() -> ModuleType:
    from simulations.benchmarks import anonymize, hipaa

    hipaa.QUICK_NOTES = 12
    return anonymize


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, row in SETS.items():
        (folder / name).mkdir()
        for split in ("train", "dev", "test"):
            (folder / name / f"{split}.jsonl").write_text(json.dumps({"id": split} | row) + "\n")
    return folder


def run(anonymize: ModuleType, data: Path, out: Path, *more: str) -> dict[str, dict[str, object]]:
    """Rows of the report by name, after a check of the report's form."""
    given = [*more, "--quick", "--names", "none", "--data", str(data), "--out", str(out)]
    assert anonymize.main(given) == 0
    (file,) = out.glob("bench-anonymize*.json")
    report = json.loads(file.read_text())
    assert set(report) == FORM
    assert report["quick"] is True
    assert all(set(row) == ROW for row in report["rows"])
    return {row["name"]: row for row in report["rows"]}


def parts(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


@pytest.fixture(scope="module")
def out(anonymize: ModuleType, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    run(anonymize, data, folder, *parts(*SETS, "notes"))
    return folder


def test_every_named_figure_on_labelled_text_is_measured_with_stock_presidio_beside_it(
    anonymize: ModuleType, data: Path, out: Path
) -> None:
    rows = run(anonymize, data, out, *parts(*SETS, "notes"))
    assert set(rows) == LABELLED | {"hipaa_recall_min"}
    assert rows["tab_direct_masked"]["value"] == 1.0
    assert rows["tab_direct_masked"]["beside"]["stock"] == 0.0  # type: ignore[index]
    assert rows["tab_words_kept"]["value"] == pytest.approx(1 - 5 / 10)
    assert rows["wnut_person_masked"]["value"] in (0.0, 1.0)
    assert rows["ncbi_disease_tokens_masked"]["value"] == 0.0
    assert rows["mtsamples_words_masked"]["value"] == 0.0


def test_each_of_the_eighteen_identifiers_that_the_notes_hold_stands_beside_the_least(
    anonymize: ModuleType, data: Path, out: Path
) -> None:
    from simulations.benchmarks import hipaa

    assert len(hipaa.ROWS) == 18
    row = run(anonymize, data, out, *parts("notes"))["hipaa_recall_min"]
    beside: dict[str, float] = row["beside"]  # type: ignore[assignment]
    told = [name for name in hipaa.ROWS if name in beside]
    assert {"names", "dates", "phone", "mrn"} <= set(told)
    assert row["value"] == min(beside[name] for name in told)
    assert all(f"stock_{name}" in beside for name in told)


def test_every_slot_that_identifies_somebody_belongs_to_one_of_the_eighteen(anonymize: ModuleType) -> None:
    from privacy.text.invent.slots import SLOTS
    from simulations.benchmarks import hipaa

    counted = [kind for kinds in hipaa.ROWS.values() for kind in kinds]
    told_apart = {"AGE_UNDER_90", "DEMOGRAPHIC", "MONEY", "ORGANIZATION", None}
    assert len(counted) == len(set(counted))
    assert {slot.entity_type for slot in SLOTS.values()} == set(counted) | told_apart
    assert set(SLOTS) >= hipaa.MAY_STAND


def test_a_kept_cell_is_read_again_and_one_of_other_texts_is_not(anonymize: ModuleType, data: Path, out: Path) -> None:
    folder = out / "anonymize" / "release-quick"
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    run(anonymize, data, out, *parts("notes"))
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    run(anonymize, data, out, *parts("notes"), "--seed", "5")
    after = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert {name for name in before if after[name] != before[name]} == {"notes.none-us.json", "notes.stock.json"}


def test_nothing_that_is_kept_or_written_holds_a_word_of_the_texts(out: Path) -> None:
    written = "".join(file.read_text() for file in out.rglob("*.json"))
    assert "Zorblatt" not in written
    assert "aniridia" not in written


def test_a_set_or_a_model_that_is_not_there_leaves_rows_that_say_so(
    anonymize: ModuleType, data: Path, tmp_path: Path
) -> None:
    rows = run(anonymize, tmp_path / "nowhere", tmp_path, *parts("tab144"))
    assert rows["tab_direct_masked"]["value"] is None
    assert "tab144 is not in --data" in str(rows["tab_direct_masked"]["note"])
    given = [*parts("notes", "steadiness"), "--names", "nosuchmodel", "--quick", "--data", str(data)]
    assert anonymize.main([*given, "--out", str(tmp_path / "other")]) == 0
    report = json.loads((tmp_path / "other" / "bench-anonymize-nosuchmodel.json").read_text())
    assert {row["name"]: row["value"] for row in report["rows"]}["repeat_identical"] is None
    assert all("nosuchmodel" in row["note"] for row in report["rows"])


def test_missed_spans_are_never_shown_on_what_a_release_is_measured_on(
    anonymize: ModuleType, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert anonymize.main(["--misses", "5", "--quick", "--data", str(data), "--out", str(tmp_path)]) == 2
    assert "--dev" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_cpu_is_never_asked_for_instructions_that_it_has_not_got(anonymize: ModuleType) -> None:
    from simulations.benchmarks import determinism as steadiness

    assert steadiness.possible(frozenset()) == ["default"]
    assert steadiness.possible(frozenset({"avx2", "fma"})) == ["default", "avx2"]
    everything = frozenset({"avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"})
    assert steadiness.possible(everything) == ["default", "avx2", "avx512"]


def test_spans_that_differ_are_counted_in_both_directions(anonymize: ModuleType) -> None:
    from simulations.benchmarks import determinism as steadiness

    one = steadiness.RunResult("a", frozenset({(0, 1, 5, "PERSON"), (0, 8, 9, "AGE")}), "AVX2")
    other = steadiness.RunResult("b", frozenset({(0, 1, 6, "PERSON"), (0, 8, 9, "AGE")}), "DEFAULT")
    assert one.differ(other) == other.differ(one) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_rows_on_sameness_and_speed_keep_their_names(anonymize: ModuleType, data: Path, tmp_path: Path) -> None:
    rows = run(anonymize, data, tmp_path, *parts("steadiness", "speed"))
    assert rows["repeat_identical"]["value"] == 1
    assert "capability_spans_differ" in rows
    assert {"ner_notes_per_second", "ner_student_notes_per_second", "weights_megabytes"} <= set(rows)


def test_the_rows_that_the_docs_show_are_those_that_the_bench_writes(out: Path) -> None:
    from simulations.benchmarks.figures.files import load

    (file,) = out.glob("bench-anonymize*.json")
    rows = {row["name"]: row for row in json.loads(file.read_text())["rows"]}
    shown = {row.name: row for row in load()["anonymize"].measurements[0].rows}
    assert set(rows) <= set(shown)
    assert set(rows["hipaa_recall_min"]["beside"]) <= set(shown["hipaa_recall_min"].beside)
