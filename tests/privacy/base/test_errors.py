# SPDX-License-Identifier: Apache-2.0
"""The one error tree: an exit code for each branch, a next step where there is one, and only known reason codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest

from privacy.base import errors
from privacy.protocol.messages import ReasonCode


def tree(root: type[errors.CollabError]) -> Iterator[type[errors.CollabError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.CollabError, 1),
        (errors.SettingsError, 2),
        (errors.AnonymizationError, 3),
        (errors.BudgetExceeded, 3),
        (errors.PlanRefused, 3),
        (errors.ContractError, 4),
        (errors.UpdateNotFinite, 4),
        (errors.IntegrityError, 4),
        (errors.LogForked, 4),
        (errors.StorageFailed, 5),
        (errors.Unreachable, 5),
    ],
)
def test_each_branch_ends_with_its_exit_code(kind: type[errors.CollabError], code: int) -> None:
    assert kind.exit_code == code


def test_no_branch_has_an_exit_code_that_nobody_knows() -> None:
    assert {kind.exit_code for kind in tree(errors.CollabError)} <= {1, 2, 3, 4, 5}


def test_the_reason_that_a_class_carries_is_a_known_code() -> None:
    made = [
        errors.SettingsError("x"),
        errors.AnonymizationError("x"),
        errors.ContractError("x"),
        errors.UpdateNotFinite(),
        errors.IntegrityError("x"),
        errors.LogForked("x"),
        errors.BudgetExceeded(errors.Overrun(9, 8, "patient"), site="a", server_round=1),
    ]
    assert all(error.reason in get_args(ReasonCode) for error in made)


def test_a_sentence_ends_with_the_next_step() -> None:
    assert str(errors.CollabError("It broke", next_step="mend it")) == "It broke\nNext step: mend it"
    assert str(errors.CollabError("It broke")) == "It broke"


def test_a_budget_says_its_figures() -> None:
    error = errors.BudgetExceeded(errors.Overrun(8.126, 8, "patient"), site="a", server_round=3)
    assert "site a refuses round 3: it would bring epsilon to 8.1260 of 8.0000 (unit: patient, by prv)" in str(error)
    assert error.reason == "budget_exceeded"
