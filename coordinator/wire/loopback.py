# SPDX-License-Identifier: Apache-2.0
"""How the coordinator calls the SuperLink's process on loopback: with a secret, patiently, never through a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from coordinator.wire.gate import SECRET_HEADER
from privacy.protocol.retry import RetryPolicy

RETRY_SECONDS: Final = 60.0
"""How long the coordinator waits for a SuperLink that is being restarted: Flower ends the run after 60 s of silence."""


@dataclass(frozen=True)
class LocalEntry:
    """Where the gate on loopback listens (`host:port`), and the secret that it asks for at every call."""

    address: str
    secret: str = field(repr=False)

    def client(self, kind: Any, interceptors: Sequence[Any]) -> Any:
        """One of Flower's HTTP clients for this entry, with the secret behind the `interceptors`."""
        return local_client(kind, self.address, [*interceptors, _SecretInterceptor(self.secret)])

    def post(self, path: str, body: bytes) -> None:
        """A call of our own."""

        def call() -> httpx.Response:
            headers = {SECRET_HEADER: self.secret}
            with httpx.Client(timeout=30.0, trust_env=False) as client:
                return client.post(f"http://{self.address}{path}", content=body, headers=headers).raise_for_status()

        RetryPolicy(RETRY_SECONDS).invoke(call)


def local_client(kind: Any, address: str, interceptors: Sequence[Any]) -> Any:
    """One of Flower's HTTP clients for a loopback address: patient, and never through a proxy of the environment."""
    client = kind(f"http://{address}", interceptors=interceptors, retry_invoker=RetryPolicy(RETRY_SECONDS))
    client._client.close()
    client._client = httpx.Client(timeout=30.0, trust_env=False)
    return client


class _SecretInterceptor:
    """Shows the gate on loopback that it is the coordinator who calls."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def intercept(self, context: Any, call_next: Any) -> Any:
        context.request.headers[SECRET_HEADER] = self._secret
        return call_next(context)
