"""The logit lens: what each position would be read as if the model ended at a layer.

Raw states of every level through the final norm and the output head (nostalgebraist, "interpreting
GPT: the logit lens", 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from modgap.core.views import Viewed
from modgap.interventions.prefill import Prefill
from modgap.models.decoding import pieces as decoded

if TYPE_CHECKING:
    from modgap.models.base import Progress, SpeechLM

__all__ = ["Lens", "Reading", "logit_lens"]

_CHUNK = 128  # positions whose logits are held at once


@dataclass(frozen=True, eq=False)
class Reading:
    """The likeliest tokens of every level and position.

    Attributes
    ----------
    tokens : ndarray of str, shape (L + 1, n, top)
    ids : ndarray int64, shape (L + 1, n, top)
    probabilities : ndarray float32, shape (L + 1, n, top)
    """

    tokens: np.ndarray
    ids: np.ndarray
    probabilities: np.ndarray

    def alternatives(self, level: int, position: int) -> pd.DataFrame:
        """``token`` and ``probability`` of one cell, the likeliest first."""
        return pd.DataFrame(
            {
                "token": self.tokens[level, position],
                "probability": self.probabilities[level, position],
            }
        )


@dataclass(frozen=True, eq=False, repr=False)
class Lens(Viewed):
    """Both runs through the lens.

    Attributes
    ----------
    speech, text : Reading
        At the speech positions and at the transcript's tokens.
    pieces : tuple of T_t str
    times : float64 ndarray (T_s, 2)
    segments : tuple of T_t tuples of int
        The speech positions of each text token (monotone path of `path_layer`).
    first_layer : int64 ndarray (T_t,)
        The first level in which one of the token's speech positions has the token itself on top;
        -1: in none.
    first_layer_text : int64 ndarray (T_t,)
        The same at the transcript's own position.
    path_layer : int
    """

    speech: Reading
    text: Reading
    pieces: tuple[str, ...]
    times: np.ndarray
    segments: tuple[tuple[int, ...], ...]
    first_layer: np.ndarray
    first_layer_text: np.ndarray
    path_layer: int

    @property
    def in_place(self) -> np.ndarray:
        """bool (L + 1, T_s): where the likeliest token is the word that is said there."""
        found = np.zeros(self.speech.tokens.shape[:2], dtype=bool)
        for j, rows in enumerate(self.segments):
            word = self.pieces[j].strip().casefold()
            for i in rows:
                found[:, i] |= [t.strip().casefold() == word for t in self.speech.tokens[:, i, 0]]
        return found

    def word_at(self, i: int) -> int:
        """The text token whose stretch of speech holds position `i`; the first if none does."""
        return next((j for j, rows in enumerate(self.segments) if i in rows), 0)

    def table(self) -> pd.DataFrame:
        """The speech reading, one row a level and position: ``layer``, ``i``, ``start``, ``end``,
        ``token``, ``probability``, and the alternatives ``token_2`` and so on."""
        L, n, top = self.speech.tokens.shape
        data = {
            "layer": np.repeat(np.arange(L), n),
            "i": np.tile(np.arange(n), L),
            "start": np.tile(self.times[:, 0], L),
            "end": np.tile(self.times[:, 1], L),
        }
        for k in range(top):
            name = "" if k == 0 else f"_{k + 1}"
            data[f"token{name}"] = self.speech.tokens[..., k].ravel()
            data[f"probability{name}"] = self.speech.probabilities[..., k].ravel()
        return pd.DataFrame(data)


def logit_lens(
    prefill: Prefill,
    *,
    top: int = 5,
    path_layer: int | None = None,
    progress: Progress | None = None,
) -> Lens:
    """Read every level's states as tokens.

    Parameters
    ----------
    prefill : Prefill
    top : int
        How many tokens to keep.
    path_layer : int, optional
        Layer of the monotone path that says which speech belongs to a text token; by default the
        one whose path has the highest mean similarity.
    progress : callable (fraction, note), optional
    """
    model, pair = prefill.model, prefill.pair
    report = progress or (lambda *_: None)
    n = model.n_layers
    if path_layer is None:
        scores = [prefill.path(k, "dtw", "cosine").value.mean() for k in range(n + 1)]
        path_layer = int(np.argmax(scores))
    segments = tuple(map(tuple, prefill.segments(path_layer, "cosine")))
    wanted = pair.text.inputs["input_ids"][0, pair.text.content.to(model.device)].cpu().numpy()
    speech, text = prefill.speech, prefill.text
    made = []
    for number, states in enumerate((speech, text)):
        report(0.5 * number, "logit lens")
        made.append(_read(model, states, top))
    first = np.full(len(wanted), -1, dtype=np.int64)
    first_text = np.full(len(wanted), -1, dtype=np.int64)
    for j, token in enumerate(wanted):
        same = _same_word(model, int(token))
        hit = np.isin(made[0].ids[:, list(segments[j]), 0], same).any(1)
        first[j] = int(hit.argmax()) if hit.any() else -1
        hit = np.isin(made[1].ids[:, j, 0], same)
        first_text[j] = int(hit.argmax()) if hit.any() else -1
    assert pair.text.pieces is not None
    assert pair.speech.times is not None
    return Lens(
        made[0], made[1], pair.text.pieces, pair.speech.times, segments, first, first_text,
        path_layer,
    )  # fmt: skip


def _same_word(model: SpeechLM, token: int) -> list[int]:
    """The token, and the one that is the same but for a leading space: a word is a word."""
    text = model.tokenizer.decode([token], clean_up_tokenization_spaces=False)
    other = text[1:] if text.startswith(" ") else " " + text
    ids = model.tokenizer.encode(other, add_special_tokens=False) if other.strip() else []
    return [token, *ids] if len(ids) == 1 else [token]


@torch.no_grad()
def _read(model: SpeechLM, states: tuple[Tensor, ...], top: int) -> Reading:
    ids, probabilities = [], []
    with model.lock:
        for h in states:
            parts = []
            for start in range(0, len(h), _CHUNK):
                logits = model.logits(model.final_norm(h[start : start + _CHUNK])).float()
                parts.append(logits.softmax(-1).topk(min(top, logits.shape[-1])))
            ids.append(torch.cat([p.indices for p in parts]).cpu().numpy())
            probabilities.append(torch.cat([p.values for p in parts]).cpu().numpy())
    all_ids = np.stack(ids)
    names = {int(i): "".join(decoded(model.tokenizer, [int(i)])) for i in np.unique(all_ids)}
    tokens = np.vectorize(names.__getitem__, otypes=[object])(all_ids)
    return Reading(tokens, all_ids, np.stack(probabilities).astype(np.float32))
