# SPDX-License-Identifier: Apache-2.0
"""The parts of a site's data, and the keyed hash that draws each privacy unit into one of them."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final, Literal

from privacy.text.reading.records import TextRow

Split = Literal["train", "dev", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "dev", "test")


def unit_name(row: TextRow) -> str:
    """The name of a row's privacy unit, from which its split follows."""
    return f"patient:{row.patient_id}" if row.patient_id is not None else f"record:{row.record_id}"


def split_of(unit_id: str, split_key: bytes, *, test_fraction: float, dev_fraction: float) -> Split:
    """The split of a unit: a keyed hash of its id as a number in [0, 1). Test first, then dev, the rest is train."""
    position = int.from_bytes(keyed_hash(split_key, "split", unit_id)[:6], "big") / (1 << 48)
    if position < test_fraction:
        return "test"
    return "dev" if position < test_fraction + dev_fraction else "train"


def keyed_hash(key: bytes, purpose: str, *parts: str) -> bytes:
    """HMAC-SHA256 of `parts` for one purpose, 32 bytes."""
    state = hmac.new(key, b"collab/corpus/v1", sha256)
    for part in (purpose, *parts):
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "big") + encoded)  # lengths: ("ab", "c") is not ("a", "bc")
    return state.digest()
