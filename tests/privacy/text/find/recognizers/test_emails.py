# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of e-mail addresses must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import emails
from privacy.text.settings import TextSettings

RECOGNIZER = emails.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "write to [bob@ward.local]",
    "[bob@x.corp]",
    "[bob@mailhost] please",
    "[bob.q+x@dept.hosp.example.org]",
    "[bob [at] mail [dot] example]",
    "[bob(at)mail.example]",
    "E-mail: [BOB@MAIL.EXAMPLE]",
]

KEPT = [
    "1 tab @ bedtime",
    "seen at home",
    "5 mg @8",
    "look at it",
]


@pytest.mark.parametrize("marked", FOUND)
def test_emails_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_emails_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
