"""A judge on this machine, behind a real HTTP server."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Endpoint:
    """Speaks OpenAI's chat protocol: judges by a rule, and can misbehave on request."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.failures: list[int] = []  # status codes of the next replies
        self.one_at_a_time = False
        self.raw: bytes | None = None
        self.seconds = 0.0  # that a reply takes
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append({"path": self.path, **body})
                outer.keys.append(self.headers.get("Authorization"))
                if outer.failures:
                    code = outer.failures.pop(0)
                    self.send_response(code)
                    if code == 302:
                        self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                    self.end_headers()
                    return
                time.sleep(outer.seconds)
                n = 1 if outer.one_at_a_time else body.get("n", 1)
                said = outer.reply(body["messages"][-1]["content"])
                choices = [{"message": {"role": "assistant", "content": said}}] * n
                blob = outer.raw or json.dumps({"choices": choices}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(blob)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reply(self, prompt: str) -> str:
        if "Known right answer:" in prompt:
            reference = prompt.split("Known right answer: ")[1].split("\n")[0]
            return "Yes." if reference in prompt.split("Answer to check: ")[1] else "No"
        return "Rating: 4" if "good" in prompt else "not a number at all"

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()
