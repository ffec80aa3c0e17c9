# SPDX-License-Identifier: Apache-2.0
"""The site's own terms, such as names of staff and wards: always masked, in any letter case.

Words are looked up in a set, so fifty thousand terms cost no more than one; one alternation of them would.
"""

from __future__ import annotations

import re

from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

_WORD = re.compile(r"\w+")


class SiteTerms:
    """Finds every term of the deny list as a sequence of whole words, whatever stands between them on one line."""

    name = "site_terms"
    entity_types: tuple[str, ...] = ("SITE_TERM",)

    def __init__(self, terms: tuple[str, ...]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for term in sorted(set(terms)):
            words = tuple(_WORD.findall(term.casefold()))
            if words:
                self._by_first.setdefault(words[0], []).append(words)

    def find(self, text: str) -> list[Finding]:
        """Every occurrence of every term; may overlap."""
        if not self._by_first:
            return []
        spans = [match.span() for match in _WORD.finditer(text)]
        words = [text[start:end].casefold() for start, end in spans]
        findings = []
        for index, word in enumerate(words):
            for term in self._by_first.get(word, ()):
                last = index + len(term)
                if tuple(words[index:last]) == term:
                    findings.append(Finding(spans[index][0], spans[last - 1][1], "SITE_TERM", 1.0, self.name))
        return findings


def build(settings: TextSettings) -> SiteTerms:
    """The recognizer of `settings.deny_list`."""
    return SiteTerms(settings.deny_list)
