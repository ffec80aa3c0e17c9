# SPDX-License-Identifier: Apache-2.0
"""Dates as text writes them: read into day, month, year and weekday, moved, and written back in the same form.

Numeric (month or day first, by the site's first country), ISO, compact, textual, partial (month and year, day and
month, a month, a year, a span of years) and bare weekdays are read; a time of day behind a date is left as it is.
Two-digit years are read as 1950 to 2049. What has another form is not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTH_FIRST = frozenset(("US", "PH", "PW", "FM", "MH", "PR", "GU", "AS", "VI", "MP"))
"""Countries that write 3/14 for the fourteenth of March."""

Order = Literal["month first", "day first"]

_MON = (
    r"(?P<mon>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WD = r"(?P<wd>mon|tue|tues|wed|weds|wednes|thu|thur|thurs|fri|sat|satur|sun)(?P<wday>day)?"
_BEFORE = rf"(?:{_WD}\.?,?\s+)?"
_DAY = r"(?P<d>\d{1,2})(?P<ord>st|nd|rd|th)?"
_YEAR = r"(?P<y>'\d{2}|\d{4}|\d{2})"
_TIME = r"(?:(?:T|,?\s+(?:at\s+)?)\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:\s?[ap]\.?m\b\.?)?(?:Z|[+-]\d\d:?\d\d)?)?"
_NUMERIC = r"(?P<a>\d{1,2})(?P<sep>\s?[/.-]\s?)(?P<b>\d{1,2})"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"{_BEFORE}(?:the\s+)?{_DAY}(?:\s+of\s+|,?[\s/.-]{{0,3}}){_MON}(?:[\s,/.-]{{1,3}}{_YEAR})?{_TIME}",
        rf"{_BEFORE}{_MON}[\s/.-]{{0,3}}(?:the\s+)?{_DAY}(?:[\s,/.-]{{1,3}}(?P<y>'\d{{2}}|\d{{4}}))?{_TIME}",
        rf"{_MON}(?:,?\s+of\s+|[\s,/.-]{{1,3}})(?P<y>'\d{{2}}|\d{{4}})",
        rf"{_BEFORE}(?P<y>\d{{4}})(?P<sep>[/.-])(?P<m>\d{{1,2}})(?P=sep)(?P<d>\d{{1,2}}){_TIME}",
        rf"{_BEFORE}{_NUMERIC}(?P=sep){_YEAR}{_TIME}",
        r"(?P<m>\d{1,2})[/.-](?P<y>\d{4})",
        r"(?P<y>\d{4})-(?P<m>\d{2})",
        rf"{_BEFORE}(?P<a>\d{{1,2}})[/.-](?P<b>\d{{1,2}})",
        r"(?P<y>(?:1[89]|20|21)\d{2})(?P<m>\d{2})(?P<d>\d{2})",
        r"(?P<y>'\d{2}|(?:1[6-9]|2[01])\d{2})",
        _MON,
        _WD,
    )
)
_SPAN = re.compile(r"(?P<from>(?:1[6-9]|2[01])\d\d)(?P<between>\s?(?:[-/]|to|and)\s?)(?P<to>(?:1[6-9]|2[01])\d\d|\d\d)")


@dataclass(frozen=True)
class Written:
    """A date in its text. What is None was not written; `weekday` is 0 for Monday.

    `order` is the country's, `read_as` the one in which this text makes sense ("25/12" where the month stands first).
    """

    match: re.Match[str]
    order: Order
    read_as: Order
    year: int | None
    month: int | None
    day: int | None
    weekday: int | None

    @property
    def full(self) -> date | None:
        """The day, if year, month and day were written."""
        if self.year is None or self.month is None or self.day is None:
            return None
        return date(self.year, self.month, self.day)


def order_of(countries: Sequence[str]) -> Order:
    """How the first of a site's countries writes numeric dates."""
    return "month first" if countries[0] in MONTH_FIRST else "day first"


def read(text: str, order: Order) -> Written | None:
    """The date that `text` (folded by `view`, without white space around it) is; None if it is none that exists."""
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None and (written := _values(match, order)) is not None:
            return written
    return None


def year_in(text: str, order: Order) -> int | None:
    """The year of a date; None if it has none, or is none."""
    written = read(text, order)
    return None if written is None else written.year


def shift(text: str, days: int, order: Order) -> str | None:
    """`text` with its date moved by `days`, in the same form; None if it cannot be read. Never `text` itself.

    A full date moves by exactly `days`. A partial one is taken at its middle (the 15th, the first of July) and moves to
    where that day goes, or by one step in the same direction if it would stay where it is. A weekday moves by `days`.
    """
    span = _SPAN.fullmatch(text)
    if span is not None and (len(span.group("to")) == 4 or int(span.group("to")) > int(span.group("from")) % 100):
        return _shift_span(span, days)
    written = read(text, order)
    if written is None:
        return None
    try:
        return next((moved for moved in _moved(written, days) if moved.lower() != text.lower()), None)
    except (OverflowError, ValueError):
        return None


# Reading
# -------------------------------------------------------------------------------------------------------------


def _values(match: re.Match[str], order: Order) -> Written | None:
    groups = match.groupdict()
    year = _year(groups["y"]) if groups.get("y") else None
    month = _position(MONTHS, groups["mon"]) + 1 if groups.get("mon") else int(groups["m"]) if groups.get("m") else None
    day = int(groups["d"]) if groups.get("d") else None
    read_as = order
    if groups.get("a"):
        first, second = int(groups["a"]), int(groups["b"])
        read_as = _sensible(first, second, order)
        month, day = (first, second) if read_as == "month first" else (second, first)
    weekday = _position(WEEKDAYS, groups["wd"]) if groups.get("wd") else None
    written = Written(match, order, read_as, year, month, day, weekday)
    return written if _exists(written) else None


def _sensible(first: int, second: int, order: Order) -> Order:
    if order == "month first":
        return "day first" if first > 12 else order
    return "month first" if second > 12 else order


def _position(names: Sequence[str], text: str) -> int:
    """Which of `names` begins with the same three letters."""
    return next(index for index, name in enumerate(names) if name[:3] == text[:3].lower())


def _year(text: str) -> int:
    digits = text.lstrip("'")
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (2000 if int(digits) < 50 else 1900)


def _exists(written: Written) -> bool:
    """Without a year the 29th of February exists."""
    try:
        date(2000 if written.year is None else written.year, written.month or 1, written.day or 1)
    except ValueError:
        return False
    return True


# Moving --------------------------------------------------------------------------------------------------------------


def _moved(written: Written, days: int) -> list[str]:
    """The text moved by `days`; after it, for a partial date, moved by the least step that changes what it says."""
    weekday = None if written.weekday is None else (written.weekday + days) % 7
    if written.year is None and written.month is None:
        return [_write(written, date(2001, 1, 1), weekday)]
    middle = _middle(written)
    moved = middle + timedelta(days)
    if written.full is not None:
        return [_write(written, moved, weekday)]
    step = timedelta(1 if days > 0 else -1)
    further = moved + step if written.day else middle + step * (31 if written.month else 366)
    return [_write(written, moved, weekday), _write(written, further, weekday)]


def _middle(written: Written) -> date:
    """The day itself, or the middle of what was written; a year that was not is one that has the day."""
    return date(
        written.year or (2000 if written.month == 2 and written.day == 29 else 2001),
        written.month or 7,
        written.day or (15 if written.month else 1),
    )


def _shift_span(span: re.Match[str], days: int) -> str | None:
    direction = 1 if days > 0 else -1
    start, end = int(span.group("from")) + direction, int(span.group("to")) + direction
    short = len(span.group("to")) == 2
    return f"{start:04d}{span.group('between')}{end % 100 if short else end:0{2 if short else 4}d}"


# Writing -------------------------------------------------------------------------------------------------------------


def _write(written: Written, moved: date, weekday: int | None) -> str:
    """The text of `written` with another date in it."""
    match = written.match
    groups = {name: value for name, value in match.groupdict().items() if value is not None}
    first, second = (moved.month, moved.day) if _order_of(written, moved) == "month first" else (moved.day, moved.month)
    values: dict[str, Callable[[], str]] = {
        "y": lambda: _write_year(groups["y"], moved.year),
        "mon": lambda: _write_name(
            groups["mon"], MONTHS[moved.month - 1], is_short=groups["mon"].lower() not in MONTHS
        ),
        "m": lambda: _padded(groups, moved.month),
        "d": lambda: _padded(groups, moved.day),
        "a": lambda: _padded(groups, first),
        "b": lambda: _padded(groups, second),
        "ord": lambda: _cased(groups["ord"], _ordinal(moved.day)),
        "wd": lambda: _write_name(groups["wd"], WEEKDAYS[weekday or 0], is_short="wday" not in groups),
        "wday": lambda: "",
    }
    pieces: list[str] = []
    position = 0
    for name in sorted(groups.keys() & values.keys(), key=match.start):
        pieces += (match.string[position : match.start(name)], values[name]())
        position = match.end(name)
    return "".join([*pieces, match.string[position:]])


def _order_of(written: Written, moved: date) -> Order:
    """A numeric date against its country's order stays so only while it cannot be read otherwise."""
    return written.order if moved.day <= 12 else written.read_as


def _padded(groups: dict[str, str], value: int) -> str:
    """With a leading zero if every day and month beside it has two digits."""
    numbers = [groups[name] for name in ("a", "b", "m", "d") if name in groups]
    textual = "mon" in groups and not numbers[0].startswith("0")
    return str(value) if textual or any(len(number) < 2 for number in numbers) else f"{value:02d}"


def _write_year(text: str, year: int) -> str:
    digits = f"{year:04d}" if len(text) == 4 else f"{year % 100:02d}"
    return f"'{digits}" if text.startswith("'") else digits


def _write_name(text: str, name: str, *, is_short: bool) -> str:
    return _cased(text, name[:3] if is_short else name)


def _cased(like: str, word: str) -> str:
    if like.isupper():
        return word.upper()
    return word if like.islower() else word.capitalize()


def _ordinal(day: int) -> str:
    return "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
