"""One entry of the browser's history a page: Back takes one press, whatever was set on a page.

Streamlit's client pushes an entry whenever a script writes into the address, and has no way to
replace one. A script of ours, loaded before the client's, replaces instead where the page stays
the same. Going back is the client's own: it answers ``popstate`` with the address of that entry.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from modgap.ui.server.security import ASGIApp, Message, Receive, Send

NAME = "modgap-history.js"
#: Relative, as Streamlit's own scripts are, so that it is found under a base path, too.
TAG = f'<script src="./{NAME}"></script>'.encode()
_SCRIPT = Path(__file__).parents[1] / "static" / "history.js"
# Of the page as Streamlit has it: with ours in it, it is another one.
_STALE = {b"content-length", b"etag", b"last-modified"}
_CONDITIONS = {b"if-none-match", b"if-modified-since"}


class OneEntryPerPage:
    """ASGI middleware: serves the script, and names it in the start page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._script = _SCRIPT.read_bytes()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
        elif scope["path"].endswith(f"/{NAME}"):
            await self._serve(send)
        elif b"text/html" in dict(scope["headers"]).get(b"accept", b""):
            kept = [pair for pair in scope["headers"] if pair[0] not in _CONDITIONS]
            await self.app({**scope, "headers": kept}, receive, _naming(send))
        else:
            await self.app(scope, receive, send)

    async def _serve(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/javascript; charset=utf-8"),
            (b"content-length", str(len(self._script)).encode()),
            (b"cache-control", b"no-cache"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._script})


def _naming(send: Send) -> Send:
    """`send`, with the script as the first one of a start page."""
    held: list[Message] = []  # the start of a page whose body is still to come
    body = bytearray()

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message.get("headers", ()))
            plain = b"content-encoding" not in headers
            if plain and headers.get(b"content-type", b"").startswith(b"text/html"):
                held.append(message)
                return
        elif message["type"] == "http.response.body" and held:
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            page = bytes(body).replace(b"<head>", b"<head>" + TAG, 1)
            start = held.pop()
            kept = [pair for pair in start["headers"] if pair[0].lower() not in _STALE]
            length = (b"content-length", str(len(page)).encode())
            await send({**start, "headers": [*kept, length]})
            message = {"type": "http.response.body", "body": page}
        await send(message)

    return named
