# SPDX-License-Identifier: Apache-2.0
"""The doors of the SuperLink: which requests reach Flower's app at all, and how long they may be.

Flower 1.41 serves its sites, its run control and its runtime on one port, and asks nobody who starts a run. So the app
stands behind two listeners: outside only the calls that a site of ours makes, on loopback only the coordinator's, with
a secret. A body is counted before the app sees a byte of it; what a gate refuses is answered without a body.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from privacy.exchange.flower import object_limit

SECRET_HEADER: Final = "x-collab-secret"
BODY_SECONDS: Final = 60.0
"""How long a body may take: 5 MiB at 90 kB/s. A slower line sends no object in time for Flower's own 180 s either."""
_SMALL: Final = 8 << 10
_OBJECT: Final = (5 << 20) + (64 << 10)

Limits = Mapping[tuple[str, str], int]
"""(method, path) -> the longest body in bytes. What is not in it is not there."""


def tree_bytes(max_payload_bytes: int) -> int:
    """The longest announcement of a message with such a payload: 64 digits an object, its framing, and the message."""
    return (16 << 10) + 128 * object_limit(max_payload_bytes)


def outside(max_payload_bytes: int) -> Limits:
    """What a site calls. No registration, no app download: sites are admitted by people and run their own code."""
    small = ("activate-node", "deactivate-node", "send-node-heartbeat", "pull-messages", "pull-object")
    return {
        ("GET", "/health"): 0,
        **{("POST", f"/v1/fleet/{call}"): _SMALL for call in (*small, "confirm-message-received")},
        ("POST", "/v1/fleet/push-messages"): tree_bytes(max_payload_bytes),
        ("POST", "/v1/fleet/push-object"): _OBJECT,
    }


def inside(max_payload_bytes: int, sites: int) -> Limits:
    """What the coordinator calls, from this machine and with the secret."""
    runtime = ("acquire-task", "pull-task-input", "push-task-output", "send-task-heartbeat", "get-nodes")
    messages = ("pull-messages", "pull-object", "confirm-message-received")
    return {
        ("GET", "/health"): 0,
        **{("POST", f"/v1/control/{call}"): 64 << 10 for call in ("list-nodes", "register-node", "start-run")},
        **{("POST", f"/v1/runtime/{call}"): 64 << 10 for call in (*runtime, *messages)},
        ("POST", "/v1/runtime/push-messages"): max(1, sites) * tree_bytes(max_payload_bytes),
        ("POST", "/v1/runtime/push-object"): _OBJECT,
    }


class Gate:
    """An ASGI app before `app`: 404 for what `limits` does not name, 401 without `secret`, 413 long, 408 slow."""

    def __init__(
        self, app: ASGIApp, limits: Limits, *, secret: str | None = None, body_seconds: float = BODY_SECONDS
    ) -> None:
        self._app = app
        self._limits = dict(limits)
        self._secret = None if secret is None else secret.encode()
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        limit = self._limits.get((scope["method"], scope["path"]))
        headers = dict(scope["headers"])
        if limit is None:
            await _refuse(send, 404)
        elif self._secret is not None and not hmac.compare_digest(
            headers.get(SECRET_HEADER.encode(), b""), self._secret
        ):
            await _refuse(send, 401)
        elif not _announced(headers, limit):
            await _refuse(send, 413)
        else:
            await self._pass(scope, receive, send, limit)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        try:
            body = await asyncio.wait_for(_read(receive, limit), self._body_seconds)
        except TimeoutError:
            return await _refuse(send, 408)
        except _Gone:
            return None
        if body is None:
            return await _refuse(send, 413)
        whole: Message | None = {"type": "http.request", "body": body, "more_body": False}
        del body

        async def replay() -> Message:
            nonlocal whole
            message, whole = whole, None
            return await receive() if message is None else message

        return await self._app(scope, replay, send)


class _Gone(Exception):
    """The caller hung up."""


def _announced(headers: Mapping[bytes, bytes], limit: int) -> bool:
    length = headers.get(b"content-length")
    return length is None or (length.isdigit() and len(length) < 16 and int(length) <= limit)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None as soon as it is longer than `limit`."""
    pieces, total, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        pieces.append(message.get("body", b""))
        total += len(pieces[-1])
        if total > limit:
            return None
        more = message.get("more_body", False)
    return b"".join(pieces)


async def _refuse(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
