# SPDX-License-Identifier: Apache-2.0
"""Findings become what stands in their place: a tag such as `<PERSON>`, or what `write` makes of them.

Our own replacement: Presidio's anonymizer merges neighbours of one type. Rules: the union of all findings is replaced,
so no character that any recognizer reported survives; overlapping findings become disjoint ones (`overlaps`) and
neighbours stay apart; a tag that stands in the text already is never touched, so tagging twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from privacy.base.errors import AnonymizationError
from privacy.text.reading.overlaps import disjoint
from privacy.text.reading.records import ENTITY_TYPES, FLAG_TYPES, Finding, in_order
from privacy.text.reading.view import TAG

_TYPES = ENTITY_TYPES | FLAG_TYPES

Write = Callable[[str, str], str | None]
"""What stands in place of a finding of this type with these words; None: the words stay (a type that may be kept)."""


@dataclass(frozen=True, slots=True, repr=False)
class Rewritten:
    """A text with stand-ins: `findings` are those replaced, in offsets of the original; `lengths` of the stand-ins."""

    text: str
    findings: tuple[Finding, ...]
    lengths: tuple[int, ...]


def tag(entity_type: str, words: str) -> str:
    """The tag of a finding, whatever its words."""
    return f"<{entity_type}>"


def resolve(text: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The disjoint, sorted findings that are to be replaced: outside tags, and of types that are replaced at all.

    Raises AnonymizationError for a span outside the text or an unknown type.
    """
    checked = in_order(set(findings))
    for finding in checked:
        _check(finding, len(text))
    return disjoint(text, _outside_tags(text, [f for f in checked if f.entity_type not in FLAG_TYPES]))


def rewrite(text: str, findings: Iterable[Finding], write: Write = tag) -> Rewritten:
    """`text` with every finding replaced by what `write` makes of it.

    Raises AnonymizationError for a span outside the text or an unknown type.
    """
    replaced: list[Finding] = []
    lengths: list[int] = []
    pieces: list[str] = []
    position = 0
    for finding in resolve(text, findings):
        written = write(finding.entity_type, text[finding.start : finding.end])
        if written is None:
            continue
        pieces += (text[position : finding.start], written)
        position = finding.end
        replaced.append(finding)
        lengths.append(len(written))
    return Rewritten("".join([*pieces, text[position:]]), tuple(replaced), tuple(lengths))


def _check(finding: Finding, length: int) -> None:
    if not 0 <= finding.start < finding.end <= length:
        raise AnonymizationError("a finding lies outside its text", next_step="report the engine's fingerprint")
    if finding.entity_type not in _TYPES:
        raise AnonymizationError("a finding has an unknown type", next_step="add its type to records.ENTITY_TYPES")


def _outside_tags(text: str, findings: list[Finding]) -> list[Finding]:
    """The findings without the characters of tags that stand in the text; nothing is left of one inside a tag."""
    tags = [tag.span() for tag in TAG.finditer(text)] if "<" in text else []
    if not tags:
        return findings
    pieces = findings
    for tag_start, tag_end in tags:
        cut: list[Finding] = []
        for piece in pieces:
            for start, end in (
                (piece.start, min(piece.end, tag_start)),
                (max(piece.start, tag_end), piece.end),
            ):
                if start < end and text[start:end].strip():
                    cut.append(Finding(start, end, piece.entity_type, piece.score, piece.recognizer))
        pieces = cut
    return in_order(set(pieces))
