# SPDX-License-Identifier: Apache-2.0
"""Names by a token-classification model of the transformers library: a local folder, or a hub name in the local cache.

Rules: weights are safetensors and code in the model's folder is never run; a text longer than the model is read in
windows that overlap, and what any window takes for a name is one; a word of which one piece is private is private as a
whole. A token is private when its labels that mean one of our types have `names_threshold` of the probability
together. One window at a time, without padding: nothing about one text depends on another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest
from privacy.text.find.ner import _models
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

ANY_LANGUAGE: Final = True

_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
_LONGEST_WINDOW = 512
_PREFIXES = ("B", "I", "E", "L", "S", "U", "M")
_FIRST = ("B-", "S-", "U-")


@dataclass(frozen=True)
class _TaggedToken:
    """Characters [start, end) of the text as the model sees them; `first`: the label says that a name starts here."""

    start: int
    end: int
    entity_type: str
    probability: float
    first: bool


class TransformersNames:
    """Token classification in overlapping windows, on the CPU, in float32."""

    name = "transformers"

    def __init__(self, settings: TextSettings) -> None:
        folder = _models.hub_folder(settings, _FILES)
        _models.refuse_code(folder)
        self._model, self._tokenizer = _load(folder)
        labels: dict[int, str] = self._model.config.id2label
        self._first = tuple(labels[at].startswith(_FIRST) for at in range(len(labels)))
        types = _models.map_labels({_entity(label) for label in labels.values()}, settings)
        self._types = tuple(types.get(_entity(labels[at])) for at in range(len(labels)))
        self._threshold = settings.names_threshold
        longest = min(_LONGEST_WINDOW, _positions(self._model.config))
        self._tokenizer.enable_truncation(longest, stride=longest // 4)
        self.fingerprint: Digest = _models.fingerprint(
            settings, folder, ("transformers", "tokenizers", "safetensors", "torch"), __file__
        )

    def find(self, text: str) -> list[Finding]:
        """See privacy.text.find.ner.NameRecognizer."""
        encoded = self._tokenizer.encode(text)
        findings = {
            finding
            for window in (encoded, *encoded.overflowing)
            for finding in _join(text, list(self._private(text, window)), self.name)
        }
        return sorted(findings)

    def _private(self, text: str, window: Any) -> Iterator[_TaggedToken]:
        """The tokens of one window that the model takes for private."""
        rows = self._probabilities(window)
        for row, (start, end), special in zip(rows, window.offsets, window.special_tokens_mask, strict=True):
            while start < end and text[start].isspace():  # some tokenizers count the space before a word to it
                start += 1
            private = [(share, at) for at, share in enumerate(row) if self._types[at] is not None]
            total = sum(share for share, _ in private)
            if special or start == end or total < self._threshold:
                continue
            best = max(private)[1]
            yield _TaggedToken(start, end, str(self._types[best]), total, self._first[best])

    def _probabilities(self, window: Any) -> list[list[float]]:
        """Of each token, the probability of each label."""
        import torch

        with torch.inference_mode():
            logits = self._model(
                input_ids=torch.tensor([window.ids]), attention_mask=torch.tensor([window.attention_mask])
            ).logits[0]
        if not bool(torch.isfinite(logits).all()):
            raise ValueError("the model gives numbers that are not finite")
        probabilities: list[list[float]] = logits.double().softmax(-1).tolist()
        return probabilities


def _join(text: str, tokens: list[_TaggedToken], name: str) -> list[Finding]:
    """Tokens of one window, in order, as findings: neighbours of one type become one, words become whole."""
    groups: list[list[_TaggedToken]] = []
    for token in tokens:
        if groups and _continues(text, groups[-1][-1], token):
            groups[-1].append(token)
        else:
            groups.append([token])
    findings = []
    for group in groups:
        start, end = _whole_words(text, group[0].start, group[-1].end)
        score = max(_models.LEAST_SCORE, min(1.0, *(round(token.probability, 3) for token in group), 1.0))
        findings.append(Finding(start, end, group[0].entity_type, score, name))
    return findings


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """The span, as far as the words reach of which it holds a part."""
    while start > 0 and text[start - 1].isalnum() and text[start].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum() and text[end - 1].isalnum():
        end += 1
    return start, end


def _continues(text: str, token: _TaggedToken, following: _TaggedToken) -> bool:
    between = text[token.end : following.start]
    if between.strip() or "\n" in between or token.entity_type != following.entity_type:
        return False
    return not between or not following.first


def _entity(label: str) -> str:
    """The label without the mark of its place in a name: B-PER, I-PER and PER are one."""
    head, dash, rest = label.partition("-")
    return rest if dash and head in _PREFIXES else label


def _positions(config: Any) -> int:
    """How many tokens fit: RoBERTa and its kin count positions from the padding index on."""
    positions: int = getattr(config, "max_position_embeddings", None) or _LONGEST_WINDOW
    return positions - 2 if getattr(config, "pad_token_id", 0) == 1 else positions


def _load(folder: Path) -> tuple[Any, Any]:
    """The model, and the tokenizer's fast half: the one that knows offsets."""
    transformers = _models.library("transformers", "it is a dependency of collab")
    try:
        model = transformers.AutoModelForTokenClassification.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, local_files_only=True, dtype="float32"
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception:
        raise _models.broken(folder) from None
    if not tokenizer.is_fast:
        raise SettingsError(
            f"text.names_model: the tokenizer of {folder.name} gives no offsets",
            next_step="save the model with its fast tokenizer (tokenizer.json)",
        )
    fast = tokenizer.backend_tokenizer
    fast.no_padding()
    fast.encode_special_tokens = True  # "[SEP]" in a text is text
    return model.eval(), fast


def build(settings: TextSettings) -> TransformersNames:
    """The recognizer. Raises SettingsError where the model is missing, unsafe or unfit."""
    return TransformersNames(settings)
