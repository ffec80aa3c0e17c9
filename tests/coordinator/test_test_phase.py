# SPDX-License-Identifier: Apache-2.0
"""A phase that exists in tests alone goes through the coordinator's own loop and sites' own doors.

After each round every site is dealt a card, a payload of its own, and sends one back; it is then asked once more, for a
word on it; and the run waits until people have approved, which is a file in the coordinator's folder. Kinds and phases
are the files in cards/; nothing else of the protocol is told of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client.site.door import Door
from client.site.reports import SiteReports
from client.site.state import SiteState
from coordinator.phases import Action, Collect, evaluate, greet, train
from coordinator.rounds import Rounds
from privacy.audit.verification import verify
from privacy.base.errors import Unreachable
from privacy.base.identifiers import Digest, sha256
from privacy.log.keys import SigningKey
from privacy.log.note import NoteKey
from privacy.protocol import kinds, phases
from privacy.protocol.delivery import Delivery
from privacy.protocol.entries import RunClosed
from privacy.protocol.messages import Phase, SignedMessage
from privacy.protocol.run import Run

MakeStage = Callable[..., Any]

CARDS = Path(__file__).parent / "cards"
LOG = NoteKey("collab/woods", SigningKey(b"\x01" * 32).verify_key())


@dataclass(frozen=True)
class Ask(Action):
    """Log that `sites` are asked in `phase`."""

    phase: Phase
    server_round: int
    sites: tuple[str, ...]


@dataclass(frozen=True)
class AwaitPeople(Action):
    """Go on once people have approved the cards of the round."""

    server_round: int


def kind(name: str) -> Any:
    return kinds.body_of(name)


def cards_of(run: Run) -> Any:
    return run.kept(sys.modules["privacy.protocol.kinds.cards_asked"].Cards)


def play_cards(run: Run, number: int, min_sites: int) -> Action | None:
    """The step: deal, call, and wait for people."""
    of_round, cards = run.rounds.get(number), cards_of(run)
    if of_round is None or of_round.aggregated is None or number in cards.approved:
        return None
    deal, call = (of_round.requests.get(phase) for phase in ("deal", "call"))
    if deal is None:
        return Ask("deal", number, tuple(sorted(of_round.updates)))
    if deal.missing:
        dealt = cards.dealt[number]
        payloads = tuple((site, dealt[site]) for site in deal.missing)
        return Collect("deal", number, deal.index, deal.missing, payloads)
    if call is None:
        return Ask("call", number, tuple(sorted(deal.answered)))
    return Collect("call", number, call.index, call.missing) if call.missing else AwaitPeople(number)


def card(site: str, number: int) -> bytes:
    return f"the card of {site} in round {number}".encode()


def ask(rounds: Rounds, action: Ask) -> None:
    cards = {site: rounds.blobs.put(card(site, action.server_round)) for site in action.sites}
    rounds.log(action.server_round, kind("cards_asked")(phase=action.phase, cards=cards))


def await_people(rounds: Rounds, action: AwaitPeople) -> None:
    if not (rounds.journal.folder / f"approved-{action.server_round}").exists():
        raise Unreachable(f"round {action.server_round} waits for people")
    rounds.log(action.server_round, kind("cards_approved")())


class Table:
    """The stage with the phase: its coordinator has one step more, and each site stands behind its own door."""

    def __init__(self, stage: Any, folder: Path) -> None:
        self.stage = stage
        self.got: list[tuple[str, int, str, bytes]] = []
        self.wrong: set[str] = set()
        for name, player in stage.players.items():
            (folder / name).mkdir(parents=True)
            self.put_behind_door(player, folder / name)

    def put_behind_door(self, player: Any, folder: Path) -> None:
        state = SiteState(folder / "state.sqlite")
        kit = SimpleNamespace(log_vkey=LOG.vkey(), coordinator_key=SigningKey(b"\x02" * 32).verify_key().hex())
        identity: Any = SimpleNamespace(name=player.name, signing_key=player.key, kit=kit)
        settings: Any = SimpleNamespace(policy=SimpleNamespace(max_refusals=10, answer_after_seconds=0.0))
        door = Door(settings, identity, state, SiteReports(folder))

        def respond(message: SignedMessage, delivery: Delivery, asked: Digest) -> SignedMessage:
            envelope = message.envelope
            self.got.append((player.name, envelope.server_round, envelope.phase, message.payload))
            player.seen = state.seen(LOG.name)
            if envelope.phase not in ("deal", "call"):
                reply: SignedMessage = player._make(message, delivery.entry.body, asked)
                return reply
            if player.name in self.wrong:
                raise ValueError("a site that breaks")
            back = message.payload[::-1]
            of_site = {
                "card": delivery.entry.body.cards[player.name],  # type: ignore[attr-defined]
                "returned": sha256(back) if back else None,
                "seen_tree_size": door.seen_tree_size(),
            }
            body = phases.definition_of(envelope.phase).body.model_validate(of_site)
            reply = door.seal(message, f"site_{envelope.phase}", asked, player.change(envelope.phase, 0, body), back)
            state.remember_reply(asked, envelope.phase, reply)
            return reply

        player.answer = lambda message: door.answer(message, respond)

    def run(self) -> RunClosed:
        with self.stage.coordinator() as rounds:
            rounds.steps = (greet, train, evaluate, play_cards)
            rounds.doing[Ask] = lambda action: ask(rounds, action)
            rounds.doing[AwaitPeople] = lambda action: await_people(rounds, action)
            closed: RunClosed = rounds.run()
            return closed

    def approve(self, number: int) -> None:
        self.stage.folder.mkdir(exist_ok=True)
        (self.stage.folder / f"approved-{number}").touch()


@pytest.fixture
def table(make_stage: MakeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """Kinds and phases of cards/ are known as long as the test runs."""
    forget = [(kinds, kinds.body_of), (phases, phases.definition_of), (phases, phases.names)]
    for package in (kinds, phases):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(CARDS / package.__name__.split(".")[-1])])
    phases.names.cache_clear()
    yield Table(make_stage(), tmp_path / "sites")
    for _, cached in forget:
        cached.cache_clear()
    for package in (kinds, phases):
        for path in (CARDS / package.__name__.split(".")[-1]).glob("*.py"):
            sys.modules.pop(f"{package.__name__}.{path.stem}", None)
            vars(package).pop(path.stem, None)


def test_a_run_waits_for_people_and_goes_on_where_it_was(table: Table) -> None:
    with pytest.raises(Unreachable, match="round 1 waits for people"):
        table.run()
    waiting = len(table.stage.entries())
    with pytest.raises(Unreachable, match="round 1 waits for people"):
        table.run()
    assert len(table.stage.entries()) == waiting
    assert verify(table.stage.folder, expected_key=None).findings == ()
    table.approve(1)
    with pytest.raises(Unreachable, match="round 2 waits for people"):
        table.run()
    table.approve(2)
    assert table.run().outcome == "done"
    assert verify(table.stage.folder, expected_key=None).exit_code == 0


def test_each_site_gets_its_own_payload_and_several_messages_a_round(table: Table) -> None:
    table.approve(1)
    table.approve(2)
    table.run()
    for number in (1, 2):
        for site in table.stage.players:
            got = [(phase, payload) for name, at, phase, payload in table.got if (name, at) == (site, number)]
            assert [phase for phase, _ in got] == ["update", "evaluate", "deal", "call"]
            assert dict(got)["deal"] == card(site, number)
            assert dict(got)["call"] == b""
            assert (table.stage.folder / "blobs" / sha256(card(site, number)[::-1])).exists()
    assert table.stage.refusals() == []


def test_the_law_of_the_phase_refuses_a_lie_and_the_round_goes_on_without_the_site(table: Table) -> None:
    def lie(phase: str, number: int, body: Any) -> Any:
        return body.model_copy(update={"card": "0" * 64}) if phase == "deal" else body

    table.stage.players["birch"].change = lie
    table.wrong = {"cedar"}
    with pytest.raises(Unreachable, match="round 1 waits"):
        table.run()
    assert table.stage.refusals() == [
        ("birch", "deal", 1, "coordinator", "policy"),
        ("cedar", "deal", 1, "site", "bug"),
    ]
    assert [sorted(body.cards) for body in table.stage.bodies("cards_asked")] == [
        ["alder", "birch", "cedar"],
        ["alder"],
    ]
    assert verify(table.stage.folder, expected_key=None).findings == ()
