"""A language model as a judge, behind any endpoint that speaks OpenAI's chat protocol.

Nothing is sent anywhere unless the user names the endpoint.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any
from urllib.parse import urlsplit

from modgap.core.errors import SettingsError
from modgap.evaluation.judging.chat import Chat, JudgeError
from modgap.evaluation.judging.replies import rating, yes
from modgap.scoring.question import Question
from modgap.scoring.scorers import Verdict
from modgap.scoring.thoughts import said

__all__ = ["OPEN_PROMPT", "REFERENCE_PROMPT", "Judge", "JudgeError"]

#: For answers that a reference is known for.
REFERENCE_PROMPT = """You check answers to spoken questions.

Question: {question}
Known right answer: {reference}
Answer to check: {response}

Does the answer to check say the same as the known right answer? Reply with one word: Yes or No."""

#: For answers that none is known for.
OPEN_PROMPT = """You rate how a voice assistant replied to what a user said.

User: {question}
Assistant: {response}

Give one whole number.
1: it misses the request, or most of it is wrong.
2: it touches the request, with errors or large gaps.
3: it is mostly right, but long-winded or beside the point in places.
4: it is right, complete and to the point.
5: it is exactly what was needed, and nothing more.
Reply with the number only."""


@dataclass(frozen=True)
class Judge:
    """A judge that is asked over HTTP.

    Attributes
    ----------
    url : str
        Base address, such as ``http://localhost:8000/v1``; ``/chat/completions`` is added.
    model : str
        The endpoint's name of it.
    key_variable : str
        Name of the environment variable that holds the key; empty: none is sent. The key itself is
        never stored.
    samples : int
        Replies an answer; as in VoiceBench three, of which the majority or the mean counts.
    temperature, top_p : float or None
        None leaves it to the endpoint.
    reference_prompt, open_prompt : str
        With ``{question}``, ``{response}``, and ``{reference}`` in the first.
    timeout : float
        Seconds a request.
    retries : int
        Further attempts after a broken connection or a busy endpoint.
    wait : float
        Seconds before the second attempt; twice as long before each next one.
    max_tokens : int
        Longest reply, thoughts included. It is sent as ``max_tokens``, or as
        ``max_completion_tokens`` where the endpoint asks for that.

    Raises
    ------
    SettingsError
        The address is none, the number of samples is below 1, or a prompt lacks a place.
    """

    url: str
    model: str
    key_variable: str = ""
    samples: int = 3
    temperature: float | None = 0.5
    top_p: float | None = 0.95
    reference_prompt: str = REFERENCE_PROMPT
    open_prompt: str = OPEN_PROMPT
    timeout: float = 60.0
    retries: int = 4
    wait: float = 1.0
    max_tokens: int = 1024
    _chat: Chat = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(
                f"The judge's address is an http or https URL such as http://localhost:8000/v1, "
                f"not {self.url!r}."
            )
        if not self.model.strip():
            raise SettingsError("Name the judge's model.")
        if self.samples < 1:
            raise SettingsError(f"A judge replies at least once, not {self.samples} times.")
        if self.max_tokens < 1:
            raise SettingsError(f"A judge's reply has at least 1 token, not {self.max_tokens}.")
        chat = Chat(self.url, self.key_variable, self.timeout, self.retries, self.wait)
        object.__setattr__(self, "_chat", chat)
        needed = {"reference_prompt": ("question", "reference", "response"),
                  "open_prompt": ("question", "response")}  # fmt: skip
        for name, places in needed.items():
            for place in places:
                if f"{{{place}}}" not in getattr(self, name):
                    raise SettingsError(f"The judge's {name} lacks the place {{{place}}}.")

    def record(self) -> dict[str, Any]:
        """What a result must say of its judge, in JSON's terms."""
        text = json.dumps([self.reference_prompt, self.open_prompt])
        return {
            "model": self.model,
            "host": urlsplit(self.url).hostname,
            "prompt_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "samples": self.samples,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
        }

    def asked(self, question: Question, response: str) -> str:
        """A hash of all that a reply to this answer depends on, whatever host gives it."""
        how = [self.model, self.samples, self.temperature, self.top_p]
        text = json.dumps([*how, self._prompt(question, response)])
        return hashlib.sha256(text.encode()).hexdigest()

    def verdict(self, question: Question, response: str) -> Verdict:
        """Judge one answer.

        Returns
        -------
        Verdict
            With a reference: ``correct`` by the majority of Yes and No (a tie is No), ``expected``
            their share. Without: ``correct`` None, ``extracted`` the mean rating from 1 to 5,
            ``expected`` a fifth of it, as VoiceBench scales it. ``rule`` names the judge. An empty
            answer, or one that ends in a thought, is not sent: it is wrong, or rated 1. What is
            only thought (`modgap.scoring.thoughts`) is not sent either.

        Raises
        ------
        JudgeError
            The endpoint cannot be reached, refuses, or no reply can be read.
        """
        return self.read(question, self.replies(question, response))

    def replies(self, question: Question, response: str) -> list[str]:
        """What the judge says of an answer; nothing of an empty one, which is not sent.

        Raises
        ------
        JudgeError
            The endpoint cannot be reached, or refuses.
        """
        if not (said(response) or "").strip():
            return []
        return self._ask(self._prompt(question, response))

    def _prompt(self, question: Question, response: str) -> str:
        template = self.reference_prompt if question.reference else self.open_prompt
        return _fill(template, question, said(response) or "")

    def read(self, question: Question, replies: Sequence[str]) -> Verdict:
        """The verdict that replies are; see `verdict`.

        What is thought (`modgap.scoring.thoughts`) is no reply. One that says neither Yes nor
        No, or of which several numbers could be the rating, is left out.

        Raises
        ------
        JudgeError
            No reply can be read.
        """
        known = bool(question.reference)
        rule = f"judge {self.model}"
        if not replies:
            return Verdict(False, None, "empty", 0.0) if known else Verdict(None, "1", "empty", 0.2)
        read = [yes(r) if known else rating(r) for r in replies]
        kept = [float(r) for r in read if r is not None]
        if not kept:
            raise JudgeError(
                f"The judge's reply to {question.id} is neither what was asked for nor near it: "
                f"{replies[0][:80]!r}."
            )
        value = mean(kept)
        if known:
            return Verdict(value > 0.5, "Yes" if value > 0.5 else "No", rule, value)
        return Verdict(None, f"{value:g}", rule, value / 5)

    def _ask(self, prompt: str) -> list[str]:
        """Replies; endpoints that give one at a time, whatever is asked, are asked again."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
        }
        body |= {
            name: value
            for name, value in (("temperature", self.temperature), ("top_p", self.top_p))
            if value is not None
        }
        replies: list[str] = []
        while len(replies) < self.samples:
            wanted = self.samples - len(replies)
            replies += self._chat.ask(body, wanted, self.max_tokens)[:wanted]
        return replies


def _fill(template: str, question: Question, response: str) -> str:
    said = {"question": question.transcript, "reference": question.reference, "response": response}
    if question.instruction:
        said["question"] = f"{question.transcript}\n{question.instruction}"
    return re.sub(r"\{(question|reference|response)\}", lambda m: said[m[1]], template)
