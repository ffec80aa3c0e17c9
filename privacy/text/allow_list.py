# SPDX-License-Identifier: Apache-2.0
"""Terms that a site never masks, such as drug brands which look like names: they undo findings of names, never of
numbers, and never what the site's own deny list or a row's own columns say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from privacy.text.records import Finding

_NAMES = frozenset({"DEMOGRAPHIC", "LOCATION", "ORGANIZATION", "PERSON"})
_WORD = re.compile(r"\w+")


class AllowList:
    """Knows which findings are nothing but allowed terms."""

    def __init__(self, terms: tuple[str, ...]) -> None:
        self._terms = {_words(term) for term in terms} - {()}

    def without_allowed(self, text: str, findings: Iterable[Finding]) -> set[Finding]:
        """`findings` in `text` but for those of names whose words are exactly an allowed term, in any letter case."""
        if not self._terms:
            return set(findings)
        return {
            finding
            for finding in findings
            if finding.entity_type not in _NAMES or _words(text[finding.start : finding.end]) not in self._terms
        }


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold()))
