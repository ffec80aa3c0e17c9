# SPDX-License-Identifier: Apache-2.0
"""Invented dates in the forms that people write, from 1921 to 2031, and ages."""

from __future__ import annotations

from privacy.text import lists
from privacy.text.invent.rng import Rng

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


def _parts(rng: Rng) -> tuple[int, int, int]:
    year = rng.integer(1921, 2031) if rng.chance(0.4) else rng.integer(1985, 2031)
    return year, rng.integer(1, 12), rng.integer(1, 28)


def _ordinal(day: int) -> str:
    return f"{day}{'th' if 10 < day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def _short(month: str) -> str:
    return "Sept" if month == "September" else month[:3]


def numeric_date(rng: Rng) -> str:
    year, month, day = _parts(rng)
    two = year % 100
    return rng.choose(
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
            f"{year}-{month:02d}-{day:02d} {rng.integer(0, 23):02d}:{rng.integer(0, 59):02d}",
        )
    )


def full_date(rng: Rng) -> str:
    if rng.chance(0.3):
        return numeric_date(rng)
    year, month, day = _parts(rng)
    name = MONTHS[month - 1]
    return rng.choose(
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
            f"{rng.choose(DAYS)}, {name} {day}, {year}",
            f"{rng.choose(DAYS)} {day} {name} {year}",
            f"{_ordinal(day)} of {name} {year}",
            f"{day}-{_short(name)}-{year % 100:02d}",
        )
    )


def day_month(rng: Rng) -> str:
    _, month, day = _parts(rng)
    name = MONTHS[month - 1]
    return rng.choose(
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


def month(rng: Rng) -> str:
    return rng.choose(MONTHS)


def month_year(rng: Rng) -> str:
    year, number, _ = _parts(rng)
    name = MONTHS[number - 1]
    return rng.choose(
        (
            f"{name} {year}",
            f"{name} {year}",
            f"{_short(name)} {year}",
            f"{number:02d}/{year}",
            f"{name} of {year}",
            f"{_short(name)}-{year % 100:02d}",
        )
    )


def year(rng: Rng) -> str:
    return str(_parts(rng)[0]) if rng.chance(0.93) else f"'{rng.integer(0, 99):02d}"


def weekday(rng: Rng) -> str:
    return rng.choose(DAYS) if rng.chance(0.85) else rng.choose(DAYS)[:3]


def holiday(rng: Rng) -> str:
    return rng.choose(lists.entries("holidays"))


def decade(rng: Rng) -> str:
    return rng.choose(("the {}s", "{}s", "the early {}s", "the late {}s", "mid-{}s")).format(
        rng.choose(("1960", "1970", "1980", "1990", "2000", "80", "90", "70"))
    )


def date_range(rng: Rng) -> str:
    first = _parts(rng)[0]
    name = rng.choose(MONTHS)
    day = rng.integer(1, 20)
    return rng.choose(
        (
            f"{first}-{first + rng.integer(1, 12)}",
            f"{first} to {first + rng.integer(1, 9)}",
            f"{name} {day}-{day + rng.integer(1, 8)}",
            f"{day} to {day + rng.integer(1, 8)} {name} {first}",
            f"{name} to {rng.choose(MONTHS)} {first}",
            f"{first}-{(first + 3) % 100:02d}",
            f"{day} {name} - {rng.integer(1, 28)} {rng.choose(MONTHS)} {first}",
        )
    )


def date(rng: Rng) -> str:
    """A date in any form."""
    roll = rng.uniform()
    if roll < 0.45:
        return full_date(rng)
    if roll < 0.6:
        return numeric_date(rng)
    if roll < 0.76:
        return day_month(rng)
    if roll < 0.86:
        return month_year(rng)
    return year(rng) if roll < 0.95 else weekday(rng)


def time(rng: Rng) -> str:
    hour, minute = rng.integer(0, 23), rng.integer(0, 59)
    return rng.choose(
        (
            f"{hour:02d}:{minute:02d}",
            f"{hour % 12 + 1}:{minute:02d} {rng.choose(('AM', 'PM', 'am', 'pm'))}",
            f"{hour:02d}{minute:02d}",
            f"{hour % 12 + 1} pm",
        )
    )


def age(rng: Rng) -> str:
    return str(rng.integer(1, 89) if rng.chance(0.95) else rng.integer(90, 104))


def old_age(rng: Rng) -> str:
    return str(rng.integer(90, 106))
