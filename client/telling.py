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


def when(event: Mapping[str, object]) -> str:
    """The local time of an event."""
    return f"{datetime.fromtimestamp(cast(float, event['at'])).astimezone():%Y-%m-%d %H:%M}"
