# SPDX-License-Identifier: Apache-2.0
"""Dates move together: the form stays, intervals stay, and no date comes out as it was."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from privacy.text.replace.surrogates import dates
from privacy.text.replace.surrogates.unit import SHIFTS

UNHURRIED = limits(deadline=None)  # the first use of a list reads it
DAYS = st.sampled_from([*SHIFTS, *(-days for days in SHIFTS)])
DATES = st.dates(date(1900, 1, 1), date(2100, 12, 31))
ORDERS = st.sampled_from(["month first", "day first"])
ALWAYS = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d %B %Y",
    "%B %d, %Y",
    "%d-%b-%Y",
    "%b. %d %Y",
    "%A, %B %d, %Y",
    "%a %d %b %Y",
]
BY_ORDER = {"month first": ["%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y"], "day first": ["%d/%m/%Y", "%d.%m.%Y", "%d / %m / %Y"]}


@UNHURRIED
@given(DATES, DATES, DAYS, ORDERS, st.data())
def test_an_interval_between_two_full_dates_is_kept_exactly(
    one: date, two: date, days: int, order: dates.Order, data: st.DataObject
) -> None:
    forms = st.sampled_from([*ALWAYS, *BY_ORDER[order]])
    moved = []
    for day in (one, two):
        written = dates.shift(day.strftime(data.draw(forms)), days, order)
        assert written is not None
        read = dates.read(written, order)
        assert read is not None
        assert read.full == day + timedelta(days)
        moved.append(read.full)
    assert moved[1] - moved[0] == two - one


@UNHURRIED
@given(DATES, DAYS, ORDERS)
def test_a_date_against_the_countrys_order_can_still_be_read_as_it_was_meant(
    day: date, days: int, order: dates.Order
) -> None:
    other = {"month first": "%d/%m/%Y", "day first": "%m/%d/%Y"}[order]
    if day.day > 12:
        written = dates.shift(day.strftime(other), days, order)
        assert written is not None
        read = dates.read(written, order)
        assert read is not None
        assert read.full == day + timedelta(days)


@UNHURRIED
@given(
    st.one_of(
        DATES.flatmap(lambda day: st.sampled_from([day.strftime(form) for form in [
            *ALWAYS, "%m/%Y", "%B %Y", "%b %Y", "%B", "%b", "%Y", "'%y", "%A", "%a", "%d %B", "%B %d", "%m/%d", "%d/%m",
            "%m/%d/%y", "%Y-%m", "%Y-%m-%dT%H:%M", "%B %d, %Y at 10:30 pm",
        ]])),
        st.text(alphabet="0123456789/-. Marchtueoy,'", max_size=14),
    ),
    DAYS,
    ORDERS,
)  # fmt: skip
def test_no_date_comes_out_as_it_was(text: str, days: int, order: dates.Order) -> None:
    moved = dates.shift(text, days, order)
    assert moved is None or moved.lower() != text.lower()


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("3/14/2020", "3/24/2020"),
        ("03/14/2020", "03/24/2020"),
        ("03/14/20", "03/24/20"),
        ("3 / 14 / 2020", "3 / 24 / 2020"),
        ("2020-03-14T10:30:00Z", "2020-03-24T10:30:00Z"),
        ("March 14th, 2020", "March 24th, 2020"),
        ("the 1st of March 2020", "the 11th of March 2020"),
        ("14 MAR '20", "24 MAR '20"),
        ("Saturday, 14 March 2020", "Tuesday, 24 March 2020"),
        ("Sat 3/14", "Tue 3/24"),
        ("March 14", "March 24"),
        ("Feb 29", "Mar 10"),
        ("March 2020", "April 2020"),
        ("03/2020", "04/2020"),
        ("2020-03", "2020-04"),
        ("december", "january"),
        ("2020", "2021"),
        ("'99", "'00"),
        ("2019-2021", "2020-2022"),
        ("2019-20", "2020-21"),
        ("Thurs", "Sun"),
        ("20200314", "20200324"),
        ("14/3/2020", "24/3/2020"),
        ("31/3/2020", "4/10/2020"),
    ],
)
def test_a_date_ten_days_on_is_written_in_its_own_form(text: str, moved: str) -> None:
    assert dates.shift(text, 10, "month first") == moved


@pytest.mark.parametrize(
    "text", ["", "Christmas", "last week", "10:30", "13/13/2020", "30 February 2020", "the nineties", "5/5/5"]
)
def test_what_is_no_date_of_a_known_form_is_not_read(text: str) -> None:
    assert dates.shift(text, 10, "month first") is None


def test_a_date_at_the_end_of_time_is_not_moved_over_it() -> None:
    assert dates.shift("9999-12-31", 1, "month first") is None
    assert dates.shift("0001-01-01", -1, "month first") is None


def test_the_days_are_one_to_a_year_without_whole_weeks() -> None:
    assert min(SHIFTS) == 1
    assert max(SHIFTS) == 365
    assert all(days % 7 for days in SHIFTS)
