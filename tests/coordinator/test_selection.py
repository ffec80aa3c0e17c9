# SPDX-License-Identifier: Apache-2.0
"""A run ends early, and keeps a model, by published figures alone; coordinator and auditor follow one rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.settings import FederationSettings
from privacy.audit.recomputation import replay
from privacy.audit.verification import verify
from privacy.base.canonical import decimal_string
from privacy.base.errors import SettingsError
from privacy.commandline.settings_file import parse_toml, plain
from privacy.protocol.entries import RoundEvaluated
from privacy.protocol.selection import Rule, Selection

MakeStage = Callable[..., Any]


def evaluated(figure: float | None) -> RoundEvaluated:
    said = None if figure is None else decimal_string(figure)
    return RoundEvaluated(plan_digest="0" * 64, sites=("alder",), accuracy=said, macro_f1=said)


def taken(rule: Rule, figures: list[float | None]) -> Selection:
    selection = Selection(rule)
    for number, figure in enumerate(figures):
        selection.take(evaluated(figure), f"{number:064x}")
    return selection


@given(st.lists(st.none() | st.integers(0, 4).map(lambda n: n / 4), max_size=8), st.integers(1, 4))
def test_a_run_is_over_once_patience_evaluations_brought_nothing_better(
    figures: list[float | None], patience: int
) -> None:
    selection = taken(Rule(patience=patience), figures)
    known = [-1.0 if figure is None else figure for figure in figures]
    best = max(known, default=-1.0)
    waited = len(known) if best < 0 else len(known) - 1 - known.index(best)
    assert selection.is_over == (waited >= patience)
    assert not taken(Rule(), figures).is_over


@given(st.lists(st.none() | st.integers(0, 4).map(lambda n: n / 4), max_size=8))
def test_the_best_is_the_first_of_the_greatest_and_the_last_is_the_newest(figures: list[float | None]) -> None:
    known = [-1.0 if figure is None else figure for figure in figures]
    newest = "f" * 64
    expected = newest if max(known, default=-1.0) < 0 else f"{known.index(max(known)):064x}"
    assert taken(Rule(keep="best"), figures).kept(newest) == expected
    assert taken(Rule(keep="last"), figures).kept(newest) == newest


def test_the_rule_is_read_from_the_settings_in_the_log_and_old_settings_keep_the_last() -> None:
    rounds = {"keep": "best", "patience": 3, "measure": "macro_f1", "per_class": True}
    settings = FederationSettings.model_validate({"rounds": rounds})
    assert Rule.of(plain(settings)) == Rule("macro_f1", "best", 3)
    assert Rule.of({}) == Rule.of({"rounds": {"evaluate": True}}) == Rule("accuracy", "last", 0)


def test_a_recipe_that_goes_by_counts_which_nobody_asks_for_is_refused() -> None:
    with pytest.raises(SettingsError, match="per_class"):
        parse_toml('[rounds]\nmeasure = "macro_f1"\n', FederationSettings, origin="federation.toml")


@pytest.mark.parametrize("line", ['keep = "best"', "patience = 2"])
def test_a_recipe_that_goes_by_figures_which_nobody_makes_is_refused(line: str) -> None:
    with pytest.raises(SettingsError, match="go by evaluations"):
        parse_toml(f"[rounds]\nevaluate = false\n{line}\n", FederationSettings, origin="federation.toml")


def test_a_federation_stops_when_its_noised_figures_rise_no_more_and_ends_with_the_best(
    make_stage: MakeStage,
) -> None:
    stage = make_stage(training={"rounds": 6}, rounds={"keep": "best", "patience": 2})
    closed = stage.run()
    figures = [float(body.accuracy) for body in stage.bodies("round_evaluated")]
    models = [stage.recipe.opened.initial_model_digest, *(body.model_out for body in stage.bodies("round_aggregated"))]
    assert closed.outcome == "early"
    assert closed.rounds_aggregated < 6
    assert len(figures) - 1 - figures.index(max(figures)) == 2
    assert closed.final_model == models[figures.index(max(figures))]
    found = verify(stage.folder, expected_key=None)
    assert found.exit_code == 0, found.findings
    assert replay(stage.folder).exit_code == 0
