# SPDX-License-Identifier: Apache-2.0
"""Invented organisations: hospitals, companies, schools, agencies and courts, teams, acronyms."""

from __future__ import annotations

from privacy.text import lists
from privacy.text.invent import people, places
from privacy.text.invent.rng import Rng

_HOSPITALS = (
    "General Hospital",
    "Medical Center",
    "Clinic",
    "Memorial Hospital",
    "Community Hospital",
    "Hospital",
    "Health System",
    "Nursing Home",
    "Rehab",
    "Rehabilitation Center",
    "Hospice",
    "Pharmacy",
    "Surgical Associates",
    "Children's Hospital",
    "University Hospital",
    "Cancer Center",
    "Family Practice",
    "Infirmary",
    "Health Centre",
    "Care Home",
    "Dialysis",
    "Medical Group",
    "Heart Institute",
    "Regional",
    "Surgery Center",
    "Urgent Care",
    "Home Health",
    "Imaging",
    "Labs",
    "Diagnostics",
    "Birth Center",
    "Assisted Living",
    "Manor",
    "NHS Trust",
    "Polyclinic",
    "Mission Hospital",
    "Women's Clinic",
)
_COMPANIES = (
    "Inc",
    "Inc.",
    "LLC",
    "Ltd",
    "Ltd.",
    "Group",
    "PLC",
    "plc",
    "GmbH",
    "Corp",
    "Corporation",
    "Holdings",
    "Bank",
    "& Sons",
    "Partners",
    "AG",
    "S.A.",
    "Pty Ltd",
    "Industries",
    "Insurance",
    "Airlines",
    "Motors",
    "Systems",
    "Logistics",
    "Solutions",
    "Foods",
    "Media",
    "Capital",
    "Energy",
    "Consulting",
    "& Co",
    "Pharma",
    "Telecom",
    "Records",
    "Studios",
    "Stores",
    "Hotel",
)
_AGENCIES = (
    "Ministry of {}",
    "Department of {}",
    "Bureau of {}",
    "Office of {}",
    "Ministry of {} of {country}",
    "{place} Police",
    "{place} Police Department",
    "{place} City Council",
    "{place} District Court",
    "{place} Court of Appeal",
    "{place} Regional Court",
    "{place} County Court",
    "Supreme Court of {country}",
    "High Court of {place}",
    "{place} Magistrates' Court",
    "{place} Prison",
    "{place} Fire Department",
    "{place} Town Council",
    "{place} Public Prosecutor's Office",
    "{place} Labour Court",
    "{place} Tax Office",
    "{place} Chamber of Commerce",
    "{place} Housing Authority",
    "{country} Embassy",
    "{place} Family Court",
    "{place} Administrative Court",
    "Municipality of {place}",
    "{place} Municipality",
    "{place} Bar Association",
    "{country} Constitutional Court",
    "{place} Assize Court",
    "{place} Security Directorate",
    "{place} Social Insurance Office",
    "{place} Immigration Tribunal",
    "{place} Land Registry",
    "{nationality} Government",
    "{nationality} Army",
    "{nationality} Embassy",
    "{nationality} Parliament",
    "Government of {country}",
    "{place} Regional Hospital Board",
)
_FIELDS = (
    "Health",
    "Justice",
    "Veterans Affairs",
    "the Interior",
    "Education",
    "Labor",
    "Defence",
    "Finance",
    "Transport",
    "Home Affairs",
    "Agriculture",
    "Social Security",
    "Foreign Affairs",
    "Immigration",
    "Public Works",
    "Child Services",
    "Motor Vehicles",
)
_TEAMS = (
    "United",
    "Rovers",
    "Wanderers",
    "FC",
    "City FC",
    "Tigers",
    "Hawks",
    "Bears",
    "Giants",
    "Knights",
    "Sharks",
    "Athletic",
    "Lions",
    "Wolves",
    "Royals",
    "Philharmonic",
    "Symphony Orchestra",
    "Choir",
    "Party",
    "Workers' Party",
    "Labour Party",
    "Union",
    "Red Cross",
    "Rotary Club",
    "Hockey Club",
    "Rugby Club",
    "Youth Theatre",
    "Democrats",
    "Scouts",
)


def _name(rng: Rng) -> str:
    roll = rng.uniform()
    if roll < 0.3:
        return people.last(rng)
    if roll < 0.55:
        return rng.choose(lists.entries("company_words"))
    return places.city(rng) if roll < 0.8 else people.invented(rng, "places")


def hospital(rng: Rng) -> str:
    roll = rng.uniform()
    if roll < 0.18:
        saint = rng.choose(("St. ", "St ", "Saint ", "Our Lady of ", "Mount ")) + people.first(rng)
        return saint + rng.choose(("'s Hospital", " Medical Center", "'s", " Hospital", "'s Hospice", " Infirmary"))
    if roll < 0.24:
        return f"University Hospital {rng.choose(('', 'of '))}{places.city(rng)}"
    between = rng.choose((" ", " ", " ", " County ", " Regional ", " Valley ", " Community ", " Royal "))
    return f"{_name(rng)}{between}{rng.choose(_HOSPITALS)}"


def company(rng: Rng) -> str:
    roll = rng.uniform()
    if roll < 0.5:
        return f"{_name(rng)} {rng.choose(_COMPANIES)}"
    if roll < 0.62:
        return f"{people.last(rng)}{rng.choose((' and ', ' & ', '-'))}{people.last(rng)}"
    if roll < 0.68:
        return f"{people.last(rng)}, {people.last(rng)} and {people.last(rng)}"
    if roll < 0.8:
        return people.invented(rng, "places") + rng.choose(
            ("soft", "tech", "corp", "ify", "ly", "bank", "net", "ware", "mart", "pay")
        )
    if roll < 0.9:
        return f"{rng.choose(lists.entries('company_words'))} {rng.choose(lists.entries('company_words'))}"
    return rng.choose(lists.entries("company_words"))


def school(rng: Rng) -> str:
    town = places.city(rng)
    return rng.choose(
        (
            f"University of {town}",
            f"{town} University",
            f"{town} State University",
            f"{_name(rng)} College",
            f"{_name(rng)} High School",
            f"{_name(rng)} Elementary School",
            f"{town} Primary School",
            f"{_name(rng)} Academy",
            f"{town} Institute of Technology",
            f"{people.first(rng)} {people.last(rng)} University",
            f"{town} Medical School",
            f"St {people.first(rng)}'s School",
            f"{town} Community College",
            f"{_name(rng)} Grammar School",
            f"Universität {town}",
            f"{town} School of Nursing",
        )
    )


def agency(rng: Rng) -> str:
    place = places.city(rng) if rng.chance(0.8) else places.region(rng)
    form = rng.choose(_AGENCIES)
    people_of = rng.choose(lists.entries("nationalities"))
    return (
        form.replace("{place}", place)
        .replace("{country}", places.country(rng))
        .replace("{nationality}", people_of)
        .replace("{}", rng.choose(_FIELDS))
    )


def team(rng: Rng) -> str:
    return f"{places.city(rng) if rng.chance(0.7) else _name(rng)} {rng.choose(_TEAMS)}"


def acronym(rng: Rng) -> str:
    return rng.letters(rng.choose((2, 3, 3, 3, 4, 4, 5)))


def org(rng: Rng) -> str:
    """An organisation of any kind."""
    roll = rng.uniform()
    if roll < 0.34:
        return company(rng)
    if roll < 0.54:
        return hospital(rng)
    if roll < 0.68:
        return school(rng)
    if roll < 0.84:
        return agency(rng)
    return team(rng) if roll < 0.95 else acronym(rng)
