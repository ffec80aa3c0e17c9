# SPDX-License-Identifier: Apache-2.0
"""A log's runs as one JSON value: numbers are numbers, times are times, and nothing is a sentence.

Signed bodies hold real numbers as decimal strings; here each is a number again, known by the type of its field. Every
noised figure stands beside its deviation (privacy/audit/uncertainty.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_args

from pydantic import AfterValidator, BaseModel

from privacy.audit.story import Reply, RoundStory, RunStory
from privacy.base.canonical import DecimalString
from privacy.protocol.entries import MetricsReceived, ReplyRefused, UpdateReceived

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
_IS_DECIMAL: Final = next(item for item in get_args(DecimalString) if isinstance(item, AfterValidator))
_NAMES: Final = frozenset({"name", "run_id", "host", "hosts"})
"""Settings that are names even when they look like numbers."""


def of_run(run: RunStory) -> dict[str, Value]:
    """One run with its rounds."""
    opened, closed = run.opened, run.closed
    return {
        "run_id": run.run_id,
        "simulated": opened.simulated if opened else False,
        "planned_rounds": opened.planned_rounds if opened else 0,
        "outcome": run.outcome,
        "opened_at": when(run.opened_at),
        "closed_at": when(run.closed_at) if closed else None,
        "final_model": closed.final_model if closed else None,
        "recipe": _recipe(run),
        "sites": {site: of(hello) for site, hello in sorted(run.hellos.items())},
        "self_checks": {site: of(check) for site, check in sorted(run.self_checks.items())},
        "mechanism_checks": {site: of(check) for site, check in sorted(run.mechanism_checks.items())},
        "rounds": [of_round(story) for _, story in sorted(run.rounds.items())],
    }


def of_round(story: RoundStory) -> dict[str, Value]:
    """One round with its plans, replies and figures."""
    aggregated, aborted = story.aggregated, story.aborted
    return {
        "server_round": story.server_round,
        "outcome": "aborted" if aborted else story.outcome,
        "began_at": when(story.began_at),
        "ended_at": when(story.ended_at),
        "cohort": len(story.plan.cohort) if story.plan else 0,
        "included": len(aggregated.included) if aggregated else 0,
        "received": aborted.received if aborted else None,
        "min_sites": story.plan.min_sites if story.plan else None,
        "total_weight": aggregated.total_weight if aggregated else None,
        "model_out": aggregated.model_out if aggregated else None,
        **_figures(story),
        "plan": of(story.plan) if story.plan else None,
        "evaluation_plan": of(story.evaluation) if story.evaluation else None,
        "sites": [_reply(story, at, body) for at, body in story.replies],
    }


def when(milliseconds: int) -> str:
    """A recorded_at as a time of ISO 8601, UTC, to the millisecond. A time that no calendar has is left as it is."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def number(text: str | None) -> int | float | None:
    """A decimal string as a number."""
    if text is None:
        return None
    return float(text) if "." in text else int(text)


def of(model: BaseModel) -> dict[str, Value]:
    """A body with its decimal strings as numbers."""
    fields = type(model).model_fields
    return {name: _plain(getattr(model, name), (field.annotation, field.metadata)) for name, field in fields.items()}


def _plain(value: Any, kind: object) -> Value:
    if isinstance(value, BaseModel):
        return of(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item, kind) for name, item in value.items()}
    if isinstance(value, str):
        return number(value) if _is_decimal(kind) else value
    if isinstance(value, Sequence):
        return [_plain(item, kind) for item in value]
    assert value is None or isinstance(value, bool | int | float)
    return value


def _is_decimal(kind: object) -> bool:
    if isinstance(kind, AfterValidator):
        return kind == _IS_DECIMAL
    held = kind if isinstance(kind, tuple | list) else (*get_args(kind), *getattr(kind, "__metadata__", ()))
    return any(_is_decimal(item) for item in held)


def _recipe(run: RunStory) -> Value:
    if run.opened is None:
        return None
    opened = of(run.opened)
    for name in ("kind", "planned_rounds", "simulated"):
        opened.pop(name)
    return {**opened, "settings": {name: _settings(section) for name, section in run.opened.settings.items()}}


def _settings(value: Any) -> Value:
    """Settings have no types here: what is written as a decimal is one, but for names and what stands in a list."""
    if isinstance(value, Mapping):
        return {
            str(name): item if name in _NAMES or isinstance(item, list | tuple) else _settings(item)
            for name, item in value.items()
        }
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return number(value)
    return _plain(value, ())


def _figures(story: RoundStory) -> dict[str, Value]:
    evaluated, spread = story.evaluated, story.spread
    return {
        "accuracy": number(evaluated.accuracy) if evaluated else None,
        "accuracy_std": spread.accuracy,
        "macro_f1": number(evaluated.macro_f1) if evaluated else None,
        "macro_f1_std": spread.macro_f1,
        "counts": _counts(story) if evaluated else None,
    }


def _counts(story: RoundStory) -> Value:
    """The federation's noised counts, in all and where they were asked for by class: sums over the scored sites."""
    assert story.evaluated is not None
    scored = [
        body.metrics
        for _, body in story.replies
        if isinstance(body, MetricsReceived) and body.site in story.evaluated.sites
    ]
    sums = {
        name: [sum(column) for column in zip(*(getattr(metrics, name) for metrics in scored), strict=False)]
        for name in ("right", "actual", "predicted")
    }
    labels = list(story.evaluation.task.labels) if story.evaluation and sums["right"] else []
    totals = {name: [getattr(metrics, name) for metrics in scored] for name in ("correct", "incorrect")}
    known = {name: None if None in counts else sum(counts) for name, counts in totals.items()}
    return {**known, "labels": labels, **sums}  # type: ignore[dict-item]


def _reply(story: RoundStory, at: int, body: Reply) -> dict[str, Value]:
    held: dict[str, Value] = {"site": body.site, "recorded_at": when(at)}
    match body:
        case UpdateReceived(update=update):
            weight = story.plan.cohort[body.site].weight if story.plan and body.site in story.plan.cohort else None
            told: dict[str, Value] = {
                "num_steps": update.num_steps,
                "payload": update.payload_digest,
                "bytes": update.payload_bytes,
            }
            spent = of(update.spent) if update.spent else None
            return {**held, "phase": "update", "outcome": "received", "weight": weight, **told, "spent": spent}
        case MetricsReceived(metrics=metrics):
            counted = of(metrics)
            for name in ("plan_digest", "seen_tree_size"):
                counted.pop(name)
            return {**held, "phase": "evaluate", "outcome": "received", **counted}
        case ReplyRefused():
            return {**held, "phase": body.phase, "outcome": "refused", "by": body.by, "reason": body.reason}
