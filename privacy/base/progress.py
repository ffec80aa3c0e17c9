# SPDX-License-Identifier: Apache-2.0
"""How far a long piece of work is, for whoever shows it to a person."""

from __future__ import annotations

from collections.abc import Callable

RowProgress = Callable[[int, int], None]
"""Called with the rows that are done and the rows in all."""
