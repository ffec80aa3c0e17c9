# SPDX-License-Identifier: Apache-2.0
"""Invented places: towns, regions, landmarks, and addresses in the forms of many countries, on one line or several."""

from __future__ import annotations

from collections.abc import Callable

from privacy.text import lists
from privacy.text.invent import people
from privacy.text.invent.dice import Dice

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


def city(dice: Dice) -> str:
    """A town: known, of many countries, or invented."""
    roll = dice.uniform()
    if roll < 0.5:
        return dice.choose(lists.entries("cities"))
    if roll < 0.75:
        return dice.choose(lists.entries("places"))
    name = people.invented(dice, "places")
    if roll < 0.92:
        return name + dice.choose(_ENDINGS)
    return f"{dice.choose(_PREFIXES)} {name}"


def state(dice: Dice) -> str:
    return dice.choose(lists.entries("states_us")).split("\t")[0]


def state_code(dice: Dice) -> str:
    return dice.choose(lists.entries("states_us")).split("\t")[1]


def country(dice: Dice) -> str:
    return dice.choose(lists.entries("countries"))


def city_state(dice: Dice) -> str:
    """'Town, ST', 'Town, State' or 'Town, Country'."""
    roll = dice.uniform()
    behind = state_code(dice) if roll < 0.5 else state(dice) if roll < 0.7 else country(dice)
    return f"{city(dice)}{dice.choose((', ', ', ', ', ', ' '))}{behind}"


def region(dice: Dice) -> str:
    if dice.chance(0.65):
        return dice.choose(lists.entries("regions"))
    name = people.invented(dice, "places") if dice.chance(0.5) else people.last(dice)
    form = dice.choose(
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


def landmark(dice: Dice) -> str:
    if dice.chance(0.6):
        return dice.choose(lists.entries("landmarks"))
    name = people.last(dice) if dice.chance(0.5) else people.invented(dice, "places")
    kind = dice.choose(
        ("Park", "Bridge", "Airport", "Station", "Mall", "Square", "Stadium", "Museum", "Plaza", "Beach", "Market")
    )
    return f"{name} {kind}"


def place(dice: Dice) -> str:
    roll = dice.uniform()
    if roll < 0.5:
        return city(dice)
    if roll < 0.6:
        return city_state(dice)
    if roll < 0.72:
        return country(dice)
    if roll < 0.8:
        return state(dice)
    return region(dice) if roll < 0.92 else landmark(dice)


# -- addresses ---------------------------------------------------------------------------------------------------------


def zip_code(dice: Dice) -> str:
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
    return dice.shaped(dice.choose(shapes))


def _road(dice: Dice) -> str:
    roll = dice.uniform()
    if roll < 0.4:
        name = dice.choose(lists.entries("streets_words"))
    elif roll < 0.7:
        name = people.last(dice)
    elif roll < 0.8:
        name = str(dice.integer(1, 180))
        name += "th" if name[-1] not in "123" or name[-2:-1] == "1" else {"1": "st", "2": "nd", "3": "rd"}[name[-1]]
    else:
        name = people.invented(dice, "places")
    kind = dice.choose(lists.entries("street_types"))
    compass = dice.choose(("N ", "S ", "E ", "W ", "North ", "SW ")) if dice.chance(0.1) else ""
    return f"{compass}{name} {kind}"


def _abroad(dice: Dice) -> str:
    name = "foreign_streets" if dice.chance(0.45) else "streets_abroad"
    if dice.chance(0.2):
        return people.invented(dice, "places") + dice.choose(
            ("straße", "strasse", "gatan", "vej", "weg", "laan", "gade", "straat", "veien", " utca", " ulica", " cesta")
        )
    if dice.chance(0.15):
        return dice.choose(
            ("Rua ", "Via ", "Calle ", "Rue ", "Avenida ", "Rue de ", "ul. ", "Strada ", "Carrer de ")
        ) + people.last(dice)
    return dice.choose(lists.entries(name))


def _number(dice: Dice) -> str:
    roll = dice.uniform()
    if roll < 0.8:
        return str(dice.integer(1, 9999 if dice.chance(0.5) else 250))
    if roll < 0.9:
        return f"{dice.integer(1, 250)}{dice.choose('ABCabcd')}"
    return f"{dice.integer(1, 90)}{dice.choose('-/')}{dice.integer(1, 99)}"


def street(dice: Dice) -> str:
    """House number and street, in the order of some country."""
    return f"{_number(dice)} {_road(dice)}" if dice.chance(0.65) else f"{_abroad(dice)} {_number(dice)}"


def _unit(dice: Dice) -> str:
    name = dice.choose((str(dice.integer(1, 900)), dice.choose("ABCDEF"), f"{dice.integer(1, 40)}{dice.choose('ABC')}"))
    return f"{dice.choose(_UNITS)} {name}"


def _us(dice: Dice) -> list[str]:
    first = f"{_number(dice)} {_road(dice)}"
    if dice.chance(0.25):
        first += dice.choose((", ", " ")) + _unit(dice)
    behind = state_code(dice) if dice.chance(0.85) else state(dice)
    code = dice.shaped("#####" if dice.chance(0.85) else "#####-####")
    return [first, f"{city(dice)}{dice.choose((', ', ', ', ' '))}{behind} {code}"]


def _uk(dice: Dice) -> list[str]:
    code = dice.shaped(dice.choose(("@@# #@@", "@@## #@@", "@# #@@", "@@#@ #@@")))
    lines = [f"{_number(dice)} {_road(dice)}"]
    if dice.chance(0.25):
        lines.insert(0, f"{_unit(dice)}")
    if dice.chance(0.3):
        lines.append(people.invented(dice, "places"))
    return [*lines, city(dice), code] if dice.chance(0.6) else [*lines, f"{city(dice)} {code}"]


def _commonwealth(dice: Dice) -> list[str]:
    first = f"{_number(dice)} {_road(dice)}"
    town = city(dice)
    tail = dice.choose(
        (
            f"{town} {dice.choose(('NSW', 'VIC', 'QLD', 'WA', 'SA', 'TAS'))} {dice.digits(4)}",
            f"{town}, {dice.choose(('ON', 'BC', 'QC', 'AB', 'MB', 'NS'))} {dice.shaped('@#@ #@#')}",
            f"{town} {dice.digits(6)}",
            f"{town} - {dice.digits(6)}",
            f"{town} {dice.digits(4)}",
            f"{town}, {dice.digits(4)}",
        )
    )
    return [first, tail]


def _continental(dice: Dice) -> list[str]:
    first = (
        f"{_abroad(dice)} {_number(dice)}"
        if dice.chance(0.75)
        else f"{_number(dice)}{dice.choose((' ', ', '))}{_abroad(dice)}"
    )
    code = dice.shaped(
        dice.choose(("#####", "#####", "####", "#### @@", "### ##", "##-###", "#####-###", "####-###", "@-####"))
    )
    town = city(dice)
    behind = dice.choose(
        (
            "",
            "",
            "",
            f" {dice.choose('KVSC')}",
            f" {dice.integer(1, 20)}",
            f" {dice.choose(('RM', 'MI', 'CZ', 'NA', 'Cedex'))}",
        )
    )
    last = f"{code} {town}{behind}" if dice.chance(0.85) else f"{town} {code}"
    return [first, last]


def _military(dice: Dice) -> list[str]:
    unit = dice.choose(("PSC {}, Box {}", "PSC {} Box {}", "Unit {} Box {}", "CMR {}, Box {}"))
    office = f"{dice.choose(('APO', 'FPO', 'DPO'))} {dice.choose(('AE', 'AP', 'AA'))} {dice.digits(5)}"
    return [unit.format(dice.integer(1, 9999), dice.integer(1, 9999)), office]


def _box(dice: Dice) -> list[str]:
    box = dice.choose(("P.O. Box {}", "PO Box {}", "Post Office Box {}", "Private Bag {}", "PSC {}, Box 4")).format(
        dice.integer(1, 9999)
    )
    return [box, _us(dice)[1] if dice.chance(0.6) else f"{city(dice)} {zip_code(dice)}"]


_FORMS: tuple[Callable[[Dice], list[str]], ...] = (
    *(_us, _us, _us, _us, _us, _us, _us, _us, _uk, _uk, _uk, _uk),
    *(_commonwealth, _commonwealth, _commonwealth, _commonwealth),
    *(_continental, _continental, _continental, _continental, _continental, _continental, _box, _box, _military),
)


def address(dice: Dice) -> str:
    """A postal address on one line, whole or only its street."""
    if dice.chance(0.3):
        return street(dice)
    if dice.chance(0.05):
        return f"{dice.choose(('corner of', 'the corner of', 'intersection of'))} {_road(dice)} and {_road(dice)}"
    lines = dice.choose(_FORMS)(dice)
    if dice.chance(_COUNTRY_LINES):
        lines.append(country(dice))
    return dice.choose((", ", ", ", ", ", " ", " - ")).join(lines)


def address_block(dice: Dice) -> str:
    """A postal address on several lines."""
    lines = dice.choose(_FORMS)(dice)
    if dice.chance(_COUNTRY_LINES):
        lines.append(country(dice).upper() if dice.chance(0.3) else country(dice))
    return dice.choose(("\n", "\n", ",\n", "\n ")).join(lines)
