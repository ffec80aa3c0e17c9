# SPDX-License-Identifier: Apache-2.0
"""The accelerated patterns find what Presidio's own analyzer finds, span for span and score for score.

Over generated text of the kinds that could part them; simulations/benchmarks/patterns.py asserts the same over real
corpora.
"""

from __future__ import annotations

import pickle
import random

import presidio_analyzer.predefined_recognizers as predefined
import pytest
import tldextract
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, Pattern, PatternRecognizer

from privacy.base.errors import AnonymizationError
from privacy.text.find.engines._memo import Memo
from privacy.text.find.engines._prefilters import prefilters_of
from privacy.text.find.engines._recognition import Recognition
from privacy.text.find.engines._stock import BY_COUNTRY, build_stock
from privacy.text.settings import TextSettings
from simulations.benchmarks.name_model.analyzer import build_analyzer, english_defaults

Results = list[tuple[int, int, str, float]]
MANY = hypothesis_settings(max_examples=150, deadline=None, derandomize=True)


class Pair:
    """Presidio's analyzer and ours over the same recognizers."""

    def __init__(self, recognizers: list[EntityRecognizer], score_threshold: float = 0.0) -> None:
        self.stock: AnalyzerEngine = build_analyzer(recognizers, "en", score_threshold)
        self.ours = Recognition(recognizers, "en", score_threshold)

    def agree(self, text: str, entities: list[str] | None = None) -> Results:
        """What both find, in the same order, at the first time and at the second."""
        want = [(r.start, r.end, r.entity_type, r.score) for r in self.stock.analyze(text, "en", entities=entities)]
        for _ in range(2):
            got = [(r.start, r.end, r.entity_type, r.score) for r in self.ours.analyze(text, entities)]
            assert got == want
        return want


@pytest.fixture(scope="module", autouse=True)
def _offline() -> None:
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


@pytest.fixture(scope="module")
def defaults() -> Pair:
    return Pair(english_defaults())


@pytest.fixture(scope="module")
def product() -> Pair:
    settings = TextSettings(countries=("US", "GB", "CH"))
    return Pair(build_stock(settings), settings.score_threshold)


def shaped(expression: str) -> st.SearchStrategy[str]:
    return st.from_regex(expression, fullmatch=True)


DIGIT = st.sampled_from("0123456789")
NUMBER = st.one_of(
    st.text(DIGIT, min_size=1, max_size=20),
    st.from_regex(
        r"\(?[2-9][0-9]{2}\)?[-. ]?[0-9]{3}[-. ]?[0-9]{4}( ?x[0-9]{1,4}| ext\.? [0-9]{2,5})?", fullmatch=True
    ),
    shaped(r"[+\uff0b](1|44|49|33|972|91|55|41)[ -]?[0-9]{1,4}([ ./-]?[0-9]{2,4}){1,4}"),
    shaped(r"0[0-9]{1,4}[ /-][0-9]{2,4}([ -][0-9]{2,4}){0,3}"),
    shaped(r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-]([0-9]{2}|[0-9]{4})( [0-9]{2}:[0-9]{2})?"),
    shaped(r"[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{5}-[0-9]{4}|9[0-9]{2}-[57][0-9]-[0-9]{4}"),
    shaped(r"4[0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}"),
    st.text(st.sampled_from("٠١٢٣٤٥٦٧٨٩०१२३４５６７８９0123"), min_size=3, max_size=12),
)
SHAPE = st.one_of(
    st.from_regex(
        r"[a-z]{1,6}([.+_-][a-z0-9]{1,4})?@[a-z]{1,6}(-[a-z]{1,3})?\.(com|local|org\.uk|x|de)", fullmatch=True
    ),
    st.from_regex(
        r"(https?://)?(www\.)?[a-z]{1,8}\.(com|org|co|io|md|ſh|xyzzy)(/[a-z0-9?=&#%.-]{0,12})?", fullmatch=True
    ),
    shaped(r"[12]?[0-9]{1,2}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(/[0-9]{1,2})?"),
    shaped(r"([0-9a-f]{1,4}:){1,7}(:|[0-9a-f]{1,4})(/64)?|::1|::"),
    shaped(r"([0-9A-F]{2}[:-]){5}[0-9A-F]{2}|([0-9a-f]{4}\.){2}[0-9a-f]{4}"),
    shaped(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    shaped(r"[A-Z]{1,2}[0-9]{1,9}[A-Z]?|[0-9]{7,9}[A-Zk\u212a]|A-Z\]\][0-9]{3}"),
    shaped(r"[0-9]{1,2}-(JAN|feb|ſep|Dec)(-[0-9]{2,4})?|(Mar|AUG)-[0-9]{2}"),
    st.sampled_from(
        [
            "DE89370400440532013000",
            "GB29 NWBK 6016 1331 9268 19 and",
            "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
            "AB1234563",
            "9434765919",
            "1EG4-TE5-MK73",
            "QQ 12 34 56 C",
            "SW1A 1AA",
            "GIR 0AA",
            "2012-01-02T08:00:00Z",
        ]
    ),
)
WORDS = (
    "the a be on : ; ) ( :( 8 :-D o) he's it's a.m. 10a.m. ok phone number: cell call, ssn SSN: social bank account "
    "account# card visa license on:off be: and/or :the ,: email url link iban date nhs passport us dr. the: x xx ext "
    "ext. tel: / // - -- + ++ % $ £ é naïve Σς 漢字 😀"
)
WORD = st.sampled_from([*WORDS.split(), "\u00a0", "\u2028", "\x1c"])
SPACE = st.sampled_from([" ", " ", " ", "  ", "\n", "\r\n", "\t", "\n\n ", "", ", ", "/", "\u00a0", "\u2003", "\x85"])
TEXT = st.lists(st.tuples(st.one_of(NUMBER, SHAPE, WORD), SPACE), min_size=1, max_size=14).map(
    lambda parts: "".join(piece + space for piece, space in parts)
)
NOISE = st.text(st.sampled_from("0123456789+-/().[]x #,;:~*@\uff0b\u2010\u2013 \n\r\u00a0٣४８ext"), max_size=120)


@MANY
@given(TEXT)
def test_text_of_numbers_addresses_and_context_words_gives_the_same(defaults: Pair, text: str) -> None:
    defaults.agree(text)


@MANY
@given(TEXT)
def test_the_recognizers_of_a_site_give_the_same(product: Pair, text: str) -> None:
    product.agree(text)


@MANY
@given(NOISE)
def test_digits_signs_and_spaces_in_any_order_give_the_same(defaults: Pair, text: str) -> None:
    defaults.agree(text)


@MANY
@given(st.text(max_size=150))
def test_any_text_gives_the_same(defaults: Pair, text: str) -> None:
    defaults.agree(text.encode("utf-8", "ignore").decode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\t ",
        "1" * 5000,
        "1 2 3 " * 300,
        "617-555-0199" * 60,
        "(617) 555-0199\r\n" * 40,
        "a.b" * 200,
        "a@" * 200,
        "+" * 300 + "49 30 123456",
        "12/11/2004 08:30 120/80 76 18 97.5 " * 10,
        "A1" * 300,
        "Phone: (617) 555-0199 x12/x13, fax 617.555.0198; on:off the 5 : ( SSN 123-45-6789",
        "3324451234 8002341234/651-234-2345",
        "12(3): 211-227 (2003)",
        "1650 - 222-333-4444 on 2012-01-02 08:00 and 2012-01-02 08:00:12",
        "\ufeffx\u200b617\u2011555\u20110199",
    ],
)
def test_long_runs_and_awkward_forms_give_the_same(defaults: Pair, text: str) -> None:
    defaults.agree(text)


def test_more_failed_tries_than_the_library_allows_end_where_the_library_ends() -> None:
    rows = [f"{number:03d}" for number in range(100, 999)]
    text = " . ".join(rows * 30) + " call +49 30 1234567"
    recognizer = predefined.PhoneRecognizer(supported_regions=("US",))
    Pair([recognizer]).agree(text)


def test_types_asked_for_limit_the_recognizers_as_in_presidio(defaults: Pair) -> None:
    text = "SSN 219-09-9998, call 617-555-0199 or mail a@b.com"
    for entities in (["US_SSN"], ["PHONE_NUMBER", "EMAIL_ADDRESS"], ["URL"], []):
        found = defaults.agree(text, entities)
        assert {kind for _, _, kind, _ in found} <= set(entities) or not entities
    with pytest.raises(ValueError, match="no recognizer finds NO_SUCH_TYPE"):
        defaults.ours.analyze(text, ["NO_SUCH_TYPE"])


def test_a_recognizer_that_is_not_known_runs_as_it_is() -> None:
    custom = PatternRecognizer("ROOM", patterns=[Pattern("room", r"room \d+", 0.3)], context=["ward"])
    changed = predefined.UsBankRecognizer(patterns=[Pattern("Bank Account (weak)", r"\b[0-9]{4,17}\b", 0.05)])
    other = predefined.PhoneRecognizer(supported_regions=("GB",), leniency=0)
    assert prefilters_of(custom) is None
    assert prefilters_of(changed) is None
    found = Pair([custom, changed, other]).agree("on the ward, room 12 for account 4821, call 123456 now")
    assert {kind for _, _, kind, _ in found} == {"ROOM", "US_BANK_NUMBER", "PHONE_NUMBER"}


def test_every_recognizer_that_we_use_is_known() -> None:
    settings = TextSettings(countries=tuple(BY_COUNTRY))
    ours = [*build_stock(settings), *english_defaults()]
    assert [r.name for r in ours if isinstance(r, PatternRecognizer) and prefilters_of(r) is None] == []


def test_a_recognizer_with_context_rules_of_its_own_is_refused() -> None:
    class OwnRules(predefined.UsBankRecognizer):  # type: ignore[misc]
        def enhance_using_context(self, **named: object) -> list[object]:
            return []

    with pytest.raises(AnonymizationError, match="context rules of its own"):
        Recognition([OwnRules()], "en", 0.0)


def test_the_order_of_texts_changes_nothing(defaults: Pair) -> None:
    texts = [
        "call 617-555-0199",
        "call it 617-555-0199",
        "617-555-0199",
        "x617-555-0199",
        "617-555-0199x",
        "2.5 on 12/05",
    ]
    once = {text: defaults.ours.analyze(text) for text in texts}
    shuffled = random.Random(3).sample(texts * 5, 30)
    assert all(Recognition(english_defaults(), "en", 0.0).analyze(text) == once[text] for text in texts)
    assert all(defaults.ours.analyze(text) == once[text] for text in shuffled)


def test_what_a_memo_holds_is_bounded_and_never_pickled(defaults: Pair) -> None:
    memo: Memo[int, int] = Memo(10)
    for key in range(1000):
        memo.put(key, key)
        memo.get(5)
        assert len(memo) <= 20
    assert memo.get(999) == 999
    for holder in (memo, defaults.ours):
        with pytest.raises(TypeError):
            pickle.dumps(holder)
