"""Whom the server answers, and with which headers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import streamlit as st

from modgap.ui.server.hosts import is_host_allowed, is_origin_allowed
from modgap.ui.server.security import CONTENT_SECURITY_POLICY, HEADERS, SecurityHeaders

HERE = "127.0.0.1:8501"
FOREIGN = (
    "evil.example",
    "evil.example:8501",
    "localhost.evil.example",
    "127.0.0.1.nip.io:8501",
    "notlocalhost",
    "sub.localhost",
    "0.0.0.0:8501",
    "127.0.0.2:8501",
    "192.168.0.7",
    "[::2]:8501",
    "localhost@evil.example",
    "localhost:80@evil.example",
    "evil.example/localhost",
    "localhost/",
    "localhost?x",
    "localhost:port",
    "localhost:99999999",
    "local host",
    " localhost",
    "http://localhost",
    "",
)


def respond(kind: str = "http", *, asked: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    """What the middleware sends for a request with these headers."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        own = [(b"X-Frame-Options", b"ALLOWALL"), (b"etag", b"1")]
        await send({"type": f"{kind}.response.start", "headers": own})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {}

    asyncio.run(SecurityHeaders(app)({"type": kind, "headers": asked}, receive, send))
    return sent


def said(host: str | None = HERE, origin: str | None = None) -> list[tuple[bytes, bytes]]:
    pairs = [(b"Host", host), (b"Origin", origin)]
    return [(name, text.encode("latin-1")) for name, text in pairs if text is not None]


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The server's options, as shipped; to be changed by a test."""
    options: dict[str, Any] = {
        "server.allowedHosts": ["localhost", "127.0.0.1"],
        "server.corsAllowedOrigins": [],
    }
    monkeypatch.setattr(st, "get_option", options.__getitem__)
    return options


def refused(messages: list[dict[str, Any]]) -> str:
    start, body = messages
    assert start["status"] == 403
    headers = dict(start["headers"])
    assert set(dict(HEADERS)) < set(headers)
    assert int(headers[b"content-length"]) == len(body["body"])
    return body["body"].decode()


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_name_is_answered_nothing(host: str) -> None:
    answer = refused(respond(asked=said(host)))
    assert "--allow-host" in answer
    assert "evil" not in answer
    (closed,) = respond("websocket", asked=said(host))
    assert closed["type"] == "websocket.close"
    assert closed["code"] == 1008


def test_no_host_and_two_of_them_are_refused() -> None:
    for asked in (said(None), said("localhost") + said("evil.example")):
        refused(respond(asked=asked))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "localhost.", HERE, "127.0.0.1"])
def test_own_names_are_answered_with_the_headers(host: str) -> None:
    (message,) = respond(asked=said(host))
    headers = dict(message["headers"])
    assert headers[b"content-security-policy"] == CONTENT_SECURITY_POLICY.encode()
    assert headers[b"x-frame-options"] == b"SAMEORIGIN"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"etag"] == b"1"
    assert len(headers) == len(message["headers"]), "no header twice"


def test_the_operators_names_are_own(allowed: dict[str, Any]) -> None:
    allowed["server.allowedHosts"] = ["lab.example", "*.many.example", "[::1]"]
    assert len(respond(asked=said("lab.example"))) == 1
    assert len(respond(asked=said("a.b.many.example:443"))) == 1
    assert len(respond(asked=said("[::1]:8501"))) == 1
    refused(respond(asked=said("many.example")))
    refused(respond(asked=said("notmany.example")))
    refused(respond(asked=said("localhost")))


def test_no_list_means_this_machine_and_a_star_means_any_name() -> None:
    assert is_host_allowed("localhost:8501", [])
    assert is_host_allowed("[::1]:8501", [])
    assert not is_host_allowed("evil.example", [])
    assert is_host_allowed("any.example", ["*"])
    assert not is_host_allowed("any example/", ["*"])


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:8502",
        "http://127.0.0.1",
        "http://localhost:8501",
        "http://0.0.0.0:8501",
        "http://evil.example",
        "http://evil.example:8501",
        "http://127.0.0.1:8501.evil.example",
        "null",
        "file://",
        "chrome-extension://127.0.0.1:8501",
        "127.0.0.1:8501",
        "",
    ],
)
def test_another_port_or_name_is_a_foreign_origin(origin: str) -> None:
    assert "own pages" in refused(respond(asked=said(HERE, origin)))
    (closed,) = respond("websocket", asked=said(HERE, origin))
    assert closed["type"] == "websocket.close"


def test_own_origins() -> None:
    for kind in ("http", "websocket"):
        for origin in (None, "http://127.0.0.1:8501"):
            (message,) = respond(kind, asked=said(HERE, origin))
            assert message["type"] == f"{kind}.response.start"
    # Behind a proxy that ends TLS and keeps the name, with the port or without it.
    assert is_origin_allowed("https://lab.example", "lab.example")
    assert is_origin_allowed("https://lab.example", "lab.example:443")
    assert is_origin_allowed("http://Lab.example:80", "lab.example")
    assert not is_origin_allowed("https://lab.example", "lab.example:80")


def test_the_operators_origins_are_own(allowed: dict[str, Any]) -> None:
    allowed["server.corsAllowedOrigins"] = ["https://notes.example"]
    assert len(respond(asked=said(HERE, "https://notes.example"))) == 1
    refused(respond(asked=said(HERE, "https://other.example")))


def test_what_is_no_request_passes() -> None:
    assert respond("lifespan", asked=[])[0]["type"] == "lifespan.response.start"


def test_the_policy_names_no_other_host() -> None:
    parts = [part.split() for part in CONTENT_SECURITY_POLICY.split(";")]
    sources = {word for part in parts for word in part[1:]}
    quoted = {s for s in sources if s.startswith("'")}
    assert sources - quoted == {"blob:", "data:"}
    assert "'unsafe-eval'" not in sources
    by_name = {part[0]: part[1:] for part in parts}
    assert "'unsafe-inline'" not in by_name["script-src"]
    # No websocket and no request but to this host and port.
    assert by_name["connect-src"] == ["'self'", "blob:"]
