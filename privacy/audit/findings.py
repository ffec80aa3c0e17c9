# SPDX-License-Identifier: Apache-2.0
"""What a check of the log found: never just "failed", but which entry, checkpoint or blob, and what is wrong there."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from privacy.base.identifiers import Digest


class AuditFinding(BaseModel):
    """One thing that is not as it must be. `index` is the first entry concerned, `checkpoint` the signed size."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    message: str
    index: int | None = None
    checkpoint: int | None = None
    blob: Digest | None = None

    def __str__(self) -> str:
        places = [
            f"entry {self.index}" if self.index is not None else "",
            f"checkpoint of size {self.checkpoint}" if self.checkpoint is not None else "",
            f"blob {self.blob[:12]}" if self.blob is not None else "",
        ]
        return ": ".join([", ".join(place for place in places if place) or "log", self.message])


def exit_code(findings: tuple[AuditFinding, ...], incomplete: tuple[AuditFinding, ...]) -> int:
    """4 when something does not hold, 5 when something is not there (yet), else 0."""
    return 4 if findings else 5 if incomplete else 0
