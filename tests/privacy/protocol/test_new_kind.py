# SPDX-License-Identifier: Apache-2.0
"""A new kind of entry is one file: here one that exists in a temporary folder alone. Nothing else is told of it, and
its law is kept, its blob is checked, it counts in the run, and people read its sentence."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.blobs import BlobStore
from coordinator.journal import Journal
from coordinator.status import Teller, read_entries
from privacy.audit import report, values
from privacy.audit.recomputation import replay
from privacy.audit.verification import VerifyReport, verify
from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError
from privacy.base.identifiers import sha256
from privacy.log.keys import SigningKey
from privacy.protocol import kinds
from privacy.protocol.entries import AuditEntry
from privacy.protocol.messages import parse
from privacy.protocol.run import runs
from simulations.display import Display

BuildLog = Callable[..., Path]

FILE = '''
"""A card that tells people what the newest model is for; it is stored beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from privacy.base.identifiers import Digest
from privacy.protocol.body import EntryBody
from privacy.protocol.reasons import Fault, unless


@dataclass
class Cards:
    """The cards of a run, by model."""

    of_model: dict[Digest, Digest] = field(default_factory=dict)


class CardPublished(EntryBody):
    kind: Literal["card_published"] = "card_published"
    model: Digest
    card: Digest

    def faults(self, run, entry) -> Iterator[Fault]:
        yield from unless(self.model == run.model_digest, "this card is of another model than the newest")
        yield from unless(self.model not in run.kept(Cards).of_model, "this model has a card")

    def fold(self, run, entry) -> None:
        run.kept(Cards).of_model[self.model] = self.card

    def sentence(self, run, entry) -> str:
        return f"round {entry.server_round}: a card of model {self.model[:12]} was published"

    def blobs(self) -> tuple[Digest, ...]:
        return (self.card,)
'''
CARD = b"A head for three labels, on invented notes."


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The body of the kind, which is known as long as its file lies in a folder of kinds."""
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "card_published.py").write_text(FILE)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(folder)])
    yield kinds.body_of("card_published")
    kinds.body_of.cache_clear()
    module = sys.modules.pop("privacy.protocol.kinds.card_published")
    assert vars(kinds).pop("card_published") is module


@pytest.fixture(scope="module")
def not_closed(build_log: BuildLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The true log of two rounds, before its run is closed. Do not write into it."""
    folder = tmp_path_factory.mktemp("not_closed") / "log"
    return build_log(folder, lambda place, value: None if place == "entry/run_closed/2" else value)


@pytest.fixture
def folder(not_closed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(not_closed, tmp_path / "log")
    return tmp_path / "log"


def published(folder: Path, *cards: Any) -> VerifyReport:
    """Log `cards` at the end, as the coordinator of this log would; then verify the whole."""
    BlobStore(folder / "blobs").put(CARD)
    with Journal.open(folder, SigningKey(b"\x01" * 32), "collab/woods", lambda: 1_800_000_000_000) as journal:
        journal.append("spring", 2, *cards)
    return verify(folder, expected_key=None)


def newest_model(folder: Path) -> str:
    return runs(read_entries(folder))["spring"].model_digest


def test_an_entry_of_a_new_kind_verifies_counts_and_is_shown(
    folder: Path, card: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = verify(folder, expected_key=None)
    model = newest_model(folder)
    found = published(folder, card(model=model, card=sha256(CARD)))
    assert found.findings == ()
    assert (found.entries, found.blobs_checked) == (before.entries + 1, before.blobs_checked + 1)
    assert replay(folder).findings == ()

    entries = read_entries(folder)
    run = runs(entries)["spring"]
    cards = sys.modules["privacy.protocol.kinds.card_published"].Cards
    assert run.kept(cards).of_model == {model: sha256(CARD)}

    sentence = f"round 2: a card of model {model[:12]} was published"
    assert Teller(entries[:-1]).sentence(entries[-1]) == sentence
    report.show(folder)
    assert sentence in capsys.readouterr().out
    (told,) = values.of_run(run)["rounds"][2]["others"]
    assert (told["kind"], told["card"]) == ("card_published", sha256(CARD))
    display = Display([], quiet=False)
    for entry in entries:
        display.logged(entry)
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_its_law_is_kept_by_the_auditor(folder: Path, card: Callable[..., Any]) -> None:
    first = card(model=newest_model(folder), card=sha256(CARD))
    found = published(folder, first, first, card(model="0" * 64, card=sha256(CARD)))
    last = found.entries - 1
    assert [(finding.index, finding.message) for finding in found.findings] == [
        (last - 1, "this model has a card"),
        (last, "this card is of another model than the newest"),
    ]


def test_its_blob_is_held_against_its_digest(folder: Path, card: Callable[..., Any]) -> None:
    published(folder, card(model=newest_model(folder), card=sha256(CARD)))
    (folder / "blobs" / sha256(CARD)).write_bytes(CARD[:-1])
    assert [finding.blob for finding in verify(folder, expected_key=None).findings] == [sha256(CARD)]
    (folder / "blobs" / sha256(CARD)).unlink()
    missing = verify(folder, expected_key=None)
    assert missing.findings == ()
    assert sha256(CARD) in [finding.blob for finding in missing.incomplete]


def test_who_does_not_have_the_file_refuses_the_entry_and_never_skips_it(pristine_log: Path) -> None:
    entry = read_entries(pristine_log)[-1]
    leaf = canonical_bytes(entry).replace(b'"kind":"run_closed"', b'"kind":"card_published"')
    with pytest.raises(ContractError, match="no AuditEntry"):
        parse(AuditEntry, leaf)
