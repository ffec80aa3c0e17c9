# SPDX-License-Identifier: Apache-2.0
"""Marked spans on their way through anonymization: offsets of the original text become offsets of the new one.

A border inside a replaced finding moves to the border of its stand-in, outwards: a marked name whose half was found
comes out as the whole stand-in, and no span is lost. What is marked is told by the row's own spans and findings alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from privacy.text.reading.records import Span
from privacy.text.replace.replacement import Rewritten


def carry(spans: Sequence[Span], rewritten: Rewritten) -> tuple[Span, ...]:
    """`spans` of the original text in offsets of `rewritten.text`, in the same order."""
    if not spans:
        return ()
    starts = [finding.start for finding in rewritten.findings]
    moved: list[tuple[int, int]] = []  # where each stand-in begins and ends in the new text
    shift = 0
    for finding, length in zip(rewritten.findings, rewritten.lengths, strict=True):
        moved.append((finding.start + shift, finding.start + shift + length))
        shift += length - (finding.end - finding.start)

    def place(offset: int, *, is_end: bool) -> int:
        at = bisect_right(starts, offset - is_end) - 1  # the last finding that begins before this border
        if at < 0:
            return offset
        finding, (start, end) = rewritten.findings[at], moved[at]
        if offset - is_end < finding.end:
            return end if is_end else start
        return offset - finding.end + end

    return tuple(Span(place(s.start, is_end=False), place(s.end, is_end=True), s.label) for s in spans)
