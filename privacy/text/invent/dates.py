# SPDX-License-Identifier: Apache-2.0
"""Invented dates in the forms that people write, from 1921 to 2031, and ages."""

from __future__ import annotations

from privacy.text import lists
from privacy.text.invent.dice import Dice

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _parts(dice: Dice) -> tuple[int, int, int]:
    year = dice.integer(1921, 2031) if dice.chance(0.4) else dice.integer(1985, 2031)
    return year, dice.integer(1, 12), dice.integer(1, 28)


def _ordinal(day: int) -> str:
    return f"{day}{'th' if 10 < day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def _short(month: str) -> str:
    return "Sept" if month == "September" else month[:3]


def numeric_date(dice: Dice) -> str:
    year, month, day = _parts(dice)
    two = year % 100
    return dice.choose(
        (
            f"{month:02d}/{day:02d}/{year}",
            f"{month}/{day}/{two:02d}",
            f"{month:02d}-{day:02d}-{year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{day}.{month:02d}.{year}",
            f"{day}/{month}/{year}",
            f"{day:02d}.{month:02d}.{two:02d}",
            f"{year}/{month:02d}/{day:02d}",
            f"{month:02d}/{day:02d}/{two:02d}",
            f"{day:02d}-{month:02d}-{two:02d}",
            f"{year}{month:02d}{day:02d}",
            f"{day:02d}-{_short(MONTHS[month - 1])}-{year}",
            f"{day:02d}{_short(MONTHS[month - 1]).upper()}{year}",
            f"{year}-{month:02d}-{day:02d} {dice.integer(0, 23):02d}:{dice.integer(0, 59):02d}",
        )
    )


def full_date(dice: Dice) -> str:
    if dice.chance(0.3):
        return numeric_date(dice)
    year, month, day = _parts(dice)
    name = MONTHS[month - 1]
    return dice.choose(
        (
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{name} {day} {year}",
            f"{_short(name)} {day}, {year}",
            f"{_short(name)}. {day}, {year}",
            f"{day} {_short(name)} {year}",
            f"{_ordinal(day)} {name} {year}",
            f"{name} {_ordinal(day)}, {year}",
            f"the {_ordinal(day)} of {name}, {year}",
            f"{dice.choose(DAYS)}, {name} {day}, {year}",
            f"{dice.choose(DAYS)} {day} {name} {year}",
            f"{_ordinal(day)} of {name} {year}",
            f"{day}-{_short(name)}-{year % 100:02d}",
        )
    )


def day_month(dice: Dice) -> str:
    _, month, day = _parts(dice)
    name = MONTHS[month - 1]
    return dice.choose(
        (
            f"{name} {day}",
            f"{day} {name}",
            f"{name} {_ordinal(day)}",
            f"{_short(name)} {day}",
            f"{_short(name)}. {day}",
            f"{month}/{day}",
            f"{month:02d}/{day:02d}",
            f"the {_ordinal(day)} of {name}",
            f"{_ordinal(day)} {name}",
            f"{day}/{month}",
        )
    )


def month(dice: Dice) -> str:
    return dice.choose(MONTHS)


def month_year(dice: Dice) -> str:
    year, number, _ = _parts(dice)
    name = MONTHS[number - 1]
    return dice.choose(
        (
            f"{name} {year}",
            f"{name} {year}",
            f"{_short(name)} {year}",
            f"{number:02d}/{year}",
            f"{name} of {year}",
            f"{_short(name)}-{year % 100:02d}",
        )
    )


def year(dice: Dice) -> str:
    return str(_parts(dice)[0]) if dice.chance(0.93) else f"'{dice.integer(0, 99):02d}"


def weekday(dice: Dice) -> str:
    return dice.choose(DAYS) if dice.chance(0.85) else dice.choose(DAYS)[:3]


def holiday(dice: Dice) -> str:
    return dice.choose(lists.entries("holidays"))


def decade(dice: Dice) -> str:
    return dice.choose(("the {}s", "{}s", "the early {}s", "the late {}s", "mid-{}s")).format(
        dice.choose(("1960", "1970", "1980", "1990", "2000", "80", "90", "70"))
    )


def date_range(dice: Dice) -> str:
    first = _parts(dice)[0]
    name = dice.choose(MONTHS)
    day = dice.integer(1, 20)
    return dice.choose(
        (
            f"{first}-{first + dice.integer(1, 12)}",
            f"{first} to {first + dice.integer(1, 9)}",
            f"{name} {day}-{day + dice.integer(1, 8)}",
            f"{day} to {day + dice.integer(1, 8)} {name} {first}",
            f"{name} to {dice.choose(MONTHS)} {first}",
            f"{first}-{(first + 3) % 100:02d}",
            f"{day} {name} - {dice.integer(1, 28)} {dice.choose(MONTHS)} {first}",
        )
    )


def date(dice: Dice) -> str:
    """A date in any form."""
    roll = dice.uniform()
    if roll < 0.45:
        return full_date(dice)
    if roll < 0.6:
        return numeric_date(dice)
    if roll < 0.76:
        return day_month(dice)
    if roll < 0.86:
        return month_year(dice)
    return year(dice) if roll < 0.95 else weekday(dice)


def time(dice: Dice) -> str:
    hour, minute = dice.integer(0, 23), dice.integer(0, 59)
    return dice.choose(
        (
            f"{hour:02d}:{minute:02d}",
            f"{hour % 12 + 1}:{minute:02d} {dice.choose(('AM', 'PM', 'am', 'pm'))}",
            f"{hour:02d}{minute:02d}",
            f"{hour % 12 + 1} pm",
        )
    )


def age(dice: Dice) -> str:
    return str(dice.integer(1, 89) if dice.chance(0.95) else dice.integer(90, 104))


def old_age(dice: Dice) -> str:
    return str(dice.integer(90, 106))
