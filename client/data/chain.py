# SPDX-License-Identifier: Apache-2.0
"""The chain that anonymizes a site's rows, built here and nowhere else: what people are shown is what is trained on.

Which rows there are, the split's key, the table of units, the engine, the cache of findings and the key of surrogates
are chosen once, for training, `check`, previews and reviews alike (docs/adr/0038-one-chain-and-a-pipeline-in-three.md).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from client.data.corpus import Corpus, load_corpus
from client.data.unit_table import unit_table
from client.settings.site_settings import SiteFolder
from privacy.base.randomness import SEED_BYTES, SecretSeed
from privacy.text.anonymize import Anonymizer
from privacy.text.find import engines
from privacy.text.replace.surrogates.keyed import SurrogateKey
from privacy.text.run.cache import SpanCache

StageProgress = Callable[[str, int, int], None]
"""What is being done ("anonymizing", "reading"), rows done, rows in all."""


class AnonymizingChain:
    """From a site's files to its anonymized rows, under `site_key`.

    Without a key (the site has not enrolled) split and surrogates are drawn for this instance, and nothing is kept:
    neither units nor findings.
    """

    def __init__(self, folder: SiteFolder, site_key: SecretSeed | None) -> None:
        self._folder, self._keeps = folder, site_key is not None
        self._key = site_key or SecretSeed(secrets.token_bytes(SEED_BYTES))

    def corpus(self) -> Corpus:
        """The rows that may be used, original text, read anew at each call. It may be empty. Raises SettingsError."""
        units = unit_table(self._folder, self._key) if self._keeps else None
        return load_corpus(self._folder, self._key.derive("split").expose("split"), units)

    @contextmanager
    def anonymizer(self, *, workers: int | None = None) -> Iterator[Anonymizer]:
        """What anonymizes them, with `workers` in the place of the settings'. Raises SettingsError, AnonymizationError.

        A row that cannot be anonymized costs itself: a share of such rows that may not be passed would let one row
        decide about all the others, and the coordinator would see it. `check` and the reports say it here instead.
        """
        changes: dict[str, float] = {"max_refused_fraction": 1.0} | ({} if workers is None else {"workers": workers})
        settings = self._folder.settings.text.model_copy(update=changes)
        engine = engines.load(settings)
        surrogates = self._key.derive("surrogates").expose("surrogates")
        key = SurrogateKey(surrogates, self._folder.settings.policy.unit)
        with self._cache() if self._keeps else nullcontext() as cache:
            yield Anonymizer(engine, settings, cache, key)

    def _cache(self) -> SpanCache:
        return SpanCache(self._folder.spans, self._key.derive("span-cache").expose("span cache"))
