# SPDX-License-Identifier: Apache-2.0
"""The shapes of planted identifiers. Each function returns one value, written in one of the ways that records write it.

Telephone numbers lie in ranges reserved for fiction (555-01xx; 020 7946 0xxx), public hosts under example.* (RFC 2606).
"""

from __future__ import annotations

import datetime
import unicodedata

from privacy.text.invent.rng import Rng
from simulations._phrases.condition import listed

_MONTHS = listed(
    """
    January; February; March; April; May; June; July; August; September; October; November; December
    """
)
_AREA_CODES = ("212", "303", "312", "415", "504", "602", "617", "713", "804", "919")
_PRIVATE_HOSTS = ("stbrennan.local", "wards.northvale.local", "mail.hospital.local", "clinic.intranet.local")
_PUBLIC_HOSTS = ("example.com", "mail.example.org", "post.example.net", "northvale.example.org")
_STREETS = listed(
    """
    Alder Street; Brickyard Lane; Calloway Avenue; Dunmore Road; Eastgate Drive; Ferry Hill Road; Gallows Court;
    Harrow Boulevard; Ironbridge Way; Juniper Terrace; Kestrel Close; Lockkeeper Lane; Martingale Street;
    Nettle Row; Orchard Parkway; Quarry Bank
    """
)
_TOWNS = listed(
    """
    Northvale; Quarryford; Saltmarsh; Briar Glen; Ostermouth; Lake Harlan; Tolliver; Pennymoor; Cedar Notch;
    Wexcombe; Millrace
    """
)
_STATES = ("OH", "PA", "NM", "MN", "GA", "OR", "VT", "TX", "MI", "NC")


def date(rng: Rng, first_year: int = 2019, last_year: int = 2025) -> str:
    """A day between two years, in one of nine formats; three of them spell the month."""
    day = datetime.date(rng.integer(first_year, last_year), rng.integer(1, 12), rng.integer(1, 28))
    month = _MONTHS[day.month - 1]
    ordinal = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10 if day.day not in (11, 12, 13) else 0, "th")
    return rng.choose(
        (
            f"{day:%m/%d/%Y}",
            f"{day.month}/{day.day}/{day:%y}",
            f"{day:%Y-%m-%d}",
            f"{day:%d.%m.%Y}",
            f"{day.day:02d}-{month[:3]}-{day.year}",
            f"{day.day} {month} {day.year}",
            f"{month[:3]} {day.day}, {day.year}",
            f"{month} {day.day}{ordinal}",
            f"{day.day}{ordinal} of {month}",
        )
    )


def birth_date(rng: Rng, age: int) -> str:
    """The date of birth of somebody of about `age` years."""
    year = 2024 - age
    return rng.choose(
        (
            f"{rng.integer(1, 12):02d}/{rng.integer(1, 28):02d}/{year}",
            f"{year}-{rng.integer(1, 12):02d}-{rng.integer(1, 28):02d}",
            f"{rng.integer(1, 28)} {rng.choose(_MONTHS)} {year}",
            f"{rng.integer(1, 28):02d}.{rng.integer(1, 12):02d}.{year}",
        )
    )


def phone(rng: Rng) -> str:
    area, line = rng.choose(_AREA_CODES), f"01{rng.digits(2)}"
    return rng.choose(
        (
            f"({area}) 555-{line}",
            f"{area}-555-{line}",
            f"{area}.555.{line}",
            f"+1 {area} 555 {line}",
            f"{area}555{line}",
            f"({area}) 555-{line} ext. {rng.digits(3)}",
            f"+44 20 7946 0{rng.digits(3)}",
        )
    )


def _ascii(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if c.isascii() and c.isalpha()) or "box"


def email(rng: Rng, given: str, family: str) -> str:
    """An address made of the person's name; two in five are on a host inside the hospital (.local)."""
    first, last = _ascii(given), _ascii(family)
    user = rng.choose((f"{first}.{last}", f"{first[0]}{last}", f"{last}{rng.digits(2)}", f"{first}_{last[0]}"))
    return f"{user}@{rng.choose(_PRIVATE_HOSTS if rng.chance(0.4) else _PUBLIC_HOSTS)}"


def mrn(rng: Rng) -> str:
    return rng.choose(
        (
            f"{rng.integer(1, 9)}{rng.digits(6)}",
            f"00{rng.digits(6)}",
            f"H{rng.digits(7)}",
            f"{rng.digits(3)}-{rng.digits(4)}",
        )
    )


def ssn(rng: Rng) -> str:
    """Nine digits in the form of a number that could have been issued: no 000, 666 or 9xx in front, no zero group."""
    area = rng.integer(1, 665) if rng.chance(0.75) else rng.integer(667, 899)
    parts = (f"{area:03d}", f"{rng.integer(1, 99):02d}", f"{rng.integer(1, 9999):04d}")
    return rng.choose(("-", "-", "-", " ", "")).join(parts)


def address(rng: Rng) -> str:
    """Street, town, state and ZIP; sometimes the town and ZIP alone."""
    place = f"{rng.choose(_TOWNS)}, {rng.choose(_STATES)} {rng.integer(1, 9)}{rng.digits(4)}"
    return place if rng.chance(0.3) else f"{rng.integer(2, 9899)} {rng.choose(_STREETS)}, {place}"


def account(rng: Rng) -> str:
    return rng.choose((f"{rng.digits(4)}-{rng.digits(6)}", f"AC{rng.digits(9)}", rng.digits(12)))


def url(rng: Rng) -> str:
    page = "".join(rng.choose("abcdef0123456789") for _ in range(8))
    return rng.choose(
        (
            f"https://portal.{rng.choose(_PUBLIC_HOSTS)}/r/{page}",
            f"http://records.{rng.choose(_PRIVATE_HOSTS)}/{page}",
            f"www.example.org/chart/{page}",
        )
    )
