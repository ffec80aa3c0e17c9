# SPDX-License-Identifier: Apache-2.0
"""What a site says at its own terminal: what left the building, what was spent, what was refused. For here alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import cast, get_args

from client.settings import SiteFolder
from privacy.canonical import decimal_string
from privacy.dp.ledger import Ledger
from privacy.dp.params import Unit
from privacy.errors import StorageFailed

SIMULATED_EPSILON = "SIMULATED: the keys follow a known seed, so this epsilon protects nobody"


def sentence(event: Mapping[str, object]) -> str:
    """One event of a site's reports for its own people. A step comes often: see `progress`."""
    number = event.get("round")
    match event["event"]:
        case "prepared":
            corpus = cast("dict[str, object]", event["corpus"])
            return f"read {corpus['read']} rows and anonymized them; nothing of it left this building"
        case "self_check":
            return f"self-check: {event['notes']} invented notes, {recall_of(event)}"
        case "mechanism_check":
            noise = cast("dict[str, float]", event["noise"])
            verdict = "passed" if event["passed"] else "FAILED"
            return (
                f"mechanism check {verdict}: sigma off by {noise['sigma_error']:+.1e} over {noise['draws']:,} draws, "
                f"streams correlate by {noise['worst_correlation']:.1e} at most; no data was read for it"
            )
        case "trained":
            loss = f", loss {event['loss']:.4f}" if event["loss"] is not None else ""
            trained = f"round {number}: trained on {event['examples']} examples{loss}"
            return f"{trained}; {event['bytes_sent']:,} bytes of update {_left_with(event)}"
        case "evaluated":
            return f"round {number}: counted {event['examples']} examples; the counts {_left_with(event)}"
        case "refused":
            return (
                f"round {number}: REFUSED ({event['phase']}); only a reason code left this building. Here is why:\n"
                f"{event['why']}"
            )
    return f"{event['event']}"


def recall_of(event: Mapping[str, object]) -> str:
    """The recall of a self-check by identifier, as shares."""
    recall = cast("dict[str, dict[str, int]]", event["recall"])
    shares = [f"{name.upper()} {counts['found'] / counts['planted']:.2f}" for name, counts in sorted(recall.items())]
    return f"recall {', '.join(shares)}"


def _left_with(event: Mapping[str, object]) -> str:
    if event.get("epsilon_of_run") is None:
        return "left this building signed, WITHOUT noise"
    spent = f"epsilon {event['epsilon_of_run']} spent in this run (unit: {event['unit']})"
    return f"left this building noised and signed; {spent}"


def budget(folder: SiteFolder) -> list[dict[str, object]]:
    """What every declared data set has spent under each unit, recomputed from the whole history, and what is left.

    The limit is the policy's, which holds for the data set and the unit that the settings name now.
    """
    if not folder.ledger.exists():
        return []
    ledger, policy = Ledger(folder.ledger), folder.settings.policy
    delta, rows = decimal_string(policy.delta), []
    for dataset, unit in _accounts(folder):
        spent = ledger.spent(dataset, unit, delta)
        current = (dataset, unit) == (folder.settings.data.dataset, policy.unit)
        limit = decimal_string(policy.epsilon_limit) if current else None
        row: dict[str, object] = {
            "dataset": dataset,
            "unit": unit,
            "releases": len(ledger.history(dataset, unit)),
            "unsettled": len(ledger.unsettled(dataset, unit)),
            "epsilon_spent": spent.epsilon,
            "epsilon_limit": limit,
            "epsilon_left": left(spent.epsilon, limit) if limit is not None else None,
            "delta": delta,
        }
        rows.append(row)
    return rows


def left(spent: str, limit: str) -> str:
    """What may still be spent, as a decimal; never below 0."""
    return decimal_string(max(Decimal(0), Decimal(limit) - Decimal(spent)))


def balance(folder: SiteFolder) -> str:
    """Epsilon spent and left, as the ledger's last reservation has it: without accounting anew, so at once."""
    policy, dataset = folder.settings.policy, folder.settings.data.dataset
    history = Ledger(folder.ledger).history(dataset, policy.unit)
    limit = decimal_string(policy.epsilon_limit)
    spent = history[-1].epsilon_after if history else "0"
    return f"ledger of {dataset}: epsilon {spent} of {limit} spent, {left(spent, limit)} left (unit: {policy.unit})"


def _accounts(folder: SiteFolder) -> list[tuple[str, Unit]]:
    """The data sets and units of the ledger, sorted."""
    try:
        database = sqlite3.connect(f"{folder.ledger.as_uri()}?mode=ro", uri=True)
        try:
            found = database.execute("SELECT DISTINCT dataset, unit FROM reservation ORDER BY dataset, unit").fetchall()
        finally:
            database.close()
    except sqlite3.Error as error:
        raise StorageFailed(f"the ledger cannot be read: {error}", next_step="restore it from its backup") from None
    return [(dataset, unit) for dataset, unit in found if unit in get_args(Unit)]


def when(event: Mapping[str, object]) -> str:
    """The local time of an event."""
    return f"{datetime.fromtimestamp(cast(float, event['at'])).astimezone():%Y-%m-%d %H:%M}"
