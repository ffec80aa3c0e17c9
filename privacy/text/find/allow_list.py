# SPDX-License-Identifier: Apache-2.0
"""Terms that a site never masks, such as drug brands which look like names: they undo findings of names, never of
numbers, and never what the site's own deny list or a row's own columns say.
"""

from __future__ import annotations

from collections.abc import Iterable

from privacy.text.find.recognizers.site_terms import SiteTerms
from privacy.text.reading.records import Finding

_NAMES = frozenset({"DEMOGRAPHIC", "LOCATION", "ORGANIZATION", "PERSON"})


class AllowList:
    """Knows which findings lie inside an allowed term."""

    def __init__(self, terms: tuple[str, ...]) -> None:
        self._terms = SiteTerms(terms)

    def without_allowed(self, text: str, findings: Iterable[Finding]) -> set[Finding]:
        """`findings` in `text` but for those of names that reach over nothing but one allowed term, in any case."""
        allowed = [(term.start, term.end) for term in self._terms.find(text)]
        return {
            finding
            for finding in findings
            if finding.entity_type not in _NAMES
            or not any(start <= finding.start and finding.end <= end for start, end in allowed)
        }
