# SPDX-License-Identifier: Apache-2.0
"""What every kind of log entry says of itself: its body, the law that it keeps, what follows from it, and a sentence.

A kind is one file in privacy/protocol/kinds/, found by its name; it holds one subclass of `EntryBody`. Who
writes, checks, shows or replays a log asks the entry, and names no kind: docs/adr/0036-one-file-an-entry-kind.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from privacy.base.canonical import digest_of
from privacy.base.identifiers import Digest
from privacy.protocol.reasons import Fault

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class EntryBody(BaseModel, ABC):
    """One kind of entry. No floats, no free text, no personal data: what is logged is logged for good."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    in_a_round: ClassVar[bool] = True
    """Whether it is a part of its round's story; not so what opens, greets or closes a whole run."""
    kind: str

    @abstractmethod
    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        """The law: all that is wrong with this as the next `entry` of `run`. Changes nothing."""

    @abstractmethod
    def fold(self, run: Run, entry: AuditEntry) -> None:
        """Let it count in `run`. Never fails: an entry that breaks the law was reported, and is folded all the same."""

    @abstractmethod
    def sentence(self, run: Run, entry: AuditEntry) -> str:
        """What people read of it, after or before it counts in `run`."""

    def headline(self, run: Run, entry: AuditEntry) -> str | None:
        """The same for a display with little room; None: not worth a line there."""
        return self.sentence(run, entry)

    def blobs(self) -> tuple[Digest, ...]:
        """The stored blobs that it names: each is stored before the entry is written."""
        return ()

    def request_digest(self) -> Digest:
        """What a reply to this entry is bound to: its plan if it has one, else the whole body."""
        return digest_of(self)

    def check_version(self, version: int) -> None:
        """Raises ValueError where it says more or less than an entry of `version` does."""
