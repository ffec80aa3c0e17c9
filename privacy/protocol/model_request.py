# SPDX-License-Identifier: Apache-2.0
"""What `collab-coordinator task` writes and `collab-client describe` reads: which first model a run needs, as data.

The coordinator knows no model and the client no federation.toml; this canonical JSON file is what they share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError
from privacy.base.files import read_bounded, write_whole
from privacy.base.identifiers import HexBytes
from privacy.dp.params import Unit
from privacy.protocol.messages import parse
from privacy.protocol.plans import TaskPlan, TrainingPlan

MAX_FILE_BYTES: Final = 4 << 20


class ModelRequest(BaseModel):
    """The task, the arrays to be trained, and the public seed from which a new head is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    version: Literal[1] = 1
    task: TaskPlan
    training: TrainingPlan
    public_seed: HexBytes = Field(min_length=64, max_length=64)
    unit: Unit | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="what epsilon will protect, for a site's `check --task`; None: a run without noise, or not said",
    )


def write_request(path: Path, request: ModelRequest) -> None:
    """Put the file in place in one step."""
    write_whole(path, canonical_bytes(request) + b"\n")


def read_request(path: Path) -> ModelRequest:
    """The request in a file. Raises SettingsError when it cannot be read, ContractError when it is none."""
    try:
        return parse(ModelRequest, read_bounded(path, MAX_FILE_BYTES).removesuffix(b"\n"))
    except ContractError as error:
        raise ContractError(
            f"{path.name}: {error.message}", next_step="make it anew with collab-coordinator task DIR"
        ) from None
