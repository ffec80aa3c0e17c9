# SPDX-License-Identifier: Apache-2.0
"""What a site works with: plans for the tiny BERT, invented rows, a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from client.settings.site_settings import SiteFolder
from privacy.protocol.plans import TaskPlan, TrainingPlan
from privacy.text.reading.records import AnonymizedRecord


@pytest.fixture
def tiny_task() -> TaskPlan:
    return TaskPlan(name="classification", labels=("ill", "well", "unsure"), max_tokens=24)


@pytest.fixture
def training_plan() -> Callable[..., TrainingPlan]:
    def make(scope: str = "top", **changes: object) -> TrainingPlan:
        base: dict[str, object] = {
            "scope": scope,
            "top_layers": {"top": 1, "lora": 2}.get(scope, 0),
            "lora_rank": 4 if scope == "lora" else 0,
            "lora_alpha": 8 if scope == "lora" else 0,
            "optimizer": "adam",
            "learning_rate": "0.001",
            "head_learning_rate": "0.01",
            "momentum": "0",
            "weight_decay": "0",
            "dropout": "0",
            "physical_batch_size": 4,
        }
        return TrainingPlan.model_validate(base | changes)

    return make


@pytest.fixture
def records(tiny_words: tuple[str, ...]) -> tuple[AnonymizedRecord, ...]:
    """24 invented records of 8 patients, ragged, with repeated words; the label follows from the words."""
    made = []
    for number in range(24):
        label = ("ill", "well", "unsure")[number % 3]
        mood = {"ill": "fever worse pain", "well": "rest better home", "unsure": "today no left"}[label]
        text = " ".join(
            [mood, *(tiny_words[(number * 5 + at * 3) % len(tiny_words)] for at in range(1 + number % 7)), mood]
        )
        made.append(AnonymizedRecord(f"r{number}", text, label, f"p{number % 8}", ()))
    return tuple(made)


SITE = """
[site]
name = "hospital_a"
[data]
files = ["../notes.jsonl"]
dataset = "notes"
record_column = "id"
[policy]
unit = "record"
epsilon_limit = 8.0
delta = 1e-5
size_bucket = 32
"""


@pytest.fixture
def make_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SiteFolder]:
    """make_site(rows, toml=""): in an empty working folder, a site with these rows and more settings; without keys."""

    def make(rows: Sequence[dict[str, str]], toml: str = "") -> SiteFolder:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "sites").mkdir()
        (tmp_path / "sites/hospital_a.toml").write_text(SITE + toml)
        (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return SiteFolder(tmp_path / "sites/hospital_a.toml")

    return make
