"""The one place where the decoder's layers are hooked: to look at a level, or to change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

__all__ = ["Visit", "visiting"]

Visit = Callable[[int, Tensor], Tensor | None]


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
        Out of 0..L: 0 is what enters the first layer, k what layer k puts out, before any norm.
    visit : callable (level, Tensor (B, S, d)) -> Tensor or None
        What it returns takes the place of the level's states; None leaves them.
    first : bool
        Whether to come before the hooks already there. An edit must, or transformers' recorder of
        ``output_hidden_states`` would see the states as they were.
    """

    def entering(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        new = visit(0, args[0] if args else kwargs["hidden_states"])
        if new is None:
            return None
        return ((new, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": new})

    def leaving(level: int) -> Callable[[Any, Any, Any], Any]:
        def hook(_: Any, __: Any, output: Any) -> Any:
            new = visit(level, output[0] if isinstance(output, tuple) else output)
            if new is None:
                return None
            return (new, *output[1:]) if isinstance(output, tuple) else new

        return hook

    handles: list[Any] = []
    with model.lock:
        try:
            for level in levels:
                if level == 0:
                    handle = model.layers[0].register_forward_pre_hook(
                        entering, with_kwargs=True, prepend=first
                    )
                else:
                    layer = model.layers[level - 1]
                    handle = layer.register_forward_hook(leaving(level), prepend=first)
                handles.append(handle)
            yield
        finally:
            for handle in handles:
                handle.remove()
