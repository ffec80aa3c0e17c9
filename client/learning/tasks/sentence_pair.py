# SPDX-License-Identifier: Apache-2.0
"""Sentence pair: one of the plan's labels for two texts that BERT reads as one row (data.pair_column)."""

from __future__ import annotations

from client.learning.model.tokenization import Inputs, TokenizedExample
from client.learning.tasks import MaskingMode, TaskExample, Why, classification
from client.learning.tasks.classification import check, count, heads, losses, predictions
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord

__all__ = ["INPUTS", "MASKING", "check", "count", "heads", "losses", "predictions", "read"]

INPUTS: Inputs = "text_pair"
MASKING: MaskingMode = "never"


def read(record: AnonymizedRecord, pieces: TokenizedExample, plan: TaskPlan) -> TaskExample | Why:
    """See `Task`: the label's place in the plan; a row without a second text is left out."""
    return "missing" if record.pair is None else classification.read(record, pieces, plan)
