# SPDX-License-Identifier: Apache-2.0
"""The server's momentum follows from the log alone: it is replayed bit for bit, and a lie about it is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from privacy.audit.recomputation import replay
from privacy.audit.stored import read_log
from privacy.audit.verification import verify
from privacy.base.canonical import digest_of
from privacy.protocol.entries import AuditEntry, RoundPlanned
from privacy.protocol.messages import parse
from privacy.protocol.plans import RoundPlan

Edit = Callable[[str, Any], Any]


def momentum(opened: str, *plans: str | None, then: Edit = lambda place, value: value) -> Edit:
    """A run that opens with a momentum of `opened` and whose plan of round n says plans[n - 1]."""

    def edit(place: str, value: Any) -> Any:
        if place == "opened":
            settings = {**value.settings, "update": {"server_momentum": opened}}
            outline = value.outline.model_copy(update={"server_momentum": None if opened == "0" else opened})
            digest = digest_of(settings)
            value = value.model_copy(update={"settings": settings, "settings_digest": digest, "outline": outline})
        if place.startswith("plan/"):
            value = value.model_copy(update={"server_momentum": plans[int(place[5:]) - 1]})
        return then(place, value)

    return edit


def test_a_run_with_momentum_verifies_and_replays_to_other_models(
    build_log: Callable[..., Path], true_log: Path, tmp_path: Path
) -> None:
    log = build_log(tmp_path / "log", momentum("0.9", "0.9", "0.9"))
    assert verify(log, expected_key=None).findings == ()
    report = replay(log)
    assert (report.findings, report.rounds_replayed) == ((), 2)
    assert report.models != replay(true_log).models


def test_a_model_made_without_the_planned_momentum_is_found_by_replay(
    build_log: Callable[..., Path], tmp_path: Path
) -> None:
    kept: dict[str, np.ndarray] = {}

    def without(place: str, value: Any) -> Any:
        if place == "model/1":
            kept["one"] = value
        if place == "model/2":  # the step before was from zero to model 1
            return value - (kept["one"].astype(np.float64) * 0.9).astype(np.float32)
        return value

    report = replay(build_log(tmp_path / "log", momentum("0.9", "0.9", "0.9", then=without)))
    assert [finding.index for finding in report.findings] == [21]
    assert "the log names" in report.findings[0].message


@pytest.mark.parametrize("plans", [("0.9", "0.5"), ("0.9", None)])
def test_a_plan_with_another_momentum_than_the_opening_is_found(
    build_log: Callable[..., Path], tmp_path: Path, plans: tuple[str | None, ...]
) -> None:
    found = verify(build_log(tmp_path / "log", momentum("0.9", *plans)), expected_key=None).findings
    assert {finding.index for finding in found} == {18}
    assert "momentum" in found[0].message


def test_momentum_that_no_opening_names_is_found(build_log: Callable[..., Path], tmp_path: Path) -> None:
    found = verify(build_log(tmp_path / "log", momentum("0", None, "0.9")), expected_key=None).findings
    assert "momentum" in found[0].message


@pytest.mark.parametrize("momentum", ["0", "1", "-0.5", "1.5"])
def test_a_plan_names_a_momentum_above_0_and_below_1_or_none(true_log: Path, momentum: str) -> None:
    bodies = [parse(AuditEntry, row.leaf).body for row in read_log(true_log).rows]
    plan = next(body.plan for body in bodies if isinstance(body, RoundPlanned))
    assert "server_momentum" not in plan.model_dump()  # a plan without one keeps the digest that it had
    RoundPlan.model_validate({**plan.model_dump(), "server_momentum": "0.5"})
    with pytest.raises(ValidationError, match="above 0 and below 1"):
        RoundPlan.model_validate({**plan.model_dump(), "server_momentum": momentum})
