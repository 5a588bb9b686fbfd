"""A package index and a hub on this machine, and all that goes wrong with servers."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

JSON, HTML = "application/vnd.pypi.simple.v1+json", "text/html"


class Server:
    """Serves wheels under ``/simple`` and repositories under ``/REPO/resolve``.

    Attributes
    ----------
    folder : Path
        See `Releases`.
    url : str
    asked : list of tuple (str, dict)
        Path and headers of every request.
    sent : Counter
        Bytes of the bodies of files, by the file's name.
    form : JSON or HTML
        What the index speaks.
    hashes : bool
        Whether the index tells SHA-256s.
    changed : dict
        What is added to, or put in the place of, a file's entry in the index, by its name.
    instead : dict
        Other bytes that are sent as a file, by its name.
    ranges, tags, lengths : bool
        Whether it heeds Range, and sends ETag and Content-Length.
    cuts : list of int
        After how many bytes the next answers with a file end; then they are whole.
    refuse : int
        How many of the next requests are closed without an answer.
    status : int
        What it answers to everything, if not 0.
    login : tuple (str, str) or None
        That the index wants.
    elsewhere : str
        Where files are sent from: redirected to this address, if there is one.
    pause : float
        Seconds before each 64 kB.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.sent: Counter[str] = Counter()
        self.form, self.hashes = JSON, True
        self.changed: dict[str, dict[str, Any]] = {}
        self.instead: dict[str, bytes] = {}
        self.ranges = self.tags = self.lengths = True
        self.cuts: list[int] = []
        self.refuse, self.status, self.pause = 0, 0, 0.0
        self.login: tuple[str, str] | None = None
        self.elsewhere = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                outer.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def index(self) -> str:
        """What pip would be set to."""
        return f"{self.url}/simple"

    def paths(self) -> list[str]:
        """What was asked for."""
        return [path for path, _ in self.asked]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(request.path.partition("?")[0])
        self.asked.append((path, dict(request.headers)))
        if self.refuse:
            self.refuse -= 1
            return self.cut(request)
        if self.status:
            return self.send(request, self.status, b"")
        if path.startswith("/simple/"):
            if self.login is not None:
                told = base64.b64encode(":".join(self.login).encode()).decode()
                if request.headers.get("Authorization") != f"Basic {told}":
                    return self.send(request, 401, b"")
            return self.page(request, path.split("/")[2])
        if path.startswith("/files/"):
            return self.file(request, self.folder / path.lstrip("/"))
        if "/resolve/" in path:
            repo, _, rest = path.strip("/").partition("/resolve/")
            # The repository's folder is called as the model is.
            name = repo.rpartition("/")[2]
            return self.file(request, self.folder / name / rest.partition("/")[2])
        return self.send(request, 404, b"")

    def page(self, request: BaseHTTPRequestHandler, project: str) -> None:
        start = project.replace("-", "_")
        wheels = sorted((self.folder / "files").glob(f"{start}-*.whl"))
        entries = []
        for wheel in wheels:
            data = wheel.read_bytes()
            entry: dict[str, Any] = {
                "filename": wheel.name, "url": f"{self.url}/files/{wheel.name}", "hashes": {},
            }  # fmt: skip
            if self.hashes:
                entry["hashes"] = {"sha256": hashlib.sha256(data).hexdigest()}
            entries.append(entry | self.changed.get(wheel.name, {}))
        if not entries:
            return self.send(request, 404, b"")
        if self.form == JSON:
            page = {"meta": {"api-version": "1.1"}, "name": project, "files": entries}
            return self.send(request, 200, json.dumps(page).encode(), JSON)
        lines = ["<!DOCTYPE html><html><head><title>Links</title></head><body>"]
        for entry in entries:
            sha256 = entry["hashes"].get("sha256")
            mark = f"#sha256={sha256}" if sha256 else ""
            yanked = entry.get("yanked", False)
            why = "" if yanked is True else str(yanked)
            flag = f' data-yanked="{why}"' if yanked is not False else ""
            link = f"../../files/{entry['filename']}{mark}"
            lines.append(f'<a href="{link}"{flag}>{entry["filename"]}</a><br>')
        return self.send(request, 200, "\n".join(lines).encode(), f"{HTML}; charset=utf-8")

    def file(self, request: BaseHTTPRequestHandler, path: Path) -> None:
        if self.elsewhere:
            return self.send(request, 302, b"", headers={"Location": self.elsewhere + request.path})
        if not path.is_file():
            return self.send(request, 404, b"")
        data = self.instead.get(path.name, path.read_bytes())
        tag = f'"{hashlib.sha1(data).hexdigest()}"'
        start, asked = 0, request.headers.get("Range", "")
        condition = request.headers.get("If-Range", tag)
        if self.ranges and asked and condition == tag:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            if start >= len(data):
                return self.send(request, 416, b"")
        body = data[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.lengths:
            request.send_header("Content-Length", str(len(body)))
        if self.tags:
            request.send_header("ETag", tag)
        request.send_header("Connection", "close")
        request.close_connection = True
        request.end_headers()
        end = self.cuts.pop(0) if self.cuts else len(body)
        for at in range(0, min(end, len(body)), 1 << 16):
            block = body[at : min(at + (1 << 16), end)]
            time.sleep(self.pause)
            try:
                request.wfile.write(block)
                request.wfile.flush()
            except OSError:  # who asked has gone
                return None
            self.sent[path.name] += len(block)
        if end < len(body):
            self.cut(request)
        return None

    def cut(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.wfile.flush()
        request.connection.shutdown(socket.SHUT_RDWR)

    def send(
        self, request: BaseHTTPRequestHandler, status: int, data: bytes, kind: str = "text/plain",
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server of a publisher's folder while this is open."""
    made = Server(folder)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
