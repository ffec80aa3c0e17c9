# SPDX-License-Identifier: Apache-2.0
"""A tiny random BERT with a real WordPiece tokenizer, written as a pretrained model is: for tests and measurements.

Nothing in it is zero that is not zero in a real one, so that nothing hides behind a constant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

WORDS: Final = (
    *("the", "a", "of", "and", "with", "no", "today", "home", "ward", "heart", "lung"),
    *("fever", "cough", "pain", "rest", "stable", "worse", "better", "left", "right"),
)
PIECES: Final = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *"abcdefghijklmnopqrstuvwxyz<>.", "##s", "##ing"]
MAX_POSITIONS: Final = 40


def write_tiny_bert(folder: Path, *, layers: int = 3, seed: int = 7) -> Path:
    """The folder, now with config.json, model.safetensors and tokenizer.json."""
    import torch  # here, for those who need none of this
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
        for parameter in model.parameters():  # no zero bias, no unit LayerNorm
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
