# SPDX-License-Identifier: Apache-2.0
"""Which of Presidio's recognizers we use, by class name and country, and the few that we had to mend.

Left out on purpose: UsLicenseRecognizer (it takes B12, T12, L4 and E11 for driving licences) and UsSsnRecognizer (ours
masks mistyped numbers as well). Source: presidio-analyzer 2.2.366, pinned.
"""

from __future__ import annotations

import re
from typing import Any

import presidio_analyzer.predefined_recognizers as predefined
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers import EmailRecognizer, PhoneRecognizer, UrlRecognizer

from privacy.text.settings import TextSettings

EVERYWHERE = (
    "CreditCardRecognizer",
    "CryptoRecognizer",
    "DateRecognizer",
    "IbanRecognizer",
    "IpRecognizer",
    "MacAddressRecognizer",
    "UuidRecognizer",
)
BY_COUNTRY = {
    "US": (
        "MedicalLicenseRecognizer",
        "UsBankRecognizer",
        "UsItinRecognizer",
        "UsMbiRecognizer",
        "UsNpiRecognizer",
        "UsPassportRecognizer",
    ),
    "GB": ("NhsRecognizer", "UkNinoRecognizer", "UkPostcodeRecognizer"),
}


class EmailByShape(EmailRecognizer):  # type: ignore[misc]
    """Presidio's e-mail pattern without its demand for a public suffix: `.local` and `.corp` are addresses too."""

    def validate_result(self, pattern_text: str) -> bool | None:
        """Neither proof nor doubt: the shape is enough."""
        return None


class UrlAfterDot(UrlRecognizer):  # type: ignore[misc]
    """Presidio's costly URL pattern, run only where a dot stands right before a letter: every match holds that."""

    _GATE = re.compile(r"\.[^\W\d_]")

    def analyze(self, text: str, *arguments: Any, **named: Any) -> list[RecognizerResult]:
        """As Presidio's, or nothing where no address can be."""
        return super().analyze(text, *arguments, **named) if self._GATE.search(text) else []  # type: ignore[no-any-return]


def build_stock(settings: TextSettings) -> list[EntityRecognizer]:
    """Presidio's recognizers for the site's language and countries, in a fixed order."""
    names = [*EVERYWHERE, *(name for country in settings.countries for name in BY_COUNTRY.get(country, ()))]
    regions = tuple(settings.countries)
    return [
        EmailByShape(),
        UrlAfterDot(),
        PhoneRecognizer(supported_regions=regions, supported_language=settings.language),
        *(getattr(predefined, name)(supported_language=settings.language) for name in names),
    ]
