# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: one torch thread a process, and no skipping for want of data that is there.

By default each process takes a thread a core, and threads that wait for each other spin: with two workers on two cores,
a test of 2 seconds took a minute. What is computed does not change: a site sets its threads by `compute.threads` (1
unless it says otherwise), and a test that is about threads sets them itself. Set here, before anything imports torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"


def skipped_in_vain(reason: str) -> bool:
    """Whether a test was skipped because "the shared ..." is missing, while that folder is beside the checkout."""
    return "the shared " in reason and SHARED.is_dir()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and skipped_in_vain(report.longrepr[2]):
        report.outcome, report.longrepr = "failed", f"../shared is there, but {report.longrepr[2]}"
    return report


WORDS = (
    *("the", "a", "of", "and", "with", "no", "today", "home", "ward", "heart", "lung"),
    *("fever", "cough", "pain", "rest", "stable", "worse", "better", "left", "right"),
)
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *"abcdefghijklmnopqrstuvwxyz<>.", "##s", "##ing"]
MAX_POSITIONS = 40


def write_tiny_bert(folder: Path, *, layers: int = 3, seed: int = 7) -> Path:
    """A tiny random BERT with a real WordPiece tokenizer."""
    import torch  # here, for the tests that need none of this
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=MAX_POSITIONS,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config)
        for parameter in model.parameters():  # no zero bias, no unit LayerNorm: nothing hides behind a constant
            parameter.data += 0.05 * torch.randn_like(parameter)
    folder.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict() | {"model_type": "bert"}))
    tokenizer = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.enable_padding(length=30)  # as the packaged tokenizer's file does: loading must undo it
    tokenizer.enable_truncation(9)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("pretrained") / "tiny")


@pytest.fixture(scope="session")
def tiny_words() -> tuple[str, ...]:
    """Words that are one piece each of the tiny BERT's tokenizer."""
    return WORDS
