# SPDX-License-Identifier: Apache-2.0
"""Two small simulated hospitals with the packaged model: built once, run once, and copied for every variant."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from simulations import scenario as scenarios
from simulations.build import Built, build
from simulations.federation import Federation, Outcome
from simulations.scenario import Scenario


@dataclass
class Finished:
    """A simulation that was run to its end. `crossed` is all that left a site or came to one, as bytes."""

    out: Path
    outcome: Outcome
    crossed: list[tuple[str, str, bytes]] = field(default_factory=list)


@pytest.fixture(scope="session")
def small() -> Scenario:
    return scenarios.load("two-hospitals")


@pytest.fixture(scope="session", autouse=True)
def _shared(
    each_calibration_once: None,
    each_contract_described_once: None,
    each_mechanism_tested_once: None,
    packaged_model_read_once: None,
) -> None:
    """What all simulations of a process share."""


@pytest.fixture(scope="session")
def built_small(small: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of the small scenario, before any round. Do not write into them: copy."""
    out = tmp_path_factory.mktemp("pristine") / "small"
    build(small, out, None, fresh=False)
    return out


@pytest.fixture
def copy_of(small: Scenario, tmp_path: Path) -> Callable[..., Built]:
    """copy_of(folder, name): the folder's simulation in a folder of its own, opened."""

    def copy(folder: Path, name: str = "copy") -> Built:
        shutil.copytree(folder, tmp_path / name)
        return build(small, tmp_path / name, None, fresh=False)

    return copy


def overheard(federation: Federation, crossed: list[tuple[str, str, bytes]]) -> None:
    """Write down every message that goes in and out of every site of `federation`."""
    from privacy.base.canonical import canonical_bytes

    for name, site in federation.sites.items():

        def listening(message: Any, name: str = name, answer: Any = site.answer) -> Any:
            reply = answer(message)
            for way, one in (("in", message), ("out", reply)):
                crossed.append((name, way, canonical_bytes(one.envelope) + one.body + one.payload))
            return reply

        site.answer = listening  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def finished(small: Scenario, built_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The small scenario, told to its end. Do not write into its folder."""
    out = tmp_path_factory.mktemp("finished") / "small"
    shutil.copytree(built_small, out)
    federation = Federation(build(small, out, None, fresh=False))
    crossed: list[tuple[str, str, bytes]] = []
    overheard(federation, crossed)
    return Finished(out, federation.run(), crossed)
