# SPDX-License-Identifier: Apache-2.0
"""For development: some of what was missed, or masked in vain, in its surroundings. Never on what a release is measured
on: `simulations/benchmarks/anonymize.py` calls this under --dev alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from privacy.text.invent.slots import SLOTS
from simulations.benchmarks import hipaa, spans
from simulations.benchmarks.findings import Detections
from simulations.benchmarks.spans import Document, Gold, Masked

IN_VAIN = frozenset({"ncbi_disease", "mtsamples"})
"""Sets whose figures count what is masked and should not be."""
T = TypeVar("T")


def lines(name: str, documents: Sequence[Document], cell: Detections, limit: int) -> Iterator[str]:
    """At most `limit` lines, spread evenly over the set."""
    if name in IN_VAIN:
        masks = [(document, one) for document, masked in zip(documents, cell.masked, strict=True) for one in masked]
        yield from (_line(name, document, one) for document, one in _spread(masks, limit))
        return
    missed = list(spans.missed(documents, cell.masked, wanted))
    yield from (_line(name, document, gold) for document, gold in _spread(missed, limit))


def wanted(gold: Gold) -> bool:
    """Whether a figure asks for this span."""
    if gold.type in SLOTS:
        kind = SLOTS[gold.type].entity_type
        return gold.type not in hipaa.MAY_STAND and any(kind in kinds for kinds in hipaa.ROWS.values())
    return gold.identifier != "NO_MASK"


def _spread(places: Sequence[T], limit: int) -> list[T]:
    step = max(1, len(places) // limit)
    return list(places[::step][:limit])


def _line(name: str, document: Document, one: Gold | Masked) -> str:
    before, after = document.text[max(0, one.start - 40) : one.start], document.text[one.end : one.end + 30]
    kind = f"{one.type} by {one.recognizer}" if isinstance(one, Masked) else one.type
    return f"  {name} {kind}: {before!r} >>>{document.text[one.start : one.end]!r}<<< {after!r}"
