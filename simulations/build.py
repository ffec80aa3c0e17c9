# SPDX-License-Identifier: Apache-2.0
"""A scenario becomes folders: real site folders and a real federation folder, made by the same code as real ones.

    OUT/sites/<name>.toml, OUT/sites/<name>/   a site: settings, data, keys (marked SIMULATED), ledger, reports, kit
    OUT/sites/holdout.toml, ...                texts of no site, to measure the model; not enrolled
    OUT/coordinator/                           federation.toml, keys, roster, model, and soon the log and its blobs

All keys and nonces follow from the scenario's seed, so every folder carries the marker and its epsilon protects nobody.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from client.enrolment import SiteIdentity, enroll, join, load_identity
from client.learning.model.pretrained import packaged_folder
from client.learning.training.contract import describe
from client.settings.policy import PolicySection
from client.settings.site_settings import (
    ComputeSection,
    DataSection,
    SiteFolder,
    SiteSection,
    SiteSettings,
)
from coordinator import provision
from coordinator.folder import FederationFolder
from privacy.base.canonical import canonical_bytes
from privacy.base.errors import SettingsError
from privacy.base.files import write_whole
from privacy.base.identifiers import SiteId
from privacy.base.randomness import PublicSeed
from privacy.commandline.settings_file import render, settings_digest
from simulations.corpora import clinical_notes, holdout_notes, write_lines, write_site_data
from simulations.partition import JsonRow, by_field, read_rows
from simulations.scenario import ColumnsSection, Scenario

MARKER = "SIMULATION"
UNFINISHED = "unfinished\n"
"""What the marker says while the folders are being made: interrupted there, they are made anew."""

HOLDOUT = "holdout"


@dataclass(frozen=True)
class Built:
    """A scenario on disk."""

    scenario: Scenario
    seed: PublicSeed
    out: Path
    sites: Mapping[SiteId, SiteFolder]
    identities: Mapping[SiteId, SiteIdentity]
    holdout: SiteFolder
    federation: FederationFolder


def build(scenario: Scenario, out: Path, data: Path | None, *, fresh: bool) -> Built:
    """Make the folders of `scenario` in `out`, or find those of an earlier, perhaps unfinished, run of the same.

    Raises SettingsError when `out` holds something else; `fresh` removes an earlier simulation, and nothing else.
    """
    seed = PublicSeed.from_integer(scenario.seed).derive(f"scenario/{scenario.federation.run.name}")
    digest = settings_digest(scenario)
    marker = out / MARKER
    if out.exists() and any(out.iterdir()):
        if not marker.exists():
            raise SettingsError(f"{out.name} holds something that is no simulation", next_step="choose another --out")
        if fresh or marker.read_text() == UNFINISHED:
            shutil.rmtree(out)
        elif marker.read_text().strip() != digest:
            raise SettingsError(f"{out.name} holds another simulation", next_step="add --fresh, or another --out")
    if not marker.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_whole(marker, UNFINISHED.encode())
        (out / "sites").mkdir()
        _make(scenario, seed, out, data)
        write_whole(marker, digest.encode() + b"\n")
    return _open(scenario, seed, out)


def _make(scenario: Scenario, seed: PublicSeed, out: Path, data: Path | None) -> None:
    labels = (
        _write_invented(scenario, seed, out) if scenario.corpus.kind == "notes" else _write_rows(scenario, out, data)
    )
    settings = scenario.federation.model_copy(
        update={
            "run": scenario.federation.run.model_copy(update={"public_seed": scenario.seed}),
            "task": scenario.federation.task.model_copy(update={"labels": labels}),
        }
    )
    now = datetime.now(UTC)
    federation = provision.init(
        out / "coordinator", hosts=("localhost", "127.0.0.1"), now=now, settings=settings, simulation=seed
    )
    contract, initial = describe(
        settings.task_plan(),
        settings.training.plan(),
        packaged_folder(),
        PublicSeed.from_integer(settings.run.public_seed),
    )
    write_whole(federation.contract, canonical_bytes(contract))
    write_whole(federation.initial_model, initial)
    for path in sorted((out / "sites").glob("*.toml")):
        if path.stem != HOLDOUT:
            provision.admit(federation, enroll(SiteFolder(path), simulation=seed), now=now)
    for site, kit in provision.start_kits(federation, now=now).items():
        join(SiteFolder(out / "sites" / f"{site}.toml"), kit, now=now)


def _write_invented(scenario: Scenario, seed: PublicSeed, out: Path) -> tuple[str, ...]:
    if not scenario.hospitals:
        raise SettingsError("this scenario has no hospitals", next_step="add [[hospitals]] to the scenario file")
    for hospital in scenario.hospitals:
        notes = clinical_notes(seed.derive(f"notes/{hospital.name}"), hospital.patients, hospital.style)
        write_site_data(out / "sites" / hospital.name / "data", notes)
        file = f"{hospital.name}/data/notes.jsonl"
        _write_settings(scenario, out, hospital.name, file, bucket_of(hospital.patients))
    write_site_data(out / "sites" / HOLDOUT / "data", holdout_notes(seed, scenario.corpus.holdout))
    _write_settings(scenario, out, HOLDOUT, f"{HOLDOUT}/data/notes.jsonl", 1)
    return scenario.federation.task.labels


def _write_rows(scenario: Scenario, out: Path, data: Path | None) -> tuple[str, ...]:
    if data is None:
        raise SettingsError("this scenario needs rows", next_step="give --data FOLDER with train.jsonl and test.jsonl")
    train, test = read_rows(data / "train.jsonl"), read_rows(data / "test.jsonl")
    corpus = scenario.corpus
    parts = by_field(train, corpus.field, minimum=corpus.minimum)
    for site, rows in parts.sites.items():
        _write_jsonl(out / "sites" / site / "data", rows, corpus.columns)
        units = len({str(row.get(corpus.columns.patient or "id")) for row in rows})
        _write_settings(scenario, out, site, f"{site}/data/notes.jsonl", bucket_of(units))
    _write_jsonl(out / "sites" / HOLDOUT / "data", test, corpus.columns)
    _write_settings(scenario, out, HOLDOUT, f"{HOLDOUT}/data/notes.jsonl", 1)
    if corpus.labels == "plan":
        return scenario.federation.task.labels
    return tuple(sorted({str(row["label"]) for row in train}))


def _write_jsonl(folder: Path, rows: Sequence[JsonRow], columns: ColumnsSection) -> None:
    """The rows with the columns that the sites read. Raises SettingsError for a row that lacks its id or its text."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = columns.words or "text"
    others = [name for name in (columns.label, columns.patient, columns.pair, columns.spans) if name]
    if any(row.get(name) is None for row in rows for name in ("id", text)):
        raise SettingsError(f"a row has no id or no {text}", next_step="give every row both, or name the columns")
    lines = [{"record_id": str(row["id"]), text: row[text], **{name: row.get(name) for name in others}} for row in rows]
    write_lines(folder / "notes.jsonl", lines)


def bucket_of(units: int) -> int:
    """The size that a simulated site declares: the nearest power of two below, or half as much again."""
    power = 1 << (max(units, 1).bit_length() - 1)
    return power + power // 2 if power >= 2 and units >= power + power // 2 else power


def _write_settings(scenario: Scenario, out: Path, site: SiteId, file: str, bucket: int) -> None:
    shared, federation, columns = scenario.sites, scenario.federation, scenario.corpus.columns
    public = site == HOLDOUT
    settings = SiteSettings(
        site=SiteSection(name=site, role="evaluator" if public else "trainer"),
        data=DataSection(
            files=(Path(file),),
            dataset=f"simulated-{site.replace('_', '-')}",
            label_column=columns.label,
            patient_column="patient_id" if scenario.corpus.kind == "notes" else columns.patient,
            record_column="record_id",
            pair_column=columns.pair,
            words_column=columns.words,
            spans_column=columns.spans,
            unlabelled=columns.unlabelled,
            test_fraction=0.0,
            dev_fraction=0.0 if public else shared.dev_fraction,
        ),
        text=shared.text,
        compute=ComputeSection(device="cpu", threads=shared.threads),
        policy=PolicySection(
            unit=federation.privacy.unit,
            epsilon_limit=shared.epsilon_limit,
            delta=federation.privacy.target_delta,
            max_grad_norm=shared.max_grad_norm,
            min_recall=shared.min_recall,
            allow_non_private=shared.allow_non_private,
            tasks=(federation.task.name,),
            size_bucket=bucket,
        ),
    )
    write_whole(out / "sites" / f"{site}.toml", render(settings).encode())


def _open(scenario: Scenario, seed: PublicSeed, out: Path) -> Built:
    federation = FederationFolder(out / "coordinator")
    now = datetime.now(UTC)
    folders = {site: SiteFolder(out / "sites" / f"{site}.toml") for site in provision.roster(federation)}
    identities = {site: load_identity(folder, now=now) for site, folder in folders.items()}
    holdout = SiteFolder(out / "sites" / f"{HOLDOUT}.toml")
    holdout.create()
    return Built(scenario, seed, out, folders, identities, holdout, federation)
