# SPDX-License-Identifier: Apache-2.0
"""What the ledger's entries say: reservations, what was settled, splits and withdrawals, by data set and unit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from pydantic import TypeAdapter

from privacy.canonical import DecimalString, Json
from privacy.dp.ledger_chain import Entry
from privacy.dp.params import PrivacyEvent, Unit
from privacy.identifiers import Digest, RunId, SiteId

Account = tuple[str, Unit]
"""A declared data set and the unit that it is charged for."""

_EVENTS = TypeAdapter(tuple[PrivacyEvent, ...])


@dataclass(frozen=True)
class Reservation:
    """A release that is paid for, whether or not it happened. `epsilon_after` is the whole history with this one.

    `log_origin` and `seen_tree_size`: the last signed checkpoint that the site had seen then; "" and 0 without one.
    """

    number: int
    dataset: str
    unit: Unit
    delta: DecimalString
    events: tuple[PrivacyEvent, ...]
    site: SiteId
    run_id: RunId
    server_round: int
    purpose: str
    plan_digest: Digest
    nonce: bytes
    epsilon_limit: DecimalString
    epsilon_after: DecimalString
    log_origin: str = ""
    seen_tree_size: int = 0

    @property
    def account(self) -> Account:
        return self.dataset, self.unit

    def body(self) -> Json:
        """As an entry holds it."""
        events = [event.model_dump(mode="json") for event in self.events]
        return {**self.__dict__, "events": events, "nonce": self.nonce.hex()}


class Book:
    """The entries, read. Accounts stand in the order of their first charge."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.reservations: list[Reservation] = []
        self.settled: set[int] = set()
        self.splits: dict[Account, Digest] = {}
        self.withdrawn: set[Account] = set()
        for entry in entries:
            if entry.kind == "reservation":
                self.reservations.append(_reservation(entry.body))
                continue
            body = json.loads(entry.body)
            match entry.kind:
                case "settlement":
                    self.settled.add(body["reservation"])
                case "split":
                    self.splits[body["dataset"], body["unit"]] = body["digest"]
                case "withdrawal":
                    self.withdrawn.add((body["dataset"], body["unit"]))

    def of(self, account: Account) -> list[Reservation]:
        """The account's reservations, oldest first."""
        return [row for row in self.reservations if row.account == account]

    def delta(self, account: Account) -> DecimalString | None:
        """The delta at which the account is counted: that of its first reservation; None before there is one.

        A file of the first version may hold several: the smallest, at which every epsilon is an upper bound.
        """
        return min((row.delta for row in self.of(account)), key=Decimal, default=None)


@lru_cache(maxsize=65536)
def _reservation(text: str) -> Reservation:
    body = json.loads(text)
    events, nonce = _EVENTS.validate_json(json.dumps(body["events"])), bytes.fromhex(body["nonce"])
    return Reservation(**{**body, "events": events, "nonce": nonce})
