# SPDX-License-Identifier: Apache-2.0
"""Sequence classification with smoothed targets: where people disagree about labels, the softer answer is truer."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from client.learning.model.heads import Batch
from client.learning.tasks import Outputs
from client.learning.tasks.classification import INPUTS, MASKING, check, count, heads, predictions, read
from privacy.protocol.plans import TaskPlan

__all__ = ["INPUTS", "MASKING", "check", "count", "heads", "losses", "predictions", "read"]

SMOOTHING: Final = 0.1
"""Share of a target that is spread evenly over all labels."""


def losses(outputs: Outputs, batch: Batch, plan: TaskPlan) -> Tensor:
    """Cross-entropy in nats against smoothed targets (Szegedy et al., arXiv 1512.00567); see client.learning.tasks."""
    return nn.functional.cross_entropy(outputs["text"], batch["targets"], reduction="none", label_smoothing=SMOOTHING)
