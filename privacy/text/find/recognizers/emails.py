# SPDX-License-Identifier: Apache-2.0
"""E-mail addresses (Safe Harbor row 6) by shape alone: intranet hosts such as `.local`, or without a dot, count too."""

from __future__ import annotations

import re

from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_AT = r"(?:\s?(?:@|\[at\]|\(at\)|\{at\})\s?|\sat\s(?=[\w-]{1,63}\s(?:dot)\s))"
_DOT = r"(?:\.|\s?(?:\[dot\]|\(dot\)|\{dot\})\s?|\sdot\s)"


def build(settings: TextSettings) -> Rules:
    """The e-mail recognizer; needs no settings."""
    dotted = rf"(?<![\w.+%-])[\w.+%'-]{{1,64}}{_AT}\[?[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{1,8}}"
    plain = r"(?<![\w.+%-])[A-Za-z][\w.+%'-]{0,63}@[A-Za-z][\w-]{1,62}"
    prefilter = re.compile(r"@|[\[({]at[\])}]|\sat\s", re.IGNORECASE)
    return Rules(
        "emails",
        [
            PatternRule("EMAIL_ADDRESS", 0.9, re.compile(dotted, re.IGNORECASE), prefilter=prefilter),
            PatternRule("EMAIL_ADDRESS", 0.5, re.compile(plain), prefilter=prefilter),
        ],
    )
