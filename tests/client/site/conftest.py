# SPDX-License-Identifier: Apache-2.0
"""A site and its coordinator's desk: what a coordinator may do to a site, without a network.

A real site folder with a tiny BERT and invented notes, and a coordinator played by the test with the federation's own
keys and a real log, so that it can sign whatever it likes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from client.enrolment import enroll, join, load_identity
from client.learning.training.contract import describe
from client.settings.site_settings import SiteFolder, SiteSettings
from client.site.events import RefusedEvent
from client.site.site import Site
from coordinator import provision
from coordinator.app import make_recipe
from coordinator.journal import Journal
from coordinator.planning import evaluation_plan, round_plan
from coordinator.settings import FederationSettings
from privacy.base.canonical import canonical_bytes, digest_of
from privacy.base.randomness import PublicSeed
from privacy.commandline.settings_file import render
from privacy.log.keys import SigningKey
from privacy.protocol.anonymization_check import IDENTIFIERS
from privacy.protocol.delivery import Delivery
from privacy.protocol.entries import AuditEntry, EvaluationPlanned, RoundPlanned
from privacy.protocol.messages import (
    COORDINATOR,
    Header,
    Refusal,
    SignedMessage,
    open_message,
    seal,
)
from privacy.protocol.run import Run

NOW = datetime.now(UTC)
SEED = PublicSeed(b"\x11" * 32)
LABELS = ("ill", "well", "unsure")
WORDS = ("ward", "heart", "lung", "fever", "cough", "pain", "rest", "stable", "worse", "better", "left", "right")


def write_notes(path: Path, label: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "record_id": f"r{at}",
            "patient_id": f"p{at % 12}",
            "text": " ".join(WORDS[(at * 7 + step * (5 + 2 * (at // 12))) % len(WORDS)] for step in range(6 + at % 4)),
            "label": label or LABELS[at % 3],
        }
        for at in range(36)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="session", autouse=True)
def _shared(each_mechanism_tested_once: None, each_contract_described_once: None) -> None:
    """What all clinics of a process share."""


class Clinic:
    """One site, `clinic`, and its coordinator's desk, made by the code that makes real ones."""

    def __init__(
        self, root: Path, tiny: Path, label: str = "", simulation: PublicSeed | None = None, **changes: dict[str, Any]
    ) -> None:
        self.root, self.tiny = root, tiny
        write_notes(root / "sites" / "clinic" / "data" / "notes.jsonl", label)
        base: dict[str, dict[str, Any]] = {
            "run": {"name": "valley", "run_id": "spring"},
            "task": {"labels": LABELS, "max_tokens": 16},
            "training": {
                "scope": "head",
                "optimizer": "sgd",
                "head_learning_rate": 0.5,
                "rounds": 3,
                "steps_per_round": 2,
                "sample_rate": 0.5,
            },
            "privacy": {"target_delta": 1e-3, "clipping": "hooks"},
            "update": {"clip_norm": 4.0, "scale_log2": 18},
            "rounds": {"min_sites": 1},
            "anonymization": {"self_check_notes": 2},
        }
        for section in ("training", "privacy", "task", "anonymization"):
            base[section] |= changes.get(section, {})
        settings = FederationSettings.model_validate(base)
        self.contract, initial = describe(
            settings.task_plan(), settings.training.plan(), tiny, PublicSeed.from_integer(0)
        )
        site: dict[str, dict[str, Any]] = {
            "site": {"name": "clinic"},
            "data": {
                "files": (Path("clinic/data/notes.jsonl"),),
                "dataset": "notes",
                "patient_column": "patient_id",
                "record_column": "record_id",
                "test_fraction": 0.0,
                "dev_fraction": 0.4,
            },
            "model": {"paths": {self.contract.pretrained_digest: tiny}},
            "text": {"names": "none"},  # rules alone: quick, and weak enough to fall below a floor
            "compute": {"device": "cpu"},
            "policy": {
                "unit": "patient",
                "epsilon_limit": 20.0,
                "delta": 1e-3,
                "size_bucket": 8,
                "min_recall": dict.fromkeys(IDENTIFIERS, 0.0),
            },
        }
        for section in ("data", "model", "policy", "text"):
            site[section] = site.get(section, {}) | changes.get(section, {})
        toml = root / "sites" / "clinic.toml"
        toml.write_text(render(SiteSettings.model_validate(site)))
        self.folder = SiteFolder(toml)
        self.federation = provision.init(
            root / "coordinator", hosts=("localhost",), now=NOW, settings=settings, simulation=simulation
        )
        self.federation.contract.write_bytes(canonical_bytes(self.contract))
        self.federation.initial_model.write_bytes(initial)
        kit = provision.admit(self.federation, enroll(self.folder, simulation=simulation), now=NOW)
        join(self.folder, kit, now=NOW)
        self.initial = initial
        self.recipe = make_recipe(self.federation, lambda *numbers: changes.get("noise", "1.5"), None)
        self.journal = self.open_journal(self.federation.root)
        self.run = Run()
        self.key = self.federation.coordinator_key()
        self.site = self.start()

    def open_journal(self, folder: Path) -> Journal:
        return Journal.open(folder, self.federation.log_key(), "collab/valley", lambda: 1_700_000_000_000)

    def start(self) -> Site:
        """The site's process, anew."""
        self.site = Site(self.folder, load_identity(self.folder, now=NOW))
        return self.site

    def log(self, number: int, body: Any) -> AuditEntry:
        (entry,) = self.journal.append("spring", number, body)
        self.run.take(entry)
        return entry

    def message(
        self,
        entry: AuditEntry,
        phase: str,
        payload: bytes = b"",
        *,
        from_size: int | None = None,
        key: SigningKey | None = None,
        body: Delivery | None = None,
        **fields: Any,
    ) -> SignedMessage:
        """A delivery of `entry`, honest unless told otherwise."""
        size = self.seen() if from_size is None else from_size
        said = {
            "kind": "delivery",
            "run_id": entry.run_id,
            "server_round": entry.server_round,
            "attempt": 1,
            "phase": phase,
            "sender": COORDINATOR,
            "context_digest": digest_of(entry),
            "log_vkey": self.site.identity.kit.log_vkey,
            "recipient": "clinic",
        }
        delivery = body or Delivery(entry=entry, proof=self.journal.prove(entry.index, size))
        return seal(delivery, Header(**(said | fields)), key or self.key, payload)

    def seen(self) -> int:
        seen = self.site.state.seen("collab/valley")
        return seen.size if seen else 0

    def hello(self) -> SignedMessage:
        self.opened = self.log(0, self.recipe.opened)
        return self.site.answer(self.message(self.opened, "hello"))

    def planned(self, number: int = 1, **changes: Any) -> AuditEntry:
        plan = round_plan(self.recipe, self.run, number, ("clinic",))
        return self.log(number, RoundPlanned(plan=plan.model_copy(update=changes)))

    def ask(self, number: int = 1, **changes: Any) -> SignedMessage:
        """The answer to a new plan of round `number`."""
        return self.site.answer(self.message(self.planned(number, **changes), "update", self.initial))

    def count(self, number: int = 0, **changes: Any) -> SignedMessage:
        """The answer to a new evaluation."""
        return self.site.answer(self.message(self.evaluation(number, **changes), "evaluate", self.initial))

    def evaluation(self, number: int = 0, **changes: Any) -> AuditEntry:
        plan = evaluation_plan(self.recipe, self.run, number, ("clinic",)).model_copy(update=changes)
        return self.log(number, EvaluationPlanned(plan=plan))

    def opened_reply(self, message: SignedMessage, kind: type) -> Any:
        return open_message(message, kind, self.site.identity.signing_key.verify_key())

    def charged(self) -> tuple[Any, ...]:
        return self.site.ledger.history("notes", "patient")

    def sentences(self) -> list[str]:
        return [event.why for event in self.site.reports.events("spring") if isinstance(event, RefusedEvent)]

    def reason(self, reply: SignedMessage) -> str:
        """The reason code of a refusal, which holds nothing else of the site's."""
        assert reply.envelope.kind == "refusal", reply
        assert reply.payload == b""
        refusal = self.opened_reply(reply, Refusal)
        assert refusal.seen_tree_size == self.seen()
        assert set(json.loads(reply.body)) == {"plan_digest", "reason", "seen_tree_size"}
        return refusal.reason

    @staticmethod
    def wire(message: SignedMessage) -> bytes:
        """All that crosses the border."""
        return canonical_bytes(message.envelope) + message.body + message.payload

    def close(self) -> None:
        self.journal.close()
        self.site.state.close()


@pytest.fixture
def make_clinic(tmp_path: Path, tiny_folder: Path) -> Any:
    made: list[Clinic] = []

    def make(**changes: Any) -> Clinic:
        made.append(Clinic(tmp_path / f"clinic{len(made)}", tiny_folder, **changes))
        return made[-1]

    yield make
    for clinic in made:
        clinic.close()


@pytest.fixture
def clinic(make_clinic: Callable[..., Clinic]) -> Clinic:
    """A clinic that has answered the opening of run `spring`."""
    made = make_clinic()
    assert made.hello().envelope.kind == "site_hello"
    return made
