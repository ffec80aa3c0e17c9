# SPDX-License-Identifier: Apache-2.0
"""Nothing that leaves a site tells whether one patient is there, but noised values: the law of ADR 30, over any plan.

Two real sites that differ in one patient get the same hostile plans and draw the same noise. Kind, reason code, size
and every field of their answers are equal, but for those that simulations.neighbours.law names, and these differ by no
more than the noise is made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from client.learning.training.training import TextExamples
from privacy.base.errors import ContractError
from simulations.neighbours import law
from simulations.neighbours.cases import CHOICES, Case
from simulations.neighbours.law import tried
from simulations.neighbours.world import World, one_engine

CASES = st.fixed_dictionaries({name: st.sampled_from(options) for name, options in CHOICES.items()}).map(
    lambda chosen: Case(**chosen)
)
BY_LAW = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
PLAIN = Case(**{name: options[0] for name, options in CHOICES.items()})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with one_engine():
        made = World(tmp_path_factory.mktemp("neighbours") / "world")
        yield made
        made.close()


@given(case=CASES)
@settings(BY_LAW, max_examples=20)
def test_no_plan_tells_neighbours_apart(world: World, case: Case) -> None:
    assert tried(world, case) == []


@pytest.mark.slow
@given(case=CASES)
@settings(BY_LAW, max_examples=500, derandomize=False)
def test_no_plan_of_500_tells_neighbours_apart(world: World, case: Case) -> None:
    assert tried(world, case) == []


@pytest.mark.parametrize("phase", ["update", "evaluate"])
@pytest.mark.parametrize("target", CHOICES["target"])
def test_no_kind_of_row_tells_by_an_honest_plan(world: World, target: str, phase: str) -> None:
    assert tried(world, replace(PLAIN, target=target, phase=phase)) == []


@pytest.mark.parametrize("rows", CHOICES["rows"])
@pytest.mark.parametrize("phase", ["update", "evaluate"])
def test_sites_with_few_rows_or_none_answer_like_others(world: World, rows: int, phase: str) -> None:
    first, second = world.ask(replace(PLAIN, rows=rows, phase=phase))
    assert {first.answer.envelope.kind, second.answer.envelope.kind} == {
        {"update": "site_update", "evaluate": "site_metrics"}[phase]
    }


# -- the law can fail --------------------------------------------------------------------------------------------------


def test_a_site_that_refused_for_one_row_would_be_told_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from client.learning.training.training import prepare

    def strict(*arguments: Any, **named: Any) -> TextExamples:
        examples = prepare(*arguments, **named)
        if examples.refused:
            raise ContractError("a label that the plan does not have")
        return examples

    case = replace(PLAIN, target="unknown_label", learning_rate="0.1")
    assert tried(world, case) == []
    monkeypatch.setattr("client.site.pipeline.prepare", strict)
    monkeypatch.setattr("client.site.readiness.answer_privately", lambda work, pipeline, told: None)
    monkeypatch.setattr("client.site.site.answer_privately", lambda work, pipeline, told: work(pipeline))
    assert "answer: kind: refusal and site_update" in tried(world, case)


def test_counts_that_move_by_more_than_the_noise_is_made_for_would_be_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = replace(PLAIN, phase="evaluate", target="plain")
    tripled = lambda examples, row, prediction: 3 * np.eye(3, examples.plan.num_outputs, dtype=np.int64)  # noqa: E731
    monkeypatch.setattr("client.learning.training.training._count_one", tripled)
    assert [one for one in tried(world, case) if "counts moved" in one]


def test_an_exact_field_would_be_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law, "NOISED", {kind: frozenset[str]() for kind in law.NOISED})
    assert "answer: anonymization_commitment" in tried(world, replace(PLAIN, target="plain"))
