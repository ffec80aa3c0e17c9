# SPDX-License-Identifier: Apache-2.0
"""A recognizer that is a list of regular expressions with scores: what most files of this room are made of.

What follows a label, and how a label and its value are joined, is in `_labels`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from privacy.text.find.recognizers._search import PatternSearch
from privacy.text.reading.records import Finding


@dataclass(frozen=True)
class PatternRule:
    """`pattern` marks what is private as group `id` (else the whole match); `keep` may turn a match down.

    `prefilter` and `needs` are cheap necessary conditions: the pattern runs only on a text in which the prefilter
    matches and one of the strings in `needs` stands, in any letter case.
    """

    entity_type: str
    score: float
    pattern: re.Pattern[str]
    keep: Callable[[re.Match[str]], bool] | None = None
    prefilter: re.Pattern[str] | None = None
    needs: tuple[str, ...] = ()


class Rules:
    """A recognizer of `rules`, all of one name."""

    def __init__(self, name: str, rules: Sequence[PatternRule]) -> None:
        self.name = name
        self.rules = tuple(rules)
        self.entity_types = tuple(sorted({rule.entity_type for rule in rules}))
        self._search = PatternSearch([rule.pattern for rule in self.rules])
        self._groups = ["id" if "id" in rule.pattern.groupindex else 0 for rule in self.rules]

    def find(self, text: str) -> list[Finding]:
        """Every match of every rule; may overlap."""
        lowered = text.lower() if any(rule.needs for rule in self.rules) else ""
        findings = []
        for number, matches in self._search.matches(text):
            rule, group = self.rules[number], self._groups[number]
            if not _may_match(rule, text, lowered):
                continue
            for match in matches:
                start, end = match.span(group)
                if start < end and (rule.keep is None or rule.keep(match)):
                    findings.append(Finding(start, end, rule.entity_type, rule.score, self.name))
        return findings


def _may_match(rule: PatternRule, text: str, lowered: str) -> bool:
    if rule.needs and not any(part in lowered for part in rule.needs):
        return False
    return rule.prefilter is None or rule.prefilter.search(text) is not None
