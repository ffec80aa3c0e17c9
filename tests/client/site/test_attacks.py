# SPDX-License-Identifier: Apache-2.0
"""Questions that a coordinator once had answered exactly, without noise and at no cost. Each says what it found then.

The plans are signed with the federation's own keys and stand in its log: nothing but the site itself says no. The law
behind these cases, over plans that nobody thought of, is held by tests/client/site/test_neighbours.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from client.site.door import Unsigned
from client.site.events import Event
from privacy.base.canonical import canonical_bytes
from privacy.base.identifiers import sha256
from privacy.dp.params import PrivacyParams
from privacy.protocol.messages import Envelope, SignedMessage, SiteMetrics
from privacy.protocol.plans import EncodingPlan
from privacy.update.delta import flatten, model_bytes, model_vector, unflatten

Clinic = Any
MakeClinic = Callable[..., Any]

LARGEST = float(np.finfo(np.float32).max)
TARGET = {"record_id": "rX", "patient_id": "pX", "text": "home stable cough no pain today home ward", "label": "well"}


def rows(clinic: Clinic, *more: dict[str, str], **cells: Callable[[int], str]) -> None:
    """Put `more` rows into the site's file, and columns into those that are there."""
    path = clinic.folder.data_files[0]
    there = [json.loads(line) for line in path.read_text().splitlines()]
    there = [row | {name: cell(at) for name, cell in cells.items()} for at, row in enumerate(there)]
    path.write_text("".join(json.dumps(row) + "\n" for row in (*there, *more)))


def with_and_without(make_clinic: MakeClinic, target: dict[str, str], **changes: Any) -> tuple[Clinic, Clinic]:
    """Two sites that differ in one patient."""
    pair = make_clinic(**changes), make_clinic(**changes)
    rows(pair[0], target)
    for clinic in pair:
        assert clinic.hello().envelope.kind == "site_hello"
    return pair


def events(clinic: Clinic, kind: str) -> list[Event]:
    return [event for event in clinic.site.reports.events("spring") if event.kind == kind]


def crafted(clinic: Clinic, name: str, change: Callable[[np.ndarray], None]) -> bytes:
    """The first model, with one array changed."""
    vector = model_vector(clinic.contract, clinic.initial)
    arrays = {one: np.array(array) for one, array in unflatten(clinic.contract, vector).items()}
    change(arrays[name])
    return model_bytes(clinic.contract, flatten(clinic.contract, arrays))


def word(clinic: Clinic, said: str, value: float) -> bytes:
    """A model in which one word's embedding is huge: is it in any note?"""
    number = Tokenizer.from_file(str(clinic.tiny / "tokenizer.json")).token_to_id(said)
    signs = np.where(np.arange(32) % 2, 1, -1)

    def change(table: np.ndarray) -> None:
        table[number, :] = np.float32(value) * signs[: table.shape[1]]

    return crafted(clinic, "embeddings.word_embeddings.weight", change)


def trained_on(clinic: Clinic, payload: bytes, number: int = 1) -> SignedMessage:
    entry = clinic.planned(number, model_digest=sha256(payload))
    return clinic.site.answer(clinic.message(entry, "update", payload))


# -- overflow ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [None, 1000.0])
def test_a_head_that_overflows_for_one_text_alone_says_nothing_of_it(make_clinic: MakeClinic, bound: Any) -> None:
    """`not_finite` told exactly where <w, f> > t: 17 queries found a maximum to 1e-4, membership was right 24 of 24."""
    pair = with_and_without(make_clinic, TARGET, training={"sample_rate": 1.0}, data={"dev_fraction": 0.0})

    def change(weight: np.ndarray) -> None:
        weight[0] = bound or LARGEST * 2.0**-6

    kinds = set()
    for clinic in pair:
        reply = trained_on(clinic, crafted(clinic, "classifier.weight", change))
        kinds.add(reply.envelope.kind if reply.envelope.kind != "refusal" else clinic.reason(reply))
        assert len(clinic.charged()) == (0 if bound is None else 1)
    assert kinds == ({"policy"} if bound is None else {"site_update"})


@pytest.mark.parametrize("value", [3e38, 1000.0])
def test_a_word_whose_embedding_is_huge_says_nothing_of_who_wrote_it(make_clinic: MakeClinic, value: float) -> None:
    """`not_finite` 3 of 3 times with the patient who wrote the word, `site_update` 3 of 3 times without."""
    changes = {"training": {"scope": "full", "sample_rate": 1.0}, "privacy": {"clipping": "bookkeeping"}}
    pair = with_and_without(make_clinic, TARGET, data={"dev_fraction": 0.0}, **changes)
    kinds = {trained_on(clinic, word(clinic, "home", value)).envelope.kind for clinic in pair}
    assert kinds == ({"refusal"} if value > 1000 else {"site_update"})


@pytest.mark.parametrize("value", [3e38, 1000.0])
def test_an_evaluation_of_a_number_that_is_none_is_charged_and_counted_as_nothing(
    make_clinic: MakeClinic, value: float
) -> None:
    """int(floor(NaN)) failed as `bug` before any charge: free, without limit, and only where the word was written."""
    pair = with_and_without(
        make_clinic,
        TARGET | {"score": "3"},
        task={"name": "regression", "labels": (), "value_range": (0.0, 10.0), "counted": 10},
        training={"scope": "full"},
        privacy={"clipping": "bookkeeping"},
        data={"dev_fraction": 1.0, "label_column": "score"},
        policy={"tasks": ("regression",)},
    )
    kinds = set()
    for clinic in pair:
        rows(clinic, score=lambda at: str(at % 11))
        payload = word(clinic, "home", value)
        plan = clinic.evaluation(0, model_digest=sha256(payload))
        kinds.add(clinic.site.answer(clinic.message(plan, "evaluate", payload)).envelope.kind)
        assert len(clinic.charged()) == (value <= 1000)
    assert len(kinds) == 1


# -- rows that only cost themselves ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(TARGET | {"text": "home \x01 rest"}, id="control characters (was anonymization_failed)"),
        pytest.param(TARGET | {"label": "measles"}, id="a label that the plan lacks (was label_unknown)"),
        pytest.param(TARGET | {"text": "home " * 30_000}, id="over-long for the anonymizer (was anonymization_failed)"),
        pytest.param(TARGET | {"text": ""}, id="empty"),
    ],
)
def test_one_row_of_a_site_never_stops_a_round(make_clinic: MakeClinic, target: dict[str, str]) -> None:
    """One row among 37 turned the answer into a reason code of its own, at no cost."""
    data = {"dev_fraction": 0.0, "max_characters": 1_000_000}
    pair = with_and_without(make_clinic, target, data=data)
    replies = [clinic.ask() for clinic in pair]
    assert [reply.envelope.kind for reply in replies] == ["site_update"] * 2
    assert len({len(reply.payload) for reply in replies}) == 1
    assert [len(clinic.charged()) for clinic in pair] == [1, 1]
    assert events(pair[0], "answered_without_data") == []
    assert [event.as_json()["examples"] for clinic in pair for event in events(clinic, "trained")] == [36, 36]


def test_plans_whose_labels_lack_one_learn_nothing_of_which_labels_there_are(make_clinic: MakeClinic) -> None:
    """Asking with each label left out in turn told exactly which labels a site has: 8 of 8, 0 charged, no limit."""
    found = []
    for label in ("ill", "well"):
        clinic = make_clinic(label=label, task={"labels": ("ill", "unsure")})
        clinic.hello()
        found.append((clinic.ask().envelope.kind, clinic.count(1).envelope.kind, len(clinic.charged())))
        (event,) = events(clinic, "trained")
        assert (event.as_json()["left_out"] == 0) == (label == "ill")
    assert found == [("site_update", "site_metrics", 2)] * 2


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="no rows"),
        pytest.param(json.dumps(TARGET) + "\n", id="one row"),
        pytest.param(json.dumps(TARGET | {"text": "\x01"}) + "\n", id="one row, refused"),
        pytest.param("{]\n", id="no rows that can be read"),
    ],
)
def test_a_site_without_usable_data_trains_and_counts_like_any_other(make_clinic: MakeClinic, content: str) -> None:
    """`data_unusable`, without a charge, told that there was nothing."""
    clinic = make_clinic()
    clinic.folder.data_files[0].write_text(content)
    assert clinic.hello().envelope.kind == "site_hello"
    update, metrics = clinic.ask(), clinic.count(1)
    assert len(update.payload) == 4 * clinic.contract.size
    assert any(update.payload)  # noise
    assert clinic.opened_reply(metrics, SiteMetrics).noise_std != "0"
    assert len(clinic.charged()) == 2


# -- one contract ------------------------------------------------------------------------------------------------------


def test_counts_are_noised_for_the_task_that_is_counted(make_clinic: MakeClinic) -> None:
    """A plan's own `counted` made the noise, the cached contract's the counts: std 52 where 51,961 was claimed."""
    task = {"name": "regression", "labels": (), "value_range": (0.0, 10.0), "counted": 1000}
    clinic = make_clinic(task=task, policy={"tasks": ("regression",)}, data={"label_column": "score"})
    rows(clinic, score=lambda at: str(at % 11))
    clinic.hello()
    honest = clinic.opened_reply(clinic.count(0), SiteMetrics)
    assert float(honest.noise_std) >= 1000
    lie = clinic.contract.task.model_copy(update={"counted": None})
    assert clinic.reason(clinic.count(1, task=lie)) in ("policy", "model_mismatch")
    assert len(clinic.charged()) == 1


LIES: dict[str, dict[str, Any]] = {
    "another pretrained model": {"pretrained_digest": "a" * 64},
    "another tokenizer": {"tokenizer_digest": "a" * 64},
    "an aggregate that overflows": {"encoding": EncodingPlan(dtype="int32", scale_log2=30)},
    "no update at all": {"update_clip_norm": "0." + "0" * 40 + "1"},
    "ten million steps (was accepted, charged and begun)": {"num_steps": 10_000_000},
}


@pytest.mark.parametrize("name", LIES)
def test_a_plan_that_departs_from_its_contract_or_can_not_end_is_refused_after_an_honest_one(
    clinic: Clinic, name: str
) -> None:
    assert clinic.ask(1).envelope.kind == "site_update"
    changes = dict(LIES[name])
    if "num_steps" in changes:
        private = clinic.recipe.settings.privacy_params("1000")
        changes["privacy"] = PrivacyParams.model_validate(private.model_dump() | {"num_steps": 10_000_000})
    assert clinic.reason(clinic.ask(2, **changes)) in ("policy", "model_mismatch")
    assert len(clinic.charged()) == 1


# -- strangers ---------------------------------------------------------------------------------------------------------


def test_a_stranger_gets_no_signature_under_any_plan_and_fills_no_report(clinic: Clinic) -> None:
    """A message that nobody signed, whose body was a plan's own bytes, got a signed refusal of that plan: `verify`
    believed it, though the update was there."""
    plan = clinic.planned().body.plan
    before = clinic.site.reports.events("spring")
    envelope = Envelope(
        kind="delivery",
        run_id="spring",
        server_round=1,
        attempt=1,
        phase="update",
        sender="coordinator",
        context_digest="0" * 64,
        body_digest="0" * 64,
        signature="",
    )
    for body in (canonical_bytes(plan), b'{"anything":1}', b"", b"{}" * (3 << 20)):
        for signed in (envelope, envelope.model_copy(update={"body_digest": sha256(body), "signature": "00" * 64})):
            with pytest.raises(Unsigned):
                clinic.site.answer(SignedMessage(signed, body))
    assert clinic.site.reports.events("spring") == before
    assert clinic.site.state.take_refusal("spring") == 0
