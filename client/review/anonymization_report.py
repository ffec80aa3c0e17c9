# SPDX-License-Identifier: Apache-2.0
"""What anonymization did with the whole corpus, in counts: JSON for machines, a page for people.

Rules: never a word of any text, nor a record id or a label: every string in either file is a name of ours (entity type,
recognizer, reason, setting) or the site's. The counts are exact, so both files stay at the site.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from client.data.corpus import CorpusReport
from client.data.corpus_view import modes
from client.review.highlight import kind_of
from privacy.pages.html import Child, bars, element, facts, page, styled
from privacy.text.reading.records import AnonymizedRecord
from privacy.text.report import AnonymizationReport
from privacy.text.settings import TextSettings


@dataclass(frozen=True)
class CorpusEvidence:
    """One run over the corpus. `documents` counts the documents with each type; `flagged` those that need a person.

    `characters_a_second` is of the rows that were not in the cache; None where all were. `few_refused` is false when
    more rows were refused than `max_refused_fraction` calls few: a run leaves them out all the same.
    """

    site: str
    made_at: str
    engine: str
    names: str
    language: str
    replacement: str
    not_used: Mapping[str, int]
    by_entity: Mapping[str, int]
    documents: Mapping[str, int]
    by_recognizer: Mapping[str, int]
    documents_without_finding: int
    flagged: Mapping[str, int]
    rows_a_second: float | None
    max_refused_fraction: float
    few_refused: bool
    report: AnonymizationReport

    def as_json(self) -> dict[str, object]:
        """The evidence as one JSON object."""
        return asdict(self)

    def to_json(self) -> str:
        """The evidence as text, with sorted keys, for the site's own file."""
        return json.dumps(self.as_json(), sort_keys=True, indent=2)


def evidence(
    site: str,
    settings: TextSettings,
    corpus: CorpusReport,
    records: Sequence[AnonymizedRecord],
    report: AnonymizationReport,
    *,
    now: datetime,
) -> CorpusEvidence:
    """Count what a run under `settings` did."""
    by_entity: Counter[str] = Counter()
    by_recognizer: Counter[str] = Counter()
    for finding in report.findings:
        by_entity[finding.entity_type] += finding.count
        by_recognizer[finding.recognizer] += finding.count
    documents = Counter(kind for record in records for kind in {f.entity_type for f in record.findings})
    refused = sum(count for _, count in report.refused)
    fresh = report.rows - report.from_cache
    return CorpusEvidence(
        site=site,
        made_at=f"{now:%Y-%m-%d %H:%M} UTC",
        engine=settings.engine,
        names=settings.names,
        language=settings.language,
        replacement=modes(settings),
        not_used=dict(sorted(corpus.refused.items())),
        by_entity=dict(by_entity.most_common()),
        documents=dict(sorted(documents.items())),
        by_recognizer=dict(by_recognizer.most_common()),
        documents_without_finding=sum(not record.findings for record in records),
        flagged=dict(report.flagged),
        rows_a_second=round(fresh / report.seconds, 1) if fresh and report.seconds else None,
        max_refused_fraction=settings.max_refused_fraction,
        few_refused=refused <= settings.max_refused_fraction * report.rows,
        report=report,
    )


def as_page(evidence: CorpusEvidence) -> bytes:
    """The evidence as an HTML page."""
    body: list[Child] = [
        element("h1", f"Anonymization of {evidence.site}"),
        styled("p", "quiet", f"Made {evidence.made_at}. Counts alone: this page holds no word of any text."),
        element(
            "p",
            "These are exact counts of private data: keep them at the site. What was found says nothing about what was "
            "missed; for that, draw a sample: ",
            element("code", f"collab-client --site {evidence.site} review-sample"),
        ),
        None if evidence.few_refused else styled("p", "warning", refusal(evidence)),
        _flag_warning(evidence),
        facts(in_short(evidence)),
        styled("div", "tables", *_tables(evidence)),
        styled("p", "quiet", f"Engine fingerprint {evidence.report.engine_fingerprint}"),
    ]
    return page(f"Anonymization of {evidence.site}", body)


def _tables(evidence: CorpusEvidence) -> list[Child]:
    report = evidence.report
    entities = [(name, kind_of(name), (count, evidence.documents[name])) for name, count in evidence.by_entity.items()]
    recognizers = [(name, "plain", (count,)) for name, count in evidence.by_recognizer.items()]
    refused = [(reason, "refused", (count,)) for reason, count in report.refused]
    unused = [(reason, "plain", (count,)) for reason, count in evidence.not_used.items()]
    return [
        bars("Found, by type", ("type", "findings", "documents"), entities),
        bars("Found, by recognizer", ("recognizer", "findings"), recognizers),
        bars("Refused by anonymization, by reason", ("reason", "rows"), refused) if refused else None,
        bars("Not used, by reason", ("reason", "rows"), unused) if unused else None,
    ]


def _flag_warning(evidence: CorpusEvidence) -> Child:
    if not evidence.flagged:
        return None
    listed = ", ".join(f"{name}: {count:,}" for name, count in evidence.flagged.items())
    return styled("p", "warning", f"Documents to look at (biometrics, photographs): {listed}")


def refusal(evidence: CorpusEvidence) -> str:
    """Why a training would not begin, in a sentence."""
    rows, limit = evidence.report.rows, evidence.max_refused_fraction
    return (
        f"A run would leave out {rows - evidence.report.returned:,} of {rows:,} rows that could not be anonymized, "
        f"more than the {limit:.2%} of text.max_refused_fraction: see to them, or stay away from it."
    )


def in_short(evidence: CorpusEvidence) -> dict[str, str]:
    """The main figures, by name."""
    report = evidence.report
    speed = "all from cache" if evidence.rows_a_second is None else f"{evidence.rows_a_second:,.1f} rows a second"
    return {
        "Rows": f"{report.rows:,}",
        "Anonymized": f"{report.returned:,}",
        "Refused": ", ".join(f"{reason} {count:,}" for reason, count in report.refused) or "0",
        "Without a finding": f"{evidence.documents_without_finding:,}",
        "Words kept": f"{report.words_kept_fraction:.1%}",
        "Characters kept": f"{report.characters_kept_fraction:.1%}",
        "Time": f"{report.seconds:,.1f} s ({report.from_cache:,} rows from cache)",
        "Rate": speed,
        "Replacement": evidence.replacement,
        "Engine": f"{evidence.engine}, names {evidence.names}, language {evidence.language}",
    }
