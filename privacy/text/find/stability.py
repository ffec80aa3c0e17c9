# SPDX-License-Identifier: Apache-2.0
"""Findings until there are no more: a model reads another text once tags stand in it, and may then find what it left.

The text as it will stand with its tags is read again, and what is found there belongs to the findings too, until
nothing is found. So text that was anonymized by tags and comes back is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from privacy.text.reading.records import Finding
from privacy.text.reading.view import BLANK
from privacy.text.replace.replacement import resolve

ROUNDS = 3
"""In practice the first or second further reading finds nothing; the bound is for texts made to do otherwise."""

Find = Callable[[str], Iterable[Finding]]


def settle(text: str, findings: set[Finding], find: Find) -> set[Finding]:
    """`findings` of `text`, and those of `find` in what stands after tags were written, in offsets of `text`."""
    settled = set(findings)
    for _ in range(ROUNDS):
        if not settled:
            return settled
        tagged = _Tagged(text, resolve(text, settled))
        more = {piece for finding in find(tagged.text) for piece in tagged.to_original(finding)} - settled
        if not more:
            return settled
        settled |= more
    return settled


class _Tagged:
    """`text` with blanks as long as their tags in place of `findings`, as a second reading would see it."""

    def __init__(self, text: str, findings: Iterable[Finding]) -> None:
        pieces: list[str] = []
        self._kept: list[tuple[int, int, int]] = []  # start and end of kept characters here, and how far they moved
        at = here = 0
        for finding in findings:
            self._kept.append((here, here + finding.start - at, at - here))
            blank = BLANK * (len(finding.entity_type) + 2)
            pieces += (text[at : finding.start], blank)
            here += finding.start - at + len(blank)
            at = finding.end
        self._kept.append((here, here + len(text) - at, at - here))
        self.text = "".join((*pieces, text[at:]))

    def to_original(self, finding: Finding) -> Iterator[Finding]:
        """The parts of `finding` that are no blanks, where they stand in the original."""
        for start, end, moved in self._kept:
            first, last = max(start, finding.start), min(end, finding.end)
            if first < last and self.text[first:last].strip(" \t\n,;:/.-"):
                yield Finding(first + moved, last + moved, finding.entity_type, finding.score, finding.recognizer)
