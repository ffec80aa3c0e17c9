# SPDX-License-Identifier: Apache-2.0
"""The self-check of anonymization as it crosses the border: how much a plan asks for, what a site found, what is wrong.

Sites, coordinator and auditor judge the same figures by the one rule here: `faults`. A floor is broken when so few
values were found that chance does not explain it: an anonymizer whose recall were exactly the floor would find so few
in less than one of 1000 checks. A share alone would flip at a floor with every batch; a lower bound would refuse good
anonymizers for small batches. Exact decimal arithmetic, so that all three agree. Method: docs/anonymization.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from privacy.base.canonical import DecimalString, decimal_string
from privacy.base.identifiers import Digest
from privacy.protocol.reasons import Fault

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)

Identifier = Literal[
    "account_number",
    "age",
    "biometric",
    "date_time",
    "device_id",
    "email_address",
    "fax_number",
    "health_plan_id",
    "id_number",
    "ip_address",
    "license_number",
    "location",
    "medical_record_number",
    "organization",
    "person",
    "phone_number",
    "photo",
    "url",
    "us_ssn",
    "vehicle_id",
]
"""What the self-check measures: direct identifiers, by the lower-case name of their tag. `age` is of 90 and more."""

IDENTIFIERS: Final[tuple[Identifier, ...]] = get_args(Identifier)
MOST_NOTES: Final = 1000
FEWEST_PLANTED: Final = 10
"""Values of an identifier below which a floor is not judged: then no recall, not even 0, would contradict .5."""
CHANCE: Final = Decimal("0.001")
_DIGITS = 50


def _check_share(text: str) -> str:
    if not 0 <= Decimal(text) <= 1 or len(text) > len("0.9999"):
        raise ValueError("a floor is between 0 and 1, with at most four decimals")
    return text


def _check_floor(value: float) -> float:
    _check_share(decimal_string(value))
    return value


Share = Annotated[DecimalString, AfterValidator(_check_share)]
Floor = Annotated[float, Field(ge=0, le=1), AfterValidator(_check_floor)]
"""The same as a number in a settings file."""


class AnonymizationPlan(BaseModel):
    """What a plan asks of a site's anonymization. A site's own floors hold beside it: a plan can only tighten."""

    model_config = STRICT
    self_check_notes: int = Field(ge=1, le=MOST_NOTES, description="invented notes of the self-check, at least")
    min_recall: dict[Identifier, Share] = Field(description="floor of recall; an identifier that is not named has none")


class EntityRecall(BaseModel):
    """How many invented values of one identifier there were, and how many of them no character was left of."""

    model_config = STRICT
    planted: int = Field(ge=0, le=100_000)
    found: int = Field(ge=0, le=100_000)


class SelfCheck(BaseModel):
    """A run's self-check at one site: its anonymizer on notes that it invented for this alone.

    Says nothing about private data. The notes follow from a secret seed and from no text of the site; the engine is
    the site's own but for what the site wrote of its terms, names and formats, so neither the counts nor the
    fingerprint depend on those. A fingerprint of the engine with them would let a reader test guesses of the deny
    list: it never leaves, and the report of the real run is committed to under a secret salt.
    """

    model_config = STRICT
    notes: int = Field(ge=1, le=MOST_NOTES)
    recall: dict[Identifier, EntityRecall]
    engine_fingerprint: Digest = Field(description="of the engine without the site's private lists")


def faults(check: SelfCheck, plan: AnonymizationPlan) -> tuple[Fault, ...]:
    """All that is wrong with `check` under the plan's demands; none if the anonymizer may be used."""
    wrongs = [Fault(wrong) for wrong in _malformed(check, plan.self_check_notes)]
    for identifier, floor in sorted(plan.min_recall.items()):
        if Decimal(floor) > 0 and (wrong := _below(check.recall.get(identifier), floor)):
            wrongs.append(Fault(f"{identifier.upper()}: {wrong}", "recall_below_floor"))
    return tuple(wrongs)


def measured_otherwise(check: SelfCheck, before: SelfCheck) -> bool:
    """Whether one engine has two sets of figures in one run. A site that changed its engine measures anew."""
    return check.engine_fingerprint == before.engine_fingerprint and check != before


def _malformed(check: SelfCheck, least_notes: int) -> Iterable[str]:
    if check.notes < least_notes:
        yield f"{check.notes} notes were checked, the plan asks for {least_notes}"
    for identifier, recall in sorted(check.recall.items()):
        if recall.found > recall.planted:
            yield f"{identifier.upper()}: more values were found than planted"


def _below(recall: EntityRecall | None, floor: str) -> str | None:
    if recall is None:
        return f"there is a floor of {floor}, and it was not measured"
    if recall.planted < FEWEST_PLANTED:
        return f"{recall.planted} values were planted, a floor needs at least {FEWEST_PLANTED}"
    needed = fewest_found(recall.planted, floor)
    if recall.found >= needed:
        return None
    return f"{recall.found} of {recall.planted} were found, a floor of {floor} needs at least {needed}"


@lru_cache(maxsize=4096)
def fewest_found(planted: int, floor: str) -> int:
    """The fewest of `planted` values that do not contradict a recall of `floor`.

    It is the least f such that a binomial of `planted` trials at `floor` is at most f with a probability of CHANCE or
    more (exact tail, one-sided). `floor` is a decimal from 0 to 1; at 1 every value must be found.
    """
    share = Decimal(floor)
    if share in (0, 1):
        return planted if share else 0
    with localcontext(prec=_DIGITS):
        missed = 1 - share
        term = tail = missed**planted
        least = 0
        while tail < CHANCE and least < planted:
            term *= Decimal(planted - least) / Decimal(least + 1) * share / missed
            least += 1
            tail += term
    return least


def written(floors: Mapping[Identifier, float]) -> dict[Identifier, str]:
    """The floors of a settings file as a plan holds them."""
    return {identifier: decimal_string(floor) for identifier, floor in sorted(floors.items())}


def tightened(plan: AnonymizationPlan, own: Mapping[Identifier, float]) -> AnonymizationPlan:
    """The plan with the higher of its floor and the site's own for each identifier; floors of 0 are left out."""
    highest = {
        identifier: max(plan.min_recall.get(identifier, "0"), written(own).get(identifier, "0"), key=Decimal)
        for identifier in IDENTIFIERS
    }
    return plan.model_copy(update={"min_recall": {name: floor for name, floor in highest.items() if Decimal(floor)}})
