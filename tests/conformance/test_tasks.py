# SPDX-License-Identifier: Apache-2.0
"""Every file in client/learning/tasks keeps the contract of its room."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from client.learning import tasks
from client.learning.model.model import build
from client.learning.model.pretrained import Pretrained, load_pretrained
from client.learning.tasks import TaskExample
from client.learning.training.training import TextExamples, count, predict, prepare
from privacy.base import parts
from privacy.base.errors import ContractError, SettingsError
from privacy.base.randomness import PublicSeed, SecretSeed
from privacy.dp import clipping
from privacy.dp.draws import RowDraws, tags_by_place, using
from privacy.protocol.plans import TaskPlan, TrainingPlan
from privacy.text.reading.records import AnonymizedRecord, Span

NAMES = parts.names("client.learning.tasks")
LABELS = ("fever", "cough", "other", "none")
TEXT = "fever and cough today the patient rest at home and better"
HEAD, TAIL = Span(0, 5, "head"), Span(10, 15, "tail")

PLANS: dict[str, dict[str, object]] = {
    **{name: {"labels": LABELS} for name in NAMES},
    "multi_label": {"labels": LABELS, "counted": 2},
    "token_classification": {"labels": ("fever", "cough"), "counted": 3},
    "regression": {"labels": (), "value_range": ("-2", "6"), "counted": 10},
    "question_answering": {"labels": (), "counted": 4},
    "masked_language": {"labels": (), "mask_rate": "0.3", "counted": 5},
    "joint": {"labels": LABELS, "mask_rate": "0.3", "masked_weight": "0.25"},
}
"""What a plan of each task says. A task with other labels than one a row has its line here, and in `label`."""


def plan(name: str, **changes: object) -> TaskPlan:
    return TaskPlan.model_validate({"name": name, "max_tokens": 24, **PLANS[name], **changes})


def label(name: str, number: int) -> str | None:
    """The label column of row `number`."""
    if name == "multi_label":
        return json.dumps([one for at, one in enumerate(LABELS) if number >> at & 1])
    if name == "regression":
        return str(number % 9 - 2)
    return LABELS[number % 4] if PLANS[name]["labels"] else None


def record(name: str, number: int) -> AnonymizedRecord:
    words = TEXT.split()
    text = " ".join([*words[: 3 + number % 8], TEXT])
    at = text.rindex(TEXT)
    spans = [Span(at + one.start, at + one.end, one.label) for one in (HEAD, TAIL)]
    if name == "token_classification":
        spans = [Span(at, at + 5, "fever"), Span(at + 10, at + 15, "cough")][: number % 3]
    elif name == "question_answering":
        spans = [Span(at + 10, at + 21, "answer")][: number % 2]
    return AnonymizedRecord(f"r{number}", text, label(name, number), f"p{number}", (), (), tuple(spans), "rest ? " * 2)


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> Pretrained:
    return load_pretrained(tiny_folder)


def made(tiny: Pretrained, name: str, scope: str = "top", numbers: int = 9) -> TextExamples:
    training = TrainingPlan.model_validate(
        {
            "scope": scope,
            "top_layers": 1 if scope != "head" else 0,
            "lora_rank": 2 if scope == "lora" else 0,
            "lora_alpha": 2 if scope == "lora" else 0,
            "optimizer": "adam",
            "learning_rate": "0.001",
            "head_learning_rate": "0.01",
            "momentum": "0",
            "weight_decay": "0",
            "dropout": "0",
            "physical_batch_size": 4,
        }
    )
    heads = tasks.load(name).heads(plan(name))
    model = build(tiny, training, heads, PublicSeed.from_integer(3), torch.device("cpu"))
    records = [record(name, number) for number in range(numbers)]
    return prepare(records, plan(name), model, tiny)


def test_there_are_tasks_and_an_unknown_one_is_refused_with_the_choices() -> None:
    assert set(NAMES) >= {"classification", "token_classification", "masked_language"}
    with pytest.raises(SettingsError) as caught:
        tasks.load("astrology")
    assert "classification" in (caught.value.next_step or "")


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_that_lacks_what_the_task_needs_is_refused(name: str) -> None:
    tasks.load(name).check(plan(name))
    other = {"labels": () if PLANS[name]["labels"] else LABELS, "value_range": None, "mask_rate": None}
    with pytest.raises(ContractError):
        tasks.load(name).check(plan(name, **other))


@pytest.mark.parametrize("name", [name for name in NAMES if PLANS[name]["labels"]])
def test_labels_come_from_the_plan_alone(tiny: Pretrained, name: str) -> None:
    strange = [record(name, 2), AnonymizedRecord("x", TEXT, "measles", "p", (), (), (HEAD, TAIL), "rest")]
    model = made(tiny, name).features.model
    kept = prepare(strange, plan(name), model, tiny)
    assert (len(kept), kept.refused) == (1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_an_examples_loss_and_prediction_depend_on_it_alone(tiny: Pretrained, name: str) -> None:
    """Beside other rows, in another order and with more padding."""
    examples = made(tiny, name)
    network = examples.features.model.trainable.eval()

    def of(rows: list[int]) -> list[float]:
        batch = examples.batch(rows)
        if name == "joint":  # its masked half is trained on drawn pieces: here the whole text, nothing hidden
            batch = {**batch, "hidden_ids": torch.full_like(batch["hidden_at"], -100)}
        return [float(one) for one in examples.task.losses(network(batch), batch, examples.plan)]

    with torch.no_grad():
        together, alone = of(list(range(9))), [of([row])[0] for row in range(9)]
    assert together == pytest.approx(alone, rel=1e-4)
    assert all(loss >= 0 for loss in together)
    said = predict(examples.features.model, examples, [8, 3])
    assert all(
        np.allclose(one, predict(examples.features.model, examples)[row]) for one, row in zip(said, (8, 3), strict=True)
    )


def drawn(rows: int) -> RowDraws:
    """The draws of a training of so many rows."""
    return RowDraws(SecretSeed(bytes([3]) * 32), [[row] for row in range(rows)], tags_by_place(rows))


@pytest.mark.parametrize("scope", ["head", "top", "lora", "bitfit", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_private_gradients_of_a_task_equal_a_loop_over_its_examples(tiny: Pretrained, name: str, scope: str) -> None:
    examples = made(tiny, name, scope, numbers=5)
    network = examples.features.model.trainable.train()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    with using(drawn(5).of(0, list(range(5)))):
        batch = examples.batch(list(range(5)))
    clipper = clipping.attach("bookkeeping", network, 0.1)
    _, norms = clipper.accumulate(lambda: examples.losses(network, batch), 5)
    expected = [torch.zeros_like(parameter) for parameter in parameters]
    for row in range(5):
        loss = examples.losses(network, batch)[row]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        assert float(norms[row]) == pytest.approx(float(norm), rel=1e-3, abs=1e-5)
        for total, gradient in zip(expected, gradients, strict=True):
            total += float(clipping.clip_factors(norm[None], 0.1)[0]) * gradient
    for total, found in zip(expected, clipper.clipped_sum(), strict=True):
        torch.testing.assert_close(found.to(total.dtype), total, rtol=1e-3, atol=1e-5)
    clipper.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_learnt(tiny: Pretrained, name: str) -> None:
    """Fitting the rows themselves: the loss falls by half at least, and the counts rise."""
    examples = made(tiny, name, "top", numbers=8)
    model = examples.features.model
    rows, network = list(range(8)), model.trainable
    optimizer = torch.optim.Adam([parameter for parameter in network.parameters() if parameter.requires_grad], 0.01)
    before, losses = count(model, examples), []
    network.train()
    for step in range(150):
        optimizer.zero_grad()
        with using(drawn(8).of(step, rows)):
            loss = examples.losses(network, examples.batch(rows)).mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    after = count(model, examples)
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    assert after.accuracy is not None
    assert before.accuracy is not None
    assert after.accuracy >= max(0.5, before.accuracy)


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_no_example_counts_for_more_than_the_plan_says(name: str, data: st.DataObject) -> None:
    """For any prediction and any example: the noise is made for `counted`."""
    bound = data.draw(st.integers(1, 6))
    given_plan, task = plan(name, counted=bound), tasks.load(name)
    words = data.draw(st.integers(1, 12))
    if name == "token_classification":
        classes = st.lists(st.integers(0, 4), min_size=words, max_size=words)
        target = np.array(data.draw(classes))
        target[data.draw(st.integers(0, words - 1))] = -100
        example = TaskExample(target, beyond=tuple(data.draw(st.lists(st.integers(0, 9), min_size=2, max_size=2))))
        predicted = np.array(data.draw(classes))
    elif name == "multi_label":
        chosen = st.lists(st.booleans(), min_size=4, max_size=4)
        example, predicted = TaskExample(np.array(data.draw(chosen), np.float32)), np.array(data.draw(chosen))
    elif name == "question_answering":
        ends = st.lists(st.integers(0, 9), min_size=2, max_size=2)
        example, predicted = TaskExample(np.array(sorted(data.draw(ends)))), np.array(sorted(data.draw(ends)))
    elif name == "masked_language":
        hidden = data.draw(st.integers(0, 9))
        example, predicted = TaskExample(np.array(0)), np.array([data.draw(st.integers(0, hidden)), hidden])
    elif name == "regression":
        unit = st.floats(0, 1, width=32)
        example, predicted = TaskExample(np.array(data.draw(unit))), np.array(data.draw(unit))
    else:  # the place of a label
        example, predicted = TaskExample(np.array(data.draw(st.integers(0, 3)))), np.array(data.draw(st.integers(0, 3)))
    right, actual, claimed = (np.array(one) for one in task.count(predicted, example, given_plan))
    for counted in (right, actual, claimed):
        assert counted.shape == (given_plan.num_outputs,)
        assert counted.min() >= 0
        assert counted.sum() <= bound
    assert (right <= np.minimum(actual, claimed)).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_examples_give_counts_of_zero(tiny: Pretrained, name: str) -> None:
    counts = count(made(tiny, name).features.model, made(tiny, name), [])
    assert counts.right == counts.actual == counts.predicted == (0,) * plan(name).num_outputs
    assert counts.accuracy is None


@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_is_none_is_counted_within_the_bound_and_stops_nothing(tiny: Pretrained, name: str) -> None:
    """A model can be made to say NaN of any text; int(floor(NaN)) once stopped an evaluation where that text was."""
    examples = made(tiny, name, "head")
    network = examples.features.model.trainable
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
    counts = count(examples.features.model, examples)
    assert sum(counts.actual) <= len(examples) * (plan(name).counted or 1)
    assert all(0 <= right <= actual for right, actual in zip(counts.right, counts.actual, strict=True))
    if name == "regression":
        assert counts.correct == 0
        assert counts.incorrect == len(examples) * 10


def test_a_share_that_is_no_number_is_none_of_it() -> None:
    assert tasks.share(float("nan"), plan("regression")) == ([0], [10], [10])
    assert tasks.share(float("inf"), plan("regression")) == ([10], [10], [10])


@pytest.mark.parametrize("name", NAMES)
def test_a_record_on_which_a_task_stumbles_costs_itself_alone(
    tiny: Pretrained, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tasks.load(name)
    read, count_one = task.read, task.count

    def stumbling(record: AnonymizedRecord, *rest: object) -> object:
        if record.record_id == "r3":
            raise RecursionError(record.text)
        return read(record, *rest)  # type: ignore[arg-type]

    whole = made(tiny, name)
    monkeypatch.setattr(task, "read", stumbling)
    less = made(tiny, name)
    assert (len(less), less.refused) == (len(whole) - 1, whole.refused + 1)
    seen: list[object] = []

    def stumbling_too(*arguments: object) -> object:
        seen.append(arguments)
        if len(seen) == 2:
            raise ValueError("no count")
        return count_one(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(task, "count", stumbling_too)
    one, two = count(less.features.model, less, [0]), count(less.features.model, less, [1])
    assert sum(one.actual) >= 0
    assert two.actual == two.predicted == two.right == (0,) * plan(name).num_outputs


@pytest.mark.parametrize(
    "added",
    [
        pytest.param([[2, 0, 0, 0], [2, 0, 0, 0], [2, 0, 0, 0]], id="more of one label than the plan says"),
        pytest.param([[0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]], id="more of all labels than the plan says"),
        pytest.param([[1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]], id="right and not there"),
        pytest.param([[0, 0, 0, 0], [1, -1, 0, 0], [0, 0, 0, 0]], id="less than nothing"),
        pytest.param([[0, 0], [1, 0], [1, 0]], id="fewer places"),
    ],
)
def test_what_is_not_bounded_as_the_noise_needs_it_is_not_counted(
    tiny: Pretrained, added: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = made(tiny, "multi_label")
    bounded = replace(examples, plan=plan("multi_label", counted=2, counted_per_label=1))
    monkeypatch.setattr(tasks.load("multi_label"), "count", lambda *_: added)
    counts = count(examples.features.model, bounded)
    assert counts.right == counts.actual == counts.predicted == (0, 0, 0, 0)
    monkeypatch.setattr(tasks.load("multi_label"), "count", lambda *_: [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1]])
    assert count(examples.features.model, bounded, [0, 1]).actual == (2, 2, 0, 0)


@pytest.mark.parametrize("scope", ["head", "top", "full"])
@pytest.mark.parametrize("name", ["classification", "token_classification"])
def test_rows_are_counted_one_by_one_so_that_no_row_moves_anothers_last_bits(
    tiny: Pretrained, name: str, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a batch a logit's last bits follow from the padding: a model made of near ties counts by them."""
    examples = made(tiny, name, scope)
    sizes: list[int] = []
    batch = TextExamples.batch

    def watched(self: TextExamples, rows: list[int]) -> object:
        sizes.append(len(rows))
        return batch(self, rows)

    monkeypatch.setattr(TextExamples, "batch", watched)
    count(examples.features.model, examples)
    assert sizes == [1] * len(examples)
