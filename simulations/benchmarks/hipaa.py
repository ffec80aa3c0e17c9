# SPDX-License-Identifier: Apache-2.0
"""Generated clinical notes, and how much of each of the eighteen HIPAA identifiers in them is masked.

The notes of a release come from templates that no rule and no model was developed on, and that their authors alone have
read (privacy/text/invent/templates/held_out.txt), under a seed of their own: a new one each release. Rows are those
of 45 CFR 164.514(b)(2)(i). What that rule lets stand does not count in a row (a state or a country alone, a year or a
decade alone, an age under 90) and is told beside it. Rows 16 and 17 are no text: they count the notes that should be
flagged and were.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privacy.text.invent.notes import TemplateSet, notes
from privacy.text.invent.slots import SLOTS
from simulations.benchmarks import spans
from simulations.benchmarks.findings import Detections
from simulations.benchmarks.report import Row
from simulations.benchmarks.spans import Count, Document, Gold

RELEASE_SEED = 20261125
DEVELOPMENT_SEED = 1
NOTES, QUICK_NOTES = 1000, 40
REACH = ">= 0.97"

ROWS = {
    "names": ("PERSON",),
    "geography": ("LOCATION",),
    "dates": ("DATE_TIME", "AGE"),
    "phone": ("PHONE_NUMBER",),
    "fax": ("FAX_NUMBER",),
    "email": ("EMAIL_ADDRESS",),
    "ssn": ("US_SSN",),
    "mrn": ("MEDICAL_RECORD_NUMBER",),
    "health_plan": ("HEALTH_PLAN_ID",),
    "account": ("ACCOUNT_NUMBER",),
    "licence": ("LICENSE_NUMBER",),
    "vehicle": ("VEHICLE_ID",),
    "device": ("DEVICE_ID",),
    "url": ("URL",),
    "ip": ("IP_ADDRESS",),
    "biometric": (),
    "photo": (),
    "other_id": ("ID_NUMBER",),
}
"""The eighteen rows in order, and the types of the planted values of each."""
SLOTS_OF = {
    kind: frozenset(n for n, slot in SLOTS.items() if slot.entity_type == kind) for kind in ("PERSON", "LOCATION")
}
"""The slots of a type."""
FLAGGED = {"biometric": "BIOMETRIC", "photo": "PHOTO"}
MAY_STAND = frozenset({"state", "country", "region", "year", "decade"})
"""Slots whose values Safe Harbor lets stand."""


def note_documents(seed: int, count: int) -> list[Document]:
    """`count` notes, from templates that nobody has developed on but for DEVELOPMENT_SEED; a gold type is a slot."""
    templates: TemplateSet = "notes" if seed == DEVELOPMENT_SEED else "held_out"
    return [
        Document(piece.text, tuple(Gold(v.start, v.end, v.slot) for v in piece.values), flags)
        for piece, flags in notes(np.random.default_rng([seed, 18]), count, templates)
    ]


def recall_by_row(documents: Sequence[Document], cell: Detections) -> dict[str, Count]:
    """Of the values of each row, those masked whole (names: honorifics may stay)."""
    return {
        name: _flagged(documents, cell, FLAGGED[name])
        if name in FLAGGED
        else spans.spans_masked(documents, cell.masked, _planted(types, MAY_STAND))
        for name, types in ROWS.items()
    }


def hipaa_row(documents: Sequence[Document], ours: Detections, stock: Detections) -> Row:
    """The least recall of the eighteen, with each of them beside it."""
    recalls = {name: count for name, count in recall_by_row(documents, ours).items() if count.planted}
    stock_recalls = recall_by_row(documents, stock)
    worst = min(recalls, key=lambda name: recalls[name].share or 0.0)
    beside = {name: _round(count) for name, count in recalls.items()}
    beside |= {"stock_" + name: _round(stock_recalls[name]) for name in recalls}
    more = {"geography_with_states": "LOCATION", "dates_with_years": "DATE_TIME", "organizations": "ORGANIZATION"}
    for name, kind in more.items():
        beside[name] = _round(spans.spans_masked(documents, ours.masked, _planted((kind,), frozenset())))
    beside["age_under_90"] = _round(
        spans.spans_masked(documents, ours.masked, _planted(("AGE_UNDER_90",), frozenset()))
    )
    beside["flagged_falsely"] = _falsely(documents, ours)
    least = min(count.planted for count in recalls.values())
    note = (
        f"the least is {worst}; {len(documents)} notes, at least {least} values a row; "
        f"{len(recalls)} of 18 rows planted"
    )
    value = _round(recalls[worst])
    return Row("hipaa_recall_min", value, "share", REACH, n=len(documents), beside=beside, note=note)


def _planted(types: Sequence[str], left_out: frozenset[str]) -> spans.GoldFilter:
    slots = {slot for slot, made in SLOTS.items() if made.entity_type in types} - left_out
    return lambda gold: gold.type in slots


def _flagged(documents: Sequence[Document], cell: Detections, flag: str) -> Count:
    due = [flag in raised for one, raised in zip(documents, cell.flags, strict=True) if flag in one.flags]
    return Count(sum(due), len(due))


def _falsely(documents: Sequence[Document], cell: Detections) -> float:
    innocent = [bool(raised) for one, raised in zip(documents, cell.flags, strict=True) if not one.flags]
    return round(sum(innocent) / len(innocent), 5) if innocent else 0.0


def _round(count: Count) -> float:
    return round(count.share or 0.0, 5)
