# SPDX-License-Identifier: Apache-2.0
"""A corpus, anonymized once by the product's own code, as every cell of a benchmark reads it.

`anonymized.jsonl` holds id, text, label, spans, site and split of each row: the training rows site by site, then dev,
then test. It is made again when the corpus, the split into sites or the engine change; interrupted, it goes on from the
findings that the span cache holds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from client.data.annotations import join, read_tags
from privacy.base.canonical import Json, digest_of
from privacy.base.files import write_whole
from privacy.base.identifiers import sha256
from privacy.base.randomness import PublicSeed
from privacy.text.anonymize import Anonymizer
from privacy.text.find import engines
from privacy.text.reading.records import AnonymizedRecord, Span, TextRow
from privacy.text.replace.surrogates.keyed import SurrogateKey
from privacy.text.run.cache import SpanCache
from privacy.text.settings import TextSettings
from simulations.corpora import write_lines
from simulations.partition import JsonRow, SitePartition, by_field, dirichlet, read_rows, uniform

SPLITS = ("train", "dev", "test")
CHUNK = 500
"""Rows between two commits of the span cache. A row's treatment depends on it alone, so chunks change nothing."""

_CACHE_KEY = bytes(32)  # the corpora of benchmarks are public: this cache protects nobody
_SURROGATE_KEY = SurrogateKey(bytes(32), "record")  # nor do these surrogates


@dataclass(frozen=True)
class CorpusRecipe:
    """How a corpus becomes sites. `quick` is the share of its rows that a quick run takes.

    `split` is field:NAME, dirichlet:SITES,ALPHA,SEED or uniform:SITES,SEED. `carved`: every so many-th training row is
    dev, in the order of the rows' hashes, where a corpus has no dev of its own. `folder` is its name among the data.
    """

    name: str
    max_tokens: int
    split: str
    quick: float
    least_rows: int = 50
    task: str = "classification"
    carved: int = 0
    folder: str = ""

    @property
    def marks_spans(self) -> bool:
        """Whether its rows are words with IOB2 tags and not texts with a label."""
        return self.task == "token_classification"

    def partition(self, rows: Sequence[JsonRow]) -> SitePartition:
        """The training rows by site."""
        rule, _, argument = self.split.partition(":")
        if rule == "field":
            return by_field(rows, argument, minimum=self.least_rows)
        sites, *alpha, seed = argument.split(",")
        drawn = PublicSeed.from_integer(int(seed))
        if rule == "uniform":
            return uniform(rows, int(sites), drawn, minimum=self.least_rows)
        return dirichlet(rows, int(sites), float(alpha[0]), drawn, minimum=self.least_rows)

    def files(self, data: Path) -> list[Path]:
        """The files of the splits that are in the folder `data`."""
        return [file for split in SPLITS if (file := data / f"{split}.jsonl").exists()]

    def read(self, data: Path) -> dict[str, list[JsonRow]]:
        """The rows of the three splits in the folder `data`."""
        rows_of = {file.stem: read_rows(file) for file in self.files(data)}
        if self.carved:
            ranked = sorted(rows_of["train"], key=lambda row: sha256(str(row["id"]).encode()))
            dev = {str(row["id"]) for row in ranked[:: self.carved]}
            rows_of["dev"] = [row for row in rows_of["train"] if str(row["id"]) in dev]
            rows_of["train"] = [row for row in rows_of["train"] if str(row["id"]) not in dev]
        return rows_of


@dataclass(frozen=True)
class Text:
    """One anonymized row. `site` is that of a training row, empty for the others; `spans` are (start, end, label)."""

    id: str
    text: str
    label: str
    site: str
    split: str
    spans: tuple[tuple[int, int, str], ...] = ()

    @property
    def record(self) -> AnonymizedRecord:
        """The row as a task reads it."""
        return AnonymizedRecord(self.id, self.text, self.label, None, (), spans=tuple(Span(*one) for one in self.spans))


@dataclass(frozen=True)
class Texts:
    """All anonymized rows of a corpus, in the order of the file, and what anonymizing them did."""

    corpus: CorpusRecipe
    rows: tuple[Text, ...]
    digest: str
    facts: Mapping[str, object]

    def of(self, split: str, site: str = "") -> list[Text]:
        """The rows of a split; with `site`, of that site."""
        return [row for row in self.rows if row.split == split and site in ("", row.site)]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the training rows, or the types of their spans, sorted."""
        train = self.of("train")
        if self.corpus.marks_spans:
            return tuple(sorted({label for row in train for *_, label in row.spans}))
        return tuple(sorted({row.label for row in train}))

    @property
    def sites(self) -> dict[str, int]:
        """Training rows of each site."""
        return dict(Counter(row.site for row in self.of("train")))


def prepare(
    corpus: CorpusRecipe,
    data: Path,
    out: Path,
    *,
    quick: bool = False,
    tell: Callable[[str], None] = print,
) -> Texts:
    """The corpus in `data` (train.jsonl, dev.jsonl, test.jsonl), anonymized; read from `out` if it is there already."""
    settings = TextSettings(names="none")  # as when these figures began: another makes all of them anew
    engine = engines.load(settings)
    recipe: dict[str, Json] = {
        "sources": {file.stem: sha256(file.read_bytes()) for file in corpus.files(data)},
        "engine": engine.fingerprint,
        "replacement": settings.replacement.digest,
        "split": corpus.split,
        "quick": quick,
        **({"carved": corpus.carved} if corpus.carved else {}),
    }
    digest, facts_file = digest_of(recipe), out / "anonymized.json"
    if facts_file.exists() and (facts := json.loads(facts_file.read_text()))["digest"] == digest:
        return Texts(corpus, _read(out / "anonymized.jsonl"), digest, facts)
    given = _rows(corpus, data, quick)
    out.mkdir(parents=True, exist_ok=True)
    with SpanCache(out / "spans.sqlite", _CACHE_KEY) as cache:
        anonymizer = Anonymizer(engine, settings, cache, _SURROGATE_KEY)
        rows, words_kept = _anonymize(given, anonymizer, lambda line: tell(f"{corpus.name}: {line}"))
    facts = {
        "digest": digest,
        "rows": len(rows),
        "refused": len(given) - len(rows),
        "words_kept_fraction": round(words_kept, 5),
        "engine": engine.fingerprint,
        "recipe": recipe,
    }
    write_lines(out / "anonymized.jsonl", [asdict(row) for row in rows])
    write_whole(facts_file, json.dumps(facts, indent=1).encode())
    return Texts(corpus, tuple(rows), digest, facts)


def _anonymize(given: Sequence[Text], anonymizer: Anonymizer, tell: Callable[[str], None]) -> tuple[list[Text], float]:
    """The rows that were not refused, and the share of their words that was kept."""
    made: list[Text] = []
    words_kept = 0.0
    for start in range(0, len(given), CHUNK):
        part = given[start : start + CHUNK]
        records, report = anonymizer.run([_given(row) for row in part])
        by_id = {record.record_id: record for record in records}
        made += [_made(row, by_id[row.id]) for row in part if row.id in by_id]
        words_kept += report.words_kept_fraction * len(records)
        tell(f"{start + len(part)} of {len(given)} rows anonymized")
    return made, words_kept / len(made)


def _rows(corpus: CorpusRecipe, data: Path, quick: bool) -> list[Text]:
    """The original rows with the site and the split of each."""
    share = corpus.quick if quick else 1.0
    by_split = {split: _thinned(rows, share) for split, rows in corpus.read(data).items()}
    sites = corpus.partition(by_split["train"]).sites
    by_site = [(row, site, "train") for site in sites for row in sites[site]]
    others = [(row, "", split) for split in ("dev", "test") for row in by_split[split]]
    make = _marked if corpus.marks_spans else _text
    return [make(number, *one) for number, one in enumerate(by_site + others)]


def _thinned(rows: Sequence[JsonRow], share: float) -> list[JsonRow]:
    step = round(1 / share)
    return list(rows[::step])


def _text(number: int, row: JsonRow, site: str, split: str) -> Text:
    """A row under an id of our own: a corpus's ids may repeat."""
    return Text(f"{split}-{number}", str(row["text"]), str(row["label"]), site, split)


def _marked(number: int, row: JsonRow, site: str, split: str) -> Text:
    """A row of words and tags, read as a site reads its words_column and spans_column."""
    text, starts = join(json.dumps(row["tokens"]))
    spans = read_tags(json.dumps(row["tags"]), starts)
    return Text(f"{split}-{number}", text, "", site, split, tuple((s.start, s.end, s.label) for s in spans))


def _given(row: Text) -> TextRow:
    return TextRow(row.id, row.text, row.label, None, spans=row.record.spans)


def _made(row: Text, record: AnonymizedRecord) -> Text:
    return replace(row, text=record.text, spans=tuple((s.start, s.end, s.label) for s in record.spans))


def _read(file: Path) -> tuple[Text, ...]:
    rows = (json.loads(line) for line in file.read_text("utf-8").split("\n") if line)
    return tuple(Text(**row | {"spans": tuple(tuple(one) for one in row.get("spans", ()))}) for row in rows)
