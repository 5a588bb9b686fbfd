"""One request to an endpoint that speaks OpenAI's chat protocol, in whichever dialect it takes."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from modgap.core.errors import ModgapError, SettingsError

__all__ = ["Chat", "JudgeError"]

_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
_REFUSED = frozenset({400, 422})
_LIMITS = ("max_tokens", "max_completion_tokens")
# How many replies are asked for at once, and what is tried where that is refused.
_FEWER = {"many": ("one", "none"), "one": ("none",), "none": ()}
_LONGEST = 300  # of what is shown of a server's words


class JudgeError(ModgapError):
    """The judge gave no usable reply."""


@dataclass(frozen=True)
class Chat:
    """An endpoint, and what it was found to take.

    Attributes
    ----------
    url, key_variable : str
    timeout, retries, wait
        As in `modgap.evaluation.judging.judge.Judge`.
    learned : dict
        ``limit``: the endpoint's name of the longest reply; ``count``: how many replies it gives.
    """

    url: str
    key_variable: str = ""
    timeout: float = 60.0
    retries: int = 4
    wait: float = 1.0
    learned: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def ask(self, body: Mapping[str, Any], n: int, longest: int) -> list[str]:
        """Up to `n` replies; an endpoint that refuses a setting is asked again without it.

        Raises
        ------
        JudgeError
            The endpoint cannot be reached, refuses (the message has its own words), or replies
            without words.
        SettingsError
            The key is missing.
        """
        limit, count = self.learned.get("limit", _LIMITS[0]), self.learned.get("count", "many")
        tried: set[tuple[str, str]] = set()
        while True:
            tried.add((limit, count))
            number = {"many": {"n": n}, "one": {"n": 1}, "none": {}}[count]
            code, reply = self._send({**body, limit: longest, **number})
            if code == 200:
                self.learned.update(limit=limit, count=count)
                return _texts(reply)
            said = _said(reply)
            other = next(name for name in _LIMITS if name != limit)
            ways = [(limit, fewer) for fewer in _FEWER[count]]
            if re.search("|".join(_LIMITS), said):
                ways.insert(0, (other, count))
            way = next((w for w in ways if w not in tried), None)
            if code not in _REFUSED or way is None:
                raise JudgeError(self._problem(code, said))
            limit, count = way

    def _problem(self, code: int, said: str) -> str:
        host = urlsplit(self.url).hostname
        return f"The judge at {host} gave no reply: {code}{f', {said!r}' if said else ''}."

    def _send(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Status and reply; a broken connection or a busy endpoint is tried again."""
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.key_variable) if self.key_variable else None
        if self.key_variable and not key:
            raise SettingsError(f"The environment has no {self.key_variable} with the key.")
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(
            self.url.rstrip("/") + "/chat/completions", json.dumps(body).encode(), headers
        )
        for attempt in range(self.retries + 1):
            try:
                with _opener().open(request, timeout=self.timeout) as reply:
                    return 200, json.loads(reply.read())
            except urllib.error.HTTPError as problem:
                said = _body(problem, key)
                if problem.code not in _RETRIED:
                    return problem.code, said
                reason = self._problem(problem.code, _said(said) or str(problem.reason))
            except (OSError, ValueError, RecursionError) as problem:  # a timeout, a cut reply
                host, why = urlsplit(self.url).hostname, getattr(problem, "reason", problem)
                reason = f"The judge at {host} gave no reply: {why}."
            if attempt < self.retries:
                time.sleep(self.wait * 2**attempt)
        raise JudgeError(reason)


def _body(problem: urllib.error.HTTPError, key: str | None) -> Any:
    """What a server says of its refusal; a key that it repeats is not shown."""
    try:
        text = problem.read(65536).decode("utf-8", errors="replace")
    except OSError:
        text = ""
    finally:
        problem.close()
    if key:
        text = text.replace(key, "***")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return "" if re.search(r"(?i)<(?:html|body|!doctype)", text) else text


def _said(reply: Any) -> str:
    """The sentence in an error's reply, wherever the server has put it."""
    for name in ("error", "message", "detail", "errors", "msg"):
        if isinstance(reply, list) and reply:
            reply = reply[0]
        if isinstance(reply, Mapping) and reply.get(name):
            return _said(reply[name])
    text = reply if isinstance(reply, str) else json.dumps(reply) if reply else ""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _texts(reply: Any) -> list[str]:
    choices = reply.get("choices") if isinstance(reply, Mapping) else None
    if not isinstance(choices, list) or not all(isinstance(c, Mapping) for c in choices):
        if isinstance(reply, Mapping) and reply.get("error"):
            raise JudgeError(f"The judge's endpoint replied with an error: {_said(reply)!r}.")
        raise JudgeError("The judge's endpoint does not speak OpenAI's chat protocol.")
    if not choices:
        raise JudgeError("The judge's endpoint replied without a choice.")
    texts = [_text(choice) for choice in choices]
    if not any(text.strip() for text in texts):
        first = choices[0]
        message = first.get("message") if isinstance(first.get("message"), Mapping) else {}
        refused = message.get("refusal") if isinstance(message, Mapping) else None
        if refused:
            raise JudgeError(f"The judge refused to reply: {_said(refused)!r}.")
        why = first.get("finish_reason")
        more = " It was cut: give it more tokens (--judge-max-tokens)." if why == "length" else ""
        raise JudgeError(f"The judge replied without words (finish_reason {why}).{more}")
    return texts


def _text(choice: Mapping[str, Any]) -> str:
    """The words of a choice: a text, or parts of which some are text; what is thought is not."""
    message = choice.get("message")
    if message is None and "text" in choice:
        message = {"content": choice["text"]}
    if not isinstance(message, Mapping):
        raise JudgeError("The judge's endpoint does not speak OpenAI's chat protocol.")
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    texts = []
    for part in parts:
        if isinstance(part, Mapping) and part.get("type", "text") in ("text", "output_text"):
            part = part.get("text")
            part = part.get("value") if isinstance(part, Mapping) else part
        if isinstance(part, str):
            texts.append(part)
    return "".join(texts)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Questions and the key go to the address that the user named, and to no other."""

    def redirect_request(self, *args: Any, **more: Any) -> None:
        return None


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Stay)
