# SPDX-License-Identifier: Apache-2.0
"""What a run of anonymization did, in counts: for the site's local report. The log gets a salted commitment to it.

Rules: counts of private data stay at the site; the commitment is an HMAC under a fresh salt, so that a reader of the
log cannot try likely counts; recall is measured on planted identifiers of known position, never promised.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from privacy.base.canonical import canonical_bytes, decimal_string
from privacy.base.identifiers import Digest
from privacy.text.reading.records import AnonymizedRecord


@dataclass(frozen=True)
class FindingCount:
    """How many findings of one type came from one recognizer."""

    entity_type: str
    recognizer: str
    count: int


@dataclass(frozen=True)
class AnonymizationReport:
    """One run. `rows` = returned + refused; fractions are of the returned rows' original characters and words.

    `refused` holds pairs of reason and count; `from_cache` counts rows whose spans came from the site's cache;
    `flagged` holds pairs of a flag and how many returned rows carry it. The fingerprint says what finds, the digest of
    the replacement settings what stands in place of a finding.
    """

    rows: int
    returned: int
    refused: tuple[tuple[str, int], ...]
    findings: tuple[FindingCount, ...]
    characters_kept_fraction: float
    words_kept_fraction: float
    from_cache: int
    seconds: float
    engine_fingerprint: Digest
    replacement_digest: Digest
    flagged: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> str:
        """The report as JSON with sorted keys, for the site's own files."""
        return json.dumps(asdict(self), sort_keys=True)


def commitment(report: AnonymizationReport, salt: bytes) -> Digest:
    """HMAC-SHA256 under `salt` (32 random bytes, fresh for each run, kept at the site) over the canonical report.

    Raises ValueError for a salt of another length.
    """
    if len(salt) != 32:
        raise ValueError("the salt of a commitment is 32 bytes")
    fields = {
        name: decimal_string(value) if isinstance(value, float) else value for name, value in asdict(report).items()
    }
    return hmac.new(salt, b"collab anonymization report v1\n" + canonical_bytes(fields), "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class PlantedSpan:
    """Characters [start, end) of an original text are an identifier of `entity_type` that someone put there."""

    start: int
    end: int
    entity_type: str


@dataclass(frozen=True, slots=True)
class Recall:
    """`found` of `planted` spans were removed whole; `by_type` holds (entity_type, found, planted), sorted."""

    found: int
    planted: int
    by_type: tuple[tuple[str, int, int], ...]


def recall_on_planted(records: Iterable[AnonymizedRecord], planted: Mapping[str, Sequence[PlantedSpan]]) -> Recall:
    """How many planted spans are fully covered by findings, of any type: what counts is that the words are gone.

    A planted record that is not among `records` was refused: it left nothing, and its spans are not counted.
    """
    counts: dict[str, list[int]] = {}
    for record in records:
        covered = {i for finding in record.findings for i in range(finding.start, finding.end)}
        for span in planted.get(record.record_id, ()):
            found_planted = counts.setdefault(span.entity_type, [0, 0])
            found_planted[0] += covered.issuperset(range(span.start, span.end))
            found_planted[1] += 1
    by_type = tuple((name, found, total) for name, (found, total) in sorted(counts.items()))
    return Recall(sum(found for _, found, _ in by_type), sum(total for _, _, total in by_type), by_type)
