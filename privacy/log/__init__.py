# SPDX-License-Identifier: Apache-2.0
"""A transparency log that knows nothing of learning: keys, signed notes (C2SP), Merkle trees (RFC 6962)."""
