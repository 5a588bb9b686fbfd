"""Single checks of a loaded model: does modgap compute what transformers computes?

Every check uses only what `SpeechLM` offers, so it holds for any family. A difference is counted in
units of the dtype's epsilon times the largest number compared, so that limits mean the same
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from modgap.interventions.editing import editing
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.models.capture import capture_states
from modgap.models.hooks import stream_of, visiting

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM
    from modgap.models.prompt import Prompt, PromptPair

__all__ = ["SAME", "SHAPED", "Check", "run_checks"]

SAME = 2.0  # the same operations on the same shapes: differences come from kernels alone
#: The same sums over other shapes, through all layers; 64 epsilons of bfloat16 would be half of it.
SHAPED = {torch.float64: 64.0, torch.float32: 64.0, torch.bfloat16: 8.0, torch.float16: 8.0}


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    name : str
        What is compared.
    prompt : str
        "speech", "text" or "both".
    dtype : str
    difference : float or None
        Largest absolute difference; None where nothing was compared.
    epsilons : float or None
        The same over (epsilon of the dtype times the largest absolute number of the reference).
    limit : float
        Most epsilons that pass; 0 asks for equality bit by bit.
    passed : bool or None
        None: the check does not apply, `note` says why.
    note : str
        Where the difference is largest, or why there is none.
    levels : tuple of float
        Epsilons level by level, where levels are compared.
    """

    name: str
    prompt: str
    dtype: str
    difference: float | None = None
    epsilons: float | None = None
    limit: float = 0.0
    passed: bool | None = None
    note: str = ""
    levels: tuple[float, ...] = ()


Compared = tuple[float, float]  # difference, epsilons


def run_checks(
    model: SpeechLM,
    prompts: Sequence[Prompt],
    pair: PromptPair | None,
    dropped: PromptPair | None,
    fresh: Any | None,
    why_not_fresh: str = "",
) -> Iterator[Check]:
    """All checks of one model, one after the other.

    Parameters
    ----------
    model : SpeechLM
    prompts : sequence of Prompt
        Whose logits and states are compared.
    pair, dropped : PromptPair or None
        Of one clip, with the audio's markers kept and dropped around the transcript; None where the
        model does not offer them.
    fresh : transformers model or None
        The checkpoint as transformers alone loads it, on the same device and in the same dtype.
    why_not_fresh : str
        Why there is none.
    """
    dtype = str(model.dtype).removeprefix("torch.")
    can = model.support()
    for kind, one in (("keep", pair), ("drop", dropped)):
        yield _prompts(one, kind, dtype, can.get(f"markers_{kind}") or "")
    for prompt in prompts:

        def against(name: str, other: Any, prompt: Prompt = prompt) -> Check:
            return _against(model, other, prompt, name, dtype)

        def states(name: str, prompt: Prompt = prompt) -> Check:
            return _states(model, prompt, fresh, name, dtype)

        yield _tried("logits: transformers' own forward", prompt.kind, dtype, against, model.hf)
        name = "logits: a model that transformers loads alone"
        if fresh is None:
            yield Check(name, prompt.kind, dtype, note=why_not_fresh)
        else:
            yield _tried(name, prompt.kind, dtype, against, fresh)
        yield _tried("hooked states: output_hidden_states", prompt.kind, dtype, states)
    runs: list[_Runs] = []
    for name, check in _EDITS.items():
        if pair is None or can.get("edit"):
            yield Check(name, "speech", dtype, note=can.get("edit") or can.get("speech") or "")
            continue

        def edited(
            name: str, check: Callable[..., Check] = check, both: PromptPair = pair
        ) -> Check:
            if not runs:
                runs.append(_Runs(model, both))
            return check(runs[0], name)

        yield _tried(name, "speech", dtype, edited)


def _tried(name: str, prompt: str, dtype: str, check: Callable[..., Check], *args: Any) -> Check:
    """The check, or a failed one if it cannot be carried through."""
    try:
        return check(name, *args)
    except torch.OutOfMemoryError:
        return Check(name, prompt, dtype, note="no room for it in the GPU's memory")
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError) as problem:
        line = (str(problem).strip().splitlines() or [""])[0]
        note = f"{type(problem).__name__}: {line[:150]}"
        return Check(name, prompt, dtype, None, None, 0.0, False, note)


def compare(found: Tensor, reference: Tensor, dtype: torch.dtype) -> Compared:
    """Largest difference, and the same in epsilons; NaN counts as infinitely far."""
    a, b = found.detach().double().cpu(), reference.detach().double().cpu()
    if a.shape != b.shape or not bool(torch.isfinite(a).all() & torch.isfinite(b).all()):
        return float("inf"), float("inf")
    difference = float((a - b).abs().max()) if a.numel() else 0.0
    scale = float(b.abs().max()) if b.numel() else 0.0
    unit = torch.finfo(dtype).eps * (scale or 1.0)
    return difference, difference / unit


def _prompts(pair: PromptPair | None, kind: str, dtype: str, why: str) -> Check:
    """Both prompts without their contents: equal, or (markers dropped) less the markers."""
    name = f"prompts equal outside the spans (markers {kind})"
    if pair is None or "input_ids" not in pair.speech.inputs:
        return Check(name, "both", dtype, note=why or "its prompts are not made of tokens")
    rest = [_outside(prompt) for prompt in (pair.speech, pair.text)]
    if kind == "keep":
        wrong = sum(a != b for a, b in zip(*rest, strict=False)) + abs(len(rest[0]) - len(rest[1]))
        note = f"{len(rest[1])} tokens around the content"
    else:
        left = iter(rest[0])
        wrong = sum(token not in left for token in rest[1])  # in this order, markers passed over
        note = f"{len(rest[0]) - len(rest[1])} tokens of markers dropped"
    if wrong:
        note = f"{wrong} tokens differ"
    return Check(name, "both", dtype, float(wrong), float(wrong), 0.0, wrong == 0, note)


def _outside(prompt: Prompt) -> list[int]:
    inside = {*prompt.content.tolist(), *prompt.pad_content.tolist()}
    ids = prompt.inputs["input_ids"][0].tolist()
    return [token for n, token in enumerate(ids) if n not in inside]


@torch.no_grad()
def _logits(model: SpeechLM, prompt: Prompt) -> tuple[Tensor, Tensor]:
    """Logits (1, S, V) as modgap makes them, and before a scaling that the family adds."""
    with model.lock:
        hidden = model.trunk(**prompt.inputs, use_cache=False).last_hidden_state
        return model.logits(hidden).float().cpu(), model.head(hidden).float().cpu()


@torch.no_grad()
def _against(model: SpeechLM, other: Any, prompt: Prompt, name: str, dtype: str) -> Check:
    own = _logits(model, prompt)
    with model.lock:
        reference = other(**prompt.inputs, use_cache=False).logits.float().cpu()
    found, plain = (compare(logits, reference, model.dtype) for logits in own)
    note = ""
    if plain[1] < found[1]:
        found = plain
        note = "before the scaling of the family's text model, which transformers leaves out here"
    difference, epsilons = found
    return Check(name, prompt.kind, dtype, difference, epsilons, SAME, epsilons <= SAME, note)


@torch.no_grad()
def _states(model: SpeechLM, prompt: Prompt, fresh: Any | None, name: str, dtype: str) -> Check:
    """States that hooks pick, level by level, against ``output_hidden_states``."""
    hooked = capture_states(model, prompt)
    run: Callable[..., Any] = model.trunk
    if fresh is not None:  # asking for states leaves recorders on a model
        run = (
            fresh.get_base_model().base_model
            if hasattr(fresh, "get_base_model")
            else fresh.base_model
        )
    with model.lock:
        out = run(**prompt.inputs, use_cache=False, output_hidden_states=True)
    if out.hidden_states is None:
        return Check(name, prompt.kind, dtype, note="the model's own forward gives no states")
    theirs = list(out.hidden_states)
    if model.streamed:  # merged and normed only after what is recorded
        theirs = [*(stream_of(model, states) for states in theirs[:-1]), out.last_hidden_state]
    levels = []
    worst = (0.0, 0.0)
    for mine, states in zip(hooked, theirs, strict=True):
        picked = states[0].index_select(0, prompt.content.to(states.device))
        found = compare(mine, picked, model.dtype)
        levels.append(found[1])
        worst = max(worst, found, key=lambda pair: pair[1])
    note = f"{len(levels)} levels"
    if worst[1]:
        note += f", most at level {levels.index(worst[1])}"
    passed = worst[1] <= SAME
    return Check(name, prompt.kind, dtype, *worst, SAME, passed, note, tuple(levels))


class _Runs:
    """The plain runs of a clip, and whole passes to hold edited ones against."""

    def __init__(self, model: SpeechLM, pair: PromptPair) -> None:
        self.model, self.pair = model, pair
        self.kept = Prefill.of(model, pair)
        can = model.editable_levels
        self.levels = sorted({can[0], can[len(can) // 2], can[-1]})
        self.plain = self.whole()

    @torch.no_grad()
    def whole(self) -> Tensor:
        """Logits (1, V) after a pass over the whole prompt."""
        with self.model.lock:
            out = self.model.trunk(**self.pair.speech.inputs, use_cache=True)
            return self.model.logits(out.last_hidden_state[0, -1:]).float()

    def equal(self, name: str, found: Tensor) -> Check:
        """Whether logits are the plain ones, bit by bit."""
        difference, epsilons = compare(found, self.plain, self.model.dtype)
        same = torch.equal(found, self.plain)
        note = f"levels {self.listed}; bit by bit"
        return Check(name, "speech", self.dtype, difference, epsilons, 0.0, same, note)

    @property
    def dtype(self) -> str:
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def listed(self) -> str:
        return ", ".join(map(str, self.levels))


def _hooks(runs: _Runs, name: str) -> Check:
    with visiting(runs.model, runs.levels, lambda _, hidden: hidden.clone(), first=True):
        return runs.equal(name, runs.whole())


def _idle_hooked(runs: _Runs, name: str) -> Check:
    with editing(runs.kept, [_angle(level, 0.0) for level in runs.levels]):
        return runs.equal(name, runs.whole())


def _idle_resumed(runs: _Runs, name: str) -> Check:
    return runs.equal(
        name, runs.kept.run([[_angle(level, 0.0) for level in runs.levels]]).logits[0]
    )


def _resumed(runs: _Runs, name: str) -> Check:
    dtype, found, worst, moved = runs.model.dtype, [], (0.0, 0.0), 0.0
    for level in runs.levels:
        edit = (_angle(level, 1.0),)
        resumed = runs.kept.run([edit]).logits[0]
        with editing(runs.kept, edit):
            hooked = runs.whole()
        one = compare(resumed, hooked, dtype)
        found.append(one[1])
        worst = max(worst, one, key=lambda pair: pair[1])
        moved = max(moved, compare(hooked, runs.plain, dtype)[0])
    note = f"levels {runs.listed}; the edits move the logits by up to {moved:.2g}"
    limit = SHAPED[dtype]
    passed = worst[1] <= limit and moved > 0
    return Check(name, "speech", runs.dtype, *worst, limit, passed, note, tuple(found))


_EDITS: dict[str, Callable[[_Runs, str], Check]] = {
    "hooks that change nothing": _hooks,
    "intervention of strength 0, hooked": _idle_hooked,
    "intervention of strength 0, resumed": _idle_resumed,
    "edit, resumed: hooked": _resumed,
}


def _angle(level: int, strength: float) -> Intervention:
    return Intervention(rule="angle", layers=(level,), tokens="all", strength=strength)
