"""Both prompts as the model gets them: every token, special ones in view, and where sound is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from modgap.core.errors import ModelError
from modgap.models.decoding import pieces

if TYPE_CHECKING:
    from modgap.models.prompt import Prompt, PromptPair

__all__ = ["PromptToken", "PromptTokens", "tokens_of"]

Role = Literal["special", "template", "content", "padding"]


@dataclass(frozen=True)
class PromptToken:
    """A token of a prompt, or equal ones on end where the sound stands.

    Attributes
    ----------
    position : int
        Of the first, from 0.
    count : int
        How many; more than 1 only for positions of sound.
    id : int
    token : str
        As the tokenizer's vocabulary has it.
    text : str
        What it adds to the decoded prompt; empty inside a character of several tokens.
    role : "special", "template", "content" or "padding"
        One of the tokenizer's special tokens; other text around the content; what is compared (the
        transcript's tokens, the speech positions); positions of padding silence.
    """

    position: int
    count: int
    id: int
    token: str
    text: str
    role: Role


@dataclass(frozen=True)
class PromptTokens:
    """The two prompts of a clip; they differ in nothing but what stands between the same tokens.

    Attributes
    ----------
    speech, text : tuple of PromptToken
    """

    speech: tuple[PromptToken, ...]
    text: tuple[PromptToken, ...]

    @classmethod
    def of(cls, tokenizer: Any, pair: PromptPair) -> PromptTokens:
        """Those of a pair of prompts.

        Raises
        ------
        ModelError
            The model's prompts are no sequences of tokens.
        """
        return cls(tokens_of(tokenizer, pair.speech), tokens_of(tokenizer, pair.text))

    def table(self) -> pd.DataFrame:
        """One row a `PromptToken`: ``prompt`` ("speech", "text") and its attributes."""
        rows = [
            {"prompt": kind, **vars(token)}
            for kind in ("speech", "text")
            for token in getattr(self, kind)
        ]
        names = ["prompt", *PromptToken.__dataclass_fields__]
        return pd.DataFrame(rows, columns=names)


def tokens_of(tokenizer: Any, prompt: Prompt) -> tuple[PromptToken, ...]:
    """A prompt, token by token; empty for one whose words nobody knows.

    Raises
    ------
    ModelError
        It is no sequence of tokens.
    """
    if not prompt.length:
        return ()
    if "input_ids" not in prompt.inputs:
        raise ModelError("The prompts of this model are no sequences of tokens: none can be shown.")
    ids = [int(n) for n in prompt.inputs["input_ids"][0].tolist()]
    content = set(prompt.content.tolist())
    padding = set(prompt.pad_content.tolist())
    sound = padding | content if prompt.kind == "speech" else set()
    return tuple(_tokens(tokenizer, ids, content, padding, sound))


def _tokens(
    tokenizer: Any, ids: list[int], content: set[int], padding: set[int], sound: set[int]
) -> Iterator[PromptToken]:
    special = set(tokenizer.all_special_ids)
    special |= {n for n, t in tokenizer.added_tokens_decoder.items() if t.special}
    names = tokenizer.convert_ids_to_tokens(ids)

    def role(at: int) -> Role:
        if at in padding:
            return "padding"
        if at in content:
            return "content"
        return "special" if ids[at] in special else "template"

    # What stands on either side of the sound is decoded by itself: its tokens are no text.
    for is_sound, stretch in groupby(range(len(ids)), sound.__contains__):
        at = list(stretch)
        if not is_sound:
            texts = pieces(tokenizer, [ids[n] for n in at])
            for n, text in zip(at, texts, strict=True):
                yield PromptToken(n, 1, ids[n], str(names[n]), text, role(n))
            continue
        for _, equal in groupby(at, lambda n: (ids[n], role(n))):
            run = list(equal)
            name = str(names[run[0]])
            yield PromptToken(run[0], len(run), ids[run[0]], name, name, role(run[0]))
