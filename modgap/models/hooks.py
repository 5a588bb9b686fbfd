"""The one place where the decoder's layers are hooked: to look at a level, or to change it.

A hook hangs on the layer, not on the pass: it sees and changes every pass that runs meanwhile, also
that of another thread. So all passes of a model are made under its lock, hooked or not.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from torch import Tensor

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

__all__ = ["Visit", "holding_lock", "stream_of", "visiting"]

P = ParamSpec("P")
T = TypeVar("T")
Visit = Callable[[int, Tensor], Tensor | None]


def holding_lock(
    run: Callable[Concatenate[SpeechLM, P], T],
) -> Callable[Concatenate[SpeechLM, P], T]:
    """Hold the lock of the first argument, a model, for the whole call.

    The lock is re-entrant: who holds it over several passes may call these functions all the same.
    """

    @functools.wraps(run)
    def held(model: SpeechLM, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with model.lock:
            return run(model, *args, **kwargs)

    return held


@contextmanager
def visiting(
    model: SpeechLM, levels: Iterable[int], visit: Visit, *, first: bool = False
) -> Iterator[None]:
    """Call `visit` with the states of levels in every pass made while this is open.

    The model's lock is held, and the hooks are gone afterwards whatever happens.

    Parameters
    ----------
    model : SpeechLM
    levels : iterable of int
        Out of 0..L: 0 is what enters the first layer, k what layer k puts out, before any norm. Of
        a model whose layers carry several streams it is the first; L is what they are merged to.
    visit : callable (level, Tensor (B, S, d)) -> Tensor or None
        What it returns takes the place of the level's states; None leaves them.
    first : bool
        Whether to come before the hooks already there. An edit must, or transformers' recorder of
        ``output_hidden_states`` would see the states as they were.
    """

    def entering(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Families differ in how they call their layers: by position, or by name.
        states = args[0] if args else kwargs["hidden_states"]
        new = _changed(model, states, visit(0, stream_of(model, states)))
        if new is None:
            return None
        return ((new, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": new})

    def leaving(level: int) -> Callable[[Any, Any, Any], Any]:
        def hook(_: Any, __: Any, output: Any) -> Any:
            states = output[0] if isinstance(output, tuple) else output
            new = _changed(model, states, visit(level, stream_of(model, states)))
            if new is None:
                return None
            return (new, *output[1:]) if isinstance(output, tuple) else new

        return hook

    norming = False

    def merged(_: Any, args: tuple[Any, ...]) -> Any:
        nonlocal norming
        if norming:  # a visit that asks for the norm itself
            return None
        norming = True
        try:
            new = visit(model.n_layers, args[0])
        finally:
            norming = False
        return None if new is None else (new, *args[1:])

    handles: list[Any] = []
    with model.lock:
        try:
            # Inside: a hook that cannot be set must not leave those before it behind.
            for level in levels:
                if level == 0:
                    handle = model.layers[0].register_forward_pre_hook(
                        entering, with_kwargs=True, prepend=first
                    )
                elif level == model.n_layers and model.streamed:
                    handle = model.final_norm.register_forward_pre_hook(merged, prepend=first)
                else:
                    layer = model.layers[level - 1]
                    handle = layer.register_forward_hook(leaving(level), prepend=first)
                handles.append(handle)
            yield
        finally:
            for handle in handles:
                handle.remove()


def stream_of(model: SpeechLM, states: Tensor) -> Tensor:
    """What of a layer's states is the level, (B, S, d): all, or the stream that layers work on."""
    return states[model.stream] if model.streamed else states


def _changed(model: SpeechLM, states: Tensor, new: Tensor | None) -> Tensor | None:
    if new is None or not model.streamed:
        return new
    states = states.clone()
    states[model.stream] = new
    return states
