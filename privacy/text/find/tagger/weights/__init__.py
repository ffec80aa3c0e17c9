# SPDX-License-Identifier: Apache-2.0
"""The packaged deltas of the name models, by name and SHA-256: other bytes than these are never used."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from privacy.base.errors import IntegrityError, SettingsError
from privacy.base.identifiers import Digest, sha256
from privacy.text.find.tagger.decision_thresholds import Thresholds
from privacy.text.find.tagger.network import Backbone, Classifier, Network
from privacy.text.find.tagger.student import Student


@dataclass(frozen=True)
class Packaged:
    """`file` in this folder has the SHA-256 `digest`."""

    file: str
    digest: Digest
    thresholds: Thresholds


_BUILTIN: Final = "450f1fdc416e4a66320a98cf03058e153687e14020bfb22470677e3498c6eafd"
_STUDENT: Final = "83316abd0e82298d06a22fdd651f4bc8b6ec84ca44874208b4dc8872be2c8459"
THRESHOLDS: Final = Thresholds(ordinary=0.5, strange=0.5, capitalised=0.9, number=0.7, other=0.95)
"""Chosen on the development splits of the sets in docs/anonymization.md; test splits were not looked at."""

PACKAGED: Final = {
    "builtin": Packaged("builtin.safetensors", _BUILTIN, THRESHOLDS),
    "student": Packaged("student.safetensors", _STUDENT, THRESHOLDS),
}


def read(packaged: Packaged) -> dict[str, Tensor]:
    """The tensors, as float32.

    Raises SettingsError if the file is not there, IntegrityError if it holds other bytes than it should.
    """
    again = "install collab again: the weights of the name model come with it"
    try:
        data = (resources.files("privacy.text.find.tagger.weights") / packaged.file).read_bytes()
    except OSError:
        raise SettingsError(f"the name model's {packaged.file} is not there", next_step=again) from None
    if sha256(data) != packaged.digest:
        raise IntegrityError(f"the name model's {packaged.file} was altered", next_step=again)
    try:
        return {name: tensor.float() for name, tensor in load(data).items()}
    except SafetensorError:
        raise IntegrityError(f"the name model's {packaged.file} cannot be read", next_step=again) from None


def into_network(tensors: dict[str, Tensor], backbone: Backbone) -> Network:
    """The larger model with these arrays; layers and rank follow from them."""
    layers = 1 + max(int(name.split(".", 1)[1].split("/", 1)[0]) for name in tensors if name.startswith("deltas."))
    network = Network(backbone, layers, tensors["deltas.0/output/dense/A"].shape[0])
    network.load_state_dict(tensors)
    return network.requires_grad_(False)


def into_student(tensors: dict[str, Tensor], backbone: Backbone) -> Student:
    """The student with these arrays."""
    student = Student(backbone)
    student.load_state_dict(tensors)
    return student.requires_grad_(False)


def classifier(name: str, backbone: Backbone) -> Classifier:
    """The packaged classifier of that name. Raises what `read` raises."""
    into = into_student if name == "student" else into_network
    return into(read(PACKAGED[name]), backbone)
