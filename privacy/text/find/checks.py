# SPDX-License-Identifier: Apache-2.0
"""Why a row is refused, and the checks that need no analysis. A refused row is counted by reason and never returned."""

from __future__ import annotations

import unicodedata
from typing import Literal

from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

Reason = Literal["over_long", "control_characters", "surrogates", "analysis_failed", "time_limit", "invalid_finding"]
"""Why a row was refused."""

TextOutcome = tuple[Finding, ...] | Reason
"""What became of a row: its findings, or why there are none to trust."""

_ALLOWED_CONTROLS = frozenset("\t\n\r\f\v\x85")


def check(text: str, settings: TextSettings) -> Reason | None:
    """Why `text` is refused before any analysis, or None."""
    if len(text) > settings.max_characters:
        return "over_long"
    if text.isascii() and text.isprintable():
        return None
    for character in set(text):
        category = unicodedata.category(character)
        if category == "Cs":
            return "surrogates"
        if category == "Cc" and character not in _ALLOWED_CONTROLS:
            return "control_characters"
    return None
