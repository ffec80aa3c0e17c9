# SPDX-License-Identifier: Apache-2.0
"""Where a run stands, told from its log: values for a program, figures with their noise for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordinator import status
from privacy.protocol.entries import AuditEntry, SiteReady
from privacy.protocol.run import Run

MakeStage = Callable[..., Any]


def told_by(stage: Any) -> list[str]:
    """The sentences of a whole run, as `collab-coordinator run` prints them."""
    teller, sentences = status.Teller(), []
    stage.run(lambda entry: sentences.append(teller.sentence(entry)))
    return sentences


@pytest.mark.parametrize(("by_class", "figures"), [(False, 1), (True, 2)])
def test_every_figure_of_a_run_is_told_with_its_noise(make_stage: MakeStage, by_class: bool, figures: int) -> None:
    scored = [sentence for sentence in told_by(make_stage(rounds={"per_class": by_class})) if "accuracy" in sentence]
    assert len(scored) == 3
    for sentence in scored:
        assert sentence.count(" +/- 0.") == figures, sentence


def test_a_restarted_coordinator_knows_the_noise_of_counts_that_came_before(make_stage: MakeStage) -> None:
    stage = make_stage()
    stage.run()
    entries = stage.entries()
    at = next(index for index, entry in enumerate(entries) if entry.body.kind == "round_evaluated")
    assert "noise unknown" in status.sentence(entries[at])
    assert "+/-" in status.Teller(entries[: at - 1]).sentence(entries[at])


def test_a_figure_of_exact_counts_has_no_noise(make_stage: MakeStage) -> None:
    scored = [s for s in told_by(make_stage(privacy={"mode": "none"})) if "accuracy" in s]
    assert len(scored) == 3
    assert not any(" +/- 0" in sentence for sentence in scored)


def test_a_summary_holds_numbers(make_stage: MakeStage) -> None:
    stage = make_stage(rounds={"per_class": True})
    stage.run()
    summary = status.summary(Run.read(stage.entries()))
    assert summary["evaluated_round"] == 2
    for name in ("accuracy", "accuracy_std", "macro_f1", "macro_f1_std"):
        assert isinstance(summary[name], int | float)
        assert 0 < summary[name] <= 1
    sites = summary["sites"]
    assert isinstance(sites, list)
    assert all(isinstance(site, dict) and isinstance(site["epsilon_of_run"], float) for site in sites)
    assert status.told(summary["accuracy"], summary["accuracy_std"]).count("+/-") == 1  # type: ignore[union-attr]
    assert status.told(None, None) is None


@pytest.mark.parametrize("device", ["\x1b]0;owned\x07\x1b[2J", "cpu\n00:00:00  run spring done", "[bold red]cpu[/]"])
def test_what_a_site_says_of_its_machine_steers_no_terminal(
    make_stage: MakeStage, capsys: pytest.CaptureFixture[str], device: str
) -> None:
    """An entry of an older log may hold it, whatever is let in today."""
    from coordinator.cli import _say_now

    stage = make_stage()
    stage.run()
    entry = next(entry for entry in stage.entries() if isinstance(entry.body, SiteReady))
    assert isinstance(entry.body, SiteReady)
    hello = entry.body.hello.model_copy(update={"device": device})
    steered = AuditEntry.model_construct(**{**dict(entry), "body": entry.body.model_copy(update={"hello": hello})})
    _say_now(status.Teller().sentence(steered))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert not any(line.startswith("00:00:00") for line in printed.splitlines())
