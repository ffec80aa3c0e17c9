# SPDX-License-Identifier: Apache-2.0
"""One engine for the whole room's tests: loading Presidio takes seconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from privacy.text import engines
from privacy.text.anonymize import Anonymizer
from privacy.text.engines import Engine
from privacy.text.records import AnonymizedRecord, TextRow
from privacy.text.settings import TextSettings

Anonymize = Callable[[str], AnonymizedRecord]


@pytest.fixture(scope="session")
def settings() -> TextSettings:
    return TextSettings()


@pytest.fixture(scope="session")
def engine(settings: TextSettings) -> Engine:
    return engines.load(settings)


@pytest.fixture(scope="session")
def anonymize(engine: Engine, settings: TextSettings) -> Anonymize:
    def one(text: str) -> AnonymizedRecord:
        records, _ = Anonymizer(engine, settings).run([TextRow("r", text, None, None)])
        return records[0]

    return one
