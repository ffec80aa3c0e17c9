# SPDX-License-Identifier: Apache-2.0
"""A task before it is run: what a run on it would be refused for at this site, and which rows it would leave out.

`check --task` shows it to the site's people: labels of the site's own data with the plan's that are near, splits that
are empty or small. None of it leaves; in a run such rows drop out silently, whoever is looking.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from client.commands.budget_command import forecast, read_plan
from client.data.splits import SPLITS, Split
from client.learning import tasks
from client.learning.model import device
from client.learning.model.pretrained import (
    PACKAGED_DIGEST,
    Pretrained,
    find_pretrained,
    load_pretrained,
    tokenizer_digest,
)
from client.learning.model.tokenization import tokenize_records
from client.learning.tasks import TaskExample, Why
from client.learning.training.contract import describe_pretrained
from client.settings.policy import PolicySection
from client.settings.site_settings import SiteFolder
from client.site import account, guard
from privacy.base.canonical import Json, digest_of
from privacy.base.errors import CollabError, IntegrityError
from privacy.base.files import read_bounded
from privacy.base.randomness import PublicSeed
from privacy.protocol.messages import parse
from privacy.protocol.model_request import MAX_FILE_BYTES, ModelRequest
from privacy.protocol.plans import TaskPlan
from privacy.text.reading.records import AnonymizedRecord
from privacy.update.delta import ModelContract

Records = Mapping[Split, Sequence[AnonymizedRecord]]

FEW: Final = 20
"""Privacy units in a split below which it is called small."""
SHOWN: Final = 50
"""Labels that are listed."""
NEAR: Final = 0.75
"""Least likeness (difflib's ratio) of two labels that are called near."""
MISSING_WORDS: Final = frozenset({"nan", "none", "null", "na", "n/a", "nat", "-", "?", ".", "unknown", "missing"})


@dataclass
class Rehearsal:
    """`refused`: why a run would be refused. `left_out`: which rows it would leave out. `doubts`: what is small."""

    facts: dict[str, Json] = field(default_factory=dict)
    refused: dict[str, Json] = field(default_factory=dict)
    left_out: dict[str, Json] = field(default_factory=dict)
    doubts: dict[str, Json] = field(default_factory=dict)


def rehearse(folder: SiteFolder, request: ModelRequest, contract_file: Path, records: Records) -> Rehearsal:
    """What a run on `request` would meet here.

    `contract_file`: model.json as `describe` wrote it, if it is there; plan.json beside it is the whole run.
    """
    rehearsal = Rehearsal(
        {"task": request.task.name, "labels": len(request.task.labels), "scope": request.training.scope}
    )
    _policy(rehearsal, request, folder.settings.policy)
    _try(rehearsal, "device", lambda: device.choose(folder.settings.compute))
    _budget(rehearsal, folder)
    if (plan := contract_file.with_name("plan.json")).exists() and folder.settings.site.role == "trainer":
        _try(rehearsal, "plan", lambda: _whole_run(rehearsal, folder, plan))
    pretrained: list[Pretrained] = []
    _try(rehearsal, "model", lambda: pretrained.append(_model(rehearsal, folder, request, contract_file)))
    if pretrained:
        _rows(rehearsal, folder, request.task, pretrained[0], records)
    else:
        rehearsal.left_out["rows"] = "not known without the model"
    return rehearsal


def _try(rehearsal: Rehearsal, what: str, step: Callable[[], object]) -> None:
    try:
        step()
    except CollabError as error:
        sentence = error.message.removesuffix("; nothing was read or trained")
        rehearsal.refused[what] = f"{sentence}. {error.next_step}" if error.next_step else sentence


def _policy(rehearsal: Rehearsal, request: ModelRequest, policy: PolicySection) -> None:
    """What the site's policy says of a task. Round plans bring more: their noise, their clip, their steps."""
    _try(rehearsal, "policy", lambda: guard.check_work(request.task, request.training, policy))
    if request.unit not in (None, policy.unit):
        rehearsal.refused["unit"] = f"the task protects a {request.unit}, policy.unit is {policy.unit}"


def _budget(rehearsal: Rehearsal, folder: SiteFolder) -> None:
    """What is left for good of the data set's budget."""
    data, policy = folder.settings.data, folder.settings.policy
    rehearsal.facts["epsilon left"] = f"{policy.epsilon_limit:g} of {policy.epsilon_limit:g}"
    for one in account.accounts(folder):
        if one.dataset != data.dataset:
            continue
        if one.unit != policy.unit:
            rehearsal.refused["budget"] = (
                f"{one.dataset} was charged under unit {one.unit}, and a data set has one unit"
            )
            continue
        rehearsal.facts["epsilon left"] = f"{one.epsilon_left} of {one.epsilon_limit} ({one.epsilon_spent} spent)"
        if one.withdrawn:
            rehearsal.refused["budget"] = f"the data set {data.dataset} is withdrawn for good"
        elif one.epsilon_left == "0":
            rehearsal.refused["budget"] = "nothing is left of policy.epsilon_limit"


def _whole_run(rehearsal: Rehearsal, folder: SiteFolder, plan: Path) -> None:
    """The whole run as it would be opened, against policy and budget."""
    _, outline = read_plan(plan)
    guard.check_training(outline, folder.settings.policy)
    ahead = forecast(folder, "", outline)
    rehearsal.facts["the whole run"] = (
        f"{ahead.rounds} rounds, {ahead.evaluations} evaluations: epsilon {ahead.epsilon_after} of "
        f"{ahead.epsilon_limit}, {ahead.epsilon_left} left then"
    )
    if not ahead.fits:
        rehearsal.refused["budget"] = (
            f"the whole run would bring epsilon to {ahead.epsilon_after} of {ahead.epsilon_limit}"
        )


def _model(rehearsal: Rehearsal, folder: SiteFolder, request: ModelRequest, contract_file: Path) -> Pretrained:
    """The pretrained model of the task, checked against the contract where there is one."""
    declared = None
    if contract_file.exists():
        declared = parse(ModelContract, read_bounded(contract_file, MAX_FILE_BYTES))
        if (declared.task, declared.training) != (request.task, request.training):
            raise IntegrityError(
                f"{contract_file.name} was made for another {request.task.name} task than this one",
                next_step="ask the coordinator for both files anew",
            )
    digest = PACKAGED_DIGEST if declared is None else declared.pretrained_digest
    place = find_pretrained(digest, folder.model_folders)
    rehearsal.facts["model"] = place.name if digest in folder.model_folders else "all-MiniLM-L6-v2, packaged"
    if declared is None:
        rehearsal.facts["model"] = f"{rehearsal.facts['model']} (assumed: {contract_file.name} is not beside the task)"
    elif tokenizer_digest(place) != declared.tokenizer_digest:
        raise IntegrityError(f"tokenizer.json in {place.name} is another than the task's", next_step="replace it")
    pretrained = load_pretrained(place, digest)
    seed = PublicSeed.from_hex(request.public_seed)
    contract, _ = describe_pretrained(request.task, request.training, pretrained, seed)
    if declared is not None and digest_of(contract) != digest_of(declared):
        raise IntegrityError(
            f"this site builds another model than {contract_file.name} says",
            next_step="compare versions with the coordinator: collab must be the same on both sides",
        )
    return pretrained


# Rows ----------------------------------------------------------------------------------------------------------------


def _rows(rehearsal: Rehearsal, folder: SiteFolder, plan: TaskPlan, pretrained: Pretrained, records: Records) -> None:
    unknown: Counter[str] = Counter()
    for split in SPLITS:
        read = list(_read(plan, pretrained, records[split]))
        _usable(rehearsal, folder, split, read)
        unknown.update(label for record, why in read if why == "unknown" for label in _labels(record, plan))
    _unknown(rehearsal, plan, unknown)
    _absent(rehearsal, plan, records)


def _usable(
    rehearsal: Rehearsal, folder: SiteFolder, split: Split, read: Sequence[tuple[AnonymizedRecord, Why | None]]
) -> None:
    """How many rows of a split a run could use, and why it would leave out the others."""
    unit = folder.settings.policy.unit
    usable = [record for record, why in read if why is None]
    units = len({record.patient_id for record in usable}) if unit == "patient" else len(usable)
    rehearsal.facts[f"{split}: usable"] = f"{len(usable)} of {len(read)} rows, {units} {unit}s"
    for reason, count in sorted(Counter(why for _, why in read if why is not None).items()):
        rehearsal.left_out[f"{split}: {reason}"] = f"{count} of {len(read)} rows {_MEANING[reason]}"
    _judge(rehearsal, folder, split, units)


def _read(
    plan: TaskPlan, pretrained: Pretrained, records: Sequence[AnonymizedRecord]
) -> Iterator[tuple[AnonymizedRecord, Why | None]]:
    """Each record, and why a run would leave it out."""
    task, tokenizer = tasks.load(plan.name), pretrained.tokenizer(plan.max_tokens)
    for record, pieces in zip(records, tokenize_records(records, tokenizer, task.INPUTS), strict=True):
        try:
            read: TaskExample | Why = task.read(record, pieces, plan)
        except Exception:  # as in a run: it follows from this record alone
            read = "unknown"
        yield record, None if isinstance(read, TaskExample) else read


def _unknown(rehearsal: Rehearsal, plan: TaskPlan, unknown: Counter[str]) -> None:
    """Labels that are here and not in the task, the most frequent first."""
    for label, count in sorted(unknown.items(), key=lambda one: (-one[1], one[0]))[:SHOWN]:
        rehearsal.left_out[f"label {label!r}"] = f"{count} times: {_advice(label, plan)}"
    if len(unknown) > SHOWN:
        rehearsal.left_out["more labels"] = f"{len(unknown) - SHOWN} that the task does not have"


_MEANING: Final = {
    "missing": "have not what the task reads (no label, no marks or no second text)",
    "unknown": "have a label that the task does not have",
}


def _judge(rehearsal: Rehearsal, folder: SiteFolder, split: Split, units: int) -> None:
    """An empty or small split of those that this site is asked for."""
    needed = {"trainer": ("train", "dev"), "evaluator": ("test",)}[folder.settings.site.role]
    if split not in needed or units >= FEW:
        return
    if split == "train":
        cost = (
            "a round on it costs epsilon and teaches next to nothing" if units else "a round costs epsilon for nothing"
        )
    else:
        cost = "its counts are mostly noise" if units else "an evaluation costs epsilon and counts nothing"
    rehearsal.doubts[f"{split} split"] = (
        f"{units} usable units: {cost}. The split follows from the site's key; data.{_fraction(split)} changes it, "
        "before the first run only: afterwards units would move"
    )


def _fraction(split: Split) -> str:
    return "dev_fraction and data.test_fraction" if split == "train" else f"{split}_fraction"


def _labels(record: AnonymizedRecord, plan: TaskPlan) -> set[str]:
    """What a record's label and marks say that the plan does not."""
    labels = {span.label for span in record.spans}
    if record.label is not None:
        labels |= _several(record.label)
    return labels - set(plan.labels)


def _several(label: str) -> set[str]:
    try:
        value = json.loads(label)
    except (ValueError, RecursionError):
        value = None
    return {str(one) for one in value} if isinstance(value, list) else {label}


def _advice(label: str, plan: TaskPlan) -> str:
    plain = label.strip().casefold()
    if plain in MISSING_WORDS:
        return "this is how programs write a missing value: leave the cell empty, or write the label"
    if not plan.labels:
        return "the task reads something else here"
    same = [one for one in plan.labels if one.strip().casefold() == plain]
    if same:
        return f"the task has {same[0]!r}: write it the same way"
    near = difflib.get_close_matches(label, plan.labels, n=1, cutoff=NEAR)
    return f"the nearest label of the task is {near[0]!r}" if near else "no label of the task is near"


def _absent(rehearsal: Rehearsal, plan: TaskPlan, records: Records) -> None:
    """Labels of the task that no row here has."""
    here = {label for rows in records.values() for record in rows for label in _all_labels(record)}
    gone = [label for label in plan.labels if label not in here]
    if gone and any(records.values()):
        listed = ", ".join(map(repr, gone[:SHOWN]))
        rehearsal.facts["labels that no row here has"] = f"{len(gone)}: {listed}"


def _all_labels(record: AnonymizedRecord) -> set[str]:
    return {span.label for span in record.spans} | (set() if record.label is None else _several(record.label))
