# SPDX-License-Identifier: Apache-2.0
"""Nationality, religion and occupation of a person: quasi-identifiers that Safe Harbor does not list.

`quasi_identifiers = "mask"` in the settings. A listed word counts only where a person is described: before a noun of
persons ("a German national"), as a predicate ("she is Catholic", "he is a retired carpenter"), or after a label. German
measles, Spanish flu, French toast and the English language stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from privacy.text import lists
from privacy.text.find.recognizers._phrases import Phrases
from privacy.text.find.recognizers._rules import Rules
from privacy.text.find.recognizers._search import PatternSearch
from privacy.text.reading.records import Finding
from privacy.text.reading.tokens import Token, tokens_of
from privacy.text.settings import TextSettings

_PERSONS = frozenset(
    [
        "national", "nationals", "citizen", "citizens", "subject", "man", "woman", "men", "women", "male",
        "female", "gentleman", "lady", "boy", "girl", "child", "children", "patient", "patients", "pt", "person",
        "people", "immigrant", "immigrants", "migrant", "refugee", "refugees", "expatriate", "tourist", "visitor",
        "student", "soldier", "descent", "origin", "heritage", "ancestry", "extraction", "nationality",
        "background", "citizenship", "roots", "faith", "born", "native", "family", "families", "parents", "mother",
        "father", "wife", "husband", "son", "daughter", "couple", "speaker", "émigré", "national's", "infant",
        "newborn", "teenager", "adult", "widow", "widower", "veteran", "community", "religion", "religious",
        "priest", "minister", "pastor", "nun", "monk", "girlfriend", "boyfriend", "neighbor", "grandmother",
        "grandfather",
    ]
)  # fmt: skip
_COPULAS = frozenset(
    [
        "is", "was", "are", "were", "being", "became", "remains", "am", "be", "'s", "year-old", "yo", "old",
        "isn't", "wasn't", "raised", "born", "identifies",
    ]
)  # fmt: skip
_BETWEEN = frozenset(
    [
        "a", "an", "the", "as", "also", "originally", "ethnic", "ethnically", "devout", "practicing", "practising",
        "observant", "native", "naturalized", "half", "part", "very", "non-practicing", "lapsed", "of", "both",
        "now", "still", "currently", "formerly", "former", "retired", "semi-retired", "lifelong", "proud",
        "strict", "dual", "full-time", "part-time", "self-employed", "unemployed", "freelance", "professional",
        "by", "trade", "local", "senior", "junior", "assistant", "licensed", "certified", "active", "young", "old",
        "elderly", "working", "employed", "married", "single", "self-described", "not", "himself", "herself", "in",
    ]
)  # fmt: skip
_EMPLOYED = re.compile(
    r"(?:\b(?:works?|worked|working|employed|job|career|occupation|training|trained|trains|employment|hired|served|serves|retired|position)\s"
    r"(?:\w+ly\s)?(?:as|from\sbeing)|\bself-employed|\bretired|\bformer|\bex-?|\b(?:is|was|be|became|being|remains|'s)\s(?:now\s|currently\s|also\s|still\s)?(?:an?|the)|"
    r"\b(?:job|occupation|profession)\s(?:is|was)|\bstudying\sto\s(?:be|become))(?:\s(?:an?|the))?"
    r"(?:\s(?:retired|former|semi-retired|part-time|full-time|self-employed|unemployed|freelance|professional|local|senior|junior|"
    r"licensed|certified|registered|practicing|career|long-time|longtime|disabled|active|night|day))?\s?$",
    re.IGNORECASE,
)
_TRADE = re.compile(r"\s?,?\sby\s(?:trade|profession|occupation|training|education)\b", re.IGNORECASE)
_NO_OCCUPATION = frozenset(
    [
        "historian", "carrier", "donor", "smoker", "survivor", "candidate", "resident", "student", "patient",
        "subject", "model", "guide", "sitter",
    ]
)  # fmt: skip
_FIELD = re.compile(
    r"(?<![A-Za-z])(?:nationality|citizenship|ethnicity|ethnic\s(?:group|origin|background)|race|race/ethnicity|religion|religious\s"
    r"(?:preference|affiliation|background|denomination)|faith|denomination|occupation|profession|job(?:\stitle)?|trade|employment|"
    r"tribe|caste|spiritual\spreference|country\sof\s(?:birth|origin))(?:\s?[:|=]\s{0,3}|\sis\s|\swas\s)"
    r"(?P<id>(?!(?:an?|the|not|no|none|unknown|denies|see|per|declined?|"
    r"n/a)\b)[^\W\d_][\w'/-]{1,24}(?: (?!(?:but|with|who|which|for|"
    r"since|is|was|he|she|the|marital|religion|occupation|lives)\b)[^\W\d_&][\w'/-]{0,24}){0,3})",
    re.IGNORECASE,
)
_WORK = re.compile(
    r"\b(?:he|she|they|patient|pt|who|husband|wife|mother|father|son|daughter|brother|sister|currently|previously|formerly|man|woman|"
    r"and|mr|mrs|ms|has|had|also|now|still)\s(?:\w+ly\s)?(?:has\s|had\s)?(?:works?|worked|working|employed|been\semployed|been\sworking|is\semployed|"
    r"was\semployed)\s(?:\w+-\w+\s)?as\s(?:an?|the)\s(?P<id>[a-z][a-z'-]{2,24}(?:\s[a-z][a-z'-]{2,24}){0,3})",
    re.IGNORECASE,
)
_LABELLED = PatternSearch([_FIELD, _WORK])
_NAME = "demographics"


class Demographics:
    """The recognizer of DEMOGRAPHIC by three lists of words and phrases."""

    name = _NAME
    entity_types: tuple[str, ...] = ("DEMOGRAPHIC",)

    def __init__(self, nationalities: Iterable[str], religions: Iterable[str], occupations: Iterable[str]) -> None:
        self._groups = Phrases([*nationalities, *religions])
        self._occupations = Phrases(occupations)
        self._stop = lists.words("function_words")

    def find(self, text: str) -> list[Finding]:
        """Every description of a person; may overlap."""
        tokens = tokens_of(text)
        labelled = dict(_LABELLED.matches(text))
        fields = (match.span("id") for match in labelled.get(0, ()))
        spans = {*self._listed(text, tokens), *fields, *self._work(labelled.get(1, iter(())))}
        return [Finding(start, end, "DEMOGRAPHIC", 0.55, self.name) for start, end in sorted(spans)]

    def _listed(self, text: str, tokens: list[Token]) -> Iterator[tuple[int, int]]:
        for index, token in enumerate(tokens):
            if token.capital:
                end = self._groups.end_at(text, tokens, index)
                if end is not None and self._describes(text, tokens, index, end):
                    yield token.start, tokens[end - 1].name_end
                elif token.plain.endswith(("-born", "-american", "-canadian")) and self._is_group(token.plain):
                    yield token.start, token.name_end
            end = self._occupations.end_at(text, tokens, index)
            if end is not None and self._is_occupation(text, tokens, index, end):
                yield token.start, tokens[end - 1].name_end

    def _is_group(self, compound: str) -> bool:
        first = compound.split("-")[0]
        return self._groups.end_at(first, tokens_of(first), 0) is not None

    def _describes(self, text: str, tokens: list[Token], index: int, end: int) -> bool:
        """Whether the group at [index, end) is that of a person."""
        following = tokens[end] if end < len(tokens) else None
        near = following is not None and text[tokens[end - 1].end : following.start] in (" ", "-")
        if following is not None and near:
            if following.plain in _PERSONS or self._occupations.end_at(text, tokens, end) is not None:
                return True
            if following.plain not in self._stop and self._groups.end_at(text, tokens, end) is None:
                return False
        return self._is_predicate(text, tokens, index)

    def _is_predicate(self, text: str, tokens: list[Token], index: int) -> bool:
        """Whether a copula leads to the word ('is', 'was a'), with at most four words between that may stand there."""
        for back in range(1, 6):
            if index < back or text[tokens[index - back].end : tokens[index - back + 1].start] != " ":
                return False
            word = tokens[index - back]
            if word.plain in _COPULAS or word.text.endswith(("'s", "'re", "'m")):
                return True
            if word.plain not in _BETWEEN:
                return False
        return False

    def _is_occupation(self, text: str, tokens: list[Token], index: int, end: int) -> bool:
        if tokens[end - 1].plain in _NO_OCCUPATION:
            return False
        if _TRADE.match(text, tokens[end - 1].end):
            return True
        return _EMPLOYED.search(text, max(0, tokens[index].start - 60), tokens[index].start) is not None

    def _work(self, matches: Iterable[re.Match[str]]) -> Iterator[tuple[int, int]]:
        """'She works as a glass blower': whatever the work, up to the first word that cannot belong to it."""
        for match in matches:
            words = list(re.finditer(r"\S+", match.group("id")))
            stop = next((i for i, word in enumerate(words) if word.group().lower() in self._stop), len(words))
            if stop:
                yield match.start("id"), match.start("id") + words[stop - 1].end()


def build(settings: TextSettings) -> Demographics | Rules:
    """The recognizer of persons' groups and work, without rules where the site keeps quasi-identifiers."""
    if settings.quasi_identifiers == "keep":
        return Rules(_NAME, [])
    return Demographics(*(lists.entries(name) for name in ("nationalities", "religions", "occupations")))
