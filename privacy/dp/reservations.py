# SPDX-License-Identifier: Apache-2.0
"""What the ledger's entries say: reservations, what was settled, first runs, splits and withdrawals, by data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from pydantic import TypeAdapter

from privacy.base.canonical import DecimalString, Json
from privacy.base.identifiers import Digest, RunId, SiteId
from privacy.dp.ledger_chain import ChainEntry
from privacy.dp.params import PrivacyEvent, Unit

AccountKey = tuple[str, Unit]
"""A declared data set and the unit that it is charged for."""

_EVENTS = TypeAdapter(tuple[PrivacyEvent, ...])


@dataclass(frozen=True)
class PinnedSplit:
    """What fixes which unit is in which part of the data.

    `drawn`: the key of the split and its fractions, which never change once something was charged. `named`: the
    settings that give a unit its name; under another name a unit may be drawn into another part.
    """

    drawn: Digest
    named: Digest


@dataclass(frozen=True)
class FirstRun:
    """The run that a data set was charged for first, with all that it planned then; nothing where no plan is known.

    `run_ids`: of a search at the site one for each trial, else the run's own. `favourite` is the filter's member that
    suits the plan (privacy.dp.filtering), fixed with it.
    """

    run_ids: tuple[str, ...]
    planned: tuple[PrivacyEvent, ...]
    favourite: int = 0


@dataclass(frozen=True)
class Release:
    """What a charge pays for: one answer of `site` to one plan. It is kept, and decides nothing about the charge.

    `seen`: origin and size of the last signed checkpoint that the site had seen then; "" and 0 without one.
    """

    site: SiteId
    server_round: int
    purpose: str
    plan_digest: Digest
    nonce: bytes
    seen: tuple[str, int] = ("", 0)


@dataclass(frozen=True)
class Reservation:
    """A release that is paid for, whether or not it happened. `epsilon_after` is the whole history with this one,
    `filter_after` the same by the filter, and `binding` whose figure was held against the limit (a file from before
    there was a filter says "0" and "prv").

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
    filter_after: DecimalString = "0"
    binding: str = "prv"

    @property
    def account(self) -> AccountKey:
        return self.dataset, self.unit

    @property
    def binding_epsilon(self) -> DecimalString:
        """What was held against the limit."""
        return self.filter_after if self.binding == "filter" else self.epsilon_after

    def body(self) -> Json:
        """As an entry holds it."""
        events = [event.model_dump(mode="json") for event in self.events]
        return {**self.__dict__, "events": events, "nonce": self.nonce.hex()}


class LedgerView:
    """The entries, read. Accounts stand in the order of their first charge."""

    def __init__(self, entries: Sequence[ChainEntry]) -> None:
        self.reservations: list[Reservation] = []
        self.settled: set[int] = set()
        self.splits: dict[AccountKey, list[tuple[Digest, Digest | None]]] = {}
        self.first_runs: dict[str, FirstRun] = {}
        self.withdrawn: set[str] = set()
        for entry in entries:
            if entry.kind == "reservation":
                self.reservations.append(_reservation(entry.body))
                continue
            body = json.loads(entry.body)
            match entry.kind:
                case "settlement":
                    self.settled.add(body["reservation"])
                case "split":
                    pinned = self.splits.setdefault((body["dataset"], body["unit"]), [])
                    pinned.append((body["digest"], body.get("named")))
                case "first_run":
                    planned = _EVENTS.validate_json(json.dumps(body["planned"]))
                    self.first_runs[body["dataset"]] = FirstRun(tuple(body["run_ids"]), planned, body["favourite"])
                case "withdrawal":  # a file from before names a unit as well: it is closed for every unit all the same
                    self.withdrawn.add(body["dataset"])

    def of(self, account: AccountKey) -> list[Reservation]:
        """The account's reservations, oldest first."""
        return [row for row in self.reservations if row.account == account]

    def units(self, dataset: str) -> list[Unit]:
        """The units that the data set was charged for, in order: one, but in a file from before there was that law."""
        return list(dict.fromkeys(row.unit for row in self.reservations if row.dataset == dataset))

    def in_sequence(self, account: AccountKey, split: PinnedSplit | None = None) -> bool:
        """Whether units may have changed parts: they had more than one set of names, that of `split` included."""
        names = {named for _, named in self.splits.get(account, ()) if named is not None}
        return len(names | ({split.named} if split is not None else set())) > 1

    def delta(self, account: AccountKey) -> DecimalString | None:
        """The delta at which the account is counted: that of its first reservation; None before there is one.

        A file of the first version may hold several: the smallest, at which every epsilon is an upper bound.
        """
        return min((row.delta for row in self.of(account)), key=Decimal, default=None)


@lru_cache(maxsize=65536)
def _reservation(text: str) -> Reservation:
    body = json.loads(text)
    events, nonce = _EVENTS.validate_json(json.dumps(body["events"])), bytes.fromhex(body["nonce"])
    return Reservation(**{**body, "events": events, "nonce": nonce})
