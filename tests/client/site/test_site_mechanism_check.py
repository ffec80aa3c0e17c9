# SPDX-License-Identifier: Apache-2.0
"""A site whose noise or sampling is broken does not train: nothing is read, nothing charged, and only a code leaves."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from client.site import mechanism_check
from client.site.events import MechanismCheckEvent
from privacy.base.randomness import SecretSeed
from privacy.dp import training
from privacy.dp.noise import GaussianStream, grid
from privacy.dp.params import PrivacyParams
from privacy.dp.sampling import PoissonUnits
from privacy.protocol.mechanism import TESTED
from privacy.protocol.messages import SiteUpdate

Clinic = Any
KEY = SecretSeed(bytes(range(32)))
PLANNED = PrivacyParams(
    sample_rate="0.2",
    noise_multiplier="1.3",
    max_grad_norm="0.5",
    target_epsilon="8",
    target_delta="0.00001",
    num_steps=4,
    unit="patient",
)


class TenthOfTheNoise(GaussianStream):
    def fill(self, shape: Any, std: float) -> Any:
        return super().fill(shape, std / 10)


class HalfAPercentLess(GaussianStream):
    def fill(self, shape: Any, std: float) -> Any:
        return super().fill(shape, std * 0.995)


class CutTails(GaussianStream):
    def fill(self, shape: Any, std: float) -> Any:
        drawn = super().fill(shape, std)
        return np.where(np.abs(drawn) > 3 * std, drawn / 2, drawn)


class Uniform(GaussianStream):
    def fill(self, shape: Any, std: float) -> Any:
        from scipy.special import ndtr

        return (ndtr(super().fill(shape, 1.0)) - 0.5) * np.sqrt(12) * std


class OneSeedForAll(GaussianStream):
    def __init__(self, seed: SecretSeed) -> None:
        super().__init__(SecretSeed(bytes(32)))


class RestartedEachStep(GaussianStream):
    def __init__(self, seed: SecretSeed) -> None:
        super().__init__(seed)
        self._seed = seed

    def fill(self, shape: Any, std: float) -> Any:
        return GaussianStream(self._seed).fill(shape, std)


class Shifted(GaussianStream):
    def fill(self, shape: Any, std: float) -> Any:
        return super().fill(shape, std) + std / 100


BROKEN_NOISE = {
    TenthOfTheNoise: "sigma",
    HalfAPercentLess: "sigma",
    CutTails: "tails",
    Uniform: "distribution",
    OneSeedForAll: "streams",
    RestartedEachStep: "streams",
    Shifted: "mean",
}


class FixedBatches(PoissonUnits):
    """An epoch in order, batch after batch: what a loader does that nobody told to draw."""

    def draw(self) -> list[list[int]]:
        at = self._at = getattr(self, "_at", -1) + 1
        return [[row] for row in range(at % 5, len(self._units), 5)]


class FixedSize(PoissonUnits):
    """As many units as are expected, drawn without replacement."""

    def draw(self) -> list[list[int]]:
        self._step += 1
        order = np.argsort(self._membership.of_all(self._step)[:, 0], kind="stable")
        return [[row] for row in sorted(int(at) for at in order[: len(self._units) // 5])]


class TooOften(PoissonUnits):
    def __init__(self, seed: SecretSeed, units: Any, sample_rate: Any, *others: Any) -> None:
        super().__init__(seed, units, "0.23", *others)


class Sticky(PoissonUnits):
    """Each draw is used twice."""

    def draw(self) -> list[list[int]]:
        self._again = None if getattr(self, "_again", None) is not None else super().draw()
        self._last = self._again if self._again is not None else self._last
        return self._last


BROKEN_SAMPLING = {
    FixedBatches: "batch_sizes",
    FixedSize: "batch_sizes",
    TooOften: "rate",
    Sticky: "repeats",
}


def test_the_real_loop_passes_every_test() -> None:
    noise, sampling = measure(PLANNED, 96, KEY)
    assert (noise.broken, sampling.broken) == ((), ())
    assert abs(noise.sigma_error) < 1e-3
    assert noise.draws >= 12_000_000


@pytest.mark.parametrize("clipping", ["ghost", "hooks"])
def test_a_zero_gradient_step_releases_the_noise_of_the_plan_and_nothing_else(clipping: str) -> None:
    params = PLANNED.model_copy(update={"clipping": clipping})
    first, second = mechanism_check.zero_gradient_steps(params, 96, KEY, 2)
    drawn = GaussianStream(KEY.derive("noise")).fill(2 * first.size, 1.3 * 0.5)
    cell = grid(1.3 * 0.5)
    expected = np.rint(drawn / cell) * cell / (0.2 * 96)
    assert np.array_equal(np.concatenate([first, second]), expected.astype(np.float32))


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(stream, marks=[] if stream in (HalfAPercentLess, OneSeedForAll) else pytest.mark.slow)
        for stream in BROKEN_NOISE
    ],
    ids=lambda stream: stream.__name__,
)
def test_noise_that_is_not_the_plans_is_found(monkeypatch: pytest.MonkeyPatch, stream: type) -> None:
    monkeypatch.setattr(training, "GaussianStream", stream)
    monkeypatch.setattr(mechanism_check, "sampling_self_test", lambda *arguments: None)
    noise, _ = measure(PLANNED, 96, KEY)
    assert BROKEN_NOISE[stream] in noise.broken


@pytest.mark.parametrize(
    "draws",
    [pytest.param(draws, marks=[] if draws is TooOften else pytest.mark.slow) for draws in BROKEN_SAMPLING],
    ids=lambda draws: draws.__name__,
)
def test_sampling_that_is_not_poisson_is_found(monkeypatch: pytest.MonkeyPatch, draws: type) -> None:
    monkeypatch.setattr(training, "PoissonUnits", draws)
    monkeypatch.setattr(mechanism_check, "noise_self_test", lambda *arguments: None)
    _, sampling = measure(PLANNED, 96, KEY)
    assert BROKEN_SAMPLING[draws] in sampling.broken


def test_every_update_says_that_noise_and_sampling_passed_and_it_is_tested_once(clinic: Clinic) -> None:
    first, second = (clinic.opened_reply(clinic.ask(number), SiteUpdate) for number in (1, 2))
    assert first.mechanism_check == second.mechanism_check
    assert first.mechanism_check.tests == TESTED
    assert first.mechanism_check.noise_multiplier == "1.5"
    (event,) = events(clinic)
    assert event.passed
    assert abs(event.noise.sigma_error) < 1e-3


def test_a_site_with_broken_noise_refuses_before_it_reads_or_charges(
    make_clinic: Callable[..., Clinic], monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = make_clinic()
    monkeypatch.setattr(mechanism_check, "measure", inspect.unwrap(mechanism_check.measure))
    monkeypatch.setattr(training, "GaussianStream", TenthOfTheNoise)
    clinic.site.pipeline.records.anonymized = lambda: pytest.fail("the site read its texts")
    reply = clinic.hello()
    assert clinic.reason(reply) == "mechanism_check_failed"
    assert clinic.charged() == ()
    (sentence,) = clinic.sentences()
    assert "noise: sigma" in sentence
    assert b"sigma" not in clinic.wire(reply)
    (event,) = events(clinic)
    assert not event.passed


def test_what_is_said_depends_on_the_plan_alone_and_no_figure_leaves(make_clinic: Callable[..., Clinic]) -> None:
    said = []
    for _ in range(2):  # two sites with other keys
        clinic = make_clinic()
        clinic.hello()
        said.append(clinic.opened_reply(clinic.ask(), SiteUpdate).mechanism_check)
        (event,) = events(clinic)
        for figure in (event.noise.sigma_error, event.noise.worst_correlation, event.sampling.rate):
            assert repr(figure).encode() not in clinic.wire(clinic.ask(2))
    assert said[0] == said[1]


def test_the_check_never_draws_from_a_stream_of_training(
    make_clinic: Callable[..., Clinic], monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = make_clinic()
    seeds: dict[str, list[str]] = {"check": [], "training": []}

    class Watched(GaussianStream):
        def __init__(self, seed: SecretSeed) -> None:
            super().__init__(seed)
            seeds[now[0]].append(seed.commit("stream"))

    now, train = ["check"], clinic.site.pipeline.train

    def trained(*arguments: Any) -> Any:
        now[0] = "training"
        return train(*arguments)

    monkeypatch.setattr(mechanism_check, "measure", inspect.unwrap(mechanism_check.measure))
    monkeypatch.setattr(training, "GaussianStream", Watched)
    clinic.site.pipeline.train = trained
    clinic.hello()
    assert clinic.ask().envelope.kind == "site_update"
    assert len(seeds["check"]) == len(set(seeds["check"])) == 7  # six streams, and one while whom is drawn is watched
    assert len(seeds["training"]) == 1
    assert not set(seeds["check"]) & set(seeds["training"])


def test_a_plan_without_noise_has_no_mechanism_check(make_clinic: Callable[..., Clinic]) -> None:
    clinic = make_clinic()
    clinic.hello()
    assert clinic.site.mechanism.of("spring", None, clinic.recipe.opened) is None


def test_the_result_is_told_at_home(clinic: Clinic) -> None:
    clinic.ask()
    assert events(clinic)[0].sentence.startswith("mechanism check passed: sigma off by ")


def events(clinic: Clinic) -> list[MechanismCheckEvent]:
    return [event for event in clinic.site.reports.events("spring") if isinstance(event, MechanismCheckEvent)]


def measure(*arguments: Any) -> mechanism_check.Tests:
    """The measurement itself: the fixture of this folder makes it once for all clinics."""
    return inspect.unwrap(mechanism_check.measure)(*arguments)
