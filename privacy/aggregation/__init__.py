# SPDX-License-Identifier: Apache-2.0
"""One file a rule, on integers and numpy: the coordinator folds with it, the auditor replays with it.

The contract of a rule is the `AggregationRule` below, as functions of a module. The file's name is its name in
federation.toml and in the plan. tests/conformance/test_aggregation.py visits every file: the order of folding changes
no bit, one site alone gives back its own model, finite in gives finite out, dtypes are kept.
"""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from privacy import parts
from privacy.identifiers import Digest


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
