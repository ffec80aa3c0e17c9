# SPDX-License-Identifier: Apache-2.0
"""The view: nothing that is invisible, decorated or HTML splits a name, and every offset leads back exactly."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from privacy.text.reading.records import Finding
from privacy.text.reading.view import View, read

ODD = st.sampled_from(
    ["&nbsp;", "&amp;nbsp;", "&#39;", "&#x41;", "&eacute;", "&#0;", "&#xD800;", "&#1114112;", "&bogus;", "&", ";", "<",
     ">", "<b>", "</b>", "<BR/>", "<td>", "<p>", "<PERSON>", "<a href='x'>", "e\u0301", "\u200d", "\u202e", "\ufe0f",
     "７", "\u0663", "\u2028", "\u034f", "🏥", "ﬁ", "a", "Z", " ", "\n", "\r\n", "שלום"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(ODD, st.text(max_size=4)), max_size=25).map("".join)


def spans(view: View) -> list[tuple[int, int]]:
    marks = [view.to_original(Finding(i, i + 1, "PERSON", 1.0, "x")) for i in range(len(view.text))]
    return [(mark.start, mark.end) for mark in marks]


@hypothesis_settings(max_examples=300, deadline=None, derandomize=True)
@given(TEXTS)
def test_every_character_of_the_view_stands_for_characters_of_the_text_in_order(text: str) -> None:
    position = 0
    view = read(text)
    for character, (start, end) in zip(view.text, spans(view), strict=True):
        assert position <= start < end <= len(text)
        position = end
        if character.isascii() and character.isalnum() and end == start + 1 and text[start].isascii():
            assert text[start] == character
    assert read(text) == view


@hypothesis_settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="&<>"), max_size=40))
def test_plain_text_is_its_own_view(text: str) -> None:
    assert read(text) == View(text, None, None)


@hypothesis_settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.from_regex(r"[A-Z][a-z]{2,8}", fullmatch=True),
    st.lists(
        st.sampled_from(["<b>", "</i>", "\u200b", "&shy;", "&#8203;", "\u0336", "\u202d", "&amp;zwj;"]), max_size=9
    ),
)
def test_what_is_put_between_the_letters_of_a_name_is_gone_from_the_view(name: str, noise: list[str]) -> None:
    text = name[0] + "".join(extra + letter for extra, letter in zip([*noise, *[""] * 9], name[1:], strict=False))
    view = read(text)
    assert view.text == name
    whole = view.to_original(Finding(0, len(name), "PERSON", 1.0, "x"))
    assert (whole.start, whole.end) == (0, len(text))


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("John&nbsp;Smith", "John Smith"),
        ("O&#39;Neil &amp;amp; O&#x27;Hara", "O'Neil & O'Hara"),
        ("J<b>ohn</b> S<i>mi</i>th", "John Smith"),
        ("<b>Patient</b>Smith", "Patient Smith"),
        ("<td>John</td><td>Smith</td><br/>x", " John  Smith \nx"),
        ("&lt;b&gt; 5 &lt; 6", "<b> 5 < 6"),
        ('<a href="x">J</a>', '<a href="x">J</a>'),
        ("AT&T; R&D &unknown; &#0; &#55296; &#xffffff;", "AT&T; R&D &unknown; &#0; &#55296; &#xffffff;"),
        ("１２３-٤٥-６７８９", "123-45-6789"),
        ("Jo\ufe0fh\u20ddn\u034f\u3164 Zor\u200dblatt", "John Zorblatt"),
        ("a\u2028b\u2029c\u00a0d", "a\nb\nc d"),
        ("e\u0301t\u0336u\u0336", "étu"),
        ("<PERSON> &lt;PERSON&gt;", "■■■■■■■■ ■■■■■■■■"),
    ],
)
def test_the_view_shows(text: str, seen: str) -> None:
    assert read(text).text == seen


@pytest.mark.parametrize("hostile", ["&amp;" * 40_000, "&" * 200_000, "<" * 200_000, "<b" * 100_000, "&#1" * 60_000,
                                     "<b>" * 60_000, "a" + "\u0336" * 199_999, "\u200d" * 200_000])  # fmt: skip
def test_hostile_markup_costs_linear_time(hostile: str) -> None:
    started = time.process_time()
    read(hostile)
    assert time.process_time() - started < 3
