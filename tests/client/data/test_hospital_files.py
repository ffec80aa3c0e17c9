# SPDX-License-Identifier: Apache-2.0
"""Of fourteen kinds of file that a hospital has, thirteen are read whole, and the broken one but for its row."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from client.data.corpus import Corpus, load_corpus
from client.settings.site_settings import SiteFolder

KEY = bytes(range(32))
ROWS = [
    {"text": "Müller slept well; no fever", "label": "calm"},
    {"text": 'She said "better", café au lait spots', "label": "ill"},
    {"text": "seen in\nthe ward", "label": "calm"},
]


def as_csv(delimiter: str = ",") -> str:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, ("text", "label"), delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(ROWS)
    return sink.getvalue()


def write(name: str, content: bytes) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return name

    return make


def long_note(folder: Path) -> str:
    rows = [*ROWS[:2], {"text": "word " * 126_000, "label": "ill"}]
    (folder / "n.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "n.jsonl"


def parquet(folder: Path) -> str:
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), folder / "n.parquet")
    return "n.parquet"


def dataset(folder: Path, at: str = "saved", rows: slice = slice(None)) -> str:
    (folder / at).mkdir(parents=True)
    table = pa.Table.from_pylist(ROWS[rows])
    with pa.OSFile(str(folder / at / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    (folder / at / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    (folder / at / "dataset_info.json").write_text(json.dumps({"features": {}}))
    return at


def dataset_dict(folder: Path) -> str:
    dataset(folder, "splits/train", slice(0, 2))
    dataset(folder, "splits/test", slice(2, None))
    (folder / "splits/dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return "splits"


def notes(folder: Path) -> str:
    for at, row in enumerate(ROWS):
        (folder / "notes" / row["label"]).mkdir(parents=True, exist_ok=True)
        (folder / "notes" / row["label"] / f"n{at}.txt").write_text(row["text"])
    return "notes"


def workbook(folder: Path) -> str:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    book = openpyxl.Workbook()
    for row in (("text", "label"), *(tuple(row.values()) for row in ROWS)):
        book.active.append(row)
    book.save(folder / "n.xlsx")
    return "n.xlsx"


KINDS: dict[str, tuple[Callable[[Path], str], str]] = {
    "csv with a BOM and quoting": (write("n.csv", as_csv().encode("utf-8-sig")), ""),
    "a note of 630,000 characters": (long_note, ""),
    "parquet": (parquet, ""),
    "a saved dataset": (dataset, ""),
    "a saved DatasetDict": (dataset_dict, ""),
    "Windows-1252": (write("n.csv", as_csv().encode("cp1252")), 'encoding = "cp1252"'),
    "semicolons": (write("n.csv", as_csv(";").encode()), ""),
    "tabs": (write("n.csv", as_csv("\t").encode()), ""),
    "UTF-16": (write("n.csv", as_csv().encode("utf-16")), ""),
    "gz": (write("n.csv.gz", gzip.compress(as_csv().encode())), ""),
    "one JSON array": (write("n.json", json.dumps(ROWS, ensure_ascii=False, indent=1).encode()), ""),
    "a folder of txt": (notes, ""),
    "xlsx": (workbook, ""),
}


def corpus(folder: Path, make: Callable[[Path], str], more: str = "") -> Corpus:
    (folder / "site_a.toml").write_text(
        f'[site]\nname = "site_a"\n[data]\nfiles = ["{make(folder)}"]\ndataset = "notes"\n{more}\n'
        '[policy]\nunit = "record"\nepsilon_limit = 8\ndelta = 1e-5\nsize_bucket = 8\n'
    )
    return load_corpus(SiteFolder(folder / "site_a.toml"), KEY)


@pytest.mark.parametrize("kind", KINDS)
def test_thirteen_kinds_are_read_whole(tmp_path: Path, kind: str) -> None:
    make, more = KINDS[kind]
    found = corpus(tmp_path, make, more)
    assert found.report.read == len(found.rows) == 3
    assert not found.refused
    assert found.report.cut == (kind == "a note of 630,000 characters")
    if not found.report.cut:
        read = sorted((row.text.replace("\r\n", "\n"), row.label) for row in found.rows)
        assert read == sorted((row["text"], row["label"]) for row in ROWS)


def test_the_truly_broken_one_is_read_but_for_its_row(tmp_path: Path) -> None:
    broken = 'text,label\n"she said "no" to it",ill\n"fine, today",calm\nhome,calm\n'
    found = corpus(tmp_path, write("n.csv", broken.encode()))
    assert {row.text for row in found.rows} == {"fine, today", "home"}
    assert [(row.file, row.place, row.reason) for row in found.refused] == [("n.csv", "line 2", "malformed")]


def test_windows_1252_is_advised_where_nothing_was_said(tmp_path: Path) -> None:
    from client.review.refused_rows import to_mend

    found = corpus(tmp_path, write("n.csv", as_csv().encode("cp1252")))
    assert found.report.refused == {"undecodable": 2}
    told = to_mend(SiteFolder(tmp_path / "site_a.toml"), found)
    assert "set data.encoding (all of n.csv is text in cp1252" in told["undecodable 2"]
