# SPDX-License-Identifier: Apache-2.0
"""What a running simulation tells: figures with their noise, and nothing that steers the terminal it is told in."""

from __future__ import annotations

from typing import Any

import pytest

from client.site.events import RefusedEvent
from privacy.protocol.entries import AuditEntry, MetricsReceived, RoundEvaluated
from privacy.protocol.messages import SiteMetrics
from simulations.display import Display


def entry(body: Any) -> AuditEntry:
    return AuditEntry.model_construct(run_id="demo", server_round=2, recorded_at=0, index=0, version=4, body=body)


def counted(site: str, noise_std: str) -> AuditEntry:
    metrics = SiteMetrics(
        plan_digest="0" * 64,
        correct=60,
        incorrect=40,
        right=(),
        actual=(),
        predicted=(),
        noise_std=noise_std,
        spent=None,
        seen_tree_size=1,
    )
    return entry(MetricsReceived.model_construct(site=site, metrics=metrics))


@pytest.mark.parametrize(("noise_std", "told"), [("8", "0.600 +/- 0.041 (noise)"), ("0", "0.600 on the sites'")])
def test_an_accuracy_is_told_with_its_noise(capsys: pytest.CaptureFixture[str], noise_std: str, told: str) -> None:
    progress = Display(["a", "b"], quiet=False)
    for site in ("a", "b"):
        progress.logged(counted(site, noise_std))
    scored = RoundEvaluated(plan_digest="0" * 64, sites=("a", "b"), accuracy="0.6", macro_f1=None)
    progress.logged(entry(scored))
    assert f"after round 2: accuracy {told}" in " ".join(capsys.readouterr().err.split())


def test_what_a_site_says_of_itself_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Display(["a"], quiet=False)
    why = "\x1b[2J[red]x[/red]\u202e"
    progress.site_did("a", RefusedEvent(at=0, run_id="demo", phase="update", round=1, why=why))
    printed = capsys.readouterr().err
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert "[red]x[/red]" in printed
