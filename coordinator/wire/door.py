# SPDX-License-Identifier: Apache-2.0
"""The door: who gets a connection, how many, and for how long. TLS 1.3 with a certificate of ours, or nothing.

Before TLS a connection costs one socket and no more: only when it says the first bytes of a handshake does it get the
buffers for one. Strangers share a bounded room in which the newest comes in for the oldest of whoever has the most, so
a flood displaces itself. After the handshake the certificate says who calls, and each site has room of its own. All
that waits has an end: first byte, handshake, headers, idleness (bodies and answers: coordinator.wire.gate).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import h11
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from coordinator.admissions import Admitted
from privacy.base.errors import IntegrityError
from privacy.base.identifiers import SiteId
from privacy.protocol.identity import Holder, holder_of

SILENT: Final = 256
"""Connections that have said nothing yet."""
SHAKING: Final = 64
"""Handshakes at a time. Each holds about 300 kB."""
OF_A_SITE: Final = 16
"""Connections of one site: its client uses six."""
FIRST_BYTE_SECONDS: Final = 5.0
HANDSHAKE_SECONDS: Final = 5.0
HEADER_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 30
BACKLOG: Final = 1024
SWEEP_SECONDS: Final = 0.5
"""How soon a connection whose certificate was revoked is cut; its requests are refused at once."""
_CALLER: Final = "caller"
_TLS_HANDSHAKE: Final = b"\x16\x03"
_ACCEPTED_AT_A_TIME: Final = 64


class Room:
    """At most `limit` things, each of a source. What comes in when it is full displaces the oldest of the source that
    has the most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[Any, str] = OrderedDict()
        self._of: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._held)

    def add(self, thing: Any, source: str) -> Any | None:
        """Take `thing` in; what has to leave for it comes back."""
        leaving = None
        if len(self._held) >= self._limit:
            crowded = max(self._of, key=lambda one: self._of[one])
            leaving = next(held for held, its in self._held.items() if its == crowded)
            self.remove(leaving)
        self._held[thing] = source
        self._of[source] = self._of.get(source, 0) + 1
        return leaving

    def remove(self, thing: Any) -> None:
        """Twice is as once."""
        source = self._held.pop(thing, None)
        if source is not None:
            self._of[source] -= 1
            if not self._of[source]:
                del self._of[source]


class Visitors:
    """Who is connected: the certificates that made the connections, and the connections of each site."""

    def __init__(self, admitted: Admitted, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._admitted = admitted
        self._clock = clock
        self._of: dict[SiteId, list[SiteProtocol]] = {}

    def holder(self, scope: Scope) -> Holder | None:
        protocol = scope["state"].get(_CALLER)
        return None if protocol is None else protocol.holder

    def site_of(self, holder: Holder) -> SiteId | None:
        return self._admitted.site_of(holder, now=self._clock())

    def newest(self, site: SiteId) -> str:
        return self._admitted.newest(site)

    def cut(self, scope: Scope) -> None:
        scope["state"][_CALLER].transport.abort()

    def enter(self, protocol: SiteProtocol) -> None:
        """A site that has too many connections loses its oldest: those may be what a broken line left behind."""
        site = None if protocol.holder is None else self.site_of(protocol.holder)
        if site is None:
            return
        of_site = self._of.setdefault(site, [])
        of_site.append(protocol)
        if len(of_site) > OF_A_SITE:
            of_site[0].transport.abort()
            del of_site[0]

    def leave(self, protocol: SiteProtocol) -> None:
        for of_site in self._of.values():
            if protocol in of_site:
                of_site.remove(protocol)

    def sweep(self) -> None:
        """Cut the connections whose certificates let nobody in any more."""
        for protocol in [one for of_site in self._of.values() for one in of_site]:
            if protocol.holder is None or self.site_of(protocol.holder) is None:
                protocol.transport.abort()
                self.leave(protocol)


class SiteProtocol(H11Protocol):  # type: ignore[misc]
    """uvicorn's HTTP over h11, for a caller with a certificate: it is in the scope, and nothing waits without end."""

    def __init__(self, *, visitors: Visitors, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._visitors = visitors
        self.holder: Holder | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._over = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        der = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        with contextlib.suppress(IntegrityError):
            self.holder = holder_of(der or b"")
        self.app_state: dict[str, Any] = {**self.app_state, _CALLER: self}
        self._visitors.enter(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._stop_waiting()
        self._visitors.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self._over:
            self._wait()
        else:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or has headers without end, is cut off where it is noticed."""
        self._over = True
        self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()

    def _wait(self) -> None:
        """For a request's headers, from now or from when it began."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def server_context(context: ssl.SSLContext) -> ssl.SSLContext:
    """`context` (with certificate and CA) as the door wants it: TLS 1.3, everybody shows a certificate."""
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.num_tickets = 0
    return context


class Acceptor:
    """Takes connections from a listening socket and brings those that finish a handshake to `make_protocol`."""

    def __init__(
        self, listening: socket.socket, context: ssl.SSLContext, make_protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._listening, self._context, self._make = listening, context, make_protocol
        self._loop = asyncio.get_running_loop()
        self._silent, self._shaking = Room(SILENT), Room(SHAKING)
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}
        listening.setblocking(False)
        listening.listen(BACKLOG)
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Take no more. Handshakes in hand end by themselves."""
        self._loop.remove_reader(self._listening)
        for connection in list(self._timers):
            self._forget(connection)
            connection.close()

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_A_TIME):
            try:
                connection, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptors left: the next seconds' timeouts bring some back
                self._loop.remove_reader(self._listening)
                self._loop.call_later(0.2, self._loop.add_reader, self._listening, self._accept)
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            source = str(address[0])
            if (leaving := self._silent.add(connection, source)) is not None:
                self._drop(leaving)
            self._timers[connection] = self._loop.call_later(FIRST_BYTE_SECONDS, self._drop, connection)
            self._loop.add_reader(connection, self._heard, connection, source)

    def _heard(self, connection: socket.socket, source: str) -> None:
        """The first bytes are there: a handshake, or somebody who has nothing to do here."""
        try:
            begin = connection.recv(len(_TLS_HANDSHAKE), socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            begin = b""
        if begin != _TLS_HANDSHAKE:
            self._drop(connection)
            return
        self._forget(connection)
        task = self._loop.create_task(self._shake(connection))
        if (leaving := self._shaking.add(task, source)) is not None:
            leaving.cancel()
        task.add_done_callback(self._shaking.remove)
        task.add_done_callback(lambda done: connection.close() if done.cancelled() else None)

    async def _shake(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=1.0,
            )
        except OSError:  # ssl.SSLError and timeouts are such
            connection.close()

    def _forget(self, connection: socket.socket) -> None:
        self._silent.remove(connection)
        self._loop.remove_reader(connection)
        self._timers.pop(connection).cancel()

    def _drop(self, connection: socket.socket) -> None:
        if connection in self._timers:
            self._forget(connection)
            connection.close()
