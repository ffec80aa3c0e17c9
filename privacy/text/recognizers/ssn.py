# SPDX-License-Identifier: Apache-2.0
"""US social security numbers by shape or by cue, never validated: a mistyped number identifies too."""

from __future__ import annotations

import re

from privacy.text.recognizers._rules import Rule, Rules, cue
from privacy.text.settings import TextSettings

_CUE = cue(r"SSN|SS#|S\.S\.N\.|soc(?:ial)?\.?\s?sec(?:urity)?(?:\s(?:number|no|num)\b)?")


def build(settings: TextSettings) -> Rules:
    """The SSN recognizer; needs no settings."""
    return Rules(
        "ssn",
        [
            Rule("US_SSN", 0.85, re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-]|\.\d)")),
            Rule("US_SSN", 0.6, re.compile(r"(?<![\w./-])\d{3}([ .])\d{2}\1\d{4}(?![\w/-]|\.\d)")),
            Rule("US_SSN", 0.9, re.compile(rf"{_CUE}(?P<id>[\dXx*][\dXx* .-]{{2,12}}\d)(?!\w)", re.IGNORECASE)),
            Rule(
                "US_SSN",
                0.9,
                re.compile(
                    r"\blast\s(?:four|4)(?:\sdigits)?(?:\sof\s(?:the\s|his\s|her\s)?(?:SSN|social(?:\ssecurity)?(?:\snumber)?))?[\s:]{1,3}(?:is\s|are\s)?(?P<id>\d{4})\b",
                    re.IGNORECASE,
                ),
            ),
        ],
    )
