# SPDX-License-Identifier: Apache-2.0
"""A person looks through a sample in a terminal and says what was missed.

Rules: every answer is kept at once; words that are typed become offsets and are forgotten; what cannot be found in
what is left of the row is asked again, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

from rich.console import Console
from rich.text import Text

from client.data.corpus_view import RowPreview
from client.review.preview import beside
from client.review.review_sample import Marks, Sample, left_over
from privacy.commandline.terminal import visible
from privacy.text.reading.records import Finding, Offsets

HELP: Final = (
    "What was missed: numbers from the list and/or words, separated by ';' (1 2 or 1; Mill Road).\n"
    "n none   s skip, cannot tell   b back   q quit, go on later"
)
Command = Literal["quit", "back", "skip"]
COMMANDS: Final[Mapping[str, Command]] = {"q": "quit", "b": "back", "s": "skip", "skip": "skip"}
NONE: Final = frozenset({"n", "none", "-", "no"})
_MOST_CANDIDATES: Final = 40


class NotFound(Exception):
    """Something that was typed does not stand in what is left of the row."""


def locate(text: str, findings: Sequence[Finding], words: str) -> tuple[Offsets, ...]:
    """All places of `words` in what is left of `text`: as they were typed, else in any letter case.

    White space may differ. A place that findings cover whole is none. Raises NotFound.
    """
    covered = bytearray(len(text))
    for finding in findings:
        covered[finding.start : finding.end] = b"\1" * (finding.end - finding.start)
    parts = [re.escape(part) for part in words.split()]
    pattern = r"(?<!\w)" + r"\s+".join(parts) + r"(?!\w)"
    for flags in (re.NOFLAG, re.IGNORECASE):
        spans = tuple(match.span() for match in re.finditer(pattern, text, flags) if parts)
        if uncovered := tuple(span for span in spans if not all(covered[span[0] : span[1]])):
            return uncovered
    raise NotFound


def marks_of(answer: str, text: str, findings: Sequence[Finding], candidates: Sequence[Offsets]) -> Marks:
    """The identifiers that `answer` names: numbers of `candidates` and words, separated by ';'. Raises NotFound."""
    marks: list[tuple[Offsets, ...]] = []
    for part in (part.strip() for part in answer.split(";")):
        numbers = re.split(r"[\s,]+", part)
        if all(number.isdecimal() and 0 < int(number[:6]) <= len(candidates) for number in numbers):
            words = [text[slice(*candidates[int(number) - 1])] for number in numbers]
        else:
            words = [part.strip("\"'")] if part else []
        marks += (locate(text, findings, word) for word in words)
    if not marks:
        raise NotFound
    return tuple(dict.fromkeys(marks))


def review(
    sample: Sample,
    show: Callable[[int], RowPreview],
    ask: Callable[[str], str],
    console: Console,
    keep: Callable[[Sample], None],
) -> Sample:
    """Go through the rows without an answer until all have one or the reviewer quits. Each answer is kept at once.

    `show(at)` gives row `at` of the sample; `ask(prompt)` gives what was typed, or raises EOFError.
    """
    at = sample.next_open()
    while at is not None:
        shown = show(at)
        answered = sum(row.answer != "open" for row in sample.rows)
        console.print(Text(f"\nRow {at + 1} of {len(sample.rows)}   {answered} answered", style="bold"))
        console.print(beside(shown, console, after=f"AFTER ({sample.replacement})"))
        reply = _ask(shown, ask, console)
        if reply == "quit":
            return sample
        if reply == "back":
            at = max(0, at - 1)
            continue
        sample = sample.answered(at, "skipped") if reply == "skip" else sample.answered(at, "reviewed", reply)
        keep(sample)
        at = sample.next_open(at + 1)
    return sample


def _ask(shown: RowPreview, ask: Callable[[str], str], console: Console) -> Marks | Command:
    """The reviewer's answer to one row, asked until it can be understood."""
    text = shown.row.text
    findings = shown.record.findings if shown.record else ()
    candidates = distinct(text, left_over(text, findings))
    if candidates:
        console.print(_numbered(text, candidates))
    console.print(Text(HELP, style="dim"))
    while True:
        try:
            reply = ask("missed> ").strip()
        except EOFError:
            return "quit"
        if (command := COMMANDS.get(reply.lower())) is not None:
            return command
        if reply.lower() in NONE:
            return ()
        try:
            marks = marks_of(reply, text, findings, candidates)
        except NotFound:
            console.print("Not found in what is left of this row. Type it as it stands there, or n for none.")
            continue
        places = sum(len(spans) for spans in marks)
        console.print(f"Marked {len(marks)} missed, in {places} place{'' if places == 1 else 's'}.")
        return marks


def distinct(text: str, spans: Iterable[Offsets]) -> list[Offsets]:
    """The first place of each word in `spans`, at most 40."""
    first: dict[str, Offsets] = {}
    for span in spans:
        first.setdefault(text[slice(*span)], span)
    return list(first.values())[:_MOST_CANDIDATES]


def _numbered(text: str, candidates: Sequence[Offsets]) -> Text:
    line = Text("Left, and worth a look:  ", overflow="fold")
    for number, span in enumerate(candidates, 1):
        line.append(f"{number}", style="bold")
        line.append(f"\u00a0{visible(text[slice(*span)])}   ")
    return line
