"""Endpoints that take other settings than modgap sends first, or say why they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from modgap.cli import main
from modgap.evaluation.judging.judge import Judge, JudgeError
from modgap.scoring.question import Question

Rule = Callable[[dict[str, Any]], tuple[int, Any]]


def message(content: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": content, **more}}]}


class Server:
    """Replies by a rule."""

    def __init__(self) -> None:
        self.rule: Rule = lambda body: (200, message("Yes"))
        self.bodies: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append(body)
                code, said = outer.rule(body)
                self.send_response(code)
                self.end_headers()
                self.wfile.write(said if isinstance(said, bytes) else json.dumps(said).encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


QUESTION = Question("k", "Who?", lambda: None, "Ann")  # type: ignore[arg-type, return-value]


def picky(body: dict[str, Any]) -> tuple[int, Any]:
    """As newer models: one reply a time, the longest one under another name."""
    if "max_tokens" in body:
        return 400, {"error": {"message": "Use 'max_completion_tokens' instead of 'max_tokens'."}}
    if body.get("n", 1) > 1:
        return 400, {"error": {"message": "Only one choice is supported."}}
    return 200, message("Yes")


def no_n(body: dict[str, Any]) -> tuple[int, Any]:
    return (422, {"detail": [{"msg": "extra field n"}]}) if "n" in body else (200, message("Yes"))


@pytest.mark.parametrize(("rule", "extra"), [(picky, 2), (no_n, 2)])
def test_refused_settings_are_left_out_and_that_is_remembered(
    server: Server, rule: Rule, extra: int
) -> None:
    server.rule = rule
    judge = Judge(server.url, "m", max_tokens=77)
    assert judge.verdict(QUESTION, "Ann").correct is True
    assert len(server.bodies) == 3 + extra
    assert judge.verdict(QUESTION, "Ann").correct is True
    assert len(server.bodies) == 6 + extra
    assert 77 in (
        server.bodies[-1].get("max_tokens"),
        server.bodies[-1].get("max_completion_tokens"),
    )


@pytest.mark.parametrize(
    ("code", "said", "shown"),
    [
        (400, {"error": {"message": "The model is asleep."}}, "400, 'The model is asleep.'"),
        (401, {"error": "Wrong key."}, "401, 'Wrong key.'"),
        (404, {"message": "No model m."}, "404, 'No model m.'"),
        (422, {"detail": [{"loc": ["n"], "msg": "Too\nlong."}]}, "422, 'Too long.'"),
        (403, b"Not for you.", "403, 'Not for you.'"),
        (500, {"error": {"message": "Out of memory."}}, "500, 'Out of memory.'"),
        (502, b"<html><body>Bad gateway</body></html>", "502, 'Bad Gateway'"),
        (400, b"\xff" * 5000, "400, "),
        (200, {"error": {"message": "Quota spent."}}, "'Quota spent.'"),
        (200, message(None, refusal="I would rather not."), "'I would rather not.'"),
        (200, message(None, reasoning_content="Yes"), "replied without words"),
        (200, message([]), "replied without words"),
        (200, {"choices": ["Yes"]}, "does not speak"),
        (200, {"choices": [{"message": "Yes"}]}, "does not speak"),
    ],
)  # fmt: skip
def test_the_servers_own_sentence_is_shown(
    server: Server, code: int, said: Any, shown: str
) -> None:
    server.rule = lambda body: (code, said)
    with pytest.raises(JudgeError) as refusal:
        Judge(server.url, "m", retries=0).verdict(QUESTION, "Ann")
    assert shown in str(refusal.value)
    assert len(str(refusal.value)) < 500
    assert "None" not in str(refusal.value) or "finish_reason" in str(refusal.value)


def test_a_key_that_a_server_repeats_is_not_shown(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "sk-secret")
    server.rule = lambda body: (401, {"error": {"message": "Incorrect key: sk-secret"}})
    with pytest.raises(JudgeError, match=r"Incorrect key: \*\*\*"):
        Judge(server.url, "m", "K").verdict(QUESTION, "Ann")


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Yes"}],
        [{"type": "thinking", "thinking": "No?"}, {"type": "text", "text": "Yes"}],
        [{"type": "reasoning", "text": "No"}, {"type": "output_text", "text": "Yes"}],
        [{"type": "text", "text": {"value": "Yes"}}],
        ["Yes"],
        {"type": "text", "text": "Yes"},
        "[THINK]No[/THINK]Yes",
    ],
)
def test_content_in_parts(server: Server, content: Any) -> None:
    server.rule = lambda body: (200, message(content))
    assert Judge(server.url, "m").verdict(QUESTION, "Ann").correct is True


def test_a_reply_that_is_cut_says_what_to_do(server: Server, tmp_path: Path) -> None:
    server.rule = lambda body: (
        200, {"choices": [{"message": {"content": None}, "finish_reason": "length"}] * body["n"]},
    )  # fmt: skip
    path = tmp_path / "m-sd-qa-usa-audio.jsonl"
    path.write_text('{"prompt": "Who?", "reference": "Ann", "response": "Ann"}\n')
    args = [
        "score",
        str(path),
        "--judge-url",
        server.url,
        "--judge-model",
        "m",
        "--out",
        str(tmp_path),
    ]
    made = CliRunner().invoke(main.app, args)
    assert made.exit_code == 2
    assert "(--judge-max-tokens)" in made.stderr
    assert list((tmp_path / f"replies-{path.name}").read_text()) == []
    server.rule = lambda body: (200, message("Yes"))
    more = ["--judge-samples", "2", "--judge-max-tokens", "9", "--judge-sampling", "default"]
    made = CliRunner().invoke(main.app, [*args, *more])
    assert made.exit_code == 0, made.output
    last = server.bodies[-1]
    assert last["max_tokens"] == 9
    assert "temperature" not in last
    made = CliRunner().invoke(main.app, [*args, "--judge-sampling", "warm"])
    assert "such as 0.5,0.95, or default, not 'warm'" in made.stderr
