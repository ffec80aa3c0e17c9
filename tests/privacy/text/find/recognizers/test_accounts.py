# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of account and card numbers must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import accounts
from privacy.text.settings import TextSettings

RECOGNIZER = accounts.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "Acct No: [0048 2719 33]",
    "account ending in [4471]",
    "account number [12345678] at bank",
    "Invoice #[INV-44710]",
    "routing [021000021]",
    "a/c [00482719]",
    "Visa ending in [4471]",
    "credit card: [4012-8888-8888-1882]",
    "card [4012 8888 8888 1882] declined",
    "amex [3782 822463 10005]",
    "sort code [12-34-56]",
    "Billing Account | [99120-44]",
    "guarantor account: [G44710]",
    "IBAN [DE89 3704 0044 0532 0130 00]",
    "card **** **** **** [4471]",
]

KEPT = [
    "on account of pain",
    "card game",
    "bank of ice",
    "Bill: 12 visits",
    "balance 5/5",
    "takes 12 checks",
]


@pytest.mark.parametrize("marked", FOUND)
def test_accounts_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_accounts_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
