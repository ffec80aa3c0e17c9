# SPDX-License-Identifier: Apache-2.0
"""What a coordinator sends: a log entry and the proof that it is in the log which the site has been watching.

The plan *is* the entry, so no site can be given a plan that the log does not hold, and none that
differs from another site's.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from privacy.base.identifiers import Digest
from privacy.protocol.entries import AuditEntry


class LogProof(BaseModel):
    """RFC 9162 proofs: the entry is a leaf of `checkpoint`, which continues the tree of `from_size` leaves."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    checkpoint: str = Field(max_length=65536, description="C2SP signed note")
    inclusion_proof: tuple[Digest, ...] = Field(max_length=64)
    from_size: int = Field(ge=0, description="0: no consistency proof")
    consistency_proof: tuple[Digest, ...] = Field(max_length=64)


class Delivery(BaseModel):
    """The body of everything that a coordinator sends. The payload, if any, is the model named in the entry."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    entry: AuditEntry
    proof: LogProof
