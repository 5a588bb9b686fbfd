"""How much memory a model takes, and a clip in it, told from its config alone.

Parameters are counted exactly, see `SpeechLM.skeleton`; what a clip takes on top follows from the
sizes, see `clip_bytes`. A hub id costs one small download, its config.json.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modgap.core.errors import ModelError
from modgap.models.loading.adapters import split
from modgap.models.loading.hardware import Machine
from modgap.models.loading.load_errors import explained
from modgap.models.loading.locate import locate, read_config
from modgap.models.loading.quantized import QUANTIZATIONS, check_quantize
from modgap.models.loading.registry import Named, family_of
from modgap.models.loading.sizes import (
    clip_bytes,
    encoder_bytes,
    gigabytes,
    plain_options,
    weight_bytes,
)
from modgap.models.processor import optional_file

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

__all__ = ["Fit", "Machine", "MemoryEstimate", "clip_bytes", "estimate_memory", "gigabytes"]

CLIP_SECONDS = 30.0
TOKENS_PER_SECOND = 4.0  # of a transcript: three words a second, four tokens to three words
POSITIONS_PER_SECOND = 25.0  # where the model's own rate is not known: the most of any family

TEMPLATES = {
    "file": "the checkpoint's own",
    "family": "the family's, none in the checkpoint",
    "none": "missing: no prompts can be built",
    "unknown": "not known before the files are here",
}


@dataclass(frozen=True)
class Fit:
    """Whether a model and a clip fit where they would go.

    Attributes
    ----------
    verdict : "fits", "tight" or "too large"
        "tight": the weights fit, but not a clip with all that may be kept of it.
    sentence : str
        The verdict with its numbers and, unless it fits, what to do.
    needed, free : int
        Bytes.
    """

    verdict: str
    sentence: str
    needed: int
    free: int


@dataclass(frozen=True)
class MemoryEstimate:
    """What is known of a model before it is loaded. Sizes are in bytes.

    Attributes
    ----------
    name, model_type : str
    parameters : int
        Exact; a weight that is used twice counts once.
    dtype : str
    quantize : str or None
    weights : int
        As they would be held.
    adapter : int
        Weights of a PEFT adapter, on top; of the checkpoint's own where its file is here.
    ways : dict of str to int
        Weights in "float32", "bfloat16", "8bit" and "4bit".
    clip : dict of str to int
        What a clip takes beside the weights, part by part; see `clip_bytes` and `encoder_bytes`.
    clip_seconds : float
        Of that clip.
    positions, tokens : int
        Its speech positions, and its transcript's tokens.
    n_layers, hidden_size : int
    max_seconds, seconds_per_position : float or None
        None where the processor's files are not here (or the model has no limit: see `known`).
    known : bool
        Whether the processor's files were here to be read.
    template : "file", "family", "none" or "unknown"
        Where its chat template comes from.
    """

    name: str
    model_type: str
    parameters: int
    dtype: str
    quantize: str | None
    weights: int
    adapter: int
    ways: dict[str, int]
    clip: dict[str, int]
    clip_seconds: float
    positions: int
    tokens: int
    n_layers: int
    hidden_size: int
    max_seconds: float | None
    seconds_per_position: float | None
    known: bool
    template: str

    @property
    def clip_total(self) -> int:
        """All that a clip takes beside the weights."""
        return sum(self.clip.values())

    @property
    def total(self) -> int:
        """Weights, adapter and clip."""
        return self.weights + self.adapter + self.clip_total

    def fit(self, machine: Machine, device: str = "auto", device_map: object = None) -> Fit:
        """Compare with what a machine has; see `Machine.place`."""
        place, free = machine.place(device, device_map)
        held = self.weights + self.adapter
        have = f"{gigabytes(free)} are free" + (f" ({place})" if place != "memory" else "")
        if self.total <= free:
            text = f"Needs about {gigabytes(self.total)}; {have}."
            return Fit("fits", text, self.total, free)
        if held <= free:
            text = (
                f"The weights take {gigabytes(held)} and a clip of {self.clip_seconds:g} s up to "
                f"{gigabytes(self.clip_total)} more, but {have}: use shorter clips"
            )
            return Fit("tight", f"{text}{self._other(free, ', or ')}.", self.total, free)
        text = f"The weights take {gigabytes(held)}, but {have}: "
        other = self._other(free, "") or "choose a smaller model or a larger machine"
        return Fit("too large", f"{text}{other}.", self.total, free)

    def to_dict(self) -> dict[str, Any]:
        """The fields and sums in JSON's terms."""
        return asdict(self) | {"clip_total": self.clip_total, "total": self.total}

    def _other(self, free: int, before: str) -> str:
        """The way to hold the weights that rounds least and fits."""
        halves = 1.0 if self.dtype != "float32" else 0.5  # every other way computes in 16 bits
        exact = self.clip["logits"] + self.clip["matrices"]
        clip = exact + halves * (self.clip_total - exact)
        for way, size in self.ways.items():
            if size < self.weights and size + self.adapter + clip <= free:
                how = "dtype" if way not in QUANTIZATIONS else "quantize"
                return f"{before}load it with {how} {way} ({gigabytes(size)} of weights)"
        return ""


def estimate_memory(
    name: str | Path,
    *,
    dtype: str | torch.dtype = "auto",
    device: str | torch.device = "auto",
    device_map: str | dict[str, Any] | None = None,
    quantize: str | None = None,
    adapter: str | Path | None = None,
    revision: str | None = None,
    family: Named | Sequence[Named] | None = None,
    cache_dir: str | Path | None = None,
    seconds: float = CLIP_SECONDS,
) -> MemoryEstimate:
    """Estimate what a model and a clip in it would take, without loading weights.

    Parameters
    ----------
    name, dtype, device, device_map, quantize, adapter, revision, family, cache_dir
        As `load_model` takes them. A device that is not here is no error.
    seconds : float
        Length of the clip; cut to the longest that the model takes.

    Raises
    ------
    ModelError
        The name leads to no config, or the family has no adapter.
    """
    from modgap.models.loading.load import dtype_of

    if quantize is not None and quantize not in QUANTIZATIONS:
        check_quantize(quantize)
    base, revision, tuned = split(str(name), adapter, revision)
    where, folder = locate(base, revision, cache_dir)
    config, options = read_config(str(name), where, folder, revision, cache_dir)
    kind = family_of(str(name), config, family)
    with explained(str(name), folder):
        hf = kind.skeleton(where, plain_options(options))
    on = None if device_map is not None else _kind(device)
    held = dtype_of(dtype, on, folder)
    model, template = _dry(kind, hf, where, options)
    limit = model.max_seconds if model is not None else None
    each = model.seconds_per_position if model is not None else None
    length = min(seconds, limit or math.inf)
    rate = POSITIONS_PER_SECOND if model is None else 1 / each if each else 0.0  # 0: a text model
    positions = math.ceil(length * rate - 1e-9)
    tokens = math.ceil(length * TOKENS_PER_SECOND)
    text = hf.config.get_text_config()
    ways = weight_bytes(hf)
    plain = sum(p.numel() for p in hf.parameters()) * held.itemsize
    return MemoryEstimate(
        name=str(name),
        model_type=str(config.get("model_type")),
        parameters=sum(p.numel() for p in hf.parameters()),
        dtype=str(held).removeprefix("torch."),
        quantize=quantize,
        weights=plain if quantize is None else weight_bytes(hf, held)[quantize],
        adapter=(tuned.bytes if tuned else 0) + _own_adapter(kind, where, options),
        ways=ways,
        clip=clip_bytes(text, positions, tokens, held.itemsize)
        | {"encoder": encoder_bytes(hf, length if positions else 0.0, held.itemsize)},
        clip_seconds=length,
        positions=positions,
        tokens=tokens,
        n_layers=int(text.num_hidden_layers),
        hidden_size=int(text.hidden_size),
        max_seconds=limit,
        seconds_per_position=each,
        known=model is not None,
        template=template,
    )


def _kind(device: str | torch.device) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except RuntimeError as err:
        raise ModelError(f'There is no device {str(device)!r}. Try "cpu" or "cuda".') from err


def _dry(
    family: type[SpeechLM], hf: Any, where: str, options: dict[str, Any]
) -> tuple[SpeechLM | None, str]:
    """The adapter without weights, if the processor's files are here, and the template's state."""
    here = options | {"local_files_only": True}
    try:
        processor = family.load_processor(where, here)
    except Exception:  # it is not here, or not whole: loading will say so
        return None, "unknown"
    if not isinstance(getattr(processor, "chat_template", None), str):
        return None, "none"
    template = "file" if _has_template(family, where, options) else "family"
    try:
        return family(hf, processor, name=where, revision=None, identity=""), template
    except ModelError:
        return None, template


def _own_adapter(family: type[SpeechLM], where: str, options: dict[str, Any]) -> int:
    """Bytes of the LoRA weights that a checkpoint brings beside its others."""
    name, folder = "adapter_model.safetensors", family.adapter_folder
    path = optional_file(where, name, options, folder, here=True)
    return 0 if path is None else path.stat().st_size


def _has_template(family: type[SpeechLM], where: str, options: dict[str, Any]) -> bool:
    def text(file: str, subfolder: str) -> str | None:
        path = optional_file(where, file, options, subfolder, here=True)
        return None if path is None else path.read_text("utf-8")

    for part in ("", *family.weight_folders):
        if text("chat_template.jinja", part) or text("chat_template.json", part):
            return True
        held = (text("tokenizer_config.json", part), text("processor_config.json", part))
        if any('"chat_template"' in found for found in held if found):
            return True
    return False
