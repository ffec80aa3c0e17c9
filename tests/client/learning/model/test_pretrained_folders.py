# SPDX-License-Identifier: Apache-2.0
"""A model's folder that cannot be read is told by what it is, and how it becomes one that can."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertModel

from client.learning.model.pretrained import load_pretrained
from privacy.base.errors import SettingsError


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def refusal(folder: Path) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_pretrained(folder)
    assert str(folder) not in str(caught.value)
    return caught.value


def kind(folder: Path, name: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": name}))


@pytest.mark.parametrize("name", ["roberta", "distilbert", "modernbert", "deberta-v2", "electra", "albert"])
def test_another_architecture_is_named_with_and_without_its_weights(folder: Path, name: str) -> None:
    kind(folder, name)
    assert f"not a BERT encoder, its model_type is {name}" in refusal(folder).message
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert f"its model_type is {name}, which is not read" in refusal(folder).message


def test_a_model_type_that_is_no_plain_word_is_not_printed(folder: Path) -> None:
    for strange in ("\x1b[2Jx", "x" * 99, 7, None):
        kind(folder, strange)
        assert refusal(folder).message.endswith("its model_type is no plain word")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["bin", "parts", "vocabulary"])
def test_the_command_that_is_told_for_another_form_makes_a_folder_that_is_read(folder: Path, form: str) -> None:
    before = load_pretrained(folder)
    model = BertModel.from_pretrained(folder)
    if form == "vocabulary":
        vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in sorted(vocabulary, key=vocabulary.get)))
        (folder / "tokenizer.json").unlink()
    else:
        (folder / "model.safetensors").unlink()
    if form == "bin":
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    if form == "parts":
        model.save_pretrained(folder, max_shard_size="20KB")
        (folder / "model.safetensors").unlink(missing_ok=True)
    told = re.search(r'python -c "(.*)"$', str(refusal(folder).next_step))
    assert told is not None
    subprocess.run([sys.executable, "-c", told[1].replace("DIR", str(folder))], check=True, capture_output=True)
    after = load_pretrained(folder)
    assert after.tensors.keys() == before.tensors.keys()
    assert all(torch.equal(after.tensors[name], before.tensors[name]) for name in before.tensors)
