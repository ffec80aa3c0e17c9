# SPDX-License-Identifier: Apache-2.0
"""A site that dies, or comes back from a copy of its disk, has paid and never draws the same noise again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from privacy.base.randomness import PublicSeed
from privacy.protocol.messages import SignedMessage, SiteUpdate

Clinic = Any
MakeClinic = Callable[..., Any]

SEED = PublicSeed(b"\x11" * 32)


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


def test_a_crash_in_training_stays_charged_and_the_next_attempt_has_other_noise(clinic: Clinic) -> None:
    entry, train, seeds = clinic.planned(), clinic.site.pipeline.train, []

    def dying(plan: Any, contract: Any, public_seed: Any, model_in: Any, seed: Any, on_step: Any) -> Any:
        seeds.append(seed.commit("spring|1|clinic"))
        train(plan, contract, public_seed, model_in, seed, on_step)
        raise Killed

    clinic.site.pipeline.train = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        clinic.site.answer(clinic.message(entry, "update", clinic.initial))
    assert len(clinic.charged()) == 1
    clinic.site.state.close()
    clinic.start()
    update = clinic.opened_reply(clinic.site.answer(clinic.message(entry, "update", clinic.initial)), SiteUpdate)
    first, second = clinic.charged()
    assert first.nonce != second.nonce
    assert update.secret_seed_commitment not in seeds
    assert len(update.spent.events) == 2  # both attempts
    assert [row.number for row in clinic.site.ledger.unsettled("notes", "patient")] == [1]


def test_a_crash_before_the_reply_is_stored_trains_again_with_another_stream(clinic: Clinic) -> None:
    entry, remember = clinic.planned(), clinic.site.state.remember_reply
    lost = []

    def dying(asked: str, phase: str, reply: SignedMessage) -> None:
        lost.append(reply)
        raise Killed

    clinic.site.state.remember_reply = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        clinic.site.answer(clinic.message(entry, "update", clinic.initial))
    clinic.site.state.remember_reply = remember  # type: ignore[method-assign]
    sent = clinic.site.answer(clinic.message(entry, "update", clinic.initial))
    assert sent.envelope.kind == "site_update"
    assert sent.payload != lost[0].payload
    assert len(clinic.charged()) == 2


def test_a_crash_after_the_reply_is_stored_sends_that_reply(clinic: Clinic) -> None:
    entry, settle = clinic.planned(), clinic.site.ledger.settle

    def dying(_: Any) -> None:
        raise Killed

    clinic.site.ledger.settle = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        clinic.site.answer(clinic.message(entry, "update", clinic.initial))
    clinic.site.ledger.settle = settle  # type: ignore[method-assign]
    clinic.site.state.close()
    clinic.start()
    assert clinic.site.answer(clinic.message(entry, "update", clinic.initial)).envelope.kind == "site_update"
    assert len(clinic.charged()) == 1


def test_a_restored_copy_of_the_disk_never_draws_the_same_noise_again(clinic: Clinic) -> None:
    entry, home = clinic.planned(), clinic.folder.home
    clinic.site.state.close()
    shutil.copytree(home, clinic.root / "copy")
    replies = []
    for _ in range(2):
        clinic.start()
        replies.append(clinic.site.answer(clinic.message(entry, "update", clinic.initial)))
        clinic.site.state.close()
        shutil.rmtree(home)
        shutil.copytree(clinic.root / "copy", home)
    clinic.start()
    first, second = (clinic.opened_reply(reply, SiteUpdate) for reply in replies)
    assert first.plan_digest == second.plan_digest
    assert first.secret_seed_commitment != second.secret_seed_commitment
    assert replies[0].payload != replies[1].payload


def killed(*_: Any) -> Any:
    raise Killed


def test_a_simulated_site_draws_its_nonces_from_its_known_key_and_another_one_at_each_attempt(
    make_clinic: MakeClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_clinic(simulation=SEED), make_clinic(simulation=SEED)
    for clinic in (first, second):
        clinic.hello()
        plan = clinic.planned()
        train, clinic.site.pipeline.train = clinic.site.pipeline.train, killed  # type: ignore[method-assign]
        with pytest.raises(Killed):
            clinic.site.answer(clinic.message(plan, "update", clinic.initial))
        clinic.site.pipeline.train = train  # type: ignore[method-assign]
        clinic.site.answer(clinic.message(plan, "update", clinic.initial))
    nonces = [[row.nonce for row in clinic.charged()] for clinic in (first, second)]
    assert nonces[0] == nonces[1]
    assert len(set(nonces[0])) == 2


def test_no_two_attempts_rounds_or_phases_share_a_nonce(clinic: Clinic) -> None:
    clinic.count(0)
    for number in (1, 2):
        clinic.ask(number)
    nonces = [row.nonce for row in clinic.charged()]
    assert len(set(nonces)) == 3
