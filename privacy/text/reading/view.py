# SPDX-License-Identifier: Apache-2.0
"""The view of a text that recognizers read: easier to match, with every offset traceable to the original.

Full-width and other digits, typographic quotes, dashes and odd spaces become plain ones, a letter with a combining mark
becomes one character, invisible characters vanish, and residue of HTML is read as a browser would: entities are
decoded, `<b>` vanishes, `<br>` and `<td>` are a line end or a space. None of them may split a name or a number into two
harmless halves. A tag of HTML with attributes stays, since attributes hold names too. Tags of ours that stand in the
text already are blanked, so that anonymized text gives no findings of its own.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from html.entities import html5

from privacy.text.reading.records import ENTITY_TYPES, Finding

TAG = re.compile("<(?:" + "|".join(sorted(ENTITY_TYPES)) + ")>")
"""A tag that replacement writes."""

BLANK = "\u25a0"
_PLAIN = str.maketrans(
    "\u2018\u2019\u02bc\u201b\u2032\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d",
    "'''''\"\"----------",
)
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that show nothing though they are no format characters: fillers and joiners."""

_INLINE = "abbr|big|bdo|bdi|b|code|del|em|font|ins|i|mark|nobr|q|small|span|strike|strong|sub|sup|s|tt|u|wbr"
_SPACED = "blockquote|body|br|caption|center|dd|div|dl|dt|h[1-6]|head|hr|html|li|ol|p|pre|table|tbody|thead|title|tr|ul"
_MARKUP = re.compile(
    r"&(?:amp;){0,3}(?:#(?P<decimal>\d{1,7})|#[xX](?P<hex>[0-9a-fA-F]{1,6})|(?P<name>[A-Za-z][A-Za-z0-9]{1,24}));"
    rf"|</?(?:(?P<inline>{_INLINE})|(?P<line>{_SPACED})|(?P<cell>td|th)) ?/?>",
    re.IGNORECASE,
)
"""What HTML leaves in a text. Between `&` and an entity, `amp;` may stand up to three times: escaped again."""


@dataclass(frozen=True, slots=True, repr=False)
class View:
    """`text` is what recognizers read; character i of it stands for original [starts[i], ends[i]) (None: the same)."""

    text: str
    starts: tuple[int, ...] | None
    ends: tuple[int, ...] | None

    def to_original(self, finding: Finding) -> Finding:
        """The same finding in offsets of the original text. Raises IndexError for a span outside the view."""
        if not 0 <= finding.start < finding.end <= len(self.text):
            raise IndexError("a finding lies outside the text")
        if self.starts is None or self.ends is None:
            return finding
        start, end = self.starts[finding.start], self.ends[finding.end - 1]
        return Finding(start, end, finding.entity_type, finding.score, finding.recognizer)


def read(text: str) -> View:
    """The view of `text`. ASCII text without HTML is its own view, apart from blanked tags."""
    letters, starts, ends = _without_markup(text)
    if starts is None or ends is None:
        if text.isascii():
            return View(_blank_tags(text), None, None)
        starts, ends = list(range(len(text))), list(range(1, len(text) + 1))
    shown: list[str] = []
    first: list[int] = []
    last: list[int] = []
    for start, end in _clusters(letters):
        if folded := _fold(letters[start:end]):
            shown.append(folded)
            first.append(starts[start])
            last.append(ends[end - 1])
    return View(_blank_tags("".join(shown)), tuple(first), tuple(last))


def _without_markup(text: str) -> tuple[str, list[int] | None, list[int] | None]:
    """`text` as HTML shows it, and where in `text` each character starts and ends; None where nothing changed."""
    matches = list(_MARKUP.finditer(text)) if "&" in text or "<" in text else []
    meanings = [(match.span(), _meaning(match)) for match in matches]
    changes = [(span, meaning) for span, meaning in meanings if meaning is not None]
    if not changes:
        return text, None, None
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for (start, end), meaning in [*changes, ((len(text), len(text)), "")]:
        letters += (text[position:start], meaning)
        starts += (*range(position, start), *((start,) * len(meaning)))
        ends += (*range(position + 1, start + 1), *((end,) * len(meaning)))
        position = end
    return "".join(letters), starts, ends


def _meaning(match: re.Match[str]) -> str | None:
    """What is shown for a tag or an entity: at most one character. None: it is left as it stands."""
    if match["inline"]:
        return _meaning_inline(match)
    if match["line"] or match["cell"]:
        return "\n" if match["line"] else " "
    if match["name"]:
        shown = html5.get(match["name"] + ";", "")
        return shown if len(shown) == 1 else None
    return _meaning_of_code(int(match["decimal"]) if match["decimal"] else int(match["hex"], 16))


def _meaning_inline(match: re.Match[str]) -> str:
    """A space or nothing: "<b>Patient</b>Smith" is two words, "J<b>ohn</b>" is one."""
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return " " if before.islower() and after.isupper() else ""


def _meaning_of_code(code: int) -> str | None:
    if code > 0x10FFFF or unicodedata.category(chr(code)) in ("Cs", "Cc", "Cn"):
        return " " if code in (9, 10, 13) else None
    return chr(code)


def _clusters(text: str) -> list[tuple[int, int]]:
    """Each character with the marks that combine with it, as spans that cover `text`."""
    spans: list[tuple[int, int]] = []
    for index, character in enumerate(text):
        if spans and _is_mark(character):
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
    return spans


def _is_mark(character: str) -> bool:
    """A mark that changes how a letter looks, not which one it is: accents, enclosing marks, variation selectors."""
    if character < "\u0300":
        return False
    if unicodedata.combining(character) or "\ufe00" <= character <= "\ufe0f":
        return True
    return "\U000e0100" <= character <= "\U000e01ef" or unicodedata.category(character) == "Me"


def _fold(cluster: str) -> str:
    """One visible character for `cluster` (a character with its combining marks), or '' for an invisible one."""
    if len(cluster) == 1 and cluster < "\x80":
        return cluster
    if cluster[0] in _INVISIBLE or unicodedata.category(cluster[0]) == "Cf":
        return ""
    folded = unicodedata.normalize("NFKC", cluster).translate(_PLAIN)
    if len(folded) != 1:
        folded = cluster[0].translate(_PLAIN)
    category = unicodedata.category(folded)
    if category == "Nd":
        return str(unicodedata.decimal(folded))
    return "\n" if category in ("Zl", "Zp") else " " if category == "Zs" else folded


def _blank_tags(text: str) -> str:
    return TAG.sub(lambda tag: BLANK * len(tag.group()), text) if "<" in text else text
