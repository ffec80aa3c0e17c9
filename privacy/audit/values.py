# SPDX-License-Identifier: Apache-2.0
"""A log's runs as one JSON value: numbers are numbers, times are times, and nothing is a sentence.

Signed bodies hold real numbers as decimal strings; here each is a number again, known by the type of its field. Every
noised figure stands beside its deviation (privacy/protocol/uncertainty.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_args

from pydantic import AfterValidator, BaseModel

from privacy.base.canonical import DecimalString
from privacy.base.identifiers import SiteId
from privacy.protocol.entries import (
    EntryBody,
    EvaluationPlanned,
    MetricsReceived,
    ReplyRefused,
    RoundAborted,
    RoundAggregated,
    RoundEvaluated,
    RoundPlanned,
    UpdateReceived,
)
from privacy.protocol.messages import SiteMetrics
from privacy.protocol.run import Round, Run

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

REPLIES: Final = (UpdateReceived, MetricsReceived, ReplyRefused)
_HAS_ITS_PLACE: Final = (*REPLIES, RoundPlanned, EvaluationPlanned, RoundAggregated, RoundAborted, RoundEvaluated)
_OF_THE_LOG: Final = frozenset({"plan_digest", "seen_tree_size"})
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
_IS_DECIMAL: Final = next(item for item in get_args(DecimalString) if isinstance(item, AfterValidator))
_NAMES: Final = frozenset({"name", "run_id", "host", "hosts"})
"""Settings that are names even when they look like numbers."""


def of_run(run: Run) -> dict[str, Plain]:
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
        "self_checks": {site: of(check) for site, check in sorted(run.self_checks.latest.items())},
        "mechanism_checks": {site: of(check) for site, check in sorted(run.self_checks.mechanism.items())},
        "rounds": [of_round(each) for _, each in sorted(run.rounds.items())],
    }


def of_round(of_round: Round) -> dict[str, Plain]:
    """One round with its plans, replies and figures."""
    rest: list[Plain] = [{"recorded_at": when(at), **of(body)} for at, body in others(of_round)]
    return {
        "server_round": of_round.number,
        "outcome": "aborted" if of_round.aborted else of_round.outcome,
        "began_at": when(of_round.began_at),
        "ended_at": when(of_round.ended_at),
        **_updates(of_round),
        **_figures(of_round),
        "plan": of(of_round.plan) if of_round.plan else None,
        "evaluation_plan": of(of_round.evaluation) if of_round.evaluation else None,
        "sites": [_reply(of_round, at, body) for at, body in of_round.entries if isinstance(body, REPLIES)],
        **({"others": rest} if rest else {}),
    }


def _updates(of_round: Round) -> dict[str, Plain]:
    """How many updates were asked for and came, and what was made of them."""
    aggregated, aborted, plan = of_round.aggregated, of_round.aborted, of_round.plan
    return {
        "cohort": len(plan.cohort) if plan else 0,
        "included": len(aggregated.included) if aggregated else 0,
        "received": aborted.received if aborted else None,
        "min_sites": plan.min_sites if plan else None,
        "total_weight": aggregated.total_weight if aggregated else None,
        "model_out": aggregated.model_out if aggregated else None,
    }


def others(of_round: Round) -> list[tuple[int, EntryBody]]:
    """What is logged of a round beside its plans, replies and figures: of kinds without a place of their own here."""
    return [(at, body) for at, body in of_round.entries if not isinstance(body, _HAS_ITS_PLACE)]


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


def of(model: BaseModel) -> dict[str, Plain]:
    """A body with its decimal strings as numbers."""
    fields = type(model).model_fields
    return {name: _plain(getattr(model, name), (field.annotation, field.metadata)) for name, field in fields.items()}


def _plain(value: Any, kind: object) -> Plain:
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


def _recipe(run: Run) -> Plain:
    if run.opened is None:
        return None
    opened = of(run.opened)
    for name in ("kind", "planned_rounds", "simulated"):
        opened.pop(name)
    return {**opened, "settings": {name: _settings(section) for name, section in run.opened.settings.items()}}


def _settings(value: Any) -> Plain:
    """Settings have no types here: what is written as a decimal is one, but for names and what stands in a list."""
    if isinstance(value, Mapping):
        return {
            str(name): item if name in _NAMES or isinstance(item, list | tuple) else _settings(item)
            for name, item in value.items()
        }
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return number(value)
    return _plain(value, ())


def _figures(of_round: Round) -> dict[str, Plain]:
    evaluated, spread = of_round.evaluated, of_round.spread
    return {
        "accuracy": number(evaluated.accuracy) if evaluated else None,
        "accuracy_std": spread.accuracy,
        "macro_f1": number(evaluated.macro_f1) if evaluated else None,
        "macro_f1_std": spread.macro_f1,
        "counts": _counts(of_round) if evaluated else None,
    }


def _counts(of_round: Round) -> Plain:
    """The federation's noised counts, in all and where they were asked for by class: sums over the scored sites."""
    assert of_round.evaluated is not None
    scored = [of_round.metrics[site] for site in of_round.metrics if site in of_round.evaluated.sites]
    sums = {name: _by_class(scored, name) for name in ("right", "actual", "predicted")}
    labels = list(of_round.evaluation.task.labels) if of_round.evaluation and sums["right"] else []
    totals = {name: _total(scored, name) for name in ("correct", "incorrect")}
    return {**totals, "labels": labels, **sums}  # type: ignore[dict-item]


def _total(scored: Sequence[SiteMetrics], name: str) -> int | None:
    """One kind of count, summed over the sites; None in logs that hold none of it."""
    counts = [getattr(metrics, name) for metrics in scored]
    return None if None in counts else sum(counts)


def _by_class(scored: Sequence[SiteMetrics], name: str) -> list[int]:
    """One kind of count, summed over the sites, for each class."""
    return [sum(column) for column in zip(*(getattr(metrics, name) for metrics in scored), strict=False)]


def _reply(of_round: Round, at: int, body: EntryBody) -> dict[str, Plain]:
    match body:
        case UpdateReceived(site=site, update=update):
            cohort = of_round.plan.cohort if of_round.plan else {}
            return {
                **_came(site, at, "update", "received"),
                "weight": cohort[site].weight if site in cohort else None,
                "num_steps": update.num_steps,
                "payload": update.payload_digest,
                "bytes": update.payload_bytes,
                "spent": of(update.spent) if update.spent else None,
            }
        case MetricsReceived(site=site, metrics=metrics):
            counted = {name: value for name, value in of(metrics).items() if name not in _OF_THE_LOG}
            return {**_came(site, at, "evaluate", "received"), **counted}
        case ReplyRefused(site=site):
            return {**_came(site, at, body.phase, "refused"), "by": body.by, "reason": body.reason}
    raise AssertionError("no reply")


def _came(site: SiteId, at: int, phase: str, outcome: str) -> dict[str, Plain]:
    return {"site": site, "recorded_at": when(at), "phase": phase, "outcome": outcome}
