# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree over the log's entries (RFC 6962 section 2, RFC 9162 section 2.1), its proofs and their verifiers.

A leaf is SHA-256(0x00 || entry), a node SHA-256(0x01 || left || right); the root of n leaves splits at the largest
power of two below n. A verifier raises IntegrityError or returns nothing: there is no third answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from privacy.base.errors import IntegrityError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The leaf of an entry's exact bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """An inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two below `size`, for size >= 2."""
    return 1 << ((size - 1).bit_length() - 1)


class Tree:
    """A tree that grows.

    It keeps every hash of a complete subtree, so appending costs O(1) on average, a proof O(log n).
    """

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    @property
    def size(self) -> int:
        return len(self._levels[0])

    def append(self, entry: bytes) -> int:
        """Add a leaf; returns its index."""
        return self.append_hash(leaf_hash(entry))

    def append_hash(self, leaf: bytes) -> int:
        """Add a leaf by its hash; returns its index."""
        index = self.size
        self._levels[0].append(leaf)
        position, level, right = index, 0, leaf
        while position & 1:
            right = node_hash(self._levels[level][position - 1], right)
            position >>= 1
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(right)
        return index

    def truncate(self, size: int) -> None:
        """Forget the leaves from `size` on: what a failed write would have added."""
        if not 0 <= size <= self.size:
            raise ValueError("no such size")
        for level, hashes in enumerate(self._levels):
            del hashes[size >> level :]

    def leaf(self, index: int) -> bytes:
        """The hash of a leaf."""
        return self._levels[0][index]

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves (default: all)."""
        return self._subtree(0, self._checked(self.size if size is None else size))

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """The path from leaf `index` to the root of the first `size` leaves."""
        if not 0 <= index < self._checked(size):
            raise ValueError("no such leaf")
        return self._path(index, 0, size)

    def consistency_proof(self, old_size: int, new_size: int) -> list[bytes]:
        """That the first `new_size` leaves continue the first `old_size`. Empty for size 0 and for equal sizes."""
        if not 0 <= old_size <= self._checked(new_size):
            raise ValueError("a tree does not shrink")
        return [] if old_size in (0, new_size) else self._continuation(old_size, 0, new_size, True)

    def _checked(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError(f"the tree has {self.size} leaves")
        return size

    def _subtree(self, start: int, end: int) -> bytes:
        count = end - start
        if count == 0:
            return EMPTY_ROOT
        if count & (count - 1) == 0 and start % count == 0:
            level = count.bit_length() - 1
            return self._levels[level][start >> level]
        middle = start + _split(count)
        return node_hash(self._subtree(start, middle), self._subtree(middle, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._subtree(middle, end)]
        return [*self._path(index, middle, end), self._subtree(start, middle)]

    def _continuation(self, old_end: int, start: int, end: int, whole: bool) -> list[bytes]:
        if old_end == end:
            return [] if whole else [self._subtree(start, end)]
        middle = start + _split(end - start)
        if old_end <= middle:
            return [*self._continuation(old_end, start, middle, whole), self._subtree(middle, end)]
        return [*self._continuation(old_end, middle, end, False), self._subtree(start, middle)]


def _check_lengths(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise IntegrityError("a hash in a proof does not have 32 bytes")


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raises IntegrityError unless `leaf` is number `index` of the tree of `size` leaves (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        raise IntegrityError(f"entry {index} is not in a log of {size} entries")
    _check_lengths(leaf, root, *proof)
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise IntegrityError("an inclusion proof is too long")
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise IntegrityError("an inclusion proof is too short")
    if value != root:
        raise IntegrityError(f"entry {index} is not in the log that the checkpoint signs")


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises IntegrityError unless the new tree continues the old one (RFC 9162 section 2.1.4.2).

    Nothing can be proven from size 0 to a larger one: who has seen nothing has nothing to compare, and asks for no
    proof.
    """
    if not 0 <= old_size <= new_size:
        raise IntegrityError(f"a log of {old_size} entries became one of {new_size}")
    if old_size == new_size:
        _verify_same(old_size, old_root, new_root, proof)
        return
    _check_lengths(old_root, new_root, *proof)
    if old_size == 0 or not proof:
        raise IntegrityError("a consistency proof is missing, or starts at size 0")
    if old_size & (old_size - 1) == 0:
        proof = [old_root, *proof]
    old_value, new_value = _continue(old_size, new_size, proof)
    if old_value != old_root or new_value != new_root:
        raise IntegrityError(f"the log of {new_size} entries does not continue the one of {old_size}")


def _verify_same(size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Of one size there is one root, which nobody has to prove."""
    if proof or old_root != new_root or (size == 0 and old_root != EMPTY_ROOT):
        raise IntegrityError("two roots of one size differ, or came with a proof")


def _continue(old_size: int, new_size: int, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_value = new_value = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            raise IntegrityError("a consistency proof is too long")
        if node & 1 or node == last:
            old_value = node_hash(sibling, old_value)
            new_value = node_hash(sibling, new_value)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            new_value = node_hash(new_value, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise IntegrityError("a consistency proof is too short")
    return old_value, new_value
