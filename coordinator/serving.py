# SPDX-License-Identifier: Apache-2.0
"""The SuperLink's process, Flower aside: an app behind two gates on two inherited sockets, until its parent is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
import threading
from typing import Any

import uvicorn
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp

from coordinator.gate import Gate, inside, outside


class EntrySettings(BaseModel):
    """What the SuperLink's process is told by its parent, in one line. Sockets are inherited file descriptors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    external_socket: int = Field(ge=0)
    local_socket: int = Field(ge=0)
    certificate: str
    private_key: str
    database: str
    secret: str = Field(min_length=32)
    sites: int = Field(ge=0)
    max_payload_bytes: int = Field(ge=0)


def serve(app: ASGIApp, settings: EntrySettings) -> None:
    """Serve `app` until SIGTERM or the end of standard input, then leave the process."""
    asyncio.run(_serve(app, settings))
    os._exit(0)  # the thread that reads standard input would be waited for


class _Server(uvicorn.Server):
    """Leaves signals alone: two of them run in one process."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


async def _serve(app: ASGIApp, settings: EntrySettings) -> None:
    common: dict[str, Any] = {"lifespan": "off", "access_log": False, "log_config": None, "ws": "none"}
    common |= {"server_header": False, "timeout_graceful_shutdown": 1, "proxy_headers": False}
    external = uvicorn.Config(
        Gate(app, outside(settings.max_payload_bytes)),
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
        limit_concurrency=256,
        **common,
    )
    external.load()
    assert external.ssl is not None
    external.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
    local = uvicorn.Config(
        Gate(app, inside(settings.max_payload_bytes, settings.sites), secret=settings.secret), **common
    )
    servers = [_Server(external), _Server(local)]
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
