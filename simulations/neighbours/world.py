# SPDX-License-Identifier: Apache-2.0
"""Two real sites with one site's keys, of which one holds a patient more, and a hostile coordinator's desk.

Both get the same signed messages and draw the same nonces (their keys follow a known seed), so whatever differs between
their answers comes from that patient. What costs time and is no matter here is shared: the texts' engine, the
self-checks, the models; ledger and memory are fresh in each try.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from client.data.splits import split_of
from client.enrolment import enroll, join, load_identity
from client.learning.model.pretrained import load_pretrained
from client.learning.training.contract import describe_pretrained
from client.settings.site_settings import SiteFolder, SiteSettings
from client.site.events import Event
from client.site.models import SiteModels
from client.site.records import Anonymized
from client.site.site import Site
from coordinator import provision
from coordinator.journal import Journal
from coordinator.settings import FederationSettings
from privacy.base.canonical import digest_of
from privacy.base.identifiers import sha256
from privacy.base.randomness import PublicSeed
from privacy.commandline.settings_file import render
from privacy.protocol.anonymization_check import IDENTIFIERS, SelfCheck
from privacy.protocol.delivery import Delivery
from privacy.protocol.entries import AuditEntry, RunOpened
from privacy.protocol.mechanism import MechanismCheck, passed
from privacy.protocol.messages import COORDINATOR, Header, Phase, SignedMessage, seal
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import TaskPlan, TrainingPlan
from privacy.text.find import engines
from privacy.text.settings import TextSettings
from privacy.update.delta import ModelContract, model_bytes, model_vector
from simulations.neighbours.cases import LABELS, MAX_WEIGHT, TASKS, Case, note, placed, target_lines
from simulations.neighbours.plans import BUCKET, NOISE, SITE, HostilePlans, task_of, training_of
from simulations.tiny_bert import write_tiny_bert

SEED: Final = PublicSeed(b"\x11" * 32)
ORIGIN_BLOCK: Final = 400
"""Tries of one journal: a log of many thousand entries would only be slow."""
CHECK: Final = SelfCheck(notes=2, recall={}, engine_fingerprint="0" * 64)


class _Passed:
    """Both self-checks, which read no data and were measured elsewhere."""

    def __init__(self, answer: SelfCheck | None = None) -> None:
        self._answer = answer

    def of(self, run_id: str, plan: Any, opened: RunOpened) -> SelfCheck | MechanismCheck | None:
        return self._answer or (passed(plan, 12_582_912) if plan is not None else None)


@dataclass(frozen=True)
class Answers:
    """What a site sent, and what it told itself."""

    hello: SignedMessage
    answer: SignedMessage
    told: tuple[Event, ...]


class World:
    """A federation of one site in `root`, and the two sites that claim to be it."""

    def __init__(self, root: Path) -> None:
        self._root, self._tries = root, 0
        now = datetime.now(UTC)
        root.mkdir(parents=True, exist_ok=True)
        self.pretrained = load_pretrained(write_tiny_bert(root / "tiny"))
        settings = FederationSettings.model_validate(
            {
                "run": {"name": "valley", "run_id": "spring"},
                "task": {"labels": LABELS},
                "rounds": {"min_sites": 1},
                "anonymization": {"self_check_notes": 2},
            }
        )
        self._federation = provision.init(
            root / "coordinator", hosts=("localhost",), now=now, settings=settings, simulation=SEED
        )
        self._key = self._federation.coordinator_key()
        folder = self._folder(root / "first", "classification", MAX_WEIGHT)
        join(folder, provision.admit(self._federation, enroll(folder, simulation=SEED), now=now), now=now)
        self._home, self.identity = folder.home, load_identity(folder, now=now)
        self._roster = self.identity.enrolment.roster_site()
        self._journal = self._new_journal()
        self._read: dict[tuple[object, ...], Anonymized] = {}
        self._models = SiteModels({self.pretrained.digest: root / "tiny"})
        self._contracts: dict[str, tuple[ModelContract, bytes]] = {}
        self._patients = self._two_patients()

    def _new_journal(self) -> Journal:
        folder = self._root / f"log{self._tries}"
        folder.mkdir()
        self._origin = self.identity.kit.log_origin
        return Journal.open(folder, self._federation.log_key(), self._origin, lambda: 1_700_000_000_000)

    def _two_patients(self) -> tuple[str, str]:
        """The patient who makes the difference: one name that falls into train, one that falls into dev."""
        key = self.identity.site_key.derive("split").expose("split")
        patients: dict[str, str] = {}
        for at in range(1000):
            part = split_of(f"patient:x{at}", key, test_fraction=0.0, dev_fraction=0.5)
            patients.setdefault(part, f"x{at}")
        return patients["train"], patients["dev"]

    # -- the two sites ------------------------------------------------------------------------------------------------

    def _folder(self, root: Path, task: str, max_weight: float) -> SiteFolder:
        settings = SiteSettings.model_validate(
            {
                "site": {"name": SITE},
                "data": {
                    "files": (Path("data/notes.jsonl"),),
                    "dataset": "notes",
                    "patient_column": "patient_id",
                    "record_column": "record_id",
                    "pair_column": "pair" if task in ("sentence_pair", "question_answering") else None,
                    "spans_column": "spans"
                    if task in ("token_classification", "relation", "question_answering")
                    else None,
                    "unlabelled": "keep",
                    "max_characters": 4000,
                    "test_fraction": 0.0,
                    "dev_fraction": 0.5,
                },
                "model": {"paths": {self.pretrained.digest: self._root / "tiny"}},
                "text": {"names": "none", "max_characters": 1200},
                "compute": {"device": "cpu"},
                "policy": {
                    "unit": "patient",
                    "epsilon_limit": 1000.0,
                    "delta": 1e-3,
                    "size_bucket": BUCKET,
                    "tasks": tuple(TASKS),
                    "max_weight": max_weight,
                    "clipping": ("bookkeeping", "ghost", "hooks"),
                    "min_recall": dict.fromkeys(IDENTIFIERS, 0.0),
                },
            }
        )
        root.mkdir(parents=True, exist_ok=True)
        (root / f"{SITE}.toml").write_text(render(settings))
        return SiteFolder(root / f"{SITE}.toml")

    def _site(self, case: Case, *, with_target: bool) -> Site:
        """A site with what its rows make of it, and fresh memory and ledger."""
        root = self._root / case.task / ("with" if with_target else "without")
        folder = self._folder(root, case.task, case.max_weight)
        if not folder.home.exists():
            shutil.copytree(self._home, folder.home)
        for old in folder.home.iterdir():
            if old.name not in ("keys", "kit.json", "enrolment.json", "SIMULATED"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        folder.create()
        self._write_rows(folder, case, with_target=with_target)
        site = Site(folder, self.identity)
        known = (case.task, case.rows, case.target if with_target else None)
        if known in self._read:
            site.pipeline.records.known = self._read[known]
        site.pipeline.models = self._models
        site.self_check = site.readiness._self_check = _Passed(CHECK)  # type: ignore[assignment]
        site.mechanism = site.readiness._mechanism = _Passed()  # type: ignore[assignment]
        return site

    def _write_rows(self, folder: SiteFolder, case: Case, *, with_target: bool) -> None:
        rows = [note(at, case.task, f"p{at % 5}") for at in range(case.rows)]
        lines = [json.dumps(row).encode() + b"\n" for row in rows]
        if with_target:
            for number, patient in enumerate(self._patients):
                lines += target_lines(case, patient, 100 + 10 * number)
        (path,) = folder.data_files
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(lines))

    # -- the desk -----------------------------------------------------------------------------------------------------

    def ask(self, case: Case) -> tuple[Answers, Answers]:
        """What the two sites answer to an opening and to the plan of `case`; with the patient first."""
        self._tries += 1
        if self._tries % ORIGIN_BLOCK == 0:
            self._journal.close()
            self._journal = self._new_journal()
        sites = [self._site(case, with_target=with_target) for with_target in (True, False)]
        try:
            messages = self._messages(case, sites[0].settings)
            answers = [self._answers(site, messages) for site in sites]
        finally:
            for site, with_target in zip(sites, (True, False), strict=True):
                known = (case.task, case.rows, case.target if with_target else None)
                if site.pipeline.records.known is not None:
                    self._read[known] = site.pipeline.records.known
                site.state.close()
        return answers[0], answers[1]

    @staticmethod
    def _answers(site: Site, messages: tuple[SignedMessage, SignedMessage]) -> Answers:
        hello, answer = (site.answer(message) for message in messages)
        return Answers(hello, answer, tuple(site.reports.events(hello.envelope.run_id)))

    def _messages(self, case: Case, settings: SiteSettings) -> tuple[SignedMessage, SignedMessage]:
        """The opening, and the plan with its hostile model."""
        task, training, run_id = task_of(case), training_of(case), f"run-{self._tries}"
        contract, first = self._described(task, training)
        payload = model_bytes(contract, placed(model_vector(contract, first), case))
        hostile = HostilePlans(case, task, training, contract)
        (opening,) = self._journal.append(run_id, 0, self._opened(contract, first, hostile.outline(), settings))
        hello = self._message(opening, "hello", 0)
        planned = hostile.planned(run_id, sha256(payload))
        (entry,) = self._journal.append(run_id, planned.plan.server_round, planned)
        phase: Phase = "update" if case.phase == "update" else "evaluate"
        return hello, self._message(entry, phase, opening.index + 1, payload)

    def _opened(self, contract: ModelContract, first: bytes, outline: RunOutline, settings: SiteSettings) -> RunOpened:
        roster = {SITE: self._roster.model_copy(update={"policy_digest": settings.policy_digest})}
        return RunOpened(
            settings={},
            settings_digest="0" * 64,
            roster=roster,
            contract_digest=digest_of(contract),
            initial_model_digest=sha256(first),
            public_seed=SEED.hex(),
            planned_rounds=1,
            noise_multiplier=NOISE,
            evaluation_noise_multiplier=NOISE,
            software={},
            simulated=True,
            outline=outline,
        )

    def _message(self, entry: AuditEntry, phase: Phase, from_size: int, payload: bytes = b"") -> SignedMessage:
        return seal(
            Delivery(entry=entry, proof=self._journal.prove(entry.index, from_size)),
            Header(
                kind="delivery",
                run_id=entry.run_id,
                server_round=entry.server_round,
                attempt=1,
                phase=phase,
                sender=COORDINATOR,
                context_digest=digest_of(entry),
                log_vkey=self.identity.kit.log_vkey,
                recipient=SITE,
            ),
            self._key,
            payload=payload,
        )

    def _described(self, task: TaskPlan, training: TrainingPlan) -> tuple[ModelContract, bytes]:
        known = digest_of({"task": task.model_dump(mode="json"), "training": training.model_dump(mode="json")})
        if known not in self._contracts:
            self._contracts[known] = describe_pretrained(task, training, self.pretrained, SEED)
        return self._contracts[known]

    def close(self) -> None:
        """Release the log."""
        self._journal.close()


@contextmanager
def one_engine() -> Iterator[None]:
    """Each of the texts' settings builds its engine once, whoever asks for it."""
    load = engines.load

    @functools.cache
    def by_settings(settings: str) -> engines.Engine:
        return load(TextSettings.model_validate_json(settings))

    engines.load = lambda settings: by_settings(settings.model_dump_json())
    try:
        yield
    finally:
        engines.load = load
