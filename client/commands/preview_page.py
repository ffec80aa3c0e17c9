# SPDX-License-Identifier: Apache-2.0
"""A preview as a local page: rows before and after, with type, score and recognizer of each finding at its mark.

It holds original text and says so, loudly, before anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

from client.commands.text_session import KEEP_HERE
from client.data.corpus_view import CorpusView, RowPreview
from client.review import highlight
from client.review.highlight import Piece, kind_of
from client.review.preview import counts, number
from privacy.pages.html import Child, Element, element, facts, page, styled


def as_page(rows: Sequence[RowPreview], texts: CorpusView, site: str, how: str) -> bytes:
    """The rows as an HTML page. It holds original text. `how` says how they were chosen."""
    types = counts(rows)
    legend = styled("ul", "legend", *(styled("li", kind_of(name), f"{name} {count}") for name, count in types))
    legend.set("aria-label", "Types found in these rows")
    body: list[Child] = [
        element("h1", f"Before and after: {site}"),
        styled("p", "quiet", "Left what stands in the data, right what would be trained on."),
        element("p", KEEP_HERE, attributes={"class": "warning", "role": "note"}),
        facts(
            {
                "Rows shown": f"{len(rows):,} of {len(texts.rows):,}",
                "Chosen": how,
                "Replacement": texts.replacement,
                "Findings": f"{sum(count for _, count in types):,}",
                "Engine": texts.fingerprint[:16],
            }
        ),
        styled("p", "quiet", "Colours go by kind. Point at a mark, or Tab to it, for type, score and recognizer."),
        legend,
    ]
    body += (_section(shown, at, texts.replacement) for at, shown in enumerate(rows, 1))
    return page(f"Before and after: {site}", body)


def _section(shown: RowPreview, at: int, replacement: str) -> Element:
    findings = len(shown.record.findings) if shown.record else 0
    title = element("h2", f"Row {at}: record {shown.row.record_id}")
    header = element("header", title, styled("span", "quiet", f"{shown.split}, {number(findings, 'finding')}"))
    if shown.record is None:
        refusal = styled("p", "side", f"Refused: {shown.refused}. It would not be trained on, and is not shown.")
        return styled("section", "row", header, refusal)
    before = _side("Before: original text", highlight.before(shown.row.text, shown.record.findings))
    right = _side(f"After: {replacement}", highlight.after(shown.row.text, shown.record))
    return styled("section", "row", header, styled("div", "sides", before, right))


def _side(title: str, pieces: Sequence[Piece]) -> Element:
    return styled("div", "side", element("h3", title), styled("p", "text", *(_marked(piece) for piece in pieces)))


def _marked(piece: Piece) -> Element | str:
    if piece.finding is None:
        return piece.text
    finding = piece.finding
    tip = f"{finding.entity_type}, score {finding.score:.2f}, {finding.recognizer}"
    attributes = {"class": kind_of(finding.entity_type), "data-tip": tip, "tabindex": "0", "aria-description": tip}
    return element("mark", piece.text, attributes=attributes)
