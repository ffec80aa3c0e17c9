# SPDX-License-Identifier: Apache-2.0
"""One file a rule, on integers and numpy: the coordinator folds with it, the auditor replays with it.

The contract of a rule is the `AggregationRule` below, as functions of a module. The file's name is its name in
federation.toml and in the plan. tests/conformance/test_aggregation.py visits every file: the order of folding changes
no bit, one site alone gives back its own model, finite in gives finite out, dtypes are kept.

What a rule finishes may go on with a share of the step before (`with_momentum`), whatever the rule.
"""

from __future__ import annotations

from typing import Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from privacy.base import parts
from privacy.base.errors import ContractError
from privacy.base.identifiers import Digest
from privacy.update.delta import check_finite

CHUNK: Final = 1 << 16


class AggregationRule(Protocol):
    """How updates become the next model.

    State is one integer vector, so memory does not grow with the number of sites.
    """

    def start(self, size: int) -> NDArray[np.int64]:
        """The empty sum of vectors of `size` values."""
        ...

    def fold(self, total: NDArray[np.int64], update: NDArray[np.int32]) -> None:
        """Add one site's quantized, weighted update into `total`, in place. ContractError on another shape or dtype."""
        ...

    def finish(
        self, model_in: NDArray[np.float32], total: NDArray[np.int64], total_weight: int, scale_log2: int
    ) -> NDArray[np.float32]:
        """The next model, from the sum over the included sites and the sum of their weights."""
        ...

    def sum_digest(self, total: NDArray[np.int64]) -> Digest:
        """What the log holds of the sum: SHA-256 of it as little-endian int64."""
        ...


def load_rule(name: str) -> AggregationRule:
    """The rule in `privacy/aggregation/<name>.py`. Raises SettingsError with the choices when there is none."""
    return cast(AggregationRule, parts.load("privacy.aggregation", name))


def with_momentum(
    model_out: NDArray[np.float32], model_in: NDArray[np.float32], before: NDArray[np.float32], momentum: str
) -> NDArray[np.float32]:
    """What a rule gave for `model_in`, and `momentum` times the step from `before` to it: Polyak's heavy ball.

    model_out + float32(momentum * (model_in - before)) per value, the difference and the product in float64 (IEEE 754,
    no reduction). `before` is the input of the last aggregated round, so the two newest models of the log are all the
    state there is. It reads nothing but models that were released: it costs no privacy (docs/adr/0020). Raises
    UpdateNotFinite, ContractError on another shape or dtype.
    """
    shapes = {(vector.shape, vector.dtype) for vector in (model_out, model_in, before)}
    if shapes != {(model_out.shape, np.dtype(np.float32))}:
        raise ContractError(f"the model is {model_out.size} values of float32", reason="wrong_shape")
    result, share = np.empty_like(model_out), float(momentum)
    for at in range(0, model_out.size, CHUNK):
        part = slice(at, at + CHUNK)
        step = (model_in[part].astype(np.float64) - before[part]) * share
        result[part] = model_out[part] + step.astype(np.float32)
    check_finite(result)
    return result
