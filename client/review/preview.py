# SPDX-License-Identifier: Apache-2.0
"""Rows before and after, side by side: which rows, and how a terminal shows them.

Rules: original text is shown on explicit command, in a preview and in a review; what a reader sees as "after" is what
would be trained on, in the site's own replacement mode; without colours, what was found stands in brackets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from client.data.corpus_view import CorpusView, RowPreview
from client.review import highlight
from client.review.highlight import Piece, kind_of
from privacy.base.errors import SettingsError
from privacy.base.randomness import PublicSeed
from privacy.commandline.terminal import visible

STYLES: Final = {
    "people": "bold red",
    "places": "bold green",
    "organizations": "bold yellow",
    "times": "bold blue",
    "contact": "bold magenta",
    "care": "bold cyan",
    "numbers": "bold reverse",
}
"""By kind: the sixteen colours that each terminal's own theme makes readable, in light and in dark."""

_STEERS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
"""What a terminal obeys, and marks that turn the direction of text: they could show a finding where there is none."""


def choose(texts: CorpusView, record_ids: Sequence[str], *, count: int, seed: int) -> list[int]:
    """The rows to show: those with `record_ids`, else `count` drawn by `seed`; split by split, in the data's order.

    Raises SettingsError when no row has one of the ids.
    """
    if not record_ids:
        # by text: without keys the split, and so the order, is another one each time
        by_text = sorted(range(len(texts.rows)), key=lambda at: texts.rows[at][1].text)
        generator = PublicSeed.from_integer(seed).derive("preview").numpy_generator()
        return sorted(by_text[at] for at in generator.permutation(len(by_text))[:count])
    chosen = [at for at, (_, row) in enumerate(texts.rows) if row.record_id in record_ids]
    missing = set(record_ids) - {texts.rows[at][1].record_id for at in chosen}
    if missing:
        raise SettingsError(
            f"{len(missing)} of {len(set(record_ids))} rows asked for are not among the {len(texts.rows)} in use",
            next_step="take record ids as data.record_column has them, or as a preview without --row shows them",
        )
    return chosen


def counts(rows: Sequence[RowPreview]) -> list[tuple[str, int]]:
    """How often each entity type was found in `rows`, most frequent first."""
    counter = Counter(f.entity_type for shown in rows if shown.record for f in shown.record.findings)
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def as_json(rows: Sequence[RowPreview]) -> list[dict[str, object]]:
    """The rows as one JSON value, original text included."""
    return [
        {
            "record_id": shown.row.record_id,
            "split": shown.split,
            "before": shown.row.text,
            "after": shown.record.text if shown.record else None,
            "refused": shown.refused,
            "findings": [
                {"start": f.start, "end": f.end, "type": f.entity_type, "score": f.score, "recognizer": f.recognizer}
                for f in (shown.record.findings if shown.record else ())
            ],
        }
        for shown in rows
    ]


# In a terminal --------------------------------------------------------------------------------------------------------


def in_terminal(rows: Sequence[RowPreview], texts: CorpusView, console: Console) -> RenderableType:
    """Legend and rows, as wide as `console`."""
    parts: list[RenderableType] = [_legend(counts(rows), console), Text()]
    for at, shown in enumerate(rows, 1):
        parts += (_heading(shown, at, len(rows)), beside(shown, console, after=f"AFTER ({texts.replacement})"))
    return Group(*parts)


def beside(shown: RowPreview, console: Console, *, after: str) -> RenderableType:
    """One row: the original on the left, what would be trained on on the right; one below the other where narrow."""
    if shown.record is None:
        return Text(f"refused: {shown.refused}; it would not be trained on, and is not shown\n", style="bold")
    plain = console.no_color or not console.is_terminal
    before = _coloured(highlight.before(shown.row.text, shown.record.findings), brackets=plain)
    right = _coloured(highlight.after(shown.row.text, shown.record), brackets=False)
    if console.width < 60:
        return Group(Text("BEFORE", style="bold"), before, Text(after, style="bold"), right, Text())
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1), pad_edge=False)
    table.add_column("BEFORE (original)", ratio=1, overflow="fold")
    table.add_column(after, ratio=1, overflow="fold")
    table.add_row(before, right)
    return table


def _coloured(pieces: Sequence[Piece], *, brackets: bool) -> Text:
    text = Text(overflow="fold")
    for piece in pieces:
        words = _STEERS.sub("\ufffd", piece.text)
        if piece.finding is None:
            text.append(words)
        else:
            shape = f"[{words}]" if brackets else words
            text.append(shape, style=STYLES[kind_of(piece.finding.entity_type)])
    return text


def _heading(shown: RowPreview, at: int, of: int) -> Text:
    findings = len(shown.record.findings) if shown.record else 0
    heading = f"Row {at} of {of}   record {shown.row.record_id}   {shown.split}   {number(findings, 'finding')}"
    return Text(visible(heading), style="bold")


def _legend(types: Sequence[tuple[str, int]], console: Console) -> Text:
    legend = Text("Found in these rows:  " if types else "Nothing was found in these rows.", overflow="fold")
    for entity_type, count in types:
        legend.append(f"{entity_type}\u00a0{count}", style=STYLES[kind_of(entity_type)])
        legend.append("  ")
    if types and (console.no_color or not console.is_terminal):
        legend.append(" (on the left in [brackets])")
    return legend


def number(count: int, noun: str) -> str:
    """ "1 row", "2 rows"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
