# SPDX-License-Identifier: Apache-2.0
"""The recognizers that a site writes in its TOML, `[[text.recognizers]]`, without code."""

from __future__ import annotations

import re

from privacy.text.reading.records import Finding
from privacy.text.reading.site_patterns import SiteRecognizer
from privacy.text.settings import TextSettings

_BEFORE = 60


class SiteRecognizers:
    """Finds what any of the site's recognizers describes; a finding is by `site_<name>`."""

    name = "site_recognizers"

    def __init__(self, recognizers: tuple[SiteRecognizer, ...]) -> None:
        self.entity_types = tuple(sorted({recognizer.entity_type for recognizer in recognizers}))
        self._rules = [
            (recognizer, re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])"), _context(recognizer))
            for recognizer in recognizers
            for pattern in recognizer.patterns
        ]

    def find(self, text: str) -> list[Finding]:
        """Every match of every pattern that has its context; may overlap."""
        return [
            Finding(match.start(), match.end(), recognizer.entity_type, recognizer.score, f"site_{recognizer.name}")
            for recognizer, pattern, context in self._rules
            for match in pattern.finditer(text)
            if context is None or context.search(text, max(0, match.start() - _BEFORE), match.start())
        ]


def _context(recognizer: SiteRecognizer) -> re.Pattern[str] | None:
    if not recognizer.context:
        return None
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, recognizer.context)) + r")(?!\w)", re.IGNORECASE)


def build(settings: TextSettings) -> SiteRecognizers:
    """The recognizer of `settings.recognizers`."""
    return SiteRecognizers(settings.recognizers)
