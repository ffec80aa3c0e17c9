# SPDX-License-Identifier: Apache-2.0
"""A recognizer that is a list of regular expressions with scores: what most files of this room are made of.

What follows a label, and how a label and its value are joined, is in `_labels`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from privacy.text.records import Finding


@dataclass(frozen=True)
class Rule:
    """`pattern` marks what is private as group `id` (else the whole match); `keep` may turn a match down.

    `gate` and `needs` are cheap necessary conditions: the pattern runs only on a text in which the gate matches and one
    of the strings in `needs` stands, in any letter case.
    """

    entity_type: str
    score: float
    pattern: re.Pattern[str]
    keep: Callable[[re.Match[str]], bool] | None = None
    gate: re.Pattern[str] | None = None
    needs: tuple[str, ...] = ()


class Rules:
    """A recognizer of `rules`, all of one name."""

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        self.name = name
        self.rules = tuple(rules)
        self.entity_types = tuple(sorted({rule.entity_type for rule in rules}))

    def find(self, text: str) -> list[Finding]:
        """Every match of every rule; may overlap."""
        lowered = text.lower()
        return [
            finding
            for rule in self.rules
            if not rule.needs or any(part in lowered for part in rule.needs)
            for finding in self._matches(rule, text)
        ]

    def _matches(self, rule: Rule, text: str) -> list[Finding]:
        if rule.gate is not None and rule.gate.search(text) is None:
            return []
        group: str | int = "id" if "id" in rule.pattern.groupindex else 0
        found = []
        for match in rule.pattern.finditer(text):
            start, end = match.span(group)
            if start < end and (rule.keep is None or rule.keep(match)):
                found.append(Finding(start, end, rule.entity_type, rule.score, self.name))
        return found
