# SPDX-License-Identifier: Apache-2.0
"""Account and card numbers (Safe Harbor row 10): by label, and cards by their groups of four, valid or not."""

from __future__ import annotations

import re

from privacy.text.find.recognizers._labels import labelled, marked
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_STRONG = (
    r"acc(?:oun)?ts?|acnt|a/c|HAR|guarantor(?:\sacc(?:oun)?t)?|invoice|inv|billing(?:\sacc(?:oun)?t)?|checking|savings|routing|"
    r"ABA|RTN|sort\scode|IBAN|BIC|SWIFT(?:\scode)?|(?:credit|debit|bank|gift|payment)\scard|"
    r"(?:visa|master\s?card|amex|american\sexpress|discover|card)\s(?:ending|number|no|#|card)(?:\s(?:in|with))?|"
    r"bank\sacc(?:oun)?t|customer|transaction|receipt|remittance|loan|mortgage|statement\s(?:no|number|#|id)"
)
_EVERYDAY = r"bill|payment|bank|card|statement|check|cheque|deposit|ledger|balance|purchase\sorder|P\.?O\.?|voucher"


def build(settings: TextSettings) -> Rules:
    """The account recognizer; needs no settings."""
    return Rules(
        "accounts",
        [
            labelled("ACCOUNT_NUMBER", _STRONG, 0.7),
            marked("ACCOUNT_NUMBER", _EVERYDAY, 0.6, digits=4),
            PatternRule("CREDIT_CARD", 0.5, re.compile(r"(?<![\w.-])\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}(?![\w.-])")),
            PatternRule("CREDIT_CARD", 0.5, re.compile(r"(?<![\w.-])3[47]\d\d([ -])\d{6}\1\d{5}(?![\w.-])")),
            PatternRule("CREDIT_CARD", 0.5, re.compile(r"(?<![\w.-])(?:[*xX\u2022]{4}[ -]?){1,3}\d{4}(?![\w-]|\.\d)")),
            PatternRule(
                "IBAN_CODE",
                0.5,
                re.compile(r"(?<![\w-])[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?(?![\w-])"),
            ),
        ],
    )
