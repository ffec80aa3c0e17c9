# SPDX-License-Identifier: Apache-2.0
"""RetryPolicy waits for who is away, takes no for an answer, and never tries a bad certificate twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import httpx
import pytest

from privacy.base.errors import Unreachable
from privacy.protocol.retry import Foreign, NotLetIn, RequestRejected, RetryPolicy

REQUEST = httpx.Request("POST", "https://superlink/v1")


def script(*turns: Exception | int) -> tuple[Callable[[], int], list[int]]:
    """A call that does one turn after the other: raise it, answer its status, or succeed."""
    calls: list[int] = []

    def call() -> int:
        turn = turns[len(calls)]
        calls.append(len(calls))
        if isinstance(turn, Exception):
            raise turn
        httpx.Response(turn, request=REQUEST).raise_for_status()
        return turn

    return call, calls


def test_it_waits_for_a_peer_that_comes_back() -> None:
    call, calls = script(httpx.ConnectError("refused"), 503, 500, httpx.ReadError("reset"), 200)
    assert RetryPolicy(10).invoke(call) == 200
    assert len(calls) == 5


@pytest.mark.parametrize("status", [307, 400, 401, 403, 404, 412, 413])
def test_an_answer_is_an_answer(status: int) -> None:
    call, calls = script(status)
    with pytest.raises(RequestRejected) as caught:
        RetryPolicy(10).invoke(call)
    assert caught.value.status == status
    assert len(calls) == 1


def test_it_ends() -> None:
    call, _ = script(*[httpx.ConnectError("refused")] * 10)
    start = time.monotonic()
    with pytest.raises(Unreachable, match="away"):
        RetryPolicy(0.3).invoke(call)
    assert time.monotonic() - start < 30
    with pytest.raises(Unreachable):
        RetryPolicy(0).invoke(script(httpx.ConnectTimeout("slow"))[0])


def test_a_certificate_that_does_not_hold_is_told_apart_and_not_tried_again_at_once() -> None:
    call, calls = script(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"))
    with pytest.raises(Foreign):
        RetryPolicy(10).invoke(call)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "alert",
    [
        "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)",
        "[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired (_ssl.c:2580)",
        "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)",
        "[SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate (_ssl.c:2580)",
    ],
)
def test_a_door_that_does_not_take_our_certificate_is_told_apart_from_one_that_is_away(alert: str) -> None:
    call, calls = script(httpx.ReadError(alert))
    with pytest.raises(NotLetIn):
        RetryPolicy(10).invoke(call)
    assert len(calls) == 1


def test_it_stops_when_it_is_told_to() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    call, _ = script(*[httpx.ConnectError("refused")] * 10)
    start = time.monotonic()
    with pytest.raises(Unreachable):
        RetryPolicy(60, stop).invoke(call)
    assert time.monotonic() - start < 50  # and not 60


def test_nothing_of_what_came_over_the_wire_is_in_the_error() -> None:
    call, _ = script(httpx.ConnectError("Jane Doe"))
    with pytest.raises(Unreachable) as caught:
        RetryPolicy(0).invoke(call)
    assert "Jane" not in str(caught.value)
    assert caught.value.__cause__ is None
