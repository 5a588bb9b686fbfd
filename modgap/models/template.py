"""From a chat template to three id lists: prefix, content, suffix.

The template is rendered once with stand-ins where the user's words go, then cut at the *template's*
special tokens and tokenised piece by piece. So words that look like a special token
("<|im_end|>") stay words, and everything else gets the ids of tokenising the whole string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np

from modgap.core.errors import ModelError
from modgap.models.rendering import EndlessTemplateError, renderer

# Private-use characters: no template writes them, and no template trims or escapes them.
CONTENT, INSTRUCTION, SYSTEM = "\ue000c\ue001", "\ue000i\ue001", "\ue000s\ue001"
AUDIO = "\ue000a\ue001"
#: What a template that writes the day's date gets to write: with the real one, the same call would
#: give another prompt each day. Part of the identity of checkpoints with such a template.
TODAY = date(2026, 1, 1)
MOST_KEPT = 64  # rendered prompts of a tokenizer
_SLOTS = re.compile("|".join((CONTENT, INSTRUCTION, SYSTEM)))


def chatml(audio: str, system: str | None = None) -> str:
    """Write the template of the ChatML families, for checkpoints that bring none in a file.

    `audio` stands for a clip, markers included; `system` is said where no system message is given.
    """
    first = (
        "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
        + system
        + "<|im_end|>\n{% endif %}"
        if system
        else ""
    )
    return (
        "{% for message in messages %}" + first + "<|im_start|>{{ message['role'] }}\n"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}{% if part['type'] == 'audio' %}"
        + audio
        + "{% else %}"
        "{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def is_dated(chat_template: str | None) -> bool:
    """Whether a template asks for the day's date."""
    return "strftime_now" in (chat_template or "")


def _standing_clock() -> str:
    """Write a macro that takes the place of transformers' ``strftime_now``.

    A function of that name cannot be handed in: transformers gives templates plain data only.
    """
    says = {f"%{kind}": TODAY.strftime(f"%{kind}") for kind in "aAbBcdeFHIjmMpSxXyY"}
    says |= {"%-d": str(TODAY.day), "%-m": str(TODAY.month)}
    parts = "".join(f".replace('{kind}', '{text}')" for kind, text in says.items())
    # The line break goes with the block before it, so that the template still begins a line.
    return "{% macro strftime_now(format) %}{{ format" + parts + " }}{% endmacro %}\n"


_STANDING_CLOCK = _standing_clock()


class Frame(NamedTuple):
    """What stands around the content, as text with stand-ins for the user's words."""

    prefix: str
    suffix: str


class ChatTokenizer:
    """A fast tokenizer and a chat template, reading the user's words as plain text."""

    def __init__(self, tokenizer: Any, chat_template: str | None) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                "This checkpoint has no fast tokenizer, which gives each token its place in the "
                "transcript: save it again with a tokenizer.json."
            )
        if not isinstance(chat_template, str):
            raise ModelError(
                "This checkpoint has no chat template, so it is not known how its prompts look: "
                "add the chat_template.jinja of its instruction-tuned version."
            )
        self.tokenizer = tokenizer
        #: Whether prompts may hold the date.
        self.dated = is_dated(chat_template)
        self.chat_template = _STANDING_CLOCK + chat_template if self.dated else chat_template
        self.special = {
            t.content: i for i, t in tokenizer.added_tokens_decoder.items() if t.special
        }
        longest_first = sorted(self.special, key=len, reverse=True)
        self._cut = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
        # The user's words are not among what is rendered, so that there are few different prompts.
        self._rendered: dict[str, str] = {}
        self._endless: EndlessTemplateError | None = None
        renderer().start()

    def render(self, messages: Sequence[Mapping[str, Any]], template: str | None = None) -> str:
        """Render `messages`, by another template than the checkpoint's if one is given.

        Raises
        ------
        ModelError
            The template refuses them, or takes too long or too much memory.
        """
        if self._endless is not None:
            raise self._endless
        key = json.dumps([messages, template])
        if key not in self._rendered:
            if len(self._rendered) >= MOST_KEPT:
                self._rendered.clear()
            try:
                self._rendered[key] = renderer().render(
                    self.chat_template if template is None else template,
                    messages,
                    self.tokenizer.special_tokens_map,
                )
            except EndlessTemplateError as problem:
                self._endless = problem
                raise
        return self._rendered[key]

    def frame(self, messages: Sequence[Mapping[str, Any]], slot: str) -> Frame:
        """Render `messages` and split at `slot`, which must appear exactly once."""
        text = self.render(messages)
        if text.count(slot) != 1:
            raise ModelError(
                "The model's chat template does not put the user's content into the prompt exactly "
                "once; use the template that came with the checkpoint."
            )
        prefix, _, suffix = text.partition(slot)
        return Frame(prefix, suffix)

    def ids(self, text: str, words: Mapping[str, str]) -> list[int]:
        """Ids of rendered text, its stand-ins replaced by `words` read as plain text."""
        out: list[int] = []
        for part in self._cut.split(text):
            if part in self.special:
                out.append(self.special[part])
            elif part:
                # In one go, so that words which hold a stand-in are not filled in themselves.
                out.extend(self._plain(_SLOTS.sub(lambda slot: words[slot[0]], part)))
        return out

    def content(self, transcript: str) -> tuple[list[int], np.ndarray]:
        """Ids of a transcript tokenised alone, and (n, 2) character offsets that tile it."""
        enc = self._encode(transcript, offsets=True)
        spans = np.asarray(enc["offset_mapping"], dtype=np.int64).reshape(-1, 2)
        # Some byte-level tokenizers trim the space in front of a word off the offsets.
        reached = 0
        for row in spans:
            row[0] = min(int(row[0]), reached)
            reached = max(reached, int(row[1]))
        return list(enc["input_ids"]), spans

    def _plain(self, text: str) -> list[int]:
        return list(self._encode(text)["input_ids"])

    def _encode(self, text: str, offsets: bool = False) -> Any:
        return self.tokenizer(
            text,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=offsets,
            return_attention_mask=False,
            verbose=False,
        )
