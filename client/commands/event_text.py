# SPDX-License-Identifier: Apache-2.0
"""What a site says at its own terminal: what left the building, what was spent, what was refused. For here alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

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
        case "left_out":
            return "\n".join(("before you take part, mind this; none of it leaves this building:", *_listed(event)))
        case "answered_without_data":
            return (
                f"round {number}: FAILED ON THE DATA ({event['phase']}); the coordinator got noise alone, as from a "
                f"site without data, and does not know. It is charged. Here is why:\n{event['why']}"
            )
        case "caught_up":
            return f"the coordinator was told that this site follows the log up to size {event['seen_tree_size']}"
        case "not_taken":
            return (
                f"round {number} starts from the model of round {event['answered']}: what this site sent there was not "
                "taken, or came too late. What it cost stays spent"
            )
        case "took_longer":
            return (
                f"round {number}: the answer took {event['seconds']} s, longer than policy.answer_after_seconds "
                f"({event['wanted']}): when it left says something of the data"
            )
        case "trained":
            loss = f", loss {event['loss']:.4f}" if event["loss"] is not None else ""
            trained = f"round {number}: trained on {event['examples']} examples{loss}"
            if event.get("left_out"):
                trained += f" ({event['left_out']} left out: the plan lacks their label, or they lack what it reads)"
            if event.get("ran_away"):
                trained += "; the numbers RAN AWAY (a learning rate too high), so the update changes nothing"
            return f"{trained}; {event['bytes_sent']:,} bytes of update are ready, {_ready_with(event)}"
        case "evaluated":
            return f"round {number}: counted {event['examples']} examples; the counts are ready, {_ready_with(event)}"
        case "sent":
            return f"round {number}: {event['bytes']:,} bytes left this building ({event['phase']})"
        case "refused":
            return (
                f"round {number}: REFUSED ({event['phase']}); only a reason code leaves this building. Here is why:\n"
                f"{event['why']}"
            )
    return f"{event['event']}"


def _listed(event: Mapping[str, object]) -> list[str]:
    return [f"- {warning}" for warning in cast("list[str]", event["warnings"])]


def recall_of(event: Mapping[str, object]) -> str:
    """The recall of a self-check by identifier, as shares."""
    recall = cast("dict[str, dict[str, int]]", event["recall"])
    shares = [f"{name.upper()} {counts['found'] / counts['planted']:.2f}" for name, counts in sorted(recall.items())]
    return f"recall {', '.join(shares)}"


def _ready_with(event: Mapping[str, object]) -> str:
    if event.get("epsilon_of_run") is None:
        return "signed, WITHOUT noise"
    return f"noised and signed; epsilon {event['epsilon_of_run']} spent in this run (unit: {event['unit']})"


def when(event: Mapping[str, object]) -> str:
    """The local time of an event."""
    return f"{datetime.fromtimestamp(cast(float, event['at'])).astimezone():%Y-%m-%d %H:%M}"
