# SPDX-License-Identifier: Apache-2.0
"""Lines of Markdown from files of figures: a table, all tables of a bench, and what a reader asks of all benches.

Lines are no longer than WIDTH: what a row is beside and how it came about stand in a list below its table.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from simulations.benchmarks.figures.files import FigureFile, FigureTable, Measurement
from simulations.benchmarks.report import Row

WIDTH = 140
COLUMNS = ("name", "value", "unit", "reach", "spread", "n")
REFERENCE = r"(?:[a-z][a-z0-9_]*/)?[a-z][a-z0-9_]*(?:\.[A-Za-z0-9_.]+)?"
_PLACE = re.compile(rf"\{{({REFERENCE})(?::([^{{}}]+))?\}}")
_REACH = re.compile(r"^(>=|<=|<|>)?\s*(\d[\d,.]*)")
_JOINED = "\N{NO-BREAK SPACE}%"
_NUMBERS = ("value", "least", "greatest", "n")

Files = Mapping[str, FigureFile]


def row_of(files: Files, reference: str) -> Row:
    """The row of `bench/row` or `bench/row.field`. Raises KeyError where there is none."""
    bench, _, rest = reference.partition("/")
    name = rest.partition(".")[0]
    for row in files[bench].rows() if bench in files else ():
        if row.name == name:
            return row
    raise KeyError(f"no figure is called {bench}/{name}")


def number_of(files: Files, reference: str) -> float | int | None:
    """The figure of `bench/row`: its value, or with a field behind a dot one beside it, or its least, greatest or n."""
    row, field = row_of(files, reference), reference.partition("/")[2].partition(".")[2] or "value"
    if field in row.beside:
        return row.beside[field]
    if field in ("least", "greatest"):
        return None if row.spread is None else row.spread[field == "greatest"]
    if field in _NUMBERS:
        number: float | int | None = getattr(row, field)
        return number
    raise KeyError(f"beside {row.name} stands no {field}")


def unit_of(files: Files, reference: str) -> str:
    """The unit of a figure. What stands beside a row is a share if nobody says otherwise."""
    field = reference.partition("/")[2].partition(".")[2] or "value"
    row = row_of(files, reference)
    return "share" if field in row.beside else row.unit


def shown(number: float | int | None, form: str = "") -> str:
    """A figure as it is written: four digits, or by `form`: a format, or `%` for a share with one decimal."""
    if number is None:
        return "-"
    if form == "%":
        return f"{100 * number:.1f} %"
    if form:
        return format(number, form)
    if isinstance(number, int) or (abs(number) >= 1000 and number == int(number)):
        return f"{int(number):,}" if abs(number) >= 10_000 else str(int(number))
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def filled(files: Files, bench: str, cell: str) -> str:
    """A cell with its figures in place; a value that is short of its reach is bold."""

    def one(match: re.Match[str]) -> str:
        reference = match[1] if "/" in match[1] else f"{bench}/{match[1]}"
        if reference.endswith(".reach"):
            return row_of(files, reference).reach
        text, is_value = shown(number_of(files, reference), match[2] or ""), "." not in reference
        return _flagged(row_of(files, reference), text) if is_value else text

    return _PLACE.sub(one, cell)


def references_in(bench: str, cell: str) -> Iterator[str]:
    """The figures that a cell shows, each as `bench/row` or `bench/row.field`."""
    for match in _PLACE.finditer(cell):
        yield match[1] if "/" in match[1] else f"{bench}/{match[1]}"


def selected(file: FigureFile, table: FigureTable) -> list[Row]:
    """The rows that a table shows, in the order of its expressions."""
    rows, chosen = list(file.rows()), dict[str, Row]()
    for expression in table.select:
        chosen |= {row.name: row for row in rows if row.name not in chosen and re.fullmatch(expression, row.name)}
    return list(chosen.values())


def rows_in(files: Files, bench: str, table: FigureTable) -> list[str]:
    """The names of all rows of its own file that a table shows, whole or in cells."""
    cited = [one for cells in table.cells for cell in cells for one in references_in(bench, cell)]
    in_cells = [row_of(files, one).name for one in cited if one.startswith(f"{bench}/")]
    return in_cells if table.cells else [row.name for row in selected(files[bench], table)]


def table_lines(files: Files, bench: str, table: FigureTable) -> list[str]:
    """A table, and below it what must be known of its rows."""
    if table.cells:
        body = [tuple(filled(files, bench, cell) for cell in cells) for cells in table.cells]
        return _with_text(table.text, grid(table.columns, body))
    rows = selected(files[bench], table)
    columns = table.columns or tuple(
        column for column in COLUMNS if column in ("name", "value") or any(_field(row, column) for row in rows)
    )
    lines = grid(columns, [tuple(_field(row, column) for column in columns) for row in rows])
    notes = [line for row in rows for line in _note(row)] if table.notes else []
    return _with_text(table.text, [*lines, *(["", *notes] if notes else [])])


def grid(columns: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [_line(columns), "|" + "---|" * len(columns), *(_line(cells) for cells in body)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def _with_text(text: str, lines: Sequence[str]) -> list[str]:
    return [*([*wrapped(text), ""] if text else []), *lines]


def _field(row: Row, column: str) -> str:
    if column == "name":
        return f"`{row.name}`"
    if column == "spread":
        return "" if row.spread is None else f"{shown(row.spread[0])} to {shown(row.spread[1])}"
    if column == "n":
        return str(row.n) if row.n != 1 or row.spread is not None else ""
    return _flagged(row, shown(row.value)) if column == "value" else str(getattr(row, column))


def _flagged(row: Row, text: str) -> str:
    return f"**{text}**" if reached(row) is False else text


def _note(row: Row) -> list[str]:
    beside = ", ".join(f"{name.replace('_', ' ')} {shown(number)}" for name, number in row.beside.items())
    words = "; ".join(part for part in (row.note, f"beside it: {beside}" if beside else "") if part)
    return wrapped(f"`{row.name}`: {words}", "- ") if words else []


def wrapped(text: str, bullet: str = "") -> list[str]:
    """A paragraph or a point of a list, in lines that are short enough. A line never begins with a sign of Markdown."""
    lines = textwrap.wrap(
        text.replace(" %", _JOINED),
        WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = [line.replace(_JOINED, " %") for line in lines]
    return [re.sub(r"^( *)([+#>-] )", r"\1\\\2", line) if at else line for at, line in enumerate(lines)]


def run_line(measurement: Measurement) -> str:
    """What was run, when, on what."""
    machine = measurement.machine
    parts = [
        f"{measurement.date.isoformat()}",
        f"commit `{measurement.commit}`" if measurement.commit else "commit not written down",
        machine.cpu,
        *([f"{machine.cores} cores"] if machine.cores else []),
        *([f"threads: {machine.threads}"] if machine.threads else []),
        *([machine.gpu] if machine.gpu else []),
        *([_took(measurement.seconds)] if measurement.seconds is not None else []),
        *([measurement.conditions] if measurement.conditions else []),
    ]
    return f"`{measurement.command}`: {', '.join(parts)}."


def _took(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"


def marked(table: str, lines: Sequence[str]) -> list[str]:
    """Lines between the marks that say what wrote them."""
    return [f"<!-- {table} -->", "", *lines, "", f"<!-- {table.partition(':')[0]}:end -->"]


def page_lines(files: Files, bench: str) -> list[str]:
    """The whole page of a bench: docs/figures/BENCH.md."""
    return [*marked(f"{bench}:page", _page_lines(files, bench)), ""]


def _page_lines(files: Files, bench: str) -> list[str]:
    file = files[bench]
    lines = [f"# {file.title}", "", f"Written by `make figures` from `{bench}.json`; a change here is lost.", ""]
    lines += [*wrapped(filled(files, bench, file.text)), ""] if file.text else []
    if file.measurements:
        lines += [*(line for one in file.measurements for line in wrapped(run_line(one), "- ")), ""]
    for table in file.tables:
        lines += [f"## {table.title}", "", *table_lines(files, bench, table), ""]
    if file.notes:
        lines += ["## To read these figures", ""]
        lines += [*(line for note in file.notes for line in wrapped(filled(files, bench, note), "- ")), ""]
    return lines[:-1]


def when(files: Files) -> list[str]:
    """All measurements: which command, when, at which commit, how long, and where the tables are."""
    body = [
        (
            f"[{bench}](figures/{bench}.md)",
            f"`{one.command}`",
            one.date.isoformat(),
            f"`{one.commit}`" if one.commit else "",
            _took(one.seconds) if one.seconds is not None else "",
        )
        for bench, file in files.items()
        for one in file.measurements
    ]
    return grid(("figures", "command", "date", "commit", "took"), body)


def reached(row: Row) -> bool | None:
    """Whether a value is within its reach; None where it has none, or one that no machine can judge."""
    match = _REACH.match(row.reach)
    if match is None or row.value is None:
        return None
    bound = float(match[2].rstrip(".,").replace(",", ""))
    return {
        ">=": row.value >= bound,
        "<=": row.value <= bound,
        "<": row.value < bound,
        ">": row.value > bound,
        None: row.value == bound,
    }[match[1]]


def missed(files: Files) -> list[str]:
    """Every figure of every bench that is short of its reach."""
    body = [
        (f"[{bench}](figures/{bench}.md)", f"`{row.name}`", shown(row.value), row.reach, row.unit)
        for bench, file in files.items()
        for row in file.rows()
        if reached(row) is False
    ]
    return grid(("figures", "name", "value", "reach", "unit"), body)


def not_measured(files: Files) -> list[str]:
    """Every figure of every bench that has no value, by the reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for bench, file in files.items():
        for row in file.rows():
            if row.value is None:
                reasons.setdefault((bench, row.note), []).append(row.name)
    lines = []
    for (bench, reason), names in reasons.items():
        some = ", ".join(f"`{name}`" for name in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        lines += wrapped(f"[{bench}](figures/{bench}.md): {some}{more}: {reason.removeprefix('not measured: ')}", "- ")
    return lines


OVERVIEWS = {"all:when": when, "all:missed": missed, "all:not_measured": not_measured}
"""What a page may show of all files, by name."""


def lines_of(files: Files, name: str) -> list[str]:
    """The lines of `bench:table`, or of an overview. Raises KeyError where there is none."""
    if name in OVERVIEWS:
        return OVERVIEWS[name](files)
    bench, _, wanted = name.partition(":")
    for table in files[bench].tables if bench in files else ():
        if table.name == wanted:
            return table_lines(files, bench, table)
    raise KeyError(f"no table is called {name}")
