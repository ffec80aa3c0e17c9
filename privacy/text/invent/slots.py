# SPDX-License-Identifier: Apache-2.0
"""What the slots of a template stand for: who invents the value, which identifier it is, what a name model calls it.

The types are those of the findings that should cover a value, but for `FAX_NUMBER` (found as PHONE_NUMBER) and
`AGE_UNDER_90` (kept under Safe Harbor); None is what identifies nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from privacy.text import lists
from privacy.text.invent import bodies, dates, figures, numbers, people, places
from privacy.text.invent.rng import Rng

Invent = Callable[[Rng], str]


@dataclass(frozen=True)
class Slot:
    """`entity_type`: what a privacy officer calls the value; `label`: what the name model is taught (None: nothing)."""

    invent: Invent
    entity_type: str | None
    label: str | None


def _listed(name: str, rng: Rng) -> str:
    return rng.choose(lists.entries(name))


def _demonym(rng: Rng) -> str:
    return rng.choose(lists.entries("nationalities" if rng.chance(0.8) else "religions"))


def _job(rng: Rng) -> str:
    job = _listed("occupations", rng)
    return job[0].upper() + job[1:] if rng.chance(0.15) else job


_GROUPS: tuple[tuple[str | None, str | None, dict[str, Invent]], ...] = (
    (
        "PERSON",
        "PERSON",
        {
            "person": people.person,
            "full": people.full,
            "first": people.first,
            "female": people.female,
            "male": people.male,
            "last": people.last,
            "last_first": people.last_first,
            "initials": people.initials,
            "nick": people.nick,
        },
    ),
    (
        "LOCATION",
        "LOCATION",
        {
            "city": places.city,
            "city_state": places.city_state,
            "state": places.state,
            "country": places.country,
            "region": places.region,
            "address": places.address,
            "address_block": places.address_block,
            "zip": places.zip_code,
            "street": places.street,
            "place": places.place,
            "landmark": places.landmark,
        },
    ),
    (
        "ORGANIZATION",
        "ORGANIZATION",
        {
            "org": bodies.org,
            "hospital": bodies.hospital,
            "company": bodies.company,
            "school": bodies.school,
            "agency": bodies.agency,
            "team": bodies.team,
            "acronym": bodies.acronym,
        },
    ),
    (
        "DATE_TIME",
        "DATE_TIME",
        {
            "date": dates.date,
            "full_date": dates.full_date,
            "numeric_date": dates.numeric_date,
            "month_year": dates.month_year,
            "day_month": dates.day_month,
            "month": dates.month,
            "year": dates.year,
            "weekday": dates.weekday,
            "holiday": dates.holiday,
            "decade": dates.decade,
            "date_range": dates.date_range,
        },
    ),
    ("AGE", "AGE", {"old_age": dates.old_age}),
    ("AGE_UNDER_90", "AGE", {"age": dates.age}),
    ("DEMOGRAPHIC", "DEMOGRAPHIC", {"nationality": _demonym, "job": _job}),
    ("MEDICAL_RECORD_NUMBER", "ID", {"mrn": numbers.mrn}),
    ("US_SSN", "ID", {"ssn": numbers.ssn}),
    ("PHONE_NUMBER", "ID", {"phone": numbers.phone}),
    ("FAX_NUMBER", "ID", {"fax": numbers.phone}),
    ("EMAIL_ADDRESS", "ID", {"email": numbers.email}),
    ("ACCOUNT_NUMBER", "ID", {"account": numbers.account}),
    ("HEALTH_PLAN_ID", "ID", {"plan_id": numbers.plan_id}),
    ("LICENSE_NUMBER", "ID", {"license": numbers.license_number}),
    ("VEHICLE_ID", "ID", {"vin": numbers.vin, "plate": numbers.plate}),
    ("DEVICE_ID", "ID", {"serial": numbers.serial, "udi": numbers.udi}),
    ("URL", "ID", {"url": numbers.url}),
    ("IP_ADDRESS", "ID", {"ip": numbers.ip}),
    ("ID_NUMBER", "ID", {"accession": numbers.accession, "id": numbers.identifier, "case_no": numbers.case_no}),
    ("MONEY", None, {"money": numbers.money}),
    (
        None,
        None,
        {
            "drug": partial(_listed, "drugs"),
            "disease": partial(_listed, "diseases"),
            "product": partial(_listed, "products"),
            "work": partial(_listed, "works"),
            "hashtag": partial(_listed, "hashtags"),
            "number": figures.number,
            "decimal": figures.decimal,
            "dose": figures.dose,
            "lab": figures.lab,
            "time": dates.time,
            "handle": figures.handle,
        },
    ),
)

SLOTS: Final = MappingProxyType(
    {name: Slot(invent, kind, label) for kind, label, group in _GROUPS for name, invent in group.items()}
)
"""Every slot by its name."""
