# SPDX-License-Identifier: Apache-2.0
"""No error, warning, report or traceback-free bug holds a word of a site's files, however these are broken.

Every file here holds the marked word somewhere: in its header, its cells, its keys, the names of notes, or in what a
broken file has instead. What people asked to see (a preview, the site's own labels in `check`) is not held to it.
"""

from __future__ import annotations

import gzip
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client import cli
from client.data.corpus import load_corpus
from client.settings.site_settings import SiteFolder
from coordinator import cli as coordinator
from privacy.base.errors import CollabError

KEY = bytes(range(32))
SECRET = "zqvsecret"
COLUMNS = ("text", "label", "patient")
SITE = """
[site]
name = "hospital_a"
[text]
names = "none"
[data]
files = ["../{name}"]
dataset = "notes"
patient_column = "patient"
{more}
[policy]
unit = "patient"
epsilon_limit = 8.0
delta = 1e-5
size_bucket = 32
"""
AT_SITE = ["--site", "hospital_a"]


def word(at: int) -> str:
    return f"{SECRET}{at}"


def row(at: int = 0) -> dict[str, str]:
    return {"text": f"{word(at)} has a fever", "label": "ill", "patient": word(at + 100)}


def csv_of(*lines: str) -> bytes:
    return "\n".join(["text,label,patient", *lines, ""]).encode()


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


def workbook(rows: list[list[object]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    book, sink = openpyxl.Workbook(), io.BytesIO()
    book.active.title = word(7)
    for one in rows:
        book.active.append(one)
    book.save(sink)
    return sink.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(name, content)
    return sink.getvalue()


LINE = json.dumps(row())
WHOLE = {name: [value] for name, value in row().items()}
Content = bytes | Callable[[], bytes]

FATAL: dict[str, tuple[str, Content]] = {
    "csv without a header line": ("n.csv", f"{word(1)} came,ill,{word(2)}\n{word(3)} left,well,{word(4)}\n".encode()),
    "csv of one column": ("n.csv", f"{word(1)}\n{word(2)}\n".encode()),
    "csv with other names": ("n.csv", f"{word(1)};{word(2)}\n1;2\n".encode()),
    "csv with a name twice": ("n.csv", f"text,text,label,patient,{word(1)}\n1,2,3,4,5\n".encode()),
    "csv, a header in capitals": ("n.csv", f"TEXT,label,patient,{word(1)}\n1,2,3,4\n".encode()),
    "csv of UTF-16 without a mark": ("n.csv", f"{word(1)},text,label,patient\n".encode("utf-16-le")),
    "csv of UTF-32": ("n.csv", f"{word(1)}\n".encode("utf-32")),
    "csv, a header of bad bytes": ("n.csv", f"{word(1)}".encode() + b"\xff,label\n"),
    "csv, a header of bad quotes": ("n.csv", f'"{word(1)}"x,label\n1,2\n'.encode()),
    "gz that is none": ("n.csv.gz", word(1).encode() * 100),
    "gz that is cut": ("n.csv.gz", gzip.compress(csv_of(*[f"{word(at)} came,ill,p{at}" for at in range(999)]))[:900]),
    "an object for an array": ("n.json", json.dumps({word(1): word(2)}).encode()),
    "lines for an array": ("n.json", f"{LINE}\n{LINE}\n".encode()),
    "text for parquet": ("n.parquet", b"PAR1" + word(1).encode() * 9 + b"PAR1"),
    "parquet that is cut": ("n.parquet", lambda: parquet(pa.table(WHOLE))[:-9]),
    "parquet with other columns": ("n.parquet", lambda: parquet(pa.table({word(1): [word(2)]}))),
    "text for xlsx": ("n.xlsx", word(1).encode() * 99),
    "a zip for xlsx": ("n.xlsx", zipped(word(1), word(2).encode())),
    "xlsx without a header": ("n.xlsx", lambda: workbook([[word(1), "ill", word(2)]])),
    "xlsx of broken XML": ("n.xlsx", lambda: zipped("[Content_Types].xml", f"<{word(1)}>{word(2)}".encode())),
    "an unknown suffix": ("n.docx", word(1).encode()),
}
"""What ends in an error, whatever the rows."""

ROWS: dict[str, tuple[str, Content]] = {
    "csv of bad rows": ("n.csv", csv_of(f'"{word(1)} said "no""', f"{word(2)},few", f'"{word(3)}', "", f"{word(4)},,")),
    "csv of bad bytes": ("n.csv", csv_of() + word(1).encode() + b" \xff,ill,p\n"),
    "jsonl of bad lines": ("n.jsonl", f'{{"text": "{word(1)}\n[{LINE}]\n{{"{word(2)}": 1}}\n"{word(3)}"\n'.encode()),
    "jsonl of strange cells": (
        "n.jsonl",
        "\n".join(json.dumps(row() | {"text": bad}) for bad in ({word(1): 1}, [word(2)], 1.5, True, None)).encode(),
    ),
    "an array that is cut": ("n.json", f'[{LINE}, {{"text": "{word(1)}'.encode()),
    "an array of anything": ("n.json", f'["{word(1)}", {{"{word(2)}": [}}, {LINE}]]'.encode()),
    "a row of xlsx": ("n.xlsx", lambda: workbook([[*COLUMNS, word(1)], [word(2), None, word(3)], [1.5, "ill", "p"]])),
    "a list in parquet": ("n.parquet", lambda: parquet(pa.table(WHOLE | {"text": [[word(1)]]}))),
}
"""What costs rows."""


def write(here: Path, kind: tuple[str, Content], more: str = "") -> SiteFolder:
    (here / "sites").mkdir(exist_ok=True)
    name, content = kind
    (here / name).write_bytes(content if isinstance(content, bytes) else content())
    (here / "sites/hospital_a.toml").write_text(SITE.format(name=name, more=more))
    return SiteFolder(here / "sites/hospital_a.toml")


def told(read: Callable[[], object]) -> str:
    """All that reading says: its error, and any warning. Anything but our own errors is a bug."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            read()
        except CollabError as error:
            quiet = error.__suppress_context__ or error.__context__ is None
            return f"{error}{error!r}{error.__context__ if not quiet else ''}{[str(one.message) for one in caught]}"
    return str([str(one.message) for one in caught])


@pytest.mark.parametrize("kind", [*FATAL, *ROWS])
def test_no_reader_quotes_a_file(tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    folder = write(tmp_path, (FATAL | ROWS)[kind])
    said = told(lambda: load_corpus(folder, KEY))
    assert SECRET not in said.lower()
    assert ("SettingsError" in said) == (kind in FATAL)
    streams = capfd.readouterr()
    assert SECRET not in streams.out + streams.err


@pytest.mark.parametrize("broken", ["dataset_dict.json", "dataset_info.json", "state.json", "arrow", "other columns"])
def test_no_dataset_folder_is_quoted(tmp_path: Path, broken: str) -> None:
    saved = tmp_path / "n"
    part = saved / word(1)
    part.mkdir(parents=True)
    table = pa.table({word(2): ["x"]} if broken == "other columns" else WHOLE)
    with pa.OSFile(str(part / f"{word(3)}.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    (part / "state.json").write_text(json.dumps({"_data_files": [{"filename": f"{word(3)}.arrow"}]}))
    (part / "dataset_info.json").write_text(json.dumps({"features": {word(2): {"_type": word(4)}}}))
    (saved / "dataset_dict.json").write_text(json.dumps({"splits": [word(1)]}))
    target = {"dataset_dict.json": saved / "dataset_dict.json", "arrow": part / f"{word(3)}.arrow"}
    if broken != "other columns":
        target.get(broken, part / broken).write_text(f"{{{word(5)}")
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites/hospital_a.toml").write_text(SITE.format(name="n", more=""))
    said = told(lambda: load_corpus(SiteFolder(tmp_path / "sites/hospital_a.toml"), KEY))
    assert "SettingsError" in said
    assert SECRET not in said.lower()


def test_no_name_of_a_note_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / f"{word(1)}.txt").write_bytes(b"\xff" + word(2).encode())
    (tmp_path / "n" / f"{word(3)}.txt.gz").write_bytes(word(4).encode())
    (tmp_path / "sites").mkdir()
    toml = tmp_path / "sites/hospital_a.toml"
    toml.write_text(SITE.format(name="n", more=""))
    assert SECRET not in told(lambda: load_corpus(SiteFolder(toml), KEY)).lower()
    toml.write_text(SITE.format(name="n", more="").replace('"patient"', '"name"', 1).replace("[policy]", "[policy]"))
    corpus = load_corpus(SiteFolder(toml), KEY)
    assert corpus.report.refused == {"undecodable": 1, "malformed": 1}


@cache
def good_files() -> dict[str, bytes]:
    """Made once: a workbook holds the time of its making."""
    return {
        "n.csv": csv_of(*[f'"{word(at)}, came",ill,{word(at)}' for at in range(3)]),
        "n.csv.gz": gzip.compress(csv_of(*[f"{word(at)},ill,{word(at)}" for at in range(3)]), mtime=0),
        "n.jsonl": "\n".join(json.dumps(row(at)) for at in range(3)).encode(),
        "n.json": json.dumps([row(at) for at in range(3)]).encode(),
        "n.parquet": parquet(pa.table(WHOLE)),
        "n.xlsx": workbook([list(COLUMNS), list(row().values())]),
    }


MARKS = [
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"[",
    b"]",
    b"{",
    b"}",
    b"\\u",
    b"\\ud800",
    b"\xe9",
]
ENCODINGS = ("auto", "auto", "cp1252", "utf-16", "gb18030", "latin-1", "utf-8")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_file_that_is_broken_anywhere_is_quoted(tmp_path: Path, data: st.DataObject) -> None:
    """A good file of each kind, cut, or with bytes put in or changed anywhere."""
    name = data.draw(st.sampled_from(sorted(good_files())))
    content = bytearray(good_files()[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 5))] = data.draw(st.sampled_from(MARKS) | st.binary(max_size=4))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    folder = write(tmp_path, (name, bytes(content)), f'encoding = "{data.draw(st.sampled_from(ENCODINGS))}"')
    assert SECRET not in told(lambda: load_corpus(folder, KEY)).lower()


# -- commands ---------------------------------------------------------------------------------------------------------

COMMANDS = (
    ["check"],
    ["check", "--json"],
    ["check", "--task", "lung/model/task.json"],
    ["preview"],
    ["preview", "--json", "--row", "r1"],
    ["anonymize"],
    ["review-sample", "--export", "review.csv"],
    ["search", "--task", "lung/model/task.json", "--trials", "trials.toml", "--yes"],
    ["replay", "--run", "run-1", "--round", "1"],
    ["report"],
)


@pytest.fixture
def joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with keys and a start kit, and a coordinator's task."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ("n.csv", csv_of()))
    assert coordinator.main(["init", "lung", "--host", "localhost"]) == 0
    assert coordinator.main(["task", "lung"]) == 0
    assert cli.main([*AT_SITE, "enroll"]) == 0
    assert coordinator.main(["admit", "lung", "sites/hospital_a/enrolment.json", "--yes"]) == 0
    assert cli.main([*AT_SITE, "join", "lung/kits/hospital_a.json", "--yes"]) == 0
    (tmp_path / "trials.toml").write_text("[search]\ntarget_epsilon = 1\nsteps = 1\n[[trials]]\n")
    return tmp_path


QUICK = ("csv without a header line", "gz that is cut", "parquet with other columns", "xlsx of broken XML")


@pytest.mark.usefixtures("one_self_check", "packaged_model_read_once")
@pytest.mark.parametrize("kinds", [QUICK, pytest.param(tuple(FATAL), marks=pytest.mark.slow)], ids=["quick", "all"])
def test_no_command_quotes_a_file_in_an_error(
    joined: Path, capfd: pytest.CaptureFixture[str], kinds: tuple[str, ...]
) -> None:
    folder = SiteFolder(joined / "sites/hospital_a.toml")
    for kind in kinds:
        write(joined, FATAL[kind])
        for command in COMMANDS:
            code = cli.main([*AT_SITE, *command])
            streams = capfd.readouterr()
            said = streams.out + streams.err
            assert SECRET not in said.lower(), (kind, command)
            assert "Traceback" not in said
            assert "this is a bug" not in said, (kind, command, said)
            assert code in (2, 5) or command == ["report"], (kind, command, said)
        (joined / FATAL[kind][0]).unlink()
    assert not any(SECRET.encode() in path.read_bytes() for path in folder.home.rglob("*") if path.is_file())


@pytest.mark.usefixtures("one_self_check", "packaged_model_read_once")
@pytest.mark.parametrize("kind", ["csv of bad rows", "jsonl of strange cells", "an array of anything"])
def test_no_command_quotes_a_refused_row(joined: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    folder = write(joined, ROWS[kind])
    for command in COMMANDS:
        code = cli.main([*AT_SITE, *command])
        streams = capfd.readouterr()
        said = streams.out + streams.err
        assert "this is a bug" not in said, (kind, command, said)
        if command[0] != "preview" or code:  # a preview shows rows, on command
            assert SECRET not in said.lower(), (kind, command)
    listed = (folder.reports / "refused-rows.csv").read_text()
    assert "malformed" in listed
    assert SECRET not in listed
