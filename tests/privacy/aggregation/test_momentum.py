# SPDX-License-Identifier: Apache-2.0
"""The server's momentum: the heavy ball of the literature, from three models and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from privacy.aggregation import CHUNK, with_momentum
from privacy.base.errors import ContractError, UpdateNotFinite


def vectors(count: int, size: int = CHUNK + 5) -> list[np.ndarray]:
    return [np.random.Generator(np.random.Philox(at)).standard_normal(size).astype(np.float32) for at in range(count)]


def test_rounds_of_one_update_add_up_to_the_geometric_series() -> None:
    update = np.ones(3, np.float32)
    before, model = np.zeros(3, np.float32), update
    for _ in range(200):
        before, model = model, with_momentum(model + update, model, before, "0.5")
    assert np.allclose(model - before, 2.0, atol=1e-4)


def test_it_equals_a_velocity_that_somebody_kept_beside_the_model() -> None:
    velocity, model, before = np.zeros(1000), np.zeros(1000, np.float32), np.zeros(1000, np.float32)
    exact = np.zeros(1000)
    for update in vectors(30, 1000):
        velocity = 0.9 * velocity + update
        exact = exact + velocity
        before, model = model, with_momentum(model + update, model, before, "0.9")
    assert np.abs(model - exact).max() < 1e-4 * np.abs(exact).max()


def test_each_value_is_computed_by_itself() -> None:
    out, model, before = vectors(3)
    whole = with_momentum(out, model, before, "0.9")
    alone = [with_momentum(out[at : at + 1], model[at : at + 1], before[at : at + 1], "0.9")[0] for at in range(50)]
    assert whole[:50].tolist() == [float(one) for one in alone]


def test_a_model_that_did_not_move_gets_no_momentum() -> None:
    out, model = vectors(2)
    assert with_momentum(out, model, model, "0.9").tobytes() == out.tobytes()


def test_the_inputs_stay_as_they_are() -> None:
    given = vectors(3, 10)
    kept = [vector.copy() for vector in given]
    with_momentum(given[0], given[1], given[2], "0.9")
    assert all(np.array_equal(one, other) for one, other in zip(given, kept, strict=True))


def test_another_shape_or_dtype_or_what_is_not_finite_is_refused() -> None:
    out, model, before = vectors(3, 10)
    with pytest.raises(ContractError):
        with_momentum(out, model[:9], before, "0.9")
    with pytest.raises(ContractError):
        with_momentum(out, model, before.astype(np.float64), "0.9")
    with pytest.raises(UpdateNotFinite), np.errstate(over="ignore"):
        with_momentum(out, np.full(10, np.finfo(np.float32).max), -np.full(10, np.finfo(np.float32).max), "0.9")
