# SPDX-License-Identifier: Apache-2.0
"""Invented figures that identify nobody: counts, doses, laboratory lines; and handles, as chats are full of them."""

from __future__ import annotations

from privacy.text import lists
from privacy.text.invent import people
from privacy.text.invent.rng import Rng


def number(rng: Rng) -> str:
    return str(rng.integer(1, 400) if rng.chance(0.9) else rng.integer(400, 99999))


def decimal(rng: Rng) -> str:
    return f"{rng.uniform() * 20:.{rng.integer(1, 2)}f}"


def dose(rng: Rng) -> str:
    amount = rng.choose((0.5, 1, 2.5, 5, 10, 20, 25, 40, 50, 75, 100, 250, 500, 875, 1000))
    return f"{amount} {rng.choose(('mg', 'mcg', 'mL', 'units', 'g', 'mg/kg', 'mEq'))}"


def lab(rng: Rng) -> str:
    names = rng.shuffled(
        (
            "Na",
            "K",
            "Cl",
            "CO2",
            "BUN",
            "Cr",
            "Glu",
            "WBC",
            "Hgb",
            "Hct",
            "Plt",
            "AST",
            "ALT",
            "Alk Phos",
            "T bili",
            "INR",
            "PTT",
            "TSH",
            "Ca",
            "Mg",
            "Phos",
            "CRP",
            "ESR",
            "Lactate",
            "Trop",
        )
    )
    joint = rng.choose((", ", " | ", "; ", "  ", "\t"))
    return joint.join(_result(rng, name) for name in names[: rng.integer(2, 8)])


def _result(rng: Rng, name: str) -> str:
    value = f"{rng.uniform() * 150:.{rng.integer(0, 1)}f}"
    return f"{name}{rng.choose((' ', ': ', ' '))}{value}{rng.choose(('', '', '', ' (H)', ' (L)', '*'))}"


def handle(rng: Rng) -> str:
    base = (
        people.first(rng).split()[0].lower()
        if rng.chance(0.5)
        else rng.choose(lists.entries("company_words")).lower().replace(" ", "")
    )
    return f"@{base}{rng.choose(('', '_', rng.digits(2), 'xo', 'HQ', '_official'))}"
