# SPDX-License-Identifier: Apache-2.0
"""Each task trains federated and privately by configuration alone: rows in files, a scenario, a verified log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from privacy.base import parts
from privacy.protocol.anonymization_check import IDENTIFIERS
from simulations.build import build
from simulations.federation import Federation
from simulations.scenario import Scenario

MOODS = ("stable and resting at home", "worse with fever and a dry cough", "better after two days of rest")
LABELS = ("stable", "worse", "better")

TASKS: dict[str, dict[str, Any]] = {
    **{name: {"labels": list(LABELS)} for name in parts.names("client.learning.tasks")},
    "sentence_pair": {"labels": list(LABELS), "columns": {"pair": "question"}},
    "relation": {"labels": list(LABELS), "columns": {"spans": "marks"}},
    "multi_label": {"labels": list(LABELS), "counted": 3},
    "token_classification": {
        "labels": ["sign", "time"],
        "counted": 4,
        "columns": {"label": "", "words": "words", "spans": "tags"},
    },
    "regression": {"labels": [], "value_range": [0.0, 2.0], "counted": 20},
    "question_answering": {
        "labels": [],
        "counted": 4,
        "columns": {"label": "", "pair": "question", "spans": "marks", "unlabelled": "keep"},
    },
    "masked_language": {"labels": [], "counted": 10, "columns": {"label": "", "unlabelled": "keep"}},
    "joint": {"labels": list(LABELS), "columns": {"unlabelled": "keep"}},
}
"""What the scenario says of each task; one without a line here is like classification."""


def row(task: str, number: int) -> dict[str, object]:
    mood = number % 3
    text = f"Seen on day {number}: the patient of Dr. John Smith is {MOODS[mood]}."
    said, name = text.index(MOODS[mood]), text.index("John Smith")
    words = text.split()
    tags = ["O"] * len(words)
    tags[3] = "B-time"
    tags[-2:] = ["B-sign", "I-sign"]
    marks = [[name, name + 10, "head"], [said, said + len(MOODS[mood]), "tail"], [said, len(text) - 1, "answer"]]
    label: object = LABELS[mood]
    if task == "multi_label":
        label = [LABELS[mood], LABELS[(mood + 1) % 3]][: number % 3]
    elif task == "regression":
        label = mood + 0.5
    elif task == "joint" and number % 2:
        label = None
    return {
        "id": f"r{number}",
        "client": f"site_{number % 2}",
        "text": text,
        "label": label,
        "question": "How is John Smith?",
        "words": words,
        "tags": tags,
        "marks": [mark for mark in marks if (mark[2] == "answer") == (task == "question_answering")],
    }


def scenario(task: str, scope: str) -> Scenario:
    said = dict(TASKS[task])
    columns = said.pop("columns", {})
    none = dict.fromkeys(IDENTIFIERS, 0.0)
    return Scenario.model_validate_json(
        json.dumps(
            {
                "title": task,
                "seed": 3,
                "corpus": {"kind": "by-field", "minimum": 1, "labels": "plan", "columns": columns},
                "sites": {"threads": 1, "epsilon_limit": 9.0, "text": {"names": "none"}, "min_recall": none},
                "federation": {
                    "run": {"name": "tasks", "run_id": "run"},
                    "task": {"name": task, "max_tokens": 32, **said},
                    "training": {"scope": scope, "rounds": 1, "steps_per_round": 2, "sample_rate": 0.5},
                    "privacy": {"unit": "record", "target_epsilon": 8.0},
                    "anonymization": {"self_check_notes": 1},
                    "rounds": {"min_sites": 2},
                },
            }
        )
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str, str], Federation]:
    def make(task: str, scope: str) -> Federation:
        for name, numbers in (("train", range(40)), ("test", range(40, 52))):
            lines = [json.dumps(row(task, number)) + "\n" for number in numbers]
            (tmp_path / f"{name}.jsonl").write_text("".join(lines))
        return Federation(build(scenario(task, scope), tmp_path / "out", tmp_path, fresh=False))

    return make


@pytest.mark.parametrize(
    ("task", "scope"),
    [
        ("token_classification", "head"),
        *(pytest.param(task, "head", marks=pytest.mark.slow) for task in TASKS if task != "token_classification"),
        *(pytest.param(task, "bitfit", marks=pytest.mark.slow) for task in ("relation", "joint", "masked_language")),
    ],
)
def test_a_task_trains_federated_and_privately_by_config_alone(
    run: Callable[[str, str], Federation], task: str, scope: str
) -> None:
    federation = run(task, scope)
    outcome = federation.run()
    assert outcome.rounds == 1
    assert outcome.log.verified
    assert outcome.log.rounds_replayed == 1
    assert all(site.epsilon_spent is not None and 0 < site.epsilon_spent <= 8.01 for site in outcome.sites)
    assert all(site.examples > 8 for site in outcome.sites)
    assert 0 <= outcome.accuracy_after <= 1
    records = federation.sites["site_0"].pipeline.records.all()
    assert records
    assert all("Smith" not in record.text and "Smith" not in (record.pair or "") for record in records)
