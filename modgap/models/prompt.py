"""What a model is asked: one prompt, a pair of them, and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from modgap.models.vendor import Style

Markers = Literal["keep", "drop"]
#: What becomes of a clip that is longer than the model takes.
TooLong = Literal["fail", "cut"]

#: The typed task beside a clip that asks for nothing but its words.
TRANSCRIBE = "Write down what you hear."


@dataclass(frozen=True, eq=False)
class AudioInput:
    """What a clip becomes on its way into a prompt.

    Attributes
    ----------
    features : dict of str to Tensor
        Keyword arguments of the transformers model's forward, batch size 1.
    ids : sequence of int
        What stands in the audio slot: placeholders, and where a family has them, its own marks.
    content : sequence of n int
        Ascending indices into `ids` of the speech.
    pad : sequence of m int
        Indices of the positions that hold nothing but padding silence.
    times : float64 ndarray (n, 2), optional
        Start and end in seconds of each speech position, where they are not an even grid.
    """

    features: dict[str, torch.Tensor]
    ids: Sequence[int]
    content: Sequence[int]
    pad: Sequence[int] = ()
    times: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        features: dict[str, torch.Tensor],
        placeholder: int,
        n: int,
        padding: int = 0,
        times: np.ndarray | None = None,
    ) -> AudioInput:
        """The usual case: `n` placeholders of speech, then `padding` of silence.

        Features and `times`, (n, 2) in seconds, as in the class.
        """
        return cls(features, [placeholder] * (n + padding), range(n), range(n, n + padding), times)


@dataclass(frozen=True, eq=False)
class Prompt:
    """One sequence of batch size 1, its tensors on the model's device.

    Attributes
    ----------
    kind : "speech" or "text"
    inputs : dict of str to Tensor
        Keyword arguments of the transformers model's forward; ``input_ids`` is (1, S).
    content : LongTensor (n,)
        Ascending positions in 0..S-1 of the speech or of the transcript.
    pad_content : LongTensor (m,)
        Speech positions that hold nothing but padding silence; never part of `content`.
    length : int
        S.
    times : float64 ndarray (n, 2) or None
        Start and end in seconds of each speech position; None for text.
    pieces : tuple of str or None
        For text: the piece of the transcript each token covers. A character that several tokens
        share appears in the piece of each of them.
    spans : int64 ndarray (n, 2) or None
        For text: character offsets of each piece, ``transcript[start:end] == piece``.
    notes : tuple of str
        What a reader of the numbers should know of this prompt; usually empty.
    unheard : float
        Seconds at the clip's end that are not in the prompt, being beyond the model's limit.
    """

    kind: Literal["speech", "text"]
    inputs: dict[str, torch.Tensor]
    content: torch.Tensor
    pad_content: torch.Tensor
    length: int
    times: np.ndarray | None = None
    pieces: tuple[str, ...] | None = None
    spans: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    unheard: float = 0.0

    @classmethod
    def unknown(cls) -> Prompt:
        """In the place of a text prompt where nobody knows the words: of length 0."""
        none = torch.empty(0, dtype=torch.long)
        return cls("text", {}, none, none, 0, pieces=(), spans=np.zeros((0, 2), np.int64))


@dataclass(frozen=True, eq=False)
class PromptPair:
    """The same chat prompt twice: with the clip, and with its transcript (method, section 1).

    Where the words are not known, `text` is `Prompt.unknown` and the transcript is empty.
    """

    speech: Prompt
    text: Prompt
    markers: Markers
    instruction: str
    transcript: str
    system: str | None = None
    style: Style = "plain"


@dataclass(frozen=True)
class Generation:
    """An answer, token by token.

    Attributes
    ----------
    text : str
        The answer without special tokens.
    tokens : tuple of str
        What each token adds to the text, special tokens included; a character made of several
        tokens appears with the last of them.
    token_ids : tuple of int
        As transformers' ``generate`` returns them: an end token, if reached, is the last.
    logprobs : tuple of float
        Natural logarithm of the probability the model itself (temperature 1) gave each token.
    finished : bool
        Whether the model ended the answer; False when `max_new_tokens` cut it.
    first : tuple of (int, float)
        The likeliest first tokens and their log-probabilities, the likeliest first.
    """

    text: str
    tokens: tuple[str, ...] = field(default=())
    token_ids: tuple[int, ...] = field(default=())
    logprobs: tuple[float, ...] = field(default=())
    finished: bool = True
    first: tuple[tuple[int, float], ...] = ()
