"""The prompt held against that of the vendor's own processor, as transformers has it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from modgap.analysis.fidelity_checks import Check, compare

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.models.base import SpeechLM
    from modgap.models.prompt import Prompt

__all__ = ["NAME", "vendor_prompt"]

NAME = "prompt: the vendor's own processor"
#: Of the largest number: features made without torchaudio differ by some 1e-4 of it.
FEATURES = 1e-3


def vendor_prompt(
    model: SpeechLM, prompt: Prompt | None, clip: Clip, processor: Any | None, why: str
) -> Check:
    """Ids of a clip alone in the user's turn, and features where both have them in one shape.

    The processor gets the conversation by its own chat template, or by the checkpoint's where it
    has none, and the same samples.

    Parameters
    ----------
    model : SpeechLM
    prompt : Prompt or None
        Of the clip alone; None for a model that takes none.
    clip : Clip
    processor : transformers.ProcessorMixin or None
    why : str
        Why there is none.
    """
    dtype = str(model.dtype).removeprefix("torch.")
    if prompt is None or processor is None or "input_ids" not in prompt.inputs:
        return Check(NAME, "speech", dtype, note=why or "there is no prompt of a clip to compare")
    try:
        theirs = _asked(model, clip, processor)
        ids = [int(n) for n in torch.as_tensor(theirs["input_ids"]).reshape(-1)]
    except Exception as problem:  # a processor that wants another call tells nothing of the prompt
        line = (str(problem).strip().splitlines() or [""])[0]
        note = f"it does not take such a call ({type(problem).__name__}: {line[:120]})"
        return Check(NAME, "speech", dtype, note=note)
    ours = prompt.inputs["input_ids"][0].tolist()
    wrong = sum(a != b for a, b in zip(ours, ids, strict=False)) + abs(len(ours) - len(ids))
    if wrong:
        note = f"{wrong} tokens differ: {len(ours)} here, {len(ids)} there"
        return Check(NAME, "speech", dtype, float(wrong), float(wrong), 0.0, False, note)
    far, off = _features(prompt, theirs, model.dtype)
    note = f"{len(ids)} tokens"
    if off:
        note += f"; {off} differs by up to {far:.2g} of its largest number"
    passed = far <= max(FEATURES, torch.finfo(model.dtype).eps)
    return Check(NAME, "speech", dtype, 0.0, 0.0, 0.0, passed, note)


def _asked(model: SpeechLM, clip: Clip, processor: Any) -> Any:
    """What the processor makes of the clip in a user's turn."""
    content: Any = model.audio_slot if model.one_string else [model.audio_message()]
    own = None if model.chat.dated else getattr(processor, "chat_template", None)
    asked = [{"role": "user", "content": content}]
    text = model.chat.render(asked, own if isinstance(own, str) else None)
    takes = inspect.signature(type(processor).__call__).parameters
    name = next((name for name in ("audio", "audios") if name in takes), None)
    if name is None:  # Voxtral's takes text alone, and conversations by another way
        raise TypeError("it takes no clip beside its text")
    rate = model.sampling_rate
    wave = {name: [clip.resample(rate)]}
    return processor(text=[text], sampling_rate=rate, return_tensors="pt", **wave)


def _features(prompt: Prompt, theirs: Any, dtype: torch.dtype) -> tuple[float, str]:
    """The largest difference over the largest number, and of which features it is."""
    worst, where = 0.0, ""
    for name, mine in prompt.inputs.items():
        value = theirs.get(name) if name != "input_ids" else None
        if not isinstance(value, torch.Tensor) or value.shape != mine.shape:
            continue
        there = value.to(mine.dtype)
        share = compare(mine, there, dtype)[1] * torch.finfo(dtype).eps
        if share > worst:
            worst, where = share, name
    return worst, where
