# SPDX-License-Identifier: Apache-2.0
"""The settings that bench-anonymize runs the product with: its own defaults (countries: US), but that rows which are
refused end no run (they are counted) and that a shared, slow machine refuses none for its time.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from privacy.text.settings import TextSettings

DEFAULT_NAMES = str(TextSettings.model_fields["names"].default)
COUNTRIES = ("US", "GB", "DE", "FR", "IT", "ES")
"""What presidio_synth is measured with besides the default: it holds phone numbers of many countries."""


def settings_of(names: str, *countries: str) -> TextSettings:
    """The settings with this model of names; with `countries`, for those."""
    settings = TextSettings(names=names, max_refused_fraction=1.0, row_time_limit_seconds=50)
    return settings.model_copy(update={"countries": countries}) if countries else settings


def with_surrogates(names: str) -> tuple[TextSettings, dict[str, Any]]:
    """The settings that write surrogates where the product can, and what the Anonymizer needs for it: a fixed key."""
    if importlib.util.find_spec("privacy.text.replace.surrogates") is None:
        return settings_of(names), {}
    from privacy.text.replace.surrogates.keyed import SurrogateKey

    words = settings_of(names).model_dump(mode="json", exclude_unset=True) | {"replacement": "surrogate"}
    return TextSettings.model_validate(words), {"key": SurrogateKey(bytes(range(32)), "record")}
