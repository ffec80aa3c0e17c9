# SPDX-License-Identifier: Apache-2.0
"""The doors of the SuperLink: which requests reach Flower's app at all, and how long they may be.

Flower 1.41 serves its sites, its run control and its runtime on one port, and asks nobody who starts a run. So the app
stands behind two listeners: outside only the calls that a site of ours makes, on loopback only the coordinator's, with
a secret. Outside, a call is the site's whose certificate made the connection, and is signed before its body is read. A
body is counted before the app sees a byte of it; what a gate refuses is answered without a body.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordinator.wire.fleet import Fleet
from coordinator.wire.slots import PASS
from privacy.base.identifiers import Role, SiteId
from privacy.protocol.flower import object_limit
from privacy.protocol.identity import Holder

SECRET_HEADER: Final = "x-collab-secret"
BODY_SECONDS: Final = 60.0
"""How long a body may take: 5 MiB at 90 kB/s. A slower line sends no object in time for Flower's own 180 s either."""
ANSWER_SECONDS: Final = 120.0
"""How long Flower, and a caller that reads slowly, may take for one answer."""
AT_ONCE: Final = 4
"""Calls of one site that are in hand together: two lanes, a heartbeat and one more."""
MEDIA_TYPE: Final = b"application/protobuf"
CERTIFICATE_PATH: Final = "/v1/collab/certificate"
"""Our own: the site's newest certificate, over the one that it has."""
NODES_PATH: Final = "/v1/collab/nodes"
END_PATH: Final = "/v1/collab/end"
HEADER_BYTES: Final = 16 << 10
_SMALL: Final = 8 << 10
_LONG: Final = 256 << 10
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
        ("GET", CERTIFICATE_PATH): 0,
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
        ("POST", NODES_PATH): 256 << 10,
        ("POST", END_PATH): 0,
        **{("POST", f"/v1/control/{call}"): 64 << 10 for call in ("list-nodes", "register-node", "start-run")},
        **{("POST", f"/v1/runtime/{call}"): 64 << 10 for call in (*runtime, *messages)},
        ("POST", "/v1/runtime/push-messages"): max(1, sites) * tree_bytes(max_payload_bytes),
        ("POST", "/v1/runtime/push-object"): _OBJECT,
    }


class Gate:
    """An ASGI app before `app`: 404 for what `limits` does not name, 401 without `secret`, 413 long, 408 slow.

    `heard` is told each whole body that is about to be passed on.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        *,
        secret: str | None = None,
        body_seconds: float = BODY_SECONDS,
        heard: Callable[[str, bytes], None] = lambda path, body: None,
    ) -> None:
        self._app = app
        self._limits = dict(limits)
        self._secret = None if secret is None else secret.encode()
        self._body_seconds = body_seconds
        self._heard = heard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        limit = self._limits.get((scope["method"], scope["path"]))
        headers = dict(scope["headers"])
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
            await refuse(send, 431)
        elif limit is None:
            await refuse(send, 404)
        elif (status := self._head(scope, headers)) != PASS:
            await refuse(send, status)
        elif not _announced(headers, limit):
            await refuse(send, 413)
        else:
            await self._pass(scope, receive, send, limit)

    def _head(self, scope: Scope, headers: Mapping[bytes, bytes]) -> int:
        """The verdict on what a call says before its body."""
        if self._secret is None or hmac.compare_digest(headers.get(SECRET_HEADER.encode(), b""), self._secret):
            return PASS
        return 401

    async def _pass(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        try:
            body = await asyncio.wait_for(_read(receive, limit), self._body_seconds)
        except TimeoutError:
            return await refuse(send, 408)
        except _Gone:
            return None
        if body is None:
            return await refuse(send, 413)
        return await self._judge(scope, body, receive, send)

    async def _judge(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        self._heard(scope["path"], body)
        await self._on(scope, body, receive, send)

    async def _on(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Pass the call on with its whole body."""
        whole: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def replay() -> Message:
            nonlocal whole
            message, whole = whole, None
            return await receive() if message is None else message

        await self._app(scope, replay, send)


class SiteGate(Gate):
    """The gate outside: each call belongs to the site of its TLS certificate, and says only what that site may.

    `site_of` tells who calls (None: nobody who is let in), `fleet` what a call may say. A site has `AT_ONCE` calls
    in hand; the rest of its calls wait, so that no site takes the others' turn. `ended` says that the run is over.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, fleet: Fleet, callers: Callers, *, body_seconds: float = BODY_SECONDS
    ) -> None:
        super().__init__(app, limits, body_seconds=body_seconds)
        self._fleet = fleet
        self._callers = callers
        self._turns: dict[SiteId, asyncio.Semaphore] = {}
        self.ended = False
        self.told: dict[SiteId, float] = {}
        """When each site was last here; after the end only those that were not told so yet."""

    def _head(self, scope: Scope, headers: Mapping[bytes, bytes]) -> int:
        site = self._site(scope)
        if site is None:
            return 403
        if scope["path"] == CERTIFICATE_PATH or scope["method"] == "GET":
            return PASS
        if headers.get(b"content-type") != MEDIA_TYPE or b"content-encoding" in headers:
            return 415
        status = self._fleet.signed(site, headers)
        if status == PASS and self.ended:
            self.told.pop(site, None)
            return 410
        self.told[site] = time.monotonic()
        return status

    async def _pass(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        site = self._site(scope)
        if site is None:
            return await refuse(send, 403)
        async with self._turns.setdefault(site, asyncio.Semaphore(AT_ONCE)):
            return await super()._pass(scope, receive, send, limit)

    async def _judge(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        holder, site = self._callers.holder(scope), self._site(scope)
        if holder is None or site is None:  # revoked while it spoke
            return await refuse(send, 403)
        if scope["path"] == CERTIFICATE_PATH:
            return await answer(send, self._callers.newest(site).encode("ascii"))
        if scope["method"] == "POST":
            status = await self._verdict(site, holder.role, scope["path"], body)
            if status != PASS:
                return await refuse(send, status, close=False)
        try:
            await asyncio.wait_for(self._on(scope, body, receive, send), ANSWER_SECONDS)
        except TimeoutError:
            self._callers.cut(scope)
        return None

    async def _verdict(self, site: SiteId, role: Role, path: str, body: bytes) -> int:
        """A long body is read and hashed beside the loop, which serves the others meanwhile."""
        if len(body) < _LONG:
            return self._fleet.may(site, role, path, body)
        return await asyncio.to_thread(self._fleet.may, site, role, path, body)

    def _site(self, scope: Scope) -> SiteId | None:
        holder = self._callers.holder(scope)
        return None if holder is None else self._callers.site_of(holder)


class Callers(Protocol):
    """Who is at the other end of a connection (coordinator.wire.door)."""

    def holder(self, scope: Scope) -> Holder | None:
        """The holder of the certificate that the connection was made with."""
        ...

    def site_of(self, holder: Holder) -> SiteId | None:
        """The site that this certificate lets in at this moment."""
        ...

    def newest(self, site: SiteId) -> str:
        """The site's newest certificate, PEM; empty when it has none."""
        ...

    def cut(self, scope: Scope) -> None:
        """End the connection now."""
        ...


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


async def refuse(send: Send, status: int, *, close: bool = True) -> None:
    """A status and nothing else: what was wrong is not quoted. A line whose body was not read is closed."""
    headers = [(b"content-length", b"0"), *([(b"connection", b"close")] if close else [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def answer(send: Send, body: bytes) -> None:
    """A body of ours."""
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/x-pem-file")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
