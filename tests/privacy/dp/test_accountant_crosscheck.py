# SPDX-License-Identifier: Apache-2.0
"""Two accountants, one history: the docs' table is what they say, and the larger bound is shown where they differ."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from privacy.dp import accounting, pld
from privacy.dp.accountant_crosscheck import Bounds, bounds
from privacy.dp.params import PrivacyEvent

PAGE = Path(__file__).resolve().parents[3] / "docs" / "privacy-accounting.md"
ROWS = re.findall(
    r"^  \| ([\d.]+) \| ([\d.]+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE.read_text(), re.MULTILINE
)


def test_the_docs_have_the_table() -> None:
    assert len(ROWS) == 5


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:3]))
def test_the_docs_table_of_accountants_is_what_they_say(row: tuple[str, ...]) -> None:
    noise, rate, steps, *said = row
    events = [PrivacyEvent(noise_multiplier=noise, sample_rate=rate, steps=int(steps), partition="train")]
    found = [of(events, 1e-5) for of in (accounting.epsilon_rdp, accounting.epsilon, pld.epsilon_pld)]
    assert found == pytest.approx([float(one) for one in said], rel=2e-3, abs=2e-4)
    both = bounds(events, 1e-5)
    assert (both.prv, both.pld) == (found[1], found[2])
    assert (both.differ, both.shown, both.accountant) == (False, both.prv, "prv")


def test_the_larger_bound_is_shown_where_they_differ_by_more_than_two_percent() -> None:
    assert (Bounds(1.0, 1.03).shown, Bounds(1.0, 1.03).accountant) == (1.03, "pld")
    assert (Bounds(1.05, 1.0).shown, Bounds(1.05, 1.0).accountant) == (1.05, "prv")
    assert (Bounds(1.0, 1.01).differ, Bounds(1.0, 1.01).shown) == (False, 1.0)
    assert not Bounds(0.01, 0.0009).differ  # PRV's own error at a tiny spend
