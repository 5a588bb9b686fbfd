"""What a session is asked, with every default filled in: the same request has the same key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from modgap.analysis import sweeps
from modgap.analysis.answer_lens import answer_lens
from modgap.analysis.lens import logit_lens
from modgap.analysis.mismatched import other_texts
from modgap.analysis.patching import patching
from modgap.core.errors import SettingsError
from modgap.interventions.intervention import Intervention, Stack
from modgap.interventions.maps.pins import keyed, pinned

if TYPE_CHECKING:
    from modgap.analysis.session import Session
    from modgap.speech.words import WordTimes

__all__ = ["SEARCHES", "bound", "given", "stack_of", "wanted"]


def wanted(session: Session, kind: str, options: dict[str, Any]) -> Any:
    """The options in JSON's terms, with nothing left to a default."""
    full = given(session, kind, options)
    if kind == "compare":
        return [keyed(it) for it in stack_of(full["interventions"])]
    if kind == "sweep":
        target = full.pop("target")
        grid = sweeps.grid_of(session.model.editable_levels, **full)
        return {"target": target, "grid": [keyed(it) for it in grid]}
    if kind == "patching":
        levels = sweeps.levels_of(session.model.editable_levels, full["layers"])
        full |= {"layers": list(levels), "words": _said(full["words"])}
    elif kind == "mismatched":
        full["texts"] = list(other_texts(session.words_said, full["texts"]))
    return full


def given(session: Session, kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a result with their defaults.

    Raises
    ------
    SettingsError
        An option is unknown.
    """
    if kind == "compare":
        return bound(session.compare, options)
    options = dict(options)
    more: dict[str, Any] = {}
    if kind in SEARCHES:
        more["target"] = options.pop("target", None)
    if kind == "sweep":
        return options | more
    if kind == "patching":
        options = session.with_words(options)
    if kind == "mismatched":
        full = bound(session.mismatched, options)
    else:
        full = bound(SEARCHES.get(kind, logit_lens), options, prefill=None)
    for name in ("prefill", "progress"):
        full.pop(name, None)
    return full | more


#: Functions of plain runs with an answer behind the prompt.
SEARCHES: dict[str, Callable[..., Any]] = {
    "sweep": sweeps.sweep, "patching": patching, "answer_lens": answer_lens,
}  # fmt: skip


def _said(words: WordTimes | None) -> Any:
    """Word times in JSON's terms, as far as patching heeds them."""
    return None if words is None else [words.source, words.spans.tolist(), words.times.tolist()]


def stack_of(interventions: Intervention | Sequence[Intervention]) -> Stack:
    """Interventions as a stack, one by itself, too, with the identities of their maps.

    What a map's name stands for may change.
    """
    if isinstance(interventions, Intervention):
        return pinned((interventions,))
    return pinned(interventions)


def bound(function: Callable[..., Any], options: dict[str, Any], **placed: Any) -> dict[str, Any]:
    """The arguments of a call, its defaults among them."""
    try:
        call = inspect.signature(function).bind(*placed.values(), **options)
    except TypeError as problem:
        raise SettingsError(f"{function.__name__} takes other options: {problem}.") from None
    call.apply_defaults()
    return dict(call.arguments)
