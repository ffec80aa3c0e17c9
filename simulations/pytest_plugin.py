# SPDX-License-Identifier: Apache-2.0
"""A fixture for the tests of whoever builds on collab: `federation`, whole and small, in the test's own folder.

    def test_my_policy(federation):
        assert federation.run().log.verified

    @pytest.mark.federation("my-scenario.toml", seed=3)
    def test_mine(federation): ...

It takes seconds, on one core, without a network: two hospitals with invented notes, the packaged model, real keys,
plans, ledgers and log. pytest loads this module by its entry point, so it imports nothing heavy until it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from simulations import Federation

SCENARIO = "two-hospitals"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "federation(scenario, *, data, seed): the scenario of the `federation` fixture (Federation.build)"
    )


@pytest.fixture
def federation(request: pytest.FixtureRequest, tmp_path: Path) -> Federation:
    """A simulated federation before its first round; `run()` trains, verifies and replays it.

    The mark `federation` takes what `simulations.Federation.build` takes, without `out`.
    """
    from simulations import Federation

    mark = request.node.get_closest_marker("federation")
    given, named = (mark.args, mark.kwargs) if mark is not None else ((), {})
    (scenario,) = given or (SCENARIO,)
    return Federation.build(scenario, tmp_path / "federation", **named)
