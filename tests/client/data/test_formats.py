# SPDX-License-Identifier: Apache-2.0
"""A hospital's files are read as they come, it is said what each was taken for, and a row costs itself at most."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.data.formats import DataFile, HowToRead, delimited, encodings, excel
from client.data.formats.rows import RawRow
from privacy.base.errors import SettingsError

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")

COLUMNS = ("text", "label", "patient")
ROWS = [
    ("Müller slept well, no fever", "calm", "p1"),
    ("“Fever” of 39°; café au lait spots", "ill", "p2"),
    ("seen in\nthe ward | stable", "calm", "p3"),
]


def read(path: Path, columns: Sequence[str] = COLUMNS, structured: Sequence[str] = (), **how: str) -> list[Any]:
    """Each row's cells, or why it was refused."""
    rows = [row for _, row in DataFile(path, HowToRead(**how), columns, structured).rows()]
    return [tuple(row.cells[column] for column in columns) if isinstance(row, RawRow) else row for row in rows]


def as_csv(rows: Sequence[Sequence[object]] = ROWS, delimiter: str = ",", header: Sequence[str] = COLUMNS) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return file.getvalue()


def as_jsonl(rows: Sequence[Sequence[object]] = ROWS) -> str:
    return "".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows)


def as_array(rows: Sequence[Sequence[object]] = ROWS) -> str:
    return json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=2, ensure_ascii=False)


def write_xlsx(path: Path, rows: Sequence[Sequence[object]] = ROWS) -> None:
    book = openpyxl.Workbook()
    for row in [COLUMNS, *rows]:
        book.active.append(list(row))
    book.save(path)


def write_notes(path: Path) -> None:
    for text, label, name in ROWS:
        (path / label).mkdir(parents=True, exist_ok=True)
        (path / label / f"{name}.txt").write_text(text)


# -- what is read -----------------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[str, Callable[[], bytes], dict[str, str]]] = {
    "csv with a BOM and quoting": ("a.csv", lambda: as_csv().encode("utf-8-sig"), {}),
    "csv of Windows-1252, said": ("a.csv", lambda: as_csv().encode("cp1252"), {"encoding": "cp1252"}),
    "csv of GB 18030, said": ("a.csv", lambda: as_csv().encode("gb18030"), {"encoding": "gb18030"}),
    "csv with semicolons": ("a.csv", lambda: as_csv(delimiter=";").encode(), {}),
    "csv with tabs": ("a.tsv", lambda: as_csv(delimiter="\t").encode(), {}),
    "csv with pipes": ("a.csv", lambda: as_csv(delimiter="|").encode(), {}),
    "csv with what the settings say": ("a.csv", lambda: as_csv(delimiter="^").encode(), {"delimiter": "^"}),
    "csv of UTF-16, as Excel saves text": ("a.csv", lambda: as_csv(delimiter="\t").encode("utf-16"), {}),
    "csv, packed": ("a.csv.gz", lambda: gzip.compress(as_csv().encode()), {}),
    "jsonl": ("a.jsonl", lambda: as_jsonl().encode(), {}),
    "jsonl, packed": ("a.jsonl.gz", lambda: gzip.compress(as_jsonl().encode()), {}),
    "one JSON array": ("a.json", lambda: as_array().encode(), {}),
    "one JSON array of UTF-16, packed": ("a.json.gz", lambda: gzip.compress(as_array().encode("utf-16")), {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_come_out_of_every_kind_of_text_file(tmp_path: Path, kind: str) -> None:
    name, content, how = KINDS[kind]
    (tmp_path / name).write_bytes(content())
    assert [tuple(cell.replace("\r\n", "\n") for cell in row) for row in read(tmp_path / name, **how)] == ROWS


def test_the_same_rows_come_out_of_a_workbook_and_of_a_folder_of_notes(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "a.xlsx")
    assert read(tmp_path / "a.xlsx") == ROWS
    write_notes(tmp_path / "notes")
    (tmp_path / "notes" / "calm" / ".hidden.txt").write_text("x")
    assert sorted(read(tmp_path / "notes", ("text", "label", "name"))) == sorted(ROWS)
    file = DataFile(tmp_path / "notes", HowToRead(), ("text", "label"))
    assert {row.name for _, row in file.rows() if isinstance(row, RawRow)} == {"p1", "p2", "p3"}
    assert file.taken.startswith("3 files of text")


def test_a_folder_of_notes_without_any_is_an_empty_one_and_notes_have_no_other_columns(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    assert read(tmp_path / "notes", ("text",)) == []
    with pytest.raises(SettingsError, match="has no column patient"):
        read(tmp_path / "notes")


def test_a_long_note_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(as_csv([("word " * 126_000, "calm", "p")]))
    assert len(read(tmp_path / "a.csv")[0][0]) == 630_000


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", as_csv().encode("utf-8-sig"), "csv, utf-8 (its byte order mark), comma between columns"),
        ("a.csv", as_csv(delimiter=";").encode(), "csv, utf-8, semicolon between columns"),
        ("a.tsv", as_csv(delimiter="\t").encode("utf-16"), "csv, utf-16 (its byte order mark), tab between columns"),
        ("a.jsonl.gz", gzip.compress(as_jsonl().encode()), "jsonl, utf-8, unpacked"),
    ],
)
def test_it_is_said_what_a_file_was_taken_for(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert DataFile(tmp_path / name, HowToRead(), COLUMNS).taken == told


# -- encodings --------------------------------------------------------------------------------------------------------


def test_eight_bit_text_is_never_guessed_and_its_rows_are_refused_until_it_is_said_which(tmp_path: Path) -> None:
    plain = ("all of this is ASCII", "calm", "p4")
    for codec in encodings.EIGHT_BIT:
        (tmp_path / "a.csv").write_bytes(as_csv([("Müller", "calm", "p1"), plain]).encode(codec))
        assert read(tmp_path / "a.csv") == ["undecodable", plain]
        assert read(tmp_path / "a.csv", encoding=codec) == [("Müller", "calm", "p1"), plain]
        assert codec.replace("latin-1", "cp1252") in encodings.likely(tmp_path / "a.csv")


def test_an_encoding_that_is_said_is_obeyed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(as_csv([("Müller", "calm", "p1")]).encode())
    assert read(tmp_path / "a.csv", encoding="cp1252") == [("MÃ¼ller", "calm", "p1")]
    assert read(tmp_path / "a.csv", encoding="utf-8") == [("Müller", "calm", "p1")]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_that_is_said_needs_no_mark(tmp_path: Path, codec: str) -> None:
    (tmp_path / "a.csv").write_bytes(as_csv([("Müller", "calm", "p1")]).encode(codec))
    assert read(tmp_path / "a.csv", encoding="utf-16") == [("Müller", "calm", "p1")]
    (tmp_path / "a.jsonl").write_bytes(as_jsonl(ROWS).encode(codec))
    assert read(tmp_path / "a.jsonl", encoding="utf-16") == ROWS


def test_what_might_be_said_leaves_out_what_the_bytes_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text\ncaf\xe9 \x81\n")
    assert encodings.likely(tmp_path / "a.csv") == ["latin-1"]


def test_a_header_in_another_encoding_is_told_with_the_setting_and_is_not_quoted(tmp_path: Path) -> None:
    for content in ("Größe,text\n1,x\n".encode("cp1252"), as_csv().encode("utf-16-le")):
        (tmp_path / "a.csv").write_bytes(content)
        with pytest.raises(SettingsError, match=r"set data\.encoding") as caught:
            read(tmp_path / "a.csv")
        assert "Gr" not in str(caught.value)
    (tmp_path / "a.csv").write_bytes(as_csv().encode("utf-32"))
    with pytest.raises(SettingsError, match="UTF-32"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "gb18030", "cp1252"])
def test_bytes_that_are_no_text_cost_their_row_in_every_encoding(tmp_path: Path, codec: str) -> None:
    lost = {"utf-8": b"\xff", "utf-16": b"\x3d\xd8", "gb18030": b"\xff", "cp1252": b"\x81"}[codec]
    content = as_csv([("one", "x", "p"), ("two", "y", "q")]).encode(codec)
    one = "one".encode(codec).removeprefix(b"\xff\xfe")
    (tmp_path / "a.csv").write_bytes(content.replace(one, one[: len(one) // 3] + lost + one[len(one) // 3 :]))
    how = {} if codec.startswith("utf") else {"encoding": codec}
    assert read(tmp_path / "a.csv", **how) == ["undecodable", ("two", "y", "q")]


# -- packed files and long rows ---------------------------------------------------------------------------------------


def test_a_packed_file_that_unpacks_without_end_is_refused_and_a_cut_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gzip.compress(as_csv([("x" * 5_000_000, "calm", "p")]).encode())
    (tmp_path / "a.csv.gz").write_bytes(content)
    assert len(read(tmp_path / "a.csv.gz")) == 1
    monkeypatch.setattr(encodings, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(SettingsError, match="unpacks to more than"):
        read(tmp_path / "a.csv.gz")
    monkeypatch.undo()
    for cut in (content[: len(content) // 2], b"no gzip at all", b"\x1f\x8b" + os.urandom(200)):
        (tmp_path / "a.csv.gz").write_bytes(cut)
        with pytest.raises(SettingsError, match="cannot be read as csv"):
            read(tmp_path / "a.csv.gz")


def test_a_workbook_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_xlsx(tmp_path / "a.xlsx")
    monkeypatch.setattr(excel, "MAX_UNPACKED", 100)
    with pytest.raises(SettingsError, match="unpacks to more than"):
        read(tmp_path / "a.xlsx")


@pytest.mark.parametrize(("name", "content"), [("a.csv", as_csv), ("a.jsonl", as_jsonl)])
def test_a_row_too_long_to_hold_costs_itself_and_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: Callable[..., str]
) -> None:
    monkeypatch.setattr(encodings, "MAX_LINE", 100)
    (tmp_path / name).write_text(content([("one", "x", "p"), ("long " * 500, "x", "q"), ("two", "y", "r")]))
    assert read(tmp_path / name) == [("one", "x", "p"), "malformed", ("two", "y", "r")]


# -- csv --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    ['"she said "no" to it",ill,p9', "too,few", "one,too,many,cells", '"never closed,ill,p9', '"closed"x,ill,p9'],
)
def test_a_row_of_bad_quoting_is_malformed_with_its_line_and_the_others_are_read(tmp_path: Path, broken: str) -> None:
    (tmp_path / "a.csv").write_text(f'text,label,patient\n"two\nlines",x,p1\n{broken}\nlast,y,p2\nend,"y",p3\n')
    file = DataFile(tmp_path / "a.csv", HowToRead(), COLUMNS)
    rows = list(file.rows())
    assert [file.place(number) for number, row in rows if row == "malformed"] == ["line 4"]
    assert [row.cells["text"] for _, row in rows if isinstance(row, RawRow)] == ["two\nlines", "last", "end"]


def test_a_column_named_twice_or_not_at_all_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label,text,patient\n1,2,3,4\n")
    with pytest.raises(SettingsError, match="names the column text more than once"):
        read(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(" Text ,label,patient\n1,2,3\n")
    with pytest.raises(SettingsError, match="text is there in other letter case or with blanks around it"):
        read(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(SettingsError, match="names 0 columns"):
        read(tmp_path / "a.csv")


def test_the_delimiter_follows_from_the_header_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text;label,extra;patient\n" + "a,b,c,d;x;p\n" * 5)
    assert read(tmp_path / "a.csv", ("text", "patient")) == [("a,b,c,d", "p")] * 5
    assert set(delimited.DELIMITERS) == {",", ";", "\t", "|"}


# -- ids and missing values -------------------------------------------------------------------------------------------


def test_a_whole_number_that_a_file_holds_as_a_float_is_an_id(tmp_path: Path) -> None:
    numbers = [12.0, None, float("nan"), 12.5, 2.0**53, 2.0**60]
    wanted = [("t", 12), ("t", None), ("t", None), "malformed", ("t", 1 << 53), "malformed"]
    table = pa.table({"text": ["t"] * 6, "patient": pa.array(numbers, pa.float64())})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", ("text", "patient")) == wanted
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": "t", "patient": one}) + "\n" for one in numbers))
    assert read(tmp_path / "a.jsonl", ("text", "patient")) == wanted
    assert read(tmp_path / "a.jsonl", ("text", "patient"), ("patient",))[0] == ("t", "12.0")


# -- one row costs one row --------------------------------------------------------------------------------------------

BAD_CELLS = ["", None, True, 1.5, float("inf"), [], {}, "\ud800", "\x00", 10**400, '"', "a\r\nb", date(2020, 1, 1)]
GOOD = [(f"note {at}", "calm", f"p{at}") for at in range(4)]


def write_parquet(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    """Lists of bytes where a cell is a list: nothing says that they are UTF-8."""
    texts = pa.array([[row[0].encode("utf-8", "surrogatepass")] for row in rows], pa.list_(pa.binary()))
    table = pa.table({"text": texts.cast(pa.list_(pa.binary())), "label": [row[1] for row in rows]})
    values = pa.Array.from_buffers(pa.string(), len(rows), texts.values.buffers())
    listed = pa.ListArray.from_arrays(texts.offsets, values)
    pyarrow.parquet.write_table(table.set_column(0, "text", listed), path)


@pytest.mark.parametrize("bad", BAD_CELLS, ids=repr)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_json_row_costs_itself_whatever_it_holds(tmp_path: Path, bad: object, place: int) -> None:
    rows: list[Any] = [*GOOD[:place], (bad, "x", "p"), *GOOD[place:]]
    for name, write in {"a.jsonl": as_jsonl, "a.json": as_array}.items():
        if isinstance(bad, date):
            return
        (tmp_path / name).write_bytes(write(rows).encode("utf-8", "surrogatepass"))
        found = read(tmp_path / name)
        assert [row for at, row in enumerate(found) if at != place] == GOOD


@pytest.mark.parametrize(
    "bad", [b"{", b"[1]", b'{"text": ', b"\xff\xfe", b"[" * 100_000, b'{"text": 1' + b"0" * 5000 + b"}"]
)
def test_a_line_that_is_no_json_costs_itself(tmp_path: Path, bad: bytes) -> None:
    lines = [line.encode() for line in as_jsonl(GOOD).splitlines()]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([bad, *lines]))
    assert read(tmp_path / "a.jsonl")[1:] == GOOD
    (tmp_path / "a.json").write_bytes(b"[" + b",".join([*lines, b'{"text": 1x}', b"7"]) + b"]")
    assert read(tmp_path / "a.json") == [*GOOD, "malformed", "malformed"]


def test_a_column_that_no_row_has_and_a_file_without_rows_are_no_errors(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n')
    file = DataFile(tmp_path / "a.jsonl", HowToRead(), COLUMNS)
    assert [row.cells["label"] for _, row in file.rows() if isinstance(row, RawRow)] == [None]
    assert file.never == {"label", "patient"}
    for name, content in {"b.jsonl": "", "b.json": "[]", "b.csv": as_csv([])}.items():
        (tmp_path / name).write_text(content)
        assert read(tmp_path / name) == []
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(SettingsError, match="does not begin as a JSON array"):
        read(tmp_path / "c.json")


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_cell_of_a_workbook_costs_its_row_whatever_it_holds(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, place: int
) -> None:
    for bad in ("#VALUE!", datetime(2020, 1, 1), True, 1.5, 10**14, "=1/0"):
        rows: list[Any] = [*GOOD[:place], (bad, "x", "p"), *GOOD[place:]]
        write_xlsx(tmp_path / "a.xlsx", rows)
        assert [row for at, row in enumerate(read(tmp_path / "a.xlsx")) if at != place] == GOOD
    book = openpyxl.Workbook()
    for row in [COLUMNS, *GOOD, (1e12, "x", "p")]:
        book.active.append(list(row))
    book.active["A6"].number_format = "yyyy-mm-dd"  # a date beyond all dates: openpyxl warns, and quotes it
    book.save(tmp_path / "a.xlsx")
    assert read(tmp_path / "a.xlsx") == [*GOOD, "malformed"]
    assert not [one for one in recwarn if "openpyxl" in one.filename]


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_cell_of_a_parquet_file_costs_its_row_whatever_it_holds(tmp_path: Path, place: int) -> None:
    rows: list[Any] = [*GOOD[:place], ("\ud800", "x", "p"), *GOOD[place:]]
    write_parquet(tmp_path / "a.parquet", rows)
    found = read(tmp_path / "a.parquet", ("text", "label"), ("text",))
    assert [row for at, row in enumerate(found) if at != place] == [(json.dumps([row[0]]), row[1]) for row in GOOD]
    assert found[place] == "malformed"
    times = pa.array([1_577_836_800_000_000_001 if at == place else None for at in range(5)], pa.timestamp("ns"))
    pyarrow.parquet.write_table(pa.table({"text": ["t"] * 5, "label": times}), tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet", ("text", "label")).count(("t", None)) == 4


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=12), st.text(max_size=3), st.sampled_from("pq")), max_size=4),
    st.tuples(st.text(max_size=20), st.text(max_size=5), st.text(max_size=5)),
    st.integers(0, 4),
    st.sampled_from(list(delimited.DELIMITERS)),
)
def test_no_row_of_a_well_formed_file_changes_another(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    other: tuple[str, str, str],
    place: int,
    delimiter: str,
) -> None:
    path, place = tmp_path_factory.mktemp("rows"), min(place, len(rows))
    joined = [*rows[:place], other, *rows[place:]]
    writers: dict[str, Callable[..., str]] = {
        "a.csv": lambda rows: as_csv(rows, delimiter),
        "a.jsonl": as_jsonl,
        "a.json": as_array,
    }
    for name, write in writers.items():
        found = []
        for given_rows in (rows, joined):
            (path / name).write_bytes(write(given_rows).encode("utf-8", "surrogatepass"))
            found.append(read(path / name))
        assert found[0] == [row for at, row in enumerate(found[1]) if at != place]
