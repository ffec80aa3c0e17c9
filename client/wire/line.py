# SPDX-License-Identifier: Apache-2.0
"""The HTTP under a site's line: nothing that a server answers makes the site hold more than it asked for.

Answers are taken as they are (no content-encoding: 400 kB of gzip would be 400 MB), are counted while they come, and
have an end in time. A proxy that the environment names (HTTPS_PROXY) is used; TLS goes through it to the coordinator.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import httpx

from privacy.base.errors import Unreachable
from privacy.protocol.flower import object_limit

ANSWER_SECONDS: Final = 120.0
_SMALL: Final = 64 << 10
_OBJECT: Final = (5 << 20) + (64 << 10)


class Nonsense(Unreachable):
    """An answer that no coordinator of ours gives."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the coordinator's answer {what}", next_step="none: the site waits and asks again")


def answer_bytes(path: str, max_payload_bytes: int) -> int:
    """The longest answer to a call of this path, in bytes."""
    if path.endswith("/pull-object"):
        return _OBJECT
    if path.endswith("/pull-messages"):
        return _SMALL + 128 * object_limit(max_payload_bytes)
    return _SMALL + 80 * object_limit(max_payload_bytes) if path.endswith("/push-messages") else _SMALL


def bound(client: httpx.Client, max_payload_bytes: int) -> None:
    """Have `client` ask for plain answers and refuse longer ones than its calls may have, before they are in memory."""

    def ask_plainly(request: httpx.Request) -> None:
        request.headers["accept-encoding"] = "identity"

    def look(response: httpx.Response) -> None:
        limit = _SMALL if response.is_error else answer_bytes(response.request.url.path, max_payload_bytes)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Nonsense("is encoded")
        announced = response.headers.get("content-length", "0")
        if not announced.isdigit() or int(announced[:16]) > limit:
            raise Nonsense("is longer than it may be")
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Counted(response.stream, limit)

    client.event_hooks = {"request": [ask_plainly], "response": [look]}


class _Counted(httpx.SyncByteStream):
    """A body, cut off at `limit` bytes or at the end of its time."""

    def __init__(self, body: httpx.SyncByteStream, limit: int) -> None:
        self._body, self._limit = body, limit
        self._end = time.monotonic() + ANSWER_SECONDS

    def __iter__(self) -> Iterator[bytes]:
        total = 0
        for piece in self._body:
            total += len(piece)
            if total > self._limit:
                raise Nonsense("is longer than it may be")
            if time.monotonic() > self._end:
                raise Nonsense("does not come to its end")
            yield piece

    def close(self) -> None:
        self._body.close()
