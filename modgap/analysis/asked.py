"""What a session is asked, with every default filled in: the same request has the same key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modgap.analysis import records, sweeps
from modgap.analysis.answer_lens import answer_lens
from modgap.analysis.lens import logit_lens
from modgap.analysis.mismatched import other_texts
from modgap.analysis.patching import patching
from modgap.core.errors import SettingsError
from modgap.core.settings import analysis_key, digest
from modgap.interventions.intervention import Intervention, Stack
from modgap.interventions.maps.pins import keyed, pinned
from modgap.models.clip_limit import is_beyond

if TYPE_CHECKING:
    from modgap.analysis.session import Session
    from modgap.speech.words import WordTimes

__all__ = ["KINDS", "SEARCHES", "bound", "given", "key_of", "stack_of", "wanted"]

#: What can be asked of a session, by the names that `Session.key` takes.
KINDS = ("analysis", "compare", "sweep", "patching", "lens", "answer_lens", "mismatched")


def key_of(session: Session, kind: str, options: dict[str, Any]) -> str:
    """The key of a result in the cache; see `Session.key`."""
    if kind not in KINDS:
        raise SettingsError(f"There is no {kind!r} of a session; use {', '.join(KINDS)}.")
    if session.transcript is None:
        _need_no_words(kind, options)
    model, settings = session.model, session.settings
    if kind != "analysis":
        # An edit has answers, all layers and the final norm whatever these say of an analysis.
        settings = replace(settings, answers=True, layers=None, final_norm=True)
    if not is_beyond(model, session.clip):
        settings = replace(settings, too_long="fail")  # nothing is cut, asked for or not
    clip_key = analysis_key(
        model.identity, str(model.dtype).removeprefix("torch."), session.clip.sha256,
        session.transcript, settings, device=model.device.type,
    )  # fmt: skip
    if kind == "analysis":
        return clip_key
    return digest("edit", records.VERSION, kind, clip_key, wanted(session, kind, options))


def _need_no_words(kind: str, options: dict[str, Any]) -> None:
    stack = stack_of(options.get("interventions", ())) if kind == "compare" else None
    wanting = kind if stack is None else next((i.rule for i in stack if i.needs_words), None)
    if wanting is not None:
        raise SettingsError(
            f"{wanting!r} compares with the words of the clip: give a transcript, let them be "
            "heard (modgap.heard, --heard-by), or use the rule map on all positions."
        )


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
