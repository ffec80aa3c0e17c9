# SPDX-License-Identifier: Apache-2.0
"""Phone numbers as Presidio's PhoneRecognizer finds them, with the text read once for all regions.

PhoneNumberMatcher of phonenumbers 9.0.43 looks for candidates and, candidate by candidate, for the first piece that is
a valid number of the region. Which candidates there are, and which pieces they fall into, does not depend on the
region: that is done once. What a piece means does, and mostly a look at its digits shows that it means nothing:

A piece of digits and plain punctuation is judged by its digits alone: no extension, plus sign or letter can stand in
it. The parser strips an international prefix, the country code or the national prefix from their front. Where none of
these matches, the digits are the national number, and it is valid only if they match the general description of a
region with that country code. And whatever is stripped, the national number is no longer than the digits (plus what a
transform rule writes), so that too few digits are no number at all. All of it is read from the metadata, for every
region. What is left goes to the library, piece by piece, and its answers are kept in a bounded table.

Only the leniency that Presidio uses, VALID, is known here. Neither module of the library is changed. The matcher gives
up after 65,535 failed tries: a text that could come near is left to the library as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberDesc
from phonenumbers import phonenumbermatcher as library
from phonenumbers.phonenumberutil import (
    _SECOND_NUMBER_START_PATTERN,
    _UNWANTED_END_CHAR_PATTERN,
    COUNTRY_CODE_TO_REGION_CODE,
)

from privacy.text.find.engines._memo import Memo
from privacy.text.reading.records import Offsets

MOST_TRIES = 65_535
_DIGIT = re.compile(r"\d")
_SIGN = re.compile(r"[^\W_]")
_PLUS = re.compile("[+\uff0b]")
_PLAIN = re.compile(r"[0-9 ()\[\]./-]*")
_LONGEST_LEAD = 10  # twice a bracket or plus sign with up to four signs of punctuation
_LONGEST_PLAIN = 250  # the library refuses longer ones
_NOTHING: Offsets = (-1, -1)


def _described(country_code: int) -> list[PhoneMetadata]:
    """The metadata of every region with this country code."""
    regions = COUNTRY_CODE_TO_REGION_CODE[country_code]
    all_metadata = [PhoneMetadata.metadata_for_region_or_calling_code(country_code, region) for region in regions]
    return [metadata for metadata in all_metadata if metadata is not None and metadata.general_desc is not None]


def _written(metadata: PhoneMetadata) -> int:
    """Digits that a region's transform rule adds to a number."""
    return len(re.findall(r"\d", re.sub(r"[\\$]\d", "", metadata.national_prefix_transform_rule or "")))


@cache
def _shortest(country_code: int) -> int:
    """Digits of the shortest text that can become a valid national number of this country code."""
    described = _described(country_code)
    lengths = [length for metadata in described for length in _general(metadata).possible_length]
    return min(lengths, default=1) - max(map(_written, described), default=0)


def _general(metadata: PhoneMetadata) -> PhoneNumberDesc:
    if metadata.general_desc is None:
        raise ValueError("a region has no general description")
    return metadata.general_desc


@cache
def _shortest_international() -> int:
    """Digits of the shortest text that can become a valid number with its country code."""
    return min(len(str(code)) + _shortest(code) for code in COUNTRY_CODE_TO_REGION_CODE)


class Region:
    """What the metadata says about the digits of one region's numbers. Raises ValueError for an unknown region."""

    def __init__(self, name: str) -> None:
        metadata = PhoneMetadata.metadata_for_region(name, None)
        if metadata is None or metadata.country_code is None:
            raise ValueError("no phone numbers are known for a region")
        self.name = name
        self._country_code = str(metadata.country_code)
        self._international = re.compile(metadata.international_prefix or "(?!)")
        self._national = re.compile(metadata.national_prefix_for_parsing or "(?!)")
        numbers = {_general(described).national_number_pattern for described in _described(metadata.country_code)}
        self._numbers = re.compile("|".join(f"(?:{number})" for number in sorted(filter(None, numbers))))
        # An international prefix has at least one digit.
        self.fewest = max(1, min(_shortest(metadata.country_code), 1 + _shortest_international()))

    def hopeless(self, digits: str) -> bool:
        """True only if no piece of plain punctuation around these ASCII digits is a valid number here."""
        if len(digits) < self.fewest:
            return True
        if (
            digits.startswith(self._country_code)
            or self._international.match(digits) is not None
            or self._national.match(digits) is not None
        ):
            return False
        return self._numbers.fullmatch(digits) is None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a candidate that may be a number. `digits` is None where they do not say all."""

    text: str
    offset: int
    digits: str | None


def _pieces(candidate: str, around: library.PhoneNumberMatcher, offset: int) -> Iterator[_Piece]:
    """The pieces that the matcher tries, in its order, each once, without those that no region takes."""
    tried: set[tuple[int, str]] = set()
    for start, text in _tries(candidate):
        if (start, text) in tried:
            continue
        tried.add((start, text))
        if _stands_alone(text, around, offset + start):
            digits = "".join(_DIGIT.findall(text)) if len(text) <= _LONGEST_PLAIN and _PLAIN.fullmatch(text) else None
            yield _Piece(text, start, digits)


def _tries(candidate: str) -> Iterator[tuple[int, str]]:
    """(offset, text) as in PhoneNumberMatcher._extract_match and _extract_inner_match."""
    yield 0, candidate
    for inner in library._INNER_MATCHES:
        match = inner.search(candidate)
        if match:
            yield 0, _trimmed(candidate[: match.start()])
        while match:
            yield match.start(1), _trimmed(match.group(1))
            match = inner.search(candidate, match.start() + 1)


def _trimmed(text: str) -> str:
    end = _UNWANTED_END_CHAR_PATTERN.search(text)
    return text[: end.start()] if end else text


def _stands_alone(piece: str, around: library.PhoneNumberMatcher, offset: int) -> bool:
    """The checks of PhoneNumberMatcher._parse_and_verify that need no region."""
    if library._MATCHING_BRACKETS.fullmatch(piece) is None or library._PUB_PAGES.search(piece):
        return False
    neighbours = []
    if offset > 0 and not library._LEAD_PATTERN.match(piece):
        neighbours.append(around.text[offset - 1])
    if offset + len(piece) < len(around.text):
        neighbours.append(around.text[offset + len(piece)])
    return not any(around._is_invalid_punctuation_symbol(c) or around._is_latin_letter(c) for c in neighbours)


class PhoneFinder:
    """Finds what PhoneNumberMatcher finds, region by region, with leniency VALID. Not to be shared between threads."""

    def __init__(self, regions: Sequence[str], capacity: int = 50_000) -> None:
        self._regions = [Region(name) for name in dict.fromkeys(regions)]
        self._fewest = min((region.fewest for region in self._regions), default=MOST_TRIES)
        self._fewest_with_plus = _shortest_international()
        self._candidates: Memo[str, tuple[Offsets, ...]] = Memo(capacity)
        self._digits: Memo[tuple[str, str], bool] = Memo(capacity)
        self._none = (_NOTHING,) * len(self._regions)

    def find(self, text: str) -> set[Offsets]:
        """(start, end) of every number of any region. Raises nothing for any text."""
        numbers: set[Offsets] = set()
        tries = 0
        waiting: dict[int, list[int]] = {0: list(range(len(self._regions)))}
        while waiting:
            index = min(waiting)
            regions = waiting.pop(index)
            candidate = self._next(text, index)
            while candidate is not None:
                start, end = candidate
                tries += 1 + 6 * (end - start + 1)
                spans = self._spans(text, start, end)
                if spans is not self._none:
                    regions = self._leave(regions, spans, start, end, numbers, waiting)
                    break
                candidate = self._next(text, end)
            if tries >= MOST_TRIES:
                return self._by_library(text)
        return numbers

    def _leave(
        self,
        regions: list[int],
        spans: tuple[Offsets, ...],
        start: int,
        end: int,
        numbers: set[Offsets],
        waiting: dict[int, list[int]],
    ) -> list[int]:
        """Each region goes on behind its own number, or behind the candidate."""
        for region in regions:
            low, high = spans[region]
            after = end
            if high >= 0:
                numbers.add((start + low, start + high))
                after = start + high
            waiting.setdefault(after, []).append(region)
        return []

    def _next(self, text: str, index: int) -> Offsets | None:
        """(start, end) of the first candidate at or after `index`."""
        digit = _DIGIT.search(text, index)
        if digit is None:
            return None
        match = library._PATTERN.search(text, max(index, digit.start() - _LONGEST_LEAD))
        if match is None:
            return None
        start, end = match.span()
        second = _SECOND_NUMBER_START_PATTERN.search(text, start, end)
        return start, second.start() if second else end

    def _spans(self, text: str, start: int, end: int) -> tuple[Offsets, ...]:
        """For each region, where in the candidate its number lies; `self._none` if no region has one."""
        candidate = text[start:end]
        if len(candidate) < self._fewest and (len(candidate) < self._fewest_with_plus or not _PLUS.search(candidate)):
            return self._none
        reach = end + 3 if library._TIME_STAMPS.search(candidate) else end + 1
        key = f"{text[start - 1 : start]}\n{candidate}\n{text[end:reach]}"
        known = self._candidates.get(key)
        if known is None:
            before = text[start - 1 : start]
            known = self._candidates.put(key, self._judge(before + text[start:reach], len(before), candidate))
        return known

    def _judge(self, around: str, offset: int, candidate: str) -> tuple[Offsets, ...]:
        if len(_SIGN.findall(candidate)) < self._fewest and not _PLUS.search(candidate):
            return self._none
        if library._SLASH_SEPARATED_DATES.search(candidate):
            return self._none
        if library._TIME_STAMPS.search(candidate) and library._TIME_STAMPS_SUFFIX.match(
            around, offset + len(candidate)
        ):
            return self._none
        matcher = library.PhoneNumberMatcher(around, None)
        pieces = list(_pieces(candidate, matcher, offset))
        spans = tuple(self._first_number(region, pieces, around, offset) for region in self._regions)
        return self._none if spans == self._none else spans

    def _first_number(self, region: Region, pieces: list[_Piece], around: str, offset: int) -> Offsets:
        for piece in pieces:
            if self._is_number(region, piece, around, offset):
                return piece.offset, piece.offset + len(piece.text)
        return _NOTHING

    def _is_number(self, region: Region, piece: _Piece, around: str, offset: int) -> bool:
        if piece.digits is None:
            matcher = library.PhoneNumberMatcher(around, region.name)
            return matcher._parse_and_verify(piece.text, offset + piece.offset) is not None
        if region.hopeless(piece.digits):
            return False
        key = (region.name, piece.digits)
        known = self._digits.get(key)
        if known is None:
            matcher = library.PhoneNumberMatcher(piece.digits, region.name)
            known = self._digits.put(key, matcher._parse_and_verify(piece.digits, 0) is not None)
        return known

    def _by_library(self, text: str) -> set[Offsets]:
        return {
            (match.start, match.end)
            for region in self._regions
            for match in phonenumbers.PhoneNumberMatcher(text, region.name)
        }
