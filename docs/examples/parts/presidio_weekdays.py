# SPDX-License-Identifier: Apache-2.0
"""The presidio engine, and weekdays: for sites whose notes tell on which day somebody came."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from privacy.base.canonical import digest_of
from privacy.base.identifiers import Digest, sha256_file
from privacy.text.find.engines import presidio
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

WEEKDAY: Final = re.compile(r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b", re.IGNORECASE)


class WeekdayEngine:
    """See privacy.text.find.engines.Engine. The fingerprint covers this file, since the cache is keyed by it."""

    def __init__(self, settings: TextSettings) -> None:
        self._presidio = presidio.build(settings)
        self.fingerprint: Digest = digest_of(
            {"presidio": self._presidio.fingerprint, "weekdays": sha256_file(Path(__file__))}
        )

    def analyze(self, text: str) -> list[Finding]:
        """Every finding in `text`, sorted; findings may overlap, the replacement sees to that."""
        days = [Finding(at.start(), at.end(), "DATE_TIME", 1.0, "weekday") for at in WEEKDAY.finditer(text)]
        return sorted([*self._presidio.analyze(text), *days])


def build(settings: TextSettings) -> WeekdayEngine:
    """The engine for `settings`. Touches no network."""
    return WeekdayEngine(settings)
