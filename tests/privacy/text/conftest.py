# SPDX-License-Identifier: Apache-2.0
"""One engine for the whole room's tests, since loading Presidio takes seconds; and small real models of names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from privacy.text.anonymize import Anonymizer
from privacy.text.find import engines
from privacy.text.find.engines import Engine
from privacy.text.reading.records import AnonymizedRecord, TextRow
from privacy.text.settings import TextSettings

Anonymize = Callable[[str], AnonymizedRecord]


@pytest.fixture(scope="session")
def settings() -> TextSettings:
    return TextSettings()


@pytest.fixture(scope="session")
def engine(settings: TextSettings) -> Engine:
    return engines.load(settings)


@pytest.fixture(scope="session")
def anonymize(engine: Engine, settings: TextSettings) -> Anonymize:
    def one(text: str) -> AnonymizedRecord:
        records, _ = Anonymizer(engine, settings).run([TextRow("r", text, None, None)])
        return records[0]

    return one


# -- small real models ------------------------------------------------------------------------------------------------


TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def spacy_ruler(folder: Path) -> Path:
    import spacy

    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(
        [
            {"label": "PERSON", "pattern": "Quenby Zorblatt"},
            {"label": "GPE", "pattern": "Umbrville"},
            {"label": "CARDINAL", "pattern": "Nothing"},
        ]
    )
    nlp.to_disk(folder / "ruler")
    return folder / "ruler"


def spacy_trained(folder: Path) -> Path:
    import spacy
    from spacy.training import Example

    spacy.util.fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("ner").add_label("PERSON")
    texts = [("Quenby Zorblatt came", [(0, 15, "PERSON")]), ("nobody came at all", [])]
    examples = [Example.from_dict(nlp.make_doc(text), {"entities": spans}) for text, spans in texts]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(15):
        nlp.update(examples, sgd=optimizer)
    nlp.to_disk(folder / "trained")
    return folder / "trained"


def bert(folder: Path, tags: tuple[str, ...] = TAGS) -> Path:
    """A BERT of one layer, built by hand: the pieces of "Quenby Zorblatt" and "Umbrville" are names, no other is."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "quen",
        "##by",
        "zorblatt",
        "umbrville",
        "came",
        "from",
        ".",
        "of",
        "a",
    ]
    fast = Tokenizer(models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    fast.normalizer = normalizers.BertNormalizer(lowercase=True)
    fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(tokenizer_object=fast, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=24, id2label=dict(enumerate(tags)), label2id={tag: at for at, tag in enumerate(tags)},
    )  # fmt: skip
    model = BertForTokenClassification(config)
    with torch.no_grad():
        layer = model.bert.encoder.layer[0]
        for part in (layer.attention.output.dense, layer.output.dense):
            part.weight.zero_()
            part.bias.zero_()
        model.bert.embeddings.position_embeddings.weight.zero_()
        model.bert.embeddings.token_type_embeddings.weight.zero_()
        rows = model.bert.embeddings.word_embeddings.weight
        rows.zero_()
        label_of = {"quen": 1, "##by": 2, "zorblatt": 2, "umbrville": 3}
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
        for at, word in enumerate(words):
            rows[at, label_of.get(word, 0)] = 1.0
        for label in range(len(tags)):
            model.classifier.weight[label, label] = 3.0
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TextSettings]:
    """Settings with a small model by the name of its maker; each is made once."""
    makers = {"ruler": ("spacy", spacy_ruler), "trained": ("spacy", spacy_trained), "bert": ("transformers", bert)}
    ready: dict[str, TextSettings] = {}

    def settings(which: str) -> TextSettings:
        if which not in ready:
            names, make = makers[which]
            ready[which] = TextSettings(names=names, names_model=str(make(tmp_path_factory.mktemp(which))))
        return ready[which]

    return settings


@pytest.fixture(scope="session")
def make_bert() -> Callable[..., Path]:
    """Writes the small BERT to a folder; its labels may be given."""
    return bert
