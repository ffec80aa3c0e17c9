# SPDX-License-Identifier: Apache-2.0
"""What reaches Flower's app: outside a site's eight calls and nothing else, inside the coordinator's, with a secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from coordinator.wire.gate import (
    CERTIFICATE_PATH,
    END_PATH,
    NODES_PATH,
    SECRET_HEADER,
    Gate,
    inside,
    outside,
    tree_bytes,
)
from coordinator.wire.superlink import flower_app
from privacy.protocol.flower import PIECE_BYTES, object_limit

LIMIT = 20 << 20
SECRET = "s" * 64


class Counting:
    """An app that says what came through."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bytes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        self.bytes += len((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def call(app: Any, method: str, path: str, **more: Any) -> int:
    async def request() -> int:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://superlink") as client:
            return (await client.request(method, path, **more)).status_code

    return asyncio.run(request())


@pytest.fixture(scope="module")
def stock() -> Any:
    return flower_app(":flwr-in-memory:")


@pytest.fixture(scope="module")
def stock_routes(stock: Any) -> list[tuple[str, str]]:
    routes = [context.route for context in iter_route_contexts(stock.routes)]
    found = [(method, route.path) for route in routes if isinstance(route, APIRoute) for method in route.methods]
    return [*found, ("GET", "/docs"), ("GET", "/openapi.json")]


def test_outside_none_of_flowers_calls_is_there_but_a_sites(stock_routes: list[tuple[str, str]]) -> None:
    app = Counting()
    gate = Gate(app, outside(LIMIT))
    through = {route for route in stock_routes if call(gate, *route) != 404}
    assert through == set(outside(LIMIT)) - {("GET", CERTIFICATE_PATH)} == set(outside(LIMIT)) & set(stock_routes)
    assert len(app.paths) == len(through)
    prefixes = {path.rsplit("/", 1)[0] for _, path in stock_routes}
    assert {"/v1/control", "/v1/runtime", "/v1/fleet"} <= prefixes  # the list is the real one
    assert len([path for _, path in stock_routes if path.startswith("/v1/control/")]) > 30
    for path in ("register-node", "unregister-node", "get-fab", "get-run"):
        assert ("POST", f"/v1/fleet/{path}") in set(stock_routes) - through


def test_inside_nothing_is_there_without_the_secret(stock_routes: list[tuple[str, str]]) -> None:
    app = Counting()
    gate = Gate(app, inside(LIMIT, 2), secret=SECRET)
    for headers in ({}, {SECRET_HEADER: ""}, {SECRET_HEADER: "wrong"}, {SECRET_HEADER: SECRET[:-1]}):
        assert {call(gate, *route, headers=headers) for route in stock_routes} == {401, 404}
    assert app.paths == []
    through = {route for route in stock_routes if call(gate, *route, headers={SECRET_HEADER: SECRET}) == 200}
    assert through == set(inside(LIMIT, 2)) - {("POST", NODES_PATH), ("POST", END_PATH)}
    for path in (NODES_PATH, END_PATH):
        assert call(gate, "POST", path) == 401
    assert not any(path.startswith("/v1/fleet/") for _, path in through)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/fleet/",
        "/v1/fleet/pull-messages/",
        "//v1/fleet/pull-messages",
        "/v1/fleet/../control/start-run",
        "/v1/fleet/%2e%2e/control/start-run",
        "/v1/fleet/pull-messages%2f..%2f..%2fcontrol/start-run",
        "/V1/fleet/pull-messages",
        "/v1/control/start-run?x=/v1/fleet/pull-messages",
    ],
)
def test_a_path_is_what_it_says_or_nothing(path: str) -> None:
    app = Counting()
    assert call(Gate(app, outside(LIMIT)), "POST", path) == 404
    assert app.paths == []


def test_a_method_that_no_site_uses_is_not_there() -> None:
    gate = Gate(Counting(), outside(LIMIT))
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"):
        assert call(gate, method, "/v1/fleet/push-object") == 404


def test_a_body_too_long_by_its_own_account_is_refused_unread() -> None:
    app, read = Counting(), 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield bytes(1 << 20)

    gate = Gate(app, outside(LIMIT))
    headers = {"content-length": str(100 << 20)}
    assert call(gate, "POST", "/v1/fleet/push-object", content=body(), headers=headers) == 413
    for nonsense in ("-1", "1e9", "0x10", "9" * 40):
        assert call(gate, "POST", "/v1/fleet/push-object", headers={"content-length": nonsense}) == 413
    assert app.paths == []


def test_a_body_that_only_shows_its_length_as_it_comes_is_cut_off_there() -> None:
    app, sent = Counting(), 0

    async def run(limit: int, pieces: int) -> int:
        status = 0

        async def receive() -> dict[str, Any]:
            nonlocal sent
            sent += 1
            return {"type": "http.request", "body": bytes(1024), "more_body": sent < pieces}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)

        scope = {"type": "http", "method": "POST", "path": "/x", "headers": []}
        await Gate(app, {("POST", "/x"): limit})(scope, receive, send)
        return status

    assert asyncio.run(run(10 * 1024, 1000)) == 413
    assert sent == 11
    assert app.paths == []
    sent = 0
    assert asyncio.run(run(10 * 1024, 10)) == 200
    assert app.bytes == 10 * 1024


def test_a_body_that_trickles_is_given_up_and_a_caller_who_hangs_up_is_forgotten() -> None:
    app, statuses = Counting(), []

    async def never() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "POST", "path": "/x", "headers": []}
    gate = Gate(app, {("POST", "/x"): 10}, body_seconds=0.05)
    asyncio.run(gate(scope, never, send))
    assert statuses == [408, None]
    asyncio.run(gate(scope, gone, send))
    asyncio.run(gate({"type": "websocket", "path": "/x"}, never, send))
    assert statuses == [408, None]
    assert app.paths == []


def test_an_object_and_an_announcement_of_ours_fit_and_not_much_more() -> None:
    limits = outside(LIMIT)
    assert PIECE_BYTES + 4096 < limits["POST", "/v1/fleet/push-object"] < PIECE_BYTES + (100 << 10)
    assert 80 * object_limit(LIMIT) < tree_bytes(LIMIT) < 64 << 10


def test_flowers_app_refuses_an_unknown_node_behind_the_gate(stock: Any) -> None:
    gate = Gate(stock, outside(LIMIT))
    headers = {"content-type": "application/x-protobuf", "accept": "application/x-protobuf"}
    assert call(gate, "POST", "/v1/fleet/pull-messages", headers=headers, content=b"") in (401, 415)
    assert call(gate, "GET", "/health") == 200
