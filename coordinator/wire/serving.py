# SPDX-License-Identifier: Apache-2.0
"""The SuperLink's process, Flower aside: an app behind two gates on two inherited sockets, until its parent is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import uvicorn
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from coordinator.admissions import Admitted
from coordinator.wire.door import IDLE_SECONDS, SWEEP_SECONDS, Acceptor, SiteProtocol, Visitors, server_context
from coordinator.wire.fleet import Fleet
from coordinator.wire.gate import END_PATH, HEADER_BYTES, NODES_PATH, Gate, SiteGate, answer, inside, outside
from coordinator.wire.slots import Slots
from privacy.base.identifiers import SiteId

FAREWELL_SECONDS: Final = 4.0
"""How long the end of a run waits until the sites that are there have heard of it."""
_PRESENT_SECONDS: Final = 5.0


class EntrySettings(BaseModel):
    """What the SuperLink's process is told by its parent, in one line. Sockets are inherited file descriptors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    external_socket: int = Field(ge=0)
    local_socket: int = Field(ge=0)
    certificate: str
    private_key: str
    authority: str = Field(description="the CA's certificate: who has none of its certificates is not let in")
    door: str = Field(description="the folder of the client certificates that are let in")
    database: str
    slots: str = Field(description="the file of what was asked and announced")
    secret: str = Field(min_length=32)
    node_keys: dict[SiteId, str]
    max_payload_bytes: int = Field(ge=0)


def serve(app: ASGIApp, settings: EntrySettings) -> None:
    """Serve `app` until SIGTERM or the end of standard input, then leave the process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16384)), hard))
    asyncio.run(_serve(app, settings))
    os._exit(0)  # the thread that reads standard input would be waited for


class _Server(uvicorn.Server):  # type: ignore[misc]
    """Leaves signals alone: two of them run in one process."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class _Outside(_Server):
    """Takes its connections through the door instead of asyncio's own server."""

    def __init__(self, config: uvicorn.Config, visitors: Visitors) -> None:
        super().__init__(config)
        self._visitors = visitors

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        assert sockets is not None
        loop = asyncio.get_running_loop()

        def make() -> SiteProtocol:
            return SiteProtocol(
                visitors=self._visitors,
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
                _loop=loop,
            )

        self._acceptors = [Acceptor(each, server_context(self.config.ssl), make) for each in sockets]
        self._sweeper = loop.create_task(self._sweep())
        self.servers: list[asyncio.base_events.Server] = []
        self.started = True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._visitors.sweep()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sweeper.cancel()
        for acceptor in self._acceptors:
            acceptor.close()
        await super().shutdown(sockets)


class Own:
    """The coordinator's two calls that are not Flower's, before `app`: which node a site has, and that the run ended.

    Reached through the gate on loopback alone.
    """

    def __init__(self, app: ASGIApp, fleet: Fleet, gate: SiteGate) -> None:
        self._app, self._fleet, self._gate = app, fleet, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == NODES_PATH:
            self._fleet.know(json.loads((await receive())["body"]))
            await answer(send, b"")
        elif scope["path"] == END_PATH:
            await self._farewell()
            await answer(send, b"")
        else:
            await self._app(scope, receive, send)

    async def _farewell(self) -> None:
        """From now on every site is told that the run is over; those that are there get the time to ask."""
        now = time.monotonic()
        there = {site: last for site, last in self._gate.told.items() if now - last < _PRESENT_SECONDS}
        self._gate.told.clear()
        self._gate.told.update(there)
        self._gate.ended = True
        while self._gate.told and time.monotonic() - now < FAREWELL_SECONDS:
            await asyncio.sleep(0.05)


async def _serve(app: ASGIApp, settings: EntrySettings) -> None:
    common: dict[str, Any] = {"lifespan": "off", "access_log": False, "log_config": None, "ws": "none"}
    common |= {"server_header": False, "timeout_graceful_shutdown": 1, "proxy_headers": False}
    fleet = Fleet(settings.node_keys, Slots(settings.max_payload_bytes, Path(settings.slots)))
    visitors = Visitors(Admitted(Path(settings.door)))
    gate = SiteGate(app, outside(settings.max_payload_bytes), fleet, visitors)
    external = uvicorn.Config(
        gate,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
        ssl_ca_certs=settings.authority,
        ssl_cert_reqs=ssl.CERT_REQUIRED,
        timeout_keep_alive=IDLE_SECONDS,
        h11_max_incomplete_event_size=HEADER_BYTES,
        http="h11",
        **common,
    )
    external.load()
    limits = inside(settings.max_payload_bytes, len(settings.node_keys))
    local = uvicorn.Config(
        Gate(Own(app, fleet, gate), limits, secret=settings.secret, heard=fleet.heard), http="h11", **common
    )
    servers = [_Outside(external, visitors), _Server(local)]
    sockets = [socket.socket(fileno=settings.external_socket), socket.socket(fileno=settings.local_socket)]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    def watch_parent() -> None:
        sys.stdin.buffer.read()  # ends when the coordinator closes it, or is no more
        loop.call_soon_threadsafe(stop)

    loop.add_signal_handler(signal.SIGTERM, stop)
    threading.Thread(target=watch_parent, daemon=True).start()
    await asyncio.gather(*(server.serve([sock]) for server, sock in zip(servers, sockets, strict=True)))
