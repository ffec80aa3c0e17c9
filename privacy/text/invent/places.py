# SPDX-License-Identifier: Apache-2.0
"""Invented places: towns, regions, landmarks, and addresses in the forms of many countries, on one line or several."""

from __future__ import annotations

from collections.abc import Callable

from privacy.text import lists
from privacy.text.invent import people
from privacy.text.invent.rng import Rng

_PREFIXES = (
    "North",
    "South",
    "East",
    "West",
    "New",
    "Port",
    "Lake",
    "Mount",
    "Fort",
    "San",
    "Santa",
    "Saint",
    "Upper",
    "Lower",
)
_ENDINGS = (
    "ville",
    "ton",
    "burg",
    "ford",
    "field",
    "ham",
    "bury",
    " City",
    " Springs",
    " Falls",
    " Beach",
    " Heights",
    "",
)
_UNITS = ("Apt", "Apt.", "Unit", "Suite", "Ste", "Ste.", "Flat", "Room", "#", "Apartment", "Floor", "Bldg")
_COUNTRY_LINES = 0.25


def city(rng: Rng) -> str:
    """A town: known, of many countries, or invented."""
    roll = rng.uniform()
    if roll < 0.5:
        return rng.choose(lists.entries("cities"))
    if roll < 0.75:
        return rng.choose(lists.entries("places"))
    name = people.invented(rng, "places")
    if roll < 0.92:
        return name + rng.choose(_ENDINGS)
    return f"{rng.choose(_PREFIXES)} {name}"


def state(rng: Rng) -> str:
    return rng.choose(lists.entries("states_us")).split("\t")[0]


def state_code(rng: Rng) -> str:
    return rng.choose(lists.entries("states_us")).split("\t")[1]


def country(rng: Rng) -> str:
    return rng.choose(lists.entries("countries"))


def city_state(rng: Rng) -> str:
    """'Town, ST', 'Town, State' or 'Town, Country'."""
    roll = rng.uniform()
    behind = state_code(rng) if roll < 0.5 else state(rng) if roll < 0.7 else country(rng)
    return f"{city(rng)}{rng.choose((', ', ', ', ', ', ' '))}{behind}"


def region(rng: Rng) -> str:
    if rng.chance(0.65):
        return rng.choose(lists.entries("regions"))
    name = people.invented(rng, "places") if rng.chance(0.5) else people.last(rng)
    form = rng.choose(
        (
            "{} County",
            "County {}",
            "{} District",
            "Lake {}",
            "{} Valley",
            "{} Province",
            "{} River",
            "{} Hills",
            "the {} Mountains",
            "{} Island",
            "Province of {}",
            "{} Parish",
            "{} Township",
            "{} Bay",
        )
    )
    return form.format(name)


def landmark(rng: Rng) -> str:
    if rng.chance(0.6):
        return rng.choose(lists.entries("landmarks"))
    name = people.last(rng) if rng.chance(0.5) else people.invented(rng, "places")
    kind = rng.choose(
        ("Park", "Bridge", "Airport", "Station", "Mall", "Square", "Stadium", "Museum", "Plaza", "Beach", "Market")
    )
    return f"{name} {kind}"


def place(rng: Rng) -> str:
    roll = rng.uniform()
    if roll < 0.5:
        return city(rng)
    if roll < 0.6:
        return city_state(rng)
    if roll < 0.72:
        return country(rng)
    if roll < 0.8:
        return state(rng)
    return region(rng) if roll < 0.92 else landmark(rng)


# -- addresses ---------------------------------------------------------------------------------------------------------


def zip_code(rng: Rng) -> str:
    """A postal code of some country, most of them of the US."""
    shapes = (
        "#####",
        "#####",
        "#####",
        "#####-####",
        "####",
        "@## #@@",
        "@@# #@@",
        "@#@ #@#",
        "#### @@",
        "### ##",
        "##-###",
        "######",
        "#####-###",
    )
    return rng.shaped(rng.choose(shapes))


def _road(rng: Rng) -> str:
    roll = rng.uniform()
    if roll < 0.4:
        name = rng.choose(lists.entries("streets_words"))
    elif roll < 0.7:
        name = people.last(rng)
    elif roll < 0.8:
        name = str(rng.integer(1, 180))
        name += "th" if name[-1] not in "123" or name[-2:-1] == "1" else {"1": "st", "2": "nd", "3": "rd"}[name[-1]]
    else:
        name = people.invented(rng, "places")
    kind = rng.choose(lists.entries("street_types"))
    compass = rng.choose(("N ", "S ", "E ", "W ", "North ", "SW ")) if rng.chance(0.1) else ""
    return f"{compass}{name} {kind}"


def _abroad(rng: Rng) -> str:
    name = "foreign_streets" if rng.chance(0.45) else "streets_abroad"
    if rng.chance(0.2):
        return people.invented(rng, "places") + rng.choose(
            ("straße", "strasse", "gatan", "vej", "weg", "laan", "gade", "straat", "veien", " utca", " ulica", " cesta")
        )
    if rng.chance(0.15):
        return rng.choose(
            ("Rua ", "Via ", "Calle ", "Rue ", "Avenida ", "Rue de ", "ul. ", "Strada ", "Carrer de ")
        ) + people.last(rng)
    return rng.choose(lists.entries(name))


def _number(rng: Rng) -> str:
    roll = rng.uniform()
    if roll < 0.8:
        return str(rng.integer(1, 9999 if rng.chance(0.5) else 250))
    if roll < 0.9:
        return f"{rng.integer(1, 250)}{rng.choose('ABCabcd')}"
    return f"{rng.integer(1, 90)}{rng.choose('-/')}{rng.integer(1, 99)}"


def street(rng: Rng) -> str:
    """House number and street, in the order of some country."""
    return f"{_number(rng)} {_road(rng)}" if rng.chance(0.65) else f"{_abroad(rng)} {_number(rng)}"


def _unit(rng: Rng) -> str:
    name = rng.choose((str(rng.integer(1, 900)), rng.choose("ABCDEF"), f"{rng.integer(1, 40)}{rng.choose('ABC')}"))
    return f"{rng.choose(_UNITS)} {name}"


def _us(rng: Rng) -> list[str]:
    first = f"{_number(rng)} {_road(rng)}"
    if rng.chance(0.25):
        first += rng.choose((", ", " ")) + _unit(rng)
    behind = state_code(rng) if rng.chance(0.85) else state(rng)
    code = rng.shaped("#####" if rng.chance(0.85) else "#####-####")
    return [first, f"{city(rng)}{rng.choose((', ', ', ', ' '))}{behind} {code}"]


def _uk(rng: Rng) -> list[str]:
    code = rng.shaped(rng.choose(("@@# #@@", "@@## #@@", "@# #@@", "@@#@ #@@")))
    lines = [f"{_number(rng)} {_road(rng)}"]
    if rng.chance(0.25):
        lines.insert(0, f"{_unit(rng)}")
    if rng.chance(0.3):
        lines.append(people.invented(rng, "places"))
    return [*lines, city(rng), code] if rng.chance(0.6) else [*lines, f"{city(rng)} {code}"]


def _commonwealth(rng: Rng) -> list[str]:
    first = f"{_number(rng)} {_road(rng)}"
    town = city(rng)
    tail = rng.choose(
        (
            f"{town} {rng.choose(('NSW', 'VIC', 'QLD', 'WA', 'SA', 'TAS'))} {rng.digits(4)}",
            f"{town}, {rng.choose(('ON', 'BC', 'QC', 'AB', 'MB', 'NS'))} {rng.shaped('@#@ #@#')}",
            f"{town} {rng.digits(6)}",
            f"{town} - {rng.digits(6)}",
            f"{town} {rng.digits(4)}",
            f"{town}, {rng.digits(4)}",
        )
    )
    return [first, tail]


def _continental(rng: Rng) -> list[str]:
    first = (
        f"{_abroad(rng)} {_number(rng)}"
        if rng.chance(0.75)
        else f"{_number(rng)}{rng.choose((' ', ', '))}{_abroad(rng)}"
    )
    code = rng.shaped(
        rng.choose(("#####", "#####", "####", "#### @@", "### ##", "##-###", "#####-###", "####-###", "@-####"))
    )
    town = city(rng)
    behind = rng.choose(
        (
            "",
            "",
            "",
            f" {rng.choose('KVSC')}",
            f" {rng.integer(1, 20)}",
            f" {rng.choose(('RM', 'MI', 'CZ', 'NA', 'Cedex'))}",
        )
    )
    last = f"{code} {town}{behind}" if rng.chance(0.85) else f"{town} {code}"
    return [first, last]


def _military(rng: Rng) -> list[str]:
    unit = rng.choose(("PSC {}, Box {}", "PSC {} Box {}", "Unit {} Box {}", "CMR {}, Box {}"))
    office = f"{rng.choose(('APO', 'FPO', 'DPO'))} {rng.choose(('AE', 'AP', 'AA'))} {rng.digits(5)}"
    return [unit.format(rng.integer(1, 9999), rng.integer(1, 9999)), office]


def _box(rng: Rng) -> list[str]:
    box = rng.choose(("P.O. Box {}", "PO Box {}", "Post Office Box {}", "Private Bag {}", "PSC {}, Box 4")).format(
        rng.integer(1, 9999)
    )
    return [box, _us(rng)[1] if rng.chance(0.6) else f"{city(rng)} {zip_code(rng)}"]


_FORMS: tuple[Callable[[Rng], list[str]], ...] = (
    *(_us, _us, _us, _us, _us, _us, _us, _us, _uk, _uk, _uk, _uk),
    *(_commonwealth, _commonwealth, _commonwealth, _commonwealth),
    *(_continental, _continental, _continental, _continental, _continental, _continental, _box, _box, _military),
)


def address(rng: Rng) -> str:
    """A postal address on one line, whole or only its street."""
    if rng.chance(0.3):
        return street(rng)
    if rng.chance(0.05):
        return f"{rng.choose(('corner of', 'the corner of', 'intersection of'))} {_road(rng)} and {_road(rng)}"
    lines = rng.choose(_FORMS)(rng)
    if rng.chance(_COUNTRY_LINES):
        lines.append(country(rng))
    return rng.choose((", ", ", ", ", ", " ", " - ")).join(lines)


def address_block(rng: Rng) -> str:
    """A postal address on several lines."""
    lines = rng.choose(_FORMS)(rng)
    if rng.chance(_COUNTRY_LINES):
        lines.append(country(rng).upper() if rng.chance(0.3) else country(rng))
    return rng.choose(("\n", "\n", ",\n", "\n ")).join(lines)
