# SPDX-License-Identifier: Apache-2.0
"""A whole federation without a model: real keys, envelopes, proofs, payloads and log, on the in-process grid.

A `Player` answers as a site does (it checks each proof, answers a plan once and keeps the reply) with invented numbers
instead of training. `twist` lets a test change what leaves it, so that a player can lie; `refuse` and `away` say where
it says no or nothing. A `Stage` is a coordinator's folder with its players; it can be run, killed and run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from client.wire.app import make_app
from coordinator.blobs import BlobStore
from coordinator.journal import Journal
from coordinator.planning import Recipe, run_outline
from coordinator.rounds import Rounds
from coordinator.settings import FederationSettings
from coordinator.wire.message_exchange import MessageExchange
from privacy.base.canonical import digest_of
from privacy.base.errors import IntegrityError
from privacy.base.identifiers import sha256
from privacy.base.randomness import PublicSeed
from privacy.commandline.settings_file import plain, settings_digest
from privacy.dp.params import PrivacyEvent, PrivacySpent, epsilon_string
from privacy.log.keys import SigningKey
from privacy.log.note import NoteKey
from privacy.protocol import mechanism
from privacy.protocol.anonymization_check import EntityRecall, SelfCheck
from privacy.protocol.checkpoint import Checkpoint, check_proof
from privacy.protocol.delivery import Delivery
from privacy.protocol.entries import AuditEntry, EvaluationPlanned, RosterSite, RoundPlanned, RunClosed, RunOpened
from privacy.protocol.messages import (
    Refusal,
    SignedMessage,
    SiteHello,
    SiteMetrics,
    SiteUpdate,
    open_message,
    seal,
)
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.protocol.spending import epsilon_of
from privacy.update.clip import clip
from privacy.update.delta import ArraySpec, ModelContract, model_bytes
from privacy.update.quantize import encode, quantize
from simulations.engines.inprocess import LocalGrid

ORIGIN = "collab/woods"
LOG_KEY, COORDINATOR_KEY = SigningKey(b"\x01" * 32), SigningKey(b"\x02" * 32)
LOG = NoteKey(ORIGIN, LOG_KEY.verify_key())
LABELS = ("heart", "lung", "skin")
NOISE, COUNTS_NOISE = "1.1", "4.5"
SEED = PublicSeed(b"\x05" * 32)
POLICY = "9" * 64


class Player:
    """One site. `trained` and `events` are what a real site's ledger would hold: they only grow."""

    def __init__(self, name: str, role: str = "trainer", bucket: int = 300) -> None:
        self.name, self.role, self.bucket = name, role, bucket
        self.key = SigningKey(bytes.fromhex(sha256(name.encode())))
        self.seen: Checkpoint | None = None
        self.replies: dict[tuple[str, str], SignedMessage] = {}
        self.trained: list[str] = []
        self.events: list[PrivacyEvent] = []
        self.self_check = SelfCheck(
            notes=60,
            recall={"person": EntityRecall(planted=500, found=480), "url": EntityRecall(planted=30, found=30)},
            engine_fingerprint="6" * 64,
        )
        self.asked: list[tuple[str, int]] = []
        self.refuse: dict[tuple[str, int], str] = {}
        self.away: set[tuple[str, int]] = set()
        self.twist: Callable[[Player, SignedMessage, SignedMessage], SignedMessage] = lambda player, asked, reply: reply
        self.change: Callable[[str, int, Any], Any] = lambda phase, number, body: body

    def roster_site(self) -> RosterSite:
        return RosterSite(
            signing_key=self.key.verify_key().hex(), size_bucket=self.bucket, policy_digest=POLICY, role=self.role
        )

    def answer(self, message: SignedMessage) -> SignedMessage:
        envelope = message.envelope
        place = (envelope.phase, envelope.server_round)
        self.asked.append(place)
        if place in self.away:
            raise ConnectionError("gone")
        return self.twist(self, message, self._reply(message, place))

    def _reply(self, message: SignedMessage, place: tuple[str, int]) -> SignedMessage:
        delivery = open_message(message, Delivery, COORDINATOR_KEY.verify_key())
        body = delivery.entry.body
        asked = body.request_digest()
        try:
            self.seen = check_proof(delivery.entry, delivery.proof, LOG, self.seen)
        except IntegrityError as error:
            return self.sealed(message, "refusal", asked, self.refusal(asked, error.reason))
        if place in self.refuse:
            return self.sealed(message, "refusal", asked, self.refusal(asked, self.refuse[place]))
        if (asked, place[0]) not in self.replies:
            reply = self._make(message, body, asked)
            if place[0] == "hello":
                return reply
            self.replies[asked, place[0]] = reply
        return self.replies[asked, place[0]]

    def _make(self, message: SignedMessage, body: BaseModel, asked: str) -> SignedMessage:
        match body:
            case RunOpened():
                return self.sealed(message, "site_hello", asked, self._hello(body, asked))
            case RoundPlanned(plan=plan):
                payload = self._train(plan, asked)
                return self.sealed(message, "site_update", asked, self._update(plan, asked, payload), payload)
            case EvaluationPlanned(plan=plan):
                return self.sealed(message, "site_metrics", asked, self._metrics(plan, asked))
        raise AssertionError("nothing to answer")

    def sealed(
        self, message: SignedMessage, kind: str, asked: str, body: BaseModel, payload: bytes = b""
    ) -> SignedMessage:
        header = message.envelope.header
        body = self.change(header.phase, header.server_round, body)
        return seal(body, header.reply(kind, asked), self.key, payload)

    def refusal(self, asked: str, reason: str) -> Refusal:
        return Refusal(plan_digest=asked, reason=reason, seen_tree_size=self.seen.size if self.seen else 0)

    def _hello(self, opened: RunOpened, asked: str) -> SiteHello:
        return SiteHello(
            context_digest=asked,
            policy_digest=POLICY,
            size_bucket=self.bucket,
            role=self.role,
            software={"collab": "0"},
            device="cpu",
            threads=1,
            deterministic=True,
            simulated=opened.simulated,
            environment_digest="8" * 64,
            seen_tree_size=self.seen.size,
        )

    def spent(self, plan: RoundPlan | EvaluationPlan, delta: str) -> PrivacySpent:
        epsilon = epsilon_string(epsilon_of(tuple(self.events), delta))
        return PrivacySpent(epsilon=epsilon, delta=delta, unit=plan.unit, accountant="prv", events=tuple(self.events))

    def _train(self, plan: RoundPlan, asked: str) -> bytes:
        self.trained.append(asked)
        if plan.privacy is not None:
            self.events.append(plan.privacy.event())
        generator = PublicSeed.from_hex(asked).derive(self.name).numpy_generator()
        delta = generator.standard_normal(CONTRACT.size).astype(np.float32)
        clipped = clip(delta, float(plan.update_clip_norm))
        return encode(quantize(clipped, plan.cohort[self.name].weight, plan.encoding.scale_log2))

    def _update(self, plan: RoundPlan, asked: str, payload: bytes) -> SiteUpdate:
        return SiteUpdate(
            plan_digest=asked,
            payload_digest=sha256(payload),
            payload_bytes=len(payload),
            num_steps=plan.num_steps,
            encoding=plan.encoding,
            spent=self.spent(plan, plan.privacy.target_delta) if plan.privacy else None,
            secret_seed_commitment=sha256(asked.encode()),
            environment_digest="8" * 64,
            anonymization_commitment="7" * 64,
            self_check=self.self_check,
            mechanism_check=mechanism.passed(plan.privacy, 12_000_000) if plan.privacy else None,
            seen_tree_size=self.seen.size,
        )

    def _metrics(self, plan: EvaluationPlan, asked: str) -> SiteMetrics:
        noised = self.role == "trainer" and plan.noise_multiplier is not None
        if noised:
            event = PrivacyEvent(noise_multiplier=plan.noise_multiplier, sample_rate="1", steps=1, partition="dev")
            self.events.append(event)
        generator = PublicSeed.from_hex(asked).derive(f"counts/{self.name}").numpy_generator()
        counts = [tuple(int(n) for n in generator.integers(5, 20, 3)) for _ in range(3)]
        right, actual, predicted = counts if plan.figures == "per_class" else ((), (), ())
        return SiteMetrics(
            plan_digest=asked,
            correct=int(generator.integers(20, 60)),
            incorrect=int(generator.integers(20, 60)),
            right=right,
            actual=actual,
            predicted=predicted,
            noise_std=plan.noise_std() if noised else "0",
            spent=self.spent(plan, plan.target_delta) if noised else None,
            seen_tree_size=self.seen.size,
        )


def _settings(**changes: dict[str, object]) -> FederationSettings:
    base: dict[str, dict[str, object]] = {
        "run": {"name": "woods", "run_id": "spring"},
        "task": {"labels": LABELS, "max_tokens": 64},
        "training": {"scope": "head", "optimizer": "sgd", "rounds": 2, "steps_per_round": 20, "sample_rate": 0.05},
        "update": {"clip_norm": 0.5, "scale_log2": 20},
        "rounds": {"min_sites": 2, "deadline_seconds": 5.0, "hello_seconds": 5.0},
    }
    for section, values in changes.items():
        base[section] = base.get(section, {}) | values
    return FederationSettings.model_validate(base)


CONTRACT = ModelContract(
    task=_settings().task_plan(),
    training=_settings().training.plan(),
    pretrained_digest="d" * 64,
    tokenizer_digest="e" * 64,
    arrays=(ArraySpec(name="head.weight", shape=(3, 40)), ArraySpec(name="head.bias", shape=(3,))),
)


class Stage:
    """A coordinator's folder and the sites it speaks to. Each `run` is a new coordinator on the same disk."""

    def __init__(self, folder: Path, *players: Player, **changes: dict[str, object]) -> None:
        self.folder = folder
        self.players = {player.name: player for player in players}
        self.settings = _settings(**changes)
        self.time = 1_700_000_000_000
        self.gone: set[str] = set()
        private = self.settings.privacy.mode == "dp_sgd"
        counted = private and self.settings.evaluations > 0
        initial = model_bytes(CONTRACT, np.zeros(CONTRACT.size, np.float32))
        opened = RunOpened(
            settings=plain(self.settings),
            settings_digest=settings_digest(self.settings),
            roster={name: player.roster_site() for name, player in self.players.items()},
            contract_digest=digest_of(CONTRACT),
            initial_model_digest=sha256(initial),
            public_seed=SEED.hex(),
            planned_rounds=self.settings.training.rounds,
            noise_multiplier=NOISE if private else None,
            evaluation_noise_multiplier=COUNTS_NOISE if counted else None,
            software={"collab": "0"},
            simulated=True,
            outline=run_outline(self.settings, CONTRACT, NOISE if private else None, COUNTS_NOISE if counted else None),
        )
        self.recipe = Recipe(self.settings, opened, CONTRACT, initial)

    def use(self, **changes: Any) -> None:
        """Another recipe for the coordinators that come."""
        self.recipe = replace(self.recipe, **changes)

    def clock(self) -> int:
        self.time += 1
        return self.time

    @contextmanager
    def coordinator(self, progress: Callable[[AuditEntry], None] = lambda entry: None) -> Iterator[Rounds]:
        nodes = {name: at for at, name in enumerate(sorted(self.players), 2)}
        app = make_app(lambda config: self.players[str(config["site"])])
        present = {node: {"site": name} for name, node in nodes.items() if name not in self.gone}
        message_exchange = MessageExchange(LocalGrid(app, present), nodes, poll_seconds=0.01)
        with Journal.open(self.folder, LOG_KEY, ORIGIN, self.clock) as journal:
            yield Rounds(
                self.recipe, journal, BlobStore(self.folder / "blobs"), message_exchange, COORDINATOR_KEY, progress
            )

    def run(self, progress: Callable[[AuditEntry], None] = lambda entry: None) -> RunClosed:
        with self.coordinator(progress) as rounds:
            return rounds.run()

    def entries(self) -> list[AuditEntry]:
        with Journal.open(self.folder, LOG_KEY, ORIGIN, self.clock) as journal:
            return journal.entries()

    def bodies(self, kind: str) -> list[Any]:
        return [entry.body for entry in self.entries() if entry.body.kind == kind]

    def refusals(self) -> list[tuple[str, str, int, str, str]]:
        """(site, phase, round, by, reason) of every refusal that is logged."""
        found = [entry for entry in self.entries() if entry.body.kind == "reply_refused"]
        return [(e.body.site, e.body.phase, e.server_round, e.body.by, e.body.reason) for e in found]


@pytest.fixture
def make_stage(tmp_path: Path) -> Callable[..., Stage]:
    """make_stage(name="one", evaluator=False, sites=3, **sections): a new stage with sites alder, birch, cedar."""

    def make(name: str = "one", *, evaluator: bool = False, sites: int = 3, **changes: dict[str, object]) -> Stage:
        players = [Player(site, bucket=100 * at) for at, site in enumerate(("alder", "birch", "cedar")[:sites], 1)]
        if evaluator:
            players.append(Player("public", role="evaluator"))
        return Stage(tmp_path / name, *players, **changes)

    return make
