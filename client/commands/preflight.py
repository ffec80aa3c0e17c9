# SPDX-License-Identifier: Apache-2.0
"""What a site would take part with: its data as read and anonymized, its models, its policy. Nothing of it leaves."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from client.commands.rehearsal import Records, Rehearsal, rehearse
from client.data.chain import AnonymizingChain, StageProgress
from client.data.corpus import Corpus, CorpusReport
from client.learning.model.pretrained import PACKAGED_DIGEST, load_packaged, load_pretrained, pretrained_digest
from client.review import refused_rows
from client.settings.policy import PolicySection
from client.settings.site_settings import SiteFolder, SiteSettings
from client.site.records import SiteRecords
from privacy.base.canonical import Json
from privacy.base.errors import AnonymizationError, IntegrityError
from privacy.base.identifiers import Digest
from privacy.base.randomness import SEED_BYTES, SecretSeed
from privacy.commandline.settings_file import plain
from privacy.protocol.anonymization_check import fewest_found, written
from privacy.protocol.model_request import ModelRequest
from privacy.text import self_check
from privacy.text.reading.records import AnonymizedRecord, TextRow
from privacy.text.report import AnonymizationReport

Sections = dict[str, dict[str, Json]]

REHEARSED_NOTES = 60
BELOW = ", BELOW the floor"


@dataclass(frozen=True)
class Wanted:
    """A task to be rehearsed, and where its model.json would lie."""

    request: ModelRequest
    contract_file: Path


@dataclass(frozen=True)
class Checked:
    """What was found, by title. `would_train`: there are rows, and no run on the task would be refused."""

    sections: Sections
    would_train: bool


def examine(
    folder: SiteFolder, site_key: SecretSeed | None, progress: StageProgress, wanted: Wanted | None = None
) -> Checked:
    """What is to be mended, corpus, anonymization, a rehearsal of self-check and task, models and policy, by title.

    Without a `site_key` (the site has not enrolled) the split is drawn for this once, and nothing is cached. Refused
    rows are listed in the site's reports. Raises what reading raises: SettingsError, AnonymizationError, IntegrityError
    for a model whose digest is another.
    """
    corpus = AnonymizingChain(folder, site_key).corpus()
    refused_rows.write_list(folder, corpus.refused)
    sections: Sections = {"to mend": dict(refused_rows.to_mend(folder, corpus)), "files": _files(corpus)}
    sections["corpus"] = _flat(corpus.report.as_json()) | _listed(folder, corpus)
    records = _as_read(corpus)
    if site_key is not None:
        anonymized = SiteRecords(folder, site_key, progress).anonymized()
        records = anonymized.records
        sections["anonymization"] = _anonymization(anonymized.report)
        sections["to mend"] |= _not_anonymized(anonymized.report, folder.settings.text.max_refused_fraction)
    shown, below = _self_check(folder.settings) if folder.settings.site.role == "trainer" else ({}, False)
    sections |= {"self-check": shown, "models": dict(models(folder)), "policy": _policy(folder.settings)}
    doubts: dict[str, Json] = dict(_warnings(folder.settings.policy, corpus.report))
    refused = False
    if wanted is not None:
        rehearsal = rehearse(folder, wanted.request, wanted.contract_file, records)
        refused = _add_rehearsal(sections, rehearsal, below)
        doubts |= rehearsal.doubts
    sections["think again"] = doubts
    return Checked({title: facts for title, facts in sections.items() if facts}, bool(corpus.rows) and not refused)


def _add_rehearsal(sections: Sections, rehearsal: Rehearsal, below: bool) -> bool:
    """Put what a task's rehearsal found where it is read; whether a run would be refused."""
    if below:
        rehearsal.refused["self-check"] = "the anonymizer is below a floor of policy.min_recall on invented notes"
    refused: dict[str, Json] = {f"a run would be refused: {what}": why for what, why in rehearsal.refused.items()}
    sections["to mend"] = refused | sections["to mend"]
    sections["task"] = rehearsal.facts
    sections["left out by the task"] = rehearsal.left_out
    return bool(rehearsal.refused)


def _files(corpus: Corpus) -> dict[str, Json]:
    return {file.name: f"{file.taken}: {file.rows} rows" for file in corpus.files}


def _listed(folder: SiteFolder, corpus: Corpus) -> dict[str, Json]:
    where = refused_rows.shown(folder)
    return {"refused rows, by line": f"{len(corpus.refused)} in {where}"} if corpus.refused else {}


def _as_read(corpus: Corpus) -> Records:
    """The rows as records, not anonymized: to try a task's labels, in memory, before the site has keys."""
    return {split: [_record(row) for row in rows] for split, rows in corpus.by_split.items()}


def _record(row: TextRow) -> AnonymizedRecord:
    return AnonymizedRecord(row.record_id, row.text, row.label, row.patient_id, (), (), row.spans, row.pair)


def _not_anonymized(report: AnonymizationReport, bound: float) -> dict[str, Json]:
    """Rows that the anonymizer refuses drop out of a run; many of them are said first."""
    count = sum(number for _, number in report.refused)
    if count <= bound * report.rows:
        return {}
    reasons = ", ".join(f"{reason} {number}" for reason, number in report.refused)
    advice = "over_long: raise text.max_characters; time_limit: raise text.row_time_limit_seconds"
    return {"rows not anonymized": f"{count} of {report.rows} would be left out ({reasons}); {advice}"}


def _policy(settings: SiteSettings) -> dict[str, Json]:
    floors = written(settings.policy.min_recall)
    listed = ", ".join(f"{name} {floor}" for name, floor in floors.items())
    return plain(settings.policy) | {"min_recall": listed, "policy digest": settings.policy_digest}


def _warnings(policy: PolicySection, corpus: CorpusReport) -> dict[str, str]:
    """What the policy says that this data makes doubtful. Said here alone: it tells of exact sizes."""
    units = sum((corpus.patients if policy.unit == "patient" else corpus.rows).values())
    warnings = {}
    if units and policy.delta * units >= 1:
        warnings["policy.delta"] = (
            f"{policy.delta} is not below 1 / {units} {policy.unit}s: a whole unit could be exposed"
        )
    if units and not units / 2 <= policy.size_bucket <= 2 * units:
        warnings["policy.size_bucket"] = (
            f"{policy.size_bucket} is far from the {units} {policy.unit}s here: gradients are divided by it, so "
            "a training step is too small, or too large"
        )
    return warnings


def models(folder: SiteFolder) -> dict[Digest, str]:
    """The pretrained models that a plan may name, each checked against its digest."""
    load_packaged()
    known = {PACKAGED_DIGEST: "all-MiniLM-L6-v2, packaged"}
    for digest, path in folder.model_folders.items():
        if pretrained_digest(path) != digest:
            raise IntegrityError(
                f"the model in {path.name} has digest {pretrained_digest(path)}, not the one that [model.paths] names",
                reason="model_mismatch",
                next_step="find out which one is right before you change either",
            )
        load_pretrained(path)
        known[digest] = path.name
    return known


def _anonymization(report: AnonymizationReport) -> dict[str, Json]:
    counts: dict[str, int] = {}
    for finding in report.findings:
        counts[finding.entity_type] = counts.get(finding.entity_type, 0) + finding.count
    return {
        "rows": report.rows,
        "returned": report.returned,
        **{f"refused: {reason}": count for reason, count in report.refused},
        **{f"found: {entity_type}": count for entity_type, count in sorted(counts.items())},
        "characters kept": f"{report.characters_kept_fraction:.3f}",
        "from cache": report.from_cache,
        "engine": report.engine_fingerprint,
        "replacement": report.replacement_digest,
    }


def _self_check(settings: SiteSettings) -> tuple[dict[str, Json], bool]:
    """What a run's self-check would show, on a batch for this once, beside the site's own floors; is any below?"""
    try:
        return _measured(settings)
    except AnonymizationError as error:
        return {"failed": f"{error.message}. {error.next_step}"}, True


def _measured(settings: SiteSettings) -> tuple[dict[str, Json], bool]:
    floors, seed = written(settings.policy.min_recall), SecretSeed(secrets.token_bytes(SEED_BYTES))
    check = self_check.check(self_check.load_engine(settings.text), settings.text, seed, REHEARSED_NOTES, ())
    shown: dict[str, Json] = {"invented notes": check.notes}
    missed = False
    for name, recall in sorted(check.recall.items()):
        floor = floors.get(name, "0")
        below = "" if recall.found >= fewest_found(recall.planted, floor) else BELOW
        missed = missed or bool(below)
        share = f"{recall.found / recall.planted:.2f} ({recall.found} of {recall.planted})"
        shown[name.upper()] = f"{share}, floor {floor}{below}"
    return shown, missed


def _flat(counts: Mapping[str, int | dict[str, int]]) -> dict[str, Json]:
    flat: dict[str, Json] = {}
    for name, value in counts.items():
        if isinstance(value, dict):
            flat.update({f"{name}: {part}": count for part, count in sorted(value.items())})
        else:
            flat[name.replace("_", " ")] = value
    return flat
