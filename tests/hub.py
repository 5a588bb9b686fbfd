"""A hub on this machine: as much of the hub's protocol as loading a model uses, refusals too."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants

SHA = "0123456789abcdef0123456789abcdef01234567"
# What the hub answers, by the name of the model: status, and the header that says why.
REFUSALS = {
    "missing": (401, "RepoNotFound"),
    "revision": (404, "RevisionNotFound"),
    "broken": (500, ""),
}


class LocalHub:
    """Serves ``org/whole`` and ``org/gated`` out of a folder and refuses the rest.

    Attributes
    ----------
    url : str
    asked : list of str
        Every request, "METHOD path".
    status : int
        What it answers to everything, if not 0.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.status = 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def files(self) -> set[str]:
        """Files that were asked for and sent."""
        sent = (path.partition("/resolve/")[2] for path in self.asked if path.startswith("GET"))
        return {path.split("/", 1)[1] for path in sent if path}

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = request.path.partition("?")[0]
        self.asked.append(f"{request.command} {path}")
        parts = path.removeprefix("/api/models").strip("/").split("/")
        name = parts[1] if len(parts) > 1 else ""
        if self.status:
            self.send(request, self.status, "", b"", body)
        elif name in REFUSALS:
            self.send(request, *REFUSALS[name], b"", body)
        elif path.startswith("/api/models/"):
            if "tree" in parts:
                self.send(request, 200, "", b"[]", body)
                return
            about = {"id": "/".join(parts[:2]), "modelId": "/".join(parts[:2]), "sha": SHA}
            about |= {"private": False, "tags": [], "downloads": 0, "likes": 0, "siblings": []}
            self.send(request, 200, "", json.dumps(about).encode(), body)
        elif name == "gated":
            self.send(request, 403, "GatedRepo", b"", body)
        else:
            file = self.folder / "/".join(parts[4:])
            if name == "whole" and file.is_file():
                self.send(request, 200, "", file.read_bytes(), body)
            else:
                self.send(request, 404, "EntryNotFound", b"", body)

    def send(
        self, request: BaseHTTPRequestHandler, status: int, code: str, data: bytes, body: bool
    ) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(data)))
        request.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        request.send_header("X-Repo-Commit", SHA)
        if code:
            request.send_header("X-Error-Code", code)
            request.send_header("X-Error-Message", f"refused: {code}")
        request.end_headers()
        if body:
            request.wfile.write(data)


class HubCache:
    """The cache of the hub's client in a folder, while the hub itself is out of reach."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder

        def no_network(self: HfApi, name: str, **_: Any) -> None:
            raise OSError("no network here")

        monkeypatch.setattr(HfApi, "model_info", no_network)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))

    def add(self, name: str, make: Callable[[Path], Any], revision: str = "main") -> str:
        """Have `make` write a checkpoint's files; returns the commit."""
        at = self.folder / f"models--{name.replace('/', '--')}"
        commit = hashlib.sha1(f"{name} {revision}".encode()).hexdigest()
        make(at / "snapshots" / commit)
        ref = at / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)
        return commit


@contextmanager
def local_hub(folder: Path) -> Iterator[LocalHub]:
    """A hub that serves a checkpoint's folder while this is open."""
    hub = LocalHub(folder)
    thread = threading.Thread(target=hub.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()
        thread.join()
