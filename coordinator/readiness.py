# SPDX-License-Identifier: Apache-2.0
"""Whether a federation's folder is ready to run: settings, keys, certificates, roster, model, disk. Changes nothing.

Each question gives one ReadinessCheck; a folder is ready when none is a problem. Needs neither flwr nor the network.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from coordinator import admissions, certificates
from coordinator.folder import FederationFolder
from coordinator.planning import check_same_settings
from coordinator.provision import address, roster
from coordinator.status import read_entries
from privacy.base.errors import CollabError, IntegrityError, PlanRefused, SettingsError, StorageFailed
from privacy.commandline.settings_file import settings_digest
from privacy.log.note import NoteKey
from privacy.protocol.messages import parse
from privacy.protocol.run import Run
from privacy.update.delta import ModelContract, model_vector

RENEW_BEFORE: Final = timedelta(days=30)
SPARE: Final = 1.5
"""Of the payloads' size: Flower's own database holds a round's messages beside our blobs."""


@dataclass(frozen=True)
class ReadinessCheck:
    """The answer to one question. `problem` is None where all is well."""

    what: str
    detail: str
    problem: CollabError | None = None


def examine(folder: FederationFolder, *, now: datetime) -> list[ReadinessCheck]:
    """All findings, in the order in which a person would mend them."""
    questions: list[tuple[str, Callable[[], str]]] = [
        ("settings", lambda: _settings(folder)),
        ("keys", lambda: _keys(folder)),
        ("certificates", lambda: _certificates(folder, now)),
        ("roster", lambda: _roster(folder)),
        ("model", lambda: _model(folder)),
        ("run", lambda: _run(folder)),
        ("disk", lambda: _disk(folder)),
    ]
    return [_ask(what, question) for what, question in questions]


def _ask(what: str, question: Callable[[], str]) -> ReadinessCheck:
    try:
        return ReadinessCheck(what, question())
    except CollabError as error:
        return ReadinessCheck(what, error.message, error)


def _settings(folder: FederationFolder) -> str:
    run = folder.settings.run
    if run.name != folder.name:
        raise SettingsError(
            f"federation.toml says run.name is {run.name}, but this folder's log is that of {folder.name}",
            next_step=f'write name = "{folder.name}": a federation keeps its name',
        )
    network = folder.settings.network
    return f"{run.name}, {run.run_id}; listens on {network.host}:{network.port}, sites reach it at {address(folder)}"


def _keys(folder: FederationFolder) -> str:
    key = folder.coordinator_key().verify_key()
    if NoteKey.parse(folder.log_vkey.read_text().strip()).key.hex() != folder.log_key().verify_key().hex():
        raise IntegrityError("log.vkey is not the key in keys/log.key", next_step="restore both from one backup")
    return f"fingerprint {key.fingerprint()}" + ("; SIMULATED, known to all" if folder.simulated else "")


def _certificates(folder: FederationFolder, now: datetime) -> str:
    end = certificates.check(folder.pki, now=now)
    hint = "; soon: collab-coordinator renew DIR" if end - now < RENEW_BEFORE else ""
    return f"{', '.join(certificates.hosts(folder.pki))}; valid until {end:%Y-%m-%d}{hint}"


def _roster(folder: FederationFolder) -> str:
    sites = roster(folder)
    outside = [site for site in sites if not admissions.issued(folder.door, site)]
    trainers = [site for site, each in sites.items() if each.role == "trainer" and site not in outside]
    least = folder.settings.rounds.min_sites
    if len(trainers) < least:
        raise SettingsError(
            f"{len(trainers)} trainers are admitted, rounds.min_sites is {least}",
            next_step="collab-coordinator admit DIR ENROLMENT, for each site",
        )
    without = f"; without a certificate, so not let in: {', '.join(outside)}" if outside else ""
    return f"{len(sites)} sites: {', '.join(sites)}{without}"


def load_contract(folder: FederationFolder) -> ModelContract:
    """model/model.json, held against federation.toml and initial.safetensors. Raises SettingsError or ContractError."""
    describe = "collab-coordinator task DIR, then collab-client describe"
    if not folder.contract.exists() or not folder.initial_model.exists():
        raise SettingsError("there is no model in this folder", next_step=describe)
    contract = parse(ModelContract, folder.contract.read_bytes())
    if contract.task != folder.settings.task_plan() or contract.training != folder.settings.training.plan():
        raise SettingsError("model.json was made for another task or training than federation.toml", next_step=describe)
    model_vector(contract, folder.initial_model.read_bytes())
    return contract


def _model(folder: FederationFolder) -> str:
    contract = load_contract(folder)
    trained = f"{contract.size:,} trained values in {len(contract.arrays)} arrays"
    return f"{contract.task.name}, {len(contract.task.labels)} labels, {trained}"


def _run(folder: FederationFolder) -> str:
    """Whether the run can go on as it was opened, and which sites said yes to the whole of it."""
    run_id = folder.settings.run.run_id
    run = Run.read(entry for entry in read_entries(folder.root) if entry.run_id == run_id)
    if run.opened is None:
        return f"{run_id} was not opened yet: each site is then asked for its yes to all of it, before it is charged"
    check_same_settings(run.opened, run_id, settings_digest(folder.settings))
    if run.closed is not None:
        return f"{run_id} is closed ({run.closed.outcome}); a new run needs a new run.run_id"
    said_no = sorted(run.gone)
    able, needed = run.left_to_train(), folder.settings.rounds.min_sites
    if able < needed:
        raise PlanRefused(
            f"{run_id} cannot end: {able} of at least {needed} training sites can still take part; "
            f"{', '.join(said_no)} said no",
            reason="policy",
            next_step="collab-audit show DIR says why; open a new run that fits their budgets and policies",
        )
    answered = ", ".join(sorted(run.ready)) or "none"
    return f"{run_id} is open; said yes to all of it: {answered}" + (f"; said no: {', '.join(said_no)}" * bool(said_no))


def _disk(folder: FederationFolder) -> str:
    payload = _size(folder.initial_model)
    rounds, sites = folder.settings.training.rounds, len(list(folder.roster.glob("*.json")))
    needed = int(SPARE * payload * rounds * (sites + 1))
    free = shutil.disk_usage(folder.root).free
    if free < needed:
        raise StorageFailed(
            f"a whole run stores about {_megabytes(needed)}, {_megabytes(free)} are free", next_step="make room first"
        )
    return f"a whole run stores about {_megabytes(needed)}, {_megabytes(free)} are free"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
