# SPDX-License-Identifier: Apache-2.0
"""What gives a site's privacy units their names, and what draws them into parts: pinned by the ledger.

Which part of the data (train, dev, test) a unit is in follows from a keyed hash of its name. Under another name it may
be drawn into another part, and then a unit was in both: epsilon is no longer the maximum over parts. So every setting
of `data` counts that is not known to leave names alone, new ones included; one that stands at its default does not, so
that a setting that is added later changes no digest.
"""

from __future__ import annotations

import json
from typing import Final

from client.settings.site_settings import DataSection, SiteSettings
from privacy.base.canonical import Json, decimal_string, digest_of
from privacy.base.identifiers import Digest
from privacy.base.randomness import SecretSeed
from privacy.dp.params import Unit
from privacy.dp.reservations import PinnedSplit

OF_NO_NAME: Final = frozenset(
    {
        "files",
        "format",
        "delimiter",
        "dataset",
        "unlabelled",
        "spans_column",
        "known_name_columns",
        "min_characters",
        "over_long",
        "contradictory",
        "near_duplicate_similarity",
        "test_fraction",
        "dev_fraction",
    }
)
"""Settings that say where rows are, which of them are left out, or (the fractions) what draws units into parts."""

OF_CONTENT: Final = frozenset(
    {"text_column", "label_column", "label_separator", "pair_column", "words_column", "max_characters"}
)
"""Settings of a row's content: a record is named by it where no column does."""


def split_of_site(settings: SiteSettings, site_key: SecretSeed) -> PinnedSplit:
    """What the ledger holds a data set to: the split's key and fractions, and the settings that name its units."""
    data = settings.data
    drawn = {
        "key": site_key.derive("split").commit("split"),
        "dev_fraction": decimal_string(data.dev_fraction),
        "test_fraction": decimal_string(data.test_fraction),
    }
    return PinnedSplit(digest_of(drawn), named_digest(data, settings.policy.unit))


def named_digest(data: DataSection, unit: Unit) -> Digest:
    """The digest of unit and of the settings that name it."""
    unused = set(OF_NO_NAME)
    if unit == "patient":
        unused |= OF_CONTENT | {"record_column"}
    elif data.record_column is not None:
        unused |= OF_CONTENT
    fields = data.model_dump(mode="json", exclude=unused, exclude_defaults=True)
    naming: dict[str, Json] = {name: json.dumps(value) for name, value in sorted(fields.items())}
    return digest_of({"unit": unit, "settings": naming})
