"""Hidden states of chosen positions, taken out of the forward pass as it goes.

Levels follow transformers' ``output_hidden_states=True`` (method, section 1): 0 is what enters the
first decoder layer, k is the output of layer k, and the last, L, is taken after the final norm
unless `final_norm` is False. Only the positions asked for are ever copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from modgap.core.errors import SettingsError
from modgap.models.base import Progress, Prompt, PromptPair, SpeechLM
from modgap.models.hooks import visiting

Visit = Callable[[int, torch.Tensor], Any]


@dataclass(frozen=True, eq=False)
class PairedStates:
    """Whole hidden states of a pair of prompts, in the model's dtype.

    Attributes
    ----------
    speech : Tensor (K, T_s, d)
        H_s of the method.
    text : Tensor (K, T_t, d)
        H_t of the method.
    layers : tuple of K int
        Which levels, of 0..L.
    final_norm : bool
        Whether level L is taken after the final norm.
    """

    speech: torch.Tensor
    text: torch.Tensor
    layers: tuple[int, ...]
    final_norm: bool


def capture_states(
    model: SpeechLM,
    prompt: Prompt,
    *,
    layers: Sequence[int] | None = None,
    final_norm: bool = True,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Hidden states at the content positions of one prompt.

    Parameters
    ----------
    model : SpeechLM
    prompt : Prompt
    layers : sequence of int, optional
        Ascending levels out of 0..L; all of them by default.
    final_norm : bool
        Whether level L is taken after the final norm.
    progress : callable (fraction, note), optional
        Called at every level; what it raises stops the pass.

    Returns
    -------
    Tensor (K, n, d)
        In the model's dtype, on the device of its embeddings.

    Raises
    ------
    SettingsError
        `layers` is empty, not ascending or out of range.
    """
    levels = check_layers(model, layers)
    states: list[torch.Tensor] = []
    with _picking(
        model, prompt, levels, final_norm, lambda _, h: states.append(h.to(model.device)), progress
    ):
        model.forward(prompt)
    return torch.stack(states)


def capture_pair(
    model: SpeechLM,
    pair: PromptPair,
    *,
    layers: Sequence[int] | None = None,
    final_norm: bool = True,
    progress: Progress | None = None,
) -> PairedStates:
    """Whole hidden states of both prompts; see `capture_states` and, for metrics, `stream_pair`."""
    levels = check_layers(model, layers)
    text_share = _text_share(pair)
    return PairedStates(
        text=capture_states(
            model,
            pair.text,
            layers=levels,
            final_norm=final_norm,
            progress=_part(progress, 0.0, text_share, "text"),
        ),
        speech=capture_states(
            model,
            pair.speech,
            layers=levels,
            final_norm=final_norm,
            progress=_part(progress, text_share, 1.0, "speech"),
        ),
        layers=levels,
        final_norm=final_norm,
    )


def stream_pair(
    model: SpeechLM,
    pair: PromptPair,
    consume: Callable[[int, torch.Tensor, torch.Tensor], Any],
    *,
    layers: Sequence[int] | None = None,
    final_norm: bool = True,
    progress: Progress | None = None,
) -> None:
    """Hand the states of both prompts to `consume`, level by level, without keeping them.

    The text runs first and its states, a small part of all, stay where they were computed. Then the
    speech runs, and each level's states exist only while `consume` looks at them.

    Parameters
    ----------
    model : SpeechLM
    pair : PromptPair
    consume : callable (level: int, H_s: Tensor (T_s, d), H_t: Tensor (T_t, d))
        Called once a level, in ascending order, within the speech pass, without gradients. Both
        tensors are copies in the model's dtype on the layer's device.
    layers, final_norm, progress
        As in `capture_states`.

    Raises
    ------
    SettingsError
        `layers` is empty, not ascending or out of range.
    """
    levels = check_layers(model, layers)
    share = _text_share(pair)
    text: dict[int, torch.Tensor] = {}
    before, after = _part(progress, 0.0, share, "text"), _part(progress, share, 1.0, "speech")
    # One lock over both, so that no other pass comes between them.
    with model.lock:
        with _picking(model, pair.text, levels, final_norm, text.__setitem__, before):
            model.forward(pair.text)
        with _picking(
            model,
            pair.speech,
            levels,
            final_norm,
            lambda level, h: consume(level, h, text.pop(level)),
            after,
        ):
            model.forward(pair.speech)


def check_layers(model: SpeechLM, layers: Sequence[int] | None) -> tuple[int, ...]:
    """Return `layers` as a tuple, all levels for None, or raise `SettingsError`."""
    last = model.n_layers
    if layers is None:
        return tuple(range(last + 1))
    levels = tuple(int(level) for level in layers)
    if not levels or list(levels) != sorted(set(levels)) or levels[0] < 0 or levels[-1] > last:
        raise SettingsError(
            f"layers must be different ascending numbers from 0 (embeddings) to {last} (last layer)"
            f", not {list(layers)}."
        )
    return levels


@contextmanager
def _picking(
    model: SpeechLM,
    prompt: Prompt,
    levels: tuple[int, ...],
    final_norm: bool,
    visit: Visit,
    progress: Progress | None,
) -> Iterator[None]:
    """Hand the states at the content positions to `visit` in one pass over `prompt`.

    The hooks come after any already there, so that they see what an edit has made of a level.
    """
    on_device: dict[torch.device, torch.Tensor] = {}

    def see(level: int, hidden: torch.Tensor) -> None:
        if progress is not None:
            progress(level / (model.n_layers + 1), f"layer {level} of {model.n_layers}")
        if hidden.device not in on_device:
            on_device[hidden.device] = prompt.content.to(hidden.device)
        picked = hidden[0].index_select(0, on_device[hidden.device])
        if level == model.n_layers and final_norm:
            picked = model.final_norm(picked)
        visit(level, picked)

    with visiting(model, levels, see):
        yield


def _text_share(pair: PromptPair) -> float:
    return pair.text.length / (pair.text.length + pair.speech.length)


def _part(progress: Progress | None, start: float, end: float, name: str) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction, note: progress(start + (end - start) * fraction, f"{name}, {note}")
