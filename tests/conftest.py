# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: one torch thread a process, what is costly built once, no luck, no idle skipping.

By default each process takes a thread a core, and threads that wait for each other spin: with two workers on two cores,
a test of 2 seconds took a minute. What is computed does not change: a site sets its threads by `compute.threads` (1
unless it says otherwise), and a test that is about threads sets them itself. Set here, before anything imports torch.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Collection, Generator, Hashable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings as hypothesis_settings

from privacy.text.find import engines
from privacy.text.find.engines import Engine
from privacy.text.settings import TextSettings
from simulations.tiny_bert import WORDS, write_tiny_bert

if TYPE_CHECKING:
    from client.learning.model.pretrained import Pretrained
    from privacy.base.randomness import PublicSeed
    from privacy.protocol.plans import TaskPlan, TrainingPlan

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

hypothesis_settings.register_profile("busy", deadline=None)  # how long an example takes is the machine's affair
hypothesis_settings.load_profile("busy")

MOST_SECONDS = 120.0
"""What is waited for takes no longer, however busy the machine. Whoever waits fails then, instead of hanging."""

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"


def skipped_in_vain(reason: str) -> bool:
    """Whether a test was skipped because "the shared ..." is missing, while that folder is beside the checkout."""
    return "the shared " in reason and SHARED.is_dir()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and skipped_in_vain(report.longrepr[2]):
        report.outcome, report.longrepr = "failed", f"../shared is there, but {report.longrepr[2]}"
    return report


@pytest.fixture(scope="session")
def wait_for() -> Callable[[Callable[[], object]], None]:
    """wait_for(condition): return as soon as it holds. Nothing follows from how long that takes."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + MOST_SECONDS
        while not condition():
            assert time.monotonic() < end, f"still not so after {MOST_SECONDS:.0f} seconds"
            time.sleep(0.01)

    return wait


# -- what is costly is built once in a process -------------------------------------------------------------------------


def shared(module: ModuleType, name: str, key: Callable[..., Hashable | None]) -> Iterator[None]:
    """Until the session ends, `module.name` is called once for each key of its arguments; always where that is None.

    For functions whose answer follows from the key and is never written to. A test of the function itself calls
    `inspect.unwrap` of it.
    """
    build, built = getattr(module, name), {}

    @functools.wraps(build)
    def once(*arguments: Any, **named: Any) -> Any:
        known = key(*arguments, **named)
        if known is None:
            return build(*arguments, **named)
        if known not in built:
            built[known] = build(*arguments, **named)
        return built[known]

    holders = [other for other in list(sys.modules.values()) if getattr(other, "__dict__", {}).get(name) is build]
    for holder in holders:
        setattr(holder, name, once)
    yield
    for holder in holders:
        setattr(holder, name, build)


def _engine(settings: TextSettings) -> str | None:
    """The settings whole, unless they name a model: its folder may change."""
    return None if settings.names_model else settings.model_dump_json()


@pytest.fixture(scope="session", autouse=True)
def _each_engine_once() -> Iterator[None]:
    yield from shared(engines, "load", _engine)


@pytest.fixture(scope="session")
def packaged_model_read_once() -> Iterator[None]:
    """The packaged MiniLM: 90 MB to read, to hash and to parse."""
    from client.learning.model import pretrained

    packaged = pretrained.packaged_folder()

    def key(folder: Path, expected: str | None = None) -> Hashable | None:
        return (expected,) if folder == packaged else None

    yield from shared(pretrained, "load_pretrained", key)


@pytest.fixture(scope="session")
def each_contract_described_once() -> Iterator[None]:
    """What a plan makes of a pretrained model: the contract and the bytes of the first model."""
    from client.learning.training import contract

    def key(task: TaskPlan, training: TrainingPlan, pretrained: Pretrained, public_seed: PublicSeed) -> Hashable:
        digests = pretrained.digest, pretrained.tokenizer_digest
        return task.model_dump_json(), training.model_dump_json(), *digests, public_seed.hex()

    yield from shared(contract, "describe_pretrained", key)


@pytest.fixture(scope="session")
def each_mechanism_tested_once() -> Iterator[None]:
    """The same noise and sampling are tested once in this process, with the first site's check key."""
    from client.site import mechanism_check

    yield from shared(mechanism_check, "measure", lambda private, size_bucket, *rest: (private, size_bucket))


@pytest.fixture(scope="session")
def each_calibration_once() -> Iterator[None]:
    """The same calibration, from the same numbers, is computed once in this process."""
    from privacy.dp import calibrate

    yield from shared(calibrate, "noise_multiplier", lambda *numbers: numbers)


@pytest.fixture(scope="session")
def _self_checks() -> dict[Hashable, object]:
    return {}


@pytest.fixture
def one_self_check(_self_checks: dict[Hashable, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine finds in invented notes is measured once for the commands of tests that ask for this.

    Each command invents notes of its own, of a seed that nobody keeps.
    """
    from privacy.text import self_check

    measure = self_check.check

    def once(engine: Engine, settings: TextSettings, seed: object, least_notes: int, floors: Collection[str]) -> object:
        known = (settings.model_dump_json(), least_notes, tuple(floors))
        if known not in _self_checks:
            _self_checks[known] = measure(engine, settings, seed, least_notes, floors)  # type: ignore[arg-type]
        return _self_checks[known]

    monkeypatch.setattr(self_check, "check", once)


# -- a small model --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("pretrained") / "tiny")


@pytest.fixture(scope="session")
def tiny_words() -> tuple[str, ...]:
    """Words that are one piece each of the tiny BERT's tokenizer."""
    return WORDS
