# SPDX-License-Identifier: Apache-2.0
"""Invented figures that identify nobody: counts, doses, laboratory lines; and handles, as chats are full of them."""

from __future__ import annotations

from privacy.text import lists
from privacy.text.invent import people
from privacy.text.invent.dice import Dice


def number(dice: Dice) -> str:
    return str(dice.integer(1, 400) if dice.chance(0.9) else dice.integer(400, 99999))


def decimal(dice: Dice) -> str:
    return f"{dice.uniform() * 20:.{dice.integer(1, 2)}f}"


def dose(dice: Dice) -> str:
    amount = dice.choose((0.5, 1, 2.5, 5, 10, 20, 25, 40, 50, 75, 100, 250, 500, 875, 1000))
    return f"{amount} {dice.choose(('mg', 'mcg', 'mL', 'units', 'g', 'mg/kg', 'mEq'))}"


def lab(dice: Dice) -> str:
    names = dice.shuffled(
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
    joint = dice.choose((", ", " | ", "; ", "  ", "\t"))
    return joint.join(_result(dice, name) for name in names[: dice.integer(2, 8)])


def _result(dice: Dice, name: str) -> str:
    value = f"{dice.uniform() * 150:.{dice.integer(0, 1)}f}"
    return f"{name}{dice.choose((' ', ': ', ' '))}{value}{dice.choose(('', '', '', ' (H)', ' (L)', '*'))}"


def handle(dice: Dice) -> str:
    base = (
        people.first(dice).split()[0].lower()
        if dice.chance(0.5)
        else dice.choose(lists.entries("company_words")).lower().replace(" ", "")
    )
    return f"@{base}{dice.choose(('', '_', dice.digits(2), 'xo', 'HQ', '_official'))}"
