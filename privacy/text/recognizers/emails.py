# SPDX-License-Identifier: Apache-2.0
"""E-mail addresses by shape alone: intranet hosts such as `.local`, or without a dot, count too."""

from __future__ import annotations

import re

from privacy.text.recognizers._rules import Rule, Rules
from privacy.text.settings import TextSettings


def build(settings: TextSettings) -> Rules:
    """The e-mail recognizer; needs no settings."""
    dotted = r"(?<![\w.+%-])[\w.+%'-]{1,64}\s?(?:@|\[at\]|\(at\))\s?[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
    plain = r"(?<![\w.+%-])[A-Za-z][\w.+%'-]{0,63}@[A-Za-z][\w-]{1,62}"
    gate = re.compile(r"@|\[at\]|\(at\)")
    return Rules(
        "emails",
        [
            Rule("EMAIL_ADDRESS", 0.9, re.compile(dotted), gate=gate),
            Rule("EMAIL_ADDRESS", 0.5, re.compile(plain), gate=gate),
        ],
    )
