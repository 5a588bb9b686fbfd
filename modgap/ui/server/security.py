"""What the Streamlit server does not do by itself: refuse foreign requests, send safe headers.

The content security policy is the second wall behind escaping: even if some text were taken for
markup, the browser would load nothing from another host and run no script that is not ours.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import streamlit as st

from modgap.ui.server.hosts import is_host_allowed, is_origin_allowed

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def _inline_scripts() -> str:
    """Allow the scripts written into Streamlit's own start page, by their hashes, and no others."""
    page = Path(st.__file__).parent / "static" / "index.html"
    scripts = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page.read_text(), re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    return "".join(f" 'sha256-{digest}'" for digest in digests)


CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        # Plotly and the components' modules are loaded as blobs.
        "script-src 'self' blob:" + _inline_scripts(),
        # Streamlit's styles are written into the page by its own scripts.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        # The client fetches a recording from the blob that the microphone filled. 'self' is the
        # websocket of the same host and port, too (CSP 3; Chrome 71, Firefox, Safari 16 on).
        "connect-src 'self' blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(self)"),
)


FOREIGN_HOST = (
    "This server does not answer to that host name. Open it by localhost, or have its operator "
    "allow the name: modgap app --allow-host NAME."
)
FOREIGN_ORIGIN = (
    "This server answers its own pages only. The operator can allow another origin by "
    "server.corsAllowedOrigins."
)


class SecurityHeaders:
    """ASGI middleware: refuses foreign hosts and origins, adds `HEADERS` to every HTTP response.

    Which names and origins are its own is said by ``server.allowedHosts`` and
    ``server.corsAllowedOrigins``; see `modgap.ui.server.hosts`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        problem = _foreign(scope.get("headers", ()))
        if scope["type"] == "websocket":
            if problem:
                # Before it is accepted, which a server answers with 403.
                await send({"type": "websocket.close", "code": 1008, "reason": problem[:100]})
                return
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = {name for name, _ in HEADERS}
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in ours]
                message["headers"] = [*kept, *HEADERS]
            await send(message)

        if problem:
            body = problem.encode()
            kind, size = b"text/plain; charset=utf-8", str(len(body)).encode()
            headers = [(b"content-type", kind), (b"content-length", size)]
            await send_with_headers(
                {"type": "http.response.start", "status": 403, "headers": headers}
            )
            await send({"type": "http.response.body", "body": body})
            return
        await self.app(scope, receive, send_with_headers)


def _foreign(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Why a request with these headers is not answered; empty if it is."""
    said: dict[bytes, list[str]] = {b"host": [], b"origin": []}
    for name, value in headers:
        if name.lower() in said:
            said[name.lower()].append(value.decode("latin-1"))
    hosts, origins = said.values()
    # Of two, another reader may take the other one.
    if len(hosts) != 1 or not is_host_allowed(hosts[0], st.get_option("server.allowedHosts")):
        return FOREIGN_HOST
    others = st.get_option("server.corsAllowedOrigins")
    if not all(is_origin_allowed(origin, hosts[0], others) for origin in origins):
        return FOREIGN_ORIGIN
    return ""
