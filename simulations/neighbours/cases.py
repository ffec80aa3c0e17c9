# SPDX-License-Identifier: Apache-2.0
"""What is tried on neighbouring sites: a plan that somebody hostile would make, and the one patient who makes the
difference. A case is a choice from each list of `CHOICES`: hypothesis draws them, and so does a generator of numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulations.tiny_bert import WORDS

LABELS: Final = ("ill", "well", "unsure")
TASKS: Final[dict[str, dict[str, Any]]] = {
    "classification": {"labels": LABELS},
    "joint": {"labels": LABELS, "mask_rate": "0.3", "masked_weight": "0.5"},
    "masked_language": {"labels": (), "mask_rate": "0.3"},
    "multi_label": {"labels": LABELS},
    "question_answering": {"labels": ()},
    "regression": {"labels": (), "value_range": ("0", "10")},
    "relation": {"labels": LABELS},
    "sentence_pair": {"labels": LABELS},
    "token_classification": {"labels": LABELS},
}
SEVERAL: Final = ("masked_language", "multi_label", "question_answering", "regression", "token_classification")
"""Tasks whose texts may count for more than one."""

MAX_WEIGHT: Final = 1000.0
"""The policy's default: nothing overflows below it."""
LOOSEST: Final = 1e6
"""The most that a policy may allow. Sums overflow there, and what else there is must hold by itself."""
_OVER = float(np.nextafter(np.float32(MAX_WEIGHT), np.float32(np.inf)))
_LARGEST = float(np.finfo(np.float32).max)
CHOICES: Final[dict[str, tuple[Any, ...]]] = {
    "task": tuple(TASKS),
    "scope": ("head", "top", "lora", "bitfit", "full"),
    "phase": ("update", "evaluate"),
    "rows": (8, 1, 0),
    "target": (
        "plain",
        "several_notes",
        "unknown_label",
        "no_label",
        "label_nan",
        "label_infinite",
        "label_is_a_list",
        "empty",
        "control",
        "surrogate",
        "refused_as_too_long",
        "cut",
        "longer_than_the_model",
        "unknown_words",
        "another_patients_text",
        "no_pair",
        "spans_beyond_the_text",
        "broken_line",
        "invalid_utf8",
        "no_patient",
    ),
    "place": ("nowhere", "first", "last", "everywhere", "alternating", "first_tenth", "sparse"),
    "value": (1.0, MAX_WEIGHT, -MAX_WEIGHT, LOOSEST, -LOOSEST, _OVER, 1e-30, 1e-45, _LARGEST),
    "max_weight": (MAX_WEIGHT, LOOSEST),
    "labels_lack": ("none", "the target's", "another"),
    "counted": (1, 3),
    "figures": ("accuracy", "per_class"),
    "sample_rate": ("1", "0.5"),
    "num_steps": (1, 3),
    "optimizer": ("sgd", "adam"),
    "learning_rate": ("0.1", "100000", "0." + "0" * 30 + "1"),
    "clipping": ("bookkeeping", "ghost", "hooks"),
    "dropout": ("0", "0.2"),
    "max_tokens": (16, 8),
    "value_range": (("0", "10"), ("0", "0." + "0" * 40 + "1"), ("-" + "9" * 300, "9" * 300)),
}


@dataclass(frozen=True)
class Case:
    """One choice from each list of `CHOICES`."""

    task: str
    scope: str
    phase: str
    rows: int
    target: str
    place: str
    value: float
    max_weight: float
    labels_lack: str
    counted: int
    figures: str
    sample_rate: str
    num_steps: int
    optimizer: str
    learning_rate: str
    clipping: str
    dropout: str
    max_tokens: int
    value_range: tuple[str, str]

    @classmethod
    def drawn(cls, generator: np.random.Generator) -> Case:
        """A case by a generator's numbers, each choice of a list as likely as any other."""
        return cls(**{name: _one(options, generator) for name, options in CHOICES.items()})


def _one(options: tuple[Any, ...], generator: np.random.Generator) -> Any:
    return options[int(generator.integers(len(options)))]


def placed(first: NDArray[np.float32], case: Case) -> NDArray[np.float32]:
    """The hostile model: the run's first one with `value` in some places."""
    vector, size = first.copy(), first.size
    where: Mapping[str, Any] = {
        "nowhere": slice(0),
        "first": slice(1),
        "last": slice(size - 1, size),
        "everywhere": slice(size),
        "alternating": slice(0, size, 2),
        "first_tenth": slice(size // 10 + 1),
        "sparse": slice(0, size, 97),
    }
    vector[where[case.place]] = np.float32(case.value)
    if case.place == "alternating":
        vector[1::4] = -np.float32(case.value)
    return vector


# -- rows --------------------------------------------------------------------------------------------------------------


def note(at: int, task: str, patient: str) -> dict[str, Any]:
    """A whole row for a task, of words that the tiny model knows."""
    text = " ".join(WORDS[(at * 7 + step * 5) % len(WORDS)] for step in range(5 + at % 4))
    first = text.index(" ")
    spans: list[list[Any]] = [[0, first, "head"], [first + 1, len(text), "tail"]]
    if task == "token_classification":
        spans = [[0, first, LABELS[at % 3]]][: 1 + at % 2]
    elif task == "question_answering":
        spans = [[0, first, "answer"]][: at % 2]
    label = {"regression": str(at % 11), "multi_label": json.dumps(list(LABELS[: at % 3]))}.get(task, LABELS[at % 3])
    row = {"record_id": f"r{at}", "patient_id": patient, "text": text, "label": label}
    return row | {"spans": json.dumps(spans), "pair": f"home {WORDS[at % len(WORDS)]}"}


_CHANGES: Final[Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "unknown_label": lambda row: {"label": "measles", "spans": '[[0, 2, "measles"]]'},
    "no_label": lambda row: {"label": ""},
    "label_nan": lambda row: {"label": "NaN"},
    "label_infinite": lambda row: {"label": "1e999"},
    "label_is_a_list": lambda row: {"label": "[" * 2000},
    "empty": lambda row: {"text": "  "},
    "control": lambda row: {"text": "home \x01 rest"},
    "surrogate": lambda row: {"text": "home \ud800 rest"},
    "refused_as_too_long": lambda row: {"text": "home " * 300},
    "cut": lambda row: {"text": "rest home " * 500},
    "longer_than_the_model": lambda row: {"text": "ward " * 60},
    "unknown_words": lambda row: {"text": "0123 ÄÖÜ 中文 \u200b ?"},
    "another_patients_text": lambda row: {"text": note(0, "classification", "p")["text"]},
    "no_pair": lambda row: {"pair": ""},
    "spans_beyond_the_text": lambda row: {"spans": '[[3, 100000, "ill"], [0, 100001, "answer"]]'},
    "no_patient": lambda row: {"patient_id": ""},
}


def _unchanged(row: dict[str, Any]) -> dict[str, Any]:
    return {}


def target_lines(case: Case, patient: str, first: int) -> list[bytes]:
    """The lines of the patient who makes the difference."""
    if case.target == "broken_line":
        return [b'{"record_id": "rX", "text": [\n']
    if case.target == "invalid_utf8":
        return [b'{"record_id": "rX", "patient_id": "' + patient.encode() + b'", "text": "home \xff rest"}\n']
    count = 3 if case.target == "several_notes" else 1
    rows = [note(first + at, case.task, patient) for at in range(count)]
    change = _CHANGES.get(case.target, _unchanged)
    return [json.dumps(row | change(row)).encode() + b"\n" for row in rows]
