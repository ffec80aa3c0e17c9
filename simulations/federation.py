# SPDX-License-Identifier: Apache-2.0
"""Run a built scenario: the real client and coordinator code on an in-process grid, then verify and replay its log.

What a real site would never send (exact examples, loss, accuracy, planted identifiers found) is read here from the
sites' local reports and folders, because every one of them is simulated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, TypeVar

from client.learning.model import device
from client.site.events import EvaluatedEvent, Event, MechanismCheckEvent, SelfCheckEvent, TrainedEvent
from client.site.pipeline import SitePipeline
from client.site.reports import Watch
from client.site.site import Site
from client.wire.app import make_app
from coordinator.app import run_on
from coordinator.wire.message_exchange import MessageExchange
from privacy.audit.recomputation import replay
from privacy.audit.verification import verify
from privacy.base.canonical import decimal_string
from privacy.base.errors import IntegrityError
from privacy.base.identifiers import Digest, SiteId
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp.calibrate import noise_multiplier
from privacy.protocol.entries import AuditEntry, RunClosed
from privacy.protocol.messages import parse
from privacy.text.report import recall_on_planted
from privacy.update.delta import ModelContract, model_vector
from simulations import scenario as scenarios
from simulations.build import Built, build
from simulations.corpora import read_planted
from simulations.engines.inprocess import LocalGrid
from simulations.scenario import Scenario

FIRST_NODE = 2


@dataclass(frozen=True)
class RowsDone:
    """How far a site is with its rows. It is told here alone: a real site's terminal shows it otherwise."""

    what: str
    done: int
    total: int


OfKind = TypeVar("OfKind", bound=Event)
SiteWatch = Callable[[SiteId, Event | RowsDone], None]


@dataclass(frozen=True)
class SiteOutcome:
    """What became of one site, from its own reports. Exact figures of a simulated site.

    `least_recall` is the lowest share that its self-check found of any identifier, `least_recall_of` which one that is.
    `mechanism_passed`: its noise and sampling passed their self-tests before it trained; None without noise.
    """

    site: SiteId
    examples: int
    identifiers_planted: int | None
    identifiers_found: int | None
    least_recall: float | None
    least_recall_of: str | None
    mechanism_passed: bool | None
    loss: float | None
    accuracy: float | None
    epsilon_spent: float | None
    epsilon_limit: float
    unit: str
    accountant: str | None
    simulated: bool = True


@dataclass(frozen=True)
class LogOutcome:
    """What the auditor's own code says of the log."""

    entries: int
    verified: bool
    rounds_replayed: int


@dataclass(frozen=True)
class Outcome:
    """A finished simulation. `accuracy_*` are measured on texts of no site."""

    title: str
    final_model_sha256: Digest
    rounds: int
    sites: tuple[SiteOutcome, ...]
    accuracy_before: float
    accuracy_after: float
    accuracy_majority: float
    macro_f1_after: float
    log: LogOutcome
    seconds: float
    out: str

    def as_json(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return asdict(self)


class Federation:
    """The sites of a built scenario in this process."""

    def __init__(self, built: Built, watch: SiteWatch = lambda site, event: None) -> None:
        self.built = built
        self.sites: dict[SiteId, Site] = {}
        for name, folder in built.sites.items():
            site = Site(folder, built.identities[name])
            site.reports.watch = _named(watch, name)
            site.pipeline.progress = _rows(watch, name)
            self.sites[name] = site

    @classmethod
    def build(
        cls,
        scenario: str | Scenario,
        out: Path,
        *,
        data: Path | None = None,
        seed: int | None = None,
        fresh: bool = False,
    ) -> Self:
        """The federation of a scenario (its name, the path of a TOML file, or one made in Python), as folders in `out`.

        The same call again finds what an earlier, perhaps interrupted, run left there; `fresh` removes that first.
        `data`: the folder of rows, for a scenario that needs one. `seed`: another than the scenario's. Raises
        SettingsError when `out` holds something else.
        """
        chosen = scenarios.load(scenario) if isinstance(scenario, str) else scenario
        if seed is not None:
            chosen = chosen.model_copy(update={"seed": seed})
        return cls(build(chosen, out, data, fresh=fresh))

    @property
    def log(self) -> Path:
        """The coordinator's folder, which holds the log: what `privacy.audit.verify` and `collab-audit` read."""
        return self.built.federation.root

    def run(self, progress: Callable[[AuditEntry], None] = lambda entry: None) -> Outcome:
        """All rounds, then the holdout, then the audit. Raises IntegrityError if the log does not hold."""
        began = time.monotonic()
        closed = self.rounds(progress)
        before, after, majority, macro_f1 = self._holdout(closed.final_model)
        log = self.audit()
        return Outcome(
            title=self.built.scenario.title,
            final_model_sha256=closed.final_model,
            rounds=closed.rounds_aggregated,
            sites=tuple(self._outcome(site) for site in sorted(self.sites)),
            accuracy_before=before,
            accuracy_after=after,
            accuracy_majority=majority,
            macro_f1_after=macro_f1,
            log=log,
            seconds=round(time.monotonic() - began, 1),
            out=str(self.built.out),
        )

    def rounds(self, progress: Callable[[AuditEntry], None] = lambda entry: None) -> RunClosed:
        """All rounds, from wherever the log stands, over the in-process grid."""
        device.prepare(next(iter(self.built.sites.values())).settings.compute)
        nodes = {site: at for at, site in enumerate(sorted(self.sites), FIRST_NODE)}
        app = make_app(lambda config: self.sites[str(config["site"])])
        grid = LocalGrid(app, {node: {"site": site} for site, node in nodes.items()})
        exchange = MessageExchange(grid, nodes)
        return run_on(self.built.federation, exchange, on_entry=progress, calibrate=noise_multiplier)

    def _holdout(self, final_model: Digest) -> tuple[float, float, float, float]:
        """Accuracy before and after, of always saying the commonest label, and macro-F1 after, on texts of no site."""
        folder, federation = self.built.holdout, self.built.federation
        contract = parse(ModelContract, federation.contract.read_bytes())
        seed = PublicSeed.from_integer(federation.settings.run.public_seed).hex()
        pipeline = SitePipeline(folder, SecretSeed(self.built.seed.derive("holdout").value))
        first = pipeline.count(contract, seed, model_vector(contract, federation.initial_model.read_bytes()))
        last = pipeline.count(contract, seed, model_vector(contract, (federation.blobs / final_model).read_bytes()))
        total = sum(last.actual)
        return sum(first.right) / total, sum(last.right) / total, max(last.actual) / total, last.macro_f1

    def audit(self) -> LogOutcome:
        """Verify the log and replay its rounds. Raises IntegrityError if it does not hold."""
        root = self.built.federation.root
        verified = verify(root, expected_key=self.built.federation.log_key().verify_key())
        replayed = replay(root)
        if verified.exit_code or replayed.exit_code:
            raise IntegrityError(
                "the log of this simulation does not hold", next_step="see where with collab-audit verify"
            )
        return LogOutcome(entries=verified.entries, verified=True, rounds_replayed=replayed.rounds_replayed)

    def _outcome(self, name: SiteId) -> SiteOutcome:
        site = self.sites[name]
        events = site.reports.events(self.built.federation.settings.run.run_id)
        last, counted = _last(events, TrainedEvent), _last(events, EvaluatedEvent)
        planted, found = self._planted(site)
        lowest = _least_recall(events)
        policy = site.settings.policy
        spent = site.ledger.spent(site.settings.data.dataset, policy.unit, decimal_string(policy.delta))
        private = last is None or last.private
        return SiteOutcome(
            site=name,
            examples=0 if last is None else last.examples,
            identifiers_planted=planted,
            identifiers_found=found,
            least_recall=lowest[0],
            least_recall_of=lowest[1],
            mechanism_passed=_mechanism_passed(events),
            loss=None if last is None else last.loss,
            accuracy=None if counted is None else counted.accuracy,
            epsilon_spent=float(spent.epsilon) if private else None,
            epsilon_limit=policy.epsilon_limit,
            unit=policy.unit,
            accountant=spent.accountant if private else None,
        )

    def _planted(self, site: Site) -> tuple[int | None, int | None]:
        file = site.folder.home / "data" / "planted.jsonl"
        if not file.exists():
            return None, None
        recall = recall_on_planted(site.pipeline.records.all(), read_planted(file))
        return recall.planted, recall.found


def _last(events: Sequence[Event], kind: type[OfKind]) -> OfKind | None:
    """The last of `events` that is of a kind."""
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


def _least_recall(events: Sequence[Event]) -> tuple[float, str] | tuple[None, None]:
    """The lowest share of the last self-check among `events`, with the identifier that it is of."""
    check = _last(events, SelfCheckEvent)
    shares = [(share, name) for name, share in (check.shares if check else {}).items()]
    return min(shares, default=(None, None))


def _mechanism_passed(events: Sequence[Event]) -> bool | None:
    """Whether every mechanism check among `events` passed; None if there was none."""
    passed = [event.passed for event in events if isinstance(event, MechanismCheckEvent)]
    return all(passed) if passed else None


def _named(watch: SiteWatch, site: SiteId) -> Watch:
    return lambda event: watch(site, event)


def _rows(watch: SiteWatch, site: SiteId) -> Callable[[str, int, int], None]:
    return lambda what, done, total: watch(site, RowsDone(what, done, total))


def results_file(out: Path) -> Path:
    """Where `collab-sim run` leaves the outcome."""
    return out / "results.json"
