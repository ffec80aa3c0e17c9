# SPDX-License-Identifier: Apache-2.0
"""Two sites over the real SuperLink with TLS: rounds, and every process killed in the middle of one."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from privacy.protocol.messages import SignedMessage

pytestmark = pytest.mark.slow

_spec = importlib.util.spec_from_file_location("echo_site", Path(__file__).parent / "echo_site.py")
assert _spec is not None
assert _spec.loader is not None
echo_site: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(echo_site)
message: Callable[[str, bytes], SignedMessage] = echo_site.message

SITES = ("hospital_a", "hospital_b")


def sent(payload: bytes) -> dict[str, SignedMessage]:
    return dict.fromkeys(SITES, message("coordinator", payload))


def expected(payload: bytes) -> dict[str, SignedMessage]:
    return {site: message(site, payload[::-1]) for site in SITES}


def test_rounds_with_payloads_of_every_size_come_back_whole_and_sites_leave_cleanly(
    loopback: Any, wait_for: Callable[..., None]
) -> None:
    sites = [loopback.start_site(site) for site in SITES]
    assert loopback.message_exchange.wait_online(2, 30) == set(SITES)
    for server_round, size in enumerate([0, 1, 5_000_000, 23_000_000], start=1):
        payload = os.urandom(size)
        assert loopback.exchange(sent(payload), server_round=server_round) == expected(payload)
    for site in sites:
        site.send_signal(signal.SIGTERM)
        assert site.wait(10) == 0
    assert loopback.message_exchange.online() == set()
    assert loopback.events("hospital_a")[0] == "connected"
    assert loopback.events("hospital_a")[-1] == "left"
    # who left cleanly is taken back at once
    loopback.start_site("hospital_a")
    loopback.message_exchange.wait_online(1, 10)
    assert not (loopback.folder / "superlink" / "apps").exists()
    assert list(loopback.folder.glob("superlink/state.sqlite"))


def test_a_superlink_that_is_killed_in_mid_round_changes_nothing(loopback: Any) -> None:
    for site in SITES:
        loopback.start_site(site, seconds=3.0)
    loopback.message_exchange.wait_online(2, 30)
    process = loopback.superlink.process

    def kill(after: float) -> None:
        time.sleep(after)
        os.kill(process.pid, signal.SIGKILL)

    for server_round, after in enumerate([0.5, 1.5, 3.3], start=1):  # push, work, upload
        payload = os.urandom(9_000_000)
        first = process.pid
        killer = threading.Thread(target=kill, args=(after,))
        killer.start()
        assert loopback.exchange(sent(payload), server_round=server_round, seconds=120) == expected(payload)
        killer.join()
        assert process.pid != first


def test_a_site_that_is_killed_at_work_gets_its_message_again_when_it_is_back(
    loopback: Any, wait_for: Callable[..., None]
) -> None:
    first = loopback.start_site("hospital_a", seconds=3.0)
    loopback.start_site("hospital_b")
    loopback.message_exchange.wait_online(2, 30)

    def kill_and_restart() -> None:
        wait_for(lambda: "answering" in loopback.events("hospital_a"))
        first.kill()
        first.wait()
        loopback.start_site("hospital_a")

    saboteur = threading.Thread(target=kill_and_restart)
    saboteur.start()
    start = time.monotonic()
    payload = os.urandom(6_000_000)
    assert loopback.exchange(sent(payload), seconds=120) == expected(payload)
    saboteur.join()
    assert 5 < time.monotonic() - start < 45  # two heartbeats of 10 s, and the next try
    assert loopback.events("hospital_a").count("answering") == 2


def test_a_site_that_hangs_is_no_reply_at_the_deadline(loopback: Any) -> None:
    hanging = loopback.start_site("hospital_a")
    loopback.start_site("hospital_b")
    loopback.message_exchange.wait_online(2, 30)
    hanging.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    replies = loopback.exchange(sent(b"model"), seconds=8)
    assert replies == {"hospital_a": "no_reply", "hospital_b": message("hospital_b", b"ledom")}
    assert 8 <= time.monotonic() - start < 12


def test_a_site_that_fails_says_no_word_of_its_error(loopback: Any) -> None:
    for site in SITES:
        loopback.start_site(site)
    loopback.message_exchange.wait_online(2, 30)
    assert loopback.exchange(sent(b"fail")) == dict.fromkeys(SITES, "no_reply")
    assert "Jane" not in loopback.log.read_text()
    assert b"Jane" not in (loopback.folder / "superlink" / "state.sqlite").read_bytes()
    assert "Jane" not in "".join(loopback.events("hospital_a"))
    # and the next round finds it at work
    assert loopback.exchange(sent(b"model"), server_round=2) == expected(b"model")


def test_a_reply_over_the_limit_is_malformed_and_the_rest_goes_on(loopback: Any) -> None:
    for site in SITES:
        loopback.start_site(site)
    loopback.message_exchange.wait_online(2, 30)
    payload = os.urandom(6_000_000)
    assert loopback.exchange(sent(payload), limit=5_000_000) == dict.fromkeys(SITES, "malformed")
    assert loopback.exchange(sent(payload), server_round=2) == expected(payload)
