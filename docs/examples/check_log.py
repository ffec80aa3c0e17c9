# SPDX-License-Identifier: Apache-2.0
"""Check the root of every checkpoint of the log.sqlite in this folder, with nothing but Python's standard library.

Run it in a coordinator's folder, or a copy of one. It looks at no signature and at no rule of order: docs/audit-log.md.
"""

import base64
import hashlib
import sqlite3


def root(leaves):
    """The root of RFC 6962, section 2, over the exact bytes of the leaves."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + root(leaves[:half]) + root(leaves[half:])).digest()


log = sqlite3.connect("file:log.sqlite?mode=ro&immutable=1", uri=True)
leaves = [leaf for (leaf,) in log.execute("SELECT leaf FROM entries ORDER BY position")]
for size, note in log.execute("SELECT size, note FROM checkpoints"):
    origin, signed_size, signed_root = note.split("\n")[:3]
    if int(signed_size) != size or base64.b64decode(signed_root) != root(leaves[:size]):
        raise SystemExit(f"the checkpoint of {size} entries does not hold")
print(len(leaves), "entries as signed by", origin)
