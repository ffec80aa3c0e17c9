# SPDX-License-Identifier: Apache-2.0
"""Checkpoints (https://c2sp.org/tlog-checkpoint, v1.0.0): the log's origin, size and root, signed by the coordinator
as a note.

    <origin>
    <number of entries>
    <base64 of the root>

`check_proof` is what a site does with every delivery before it looks at what is asked: the entry is in the signed
log, and the log continues the last one that this site saw.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from privacy.base.canonical import canonical_bytes
from privacy.base.errors import IntegrityError, LogForked
from privacy.base.identifiers import Digest
from privacy.log.keys import SigningKey
from privacy.log.merkle import HASH_BYTES, leaf_hash, verify_consistency, verify_inclusion
from privacy.log.note import NoteKey, decode_base64, encode_base64, open_note, sign_note
from privacy.protocol.delivery import LogProof
from privacy.protocol.entries import AuditEntry

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True)
class Checkpoint:
    """A log's state: `size` entries whose Merkle root is `root`. `origin` names the log and its key."""

    origin: str
    size: int
    root: Digest

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root_bytes())}\n"

    def root_bytes(self) -> bytes:
        return bytes.fromhex(self.root)

    def sign(self, key: SigningKey) -> str:
        """The signed note, by the log's key under the log's origin."""
        return sign_note(self.text(), self.origin, key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises IntegrityError unless `text` is a checkpoint. Extension lines, which we never write, are refused."""
        problem = IntegrityError("this is no checkpoint of a log")
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0] or _SIZE.fullmatch(lines[1]) is None:
            raise problem
        try:
            root = decode_base64(lines[2])
        except ValueError:
            raise problem from None
        if len(root) != HASH_BYTES:
            raise problem
        return cls(lines[0], int(lines[1]), root.hex())


def open_checkpoint(note: str, log: NoteKey) -> Checkpoint:
    """The checkpoint in `note`, signed by `log` about itself. Raises IntegrityError otherwise."""
    checkpoint = Checkpoint.parse(open_note(note, log))
    if checkpoint.origin != log.name:
        raise IntegrityError("a checkpoint of another log was signed with this log's key")
    return checkpoint


def check_proof(entry: AuditEntry, proof: LogProof, log: NoteKey, seen: Checkpoint | None) -> Checkpoint:
    """The checkpoint that `proof` brings, to be stored as the next `seen`, before anything is answered.

    Raises IntegrityError when a signature or the inclusion of `entry` does not hold; IntegrityError("stale_proof")
    when the proof starts at another size than the last one seen; LogForked when the log is shorter than it was, or
    was rewritten.
    """
    checkpoint = open_checkpoint(proof.checkpoint, log)
    path = [bytes.fromhex(value) for value in proof.inclusion_proof]
    verify_inclusion(entry.index, checkpoint.size, leaf_hash(canonical_bytes(entry)), path, checkpoint.root_bytes())
    seen_size = seen.size if seen else 0
    if checkpoint.size < seen_size:
        raise LogForked(f"the log has {checkpoint.size} entries and had {seen_size}")
    if proof.from_size != seen_size:
        raise IntegrityError(
            f"the proof continues size {proof.from_size}, this site last saw {seen_size}", reason="stale_proof"
        )
    if seen is None or seen_size == 0:
        if proof.consistency_proof:
            raise IntegrityError("a proof from size 0 proves nothing")
        return checkpoint
    continuation = [bytes.fromhex(value) for value in proof.consistency_proof]
    try:
        verify_consistency(seen_size, checkpoint.size, seen.root_bytes(), checkpoint.root_bytes(), continuation)
    except IntegrityError:
        raise LogForked(f"the log of {checkpoint.size} entries does not continue the {seen_size} seen") from None
    return checkpoint
