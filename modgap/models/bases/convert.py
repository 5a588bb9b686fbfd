"""What is kept of a release: an ordinary checkpoint folder, or the files as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from modgap.core.errors import ModelError
from modgap.models.bases.sources import Held

__all__ = ["make"]


def make(form: str, files: Sequence[Held], folder: Path, out: Path) -> None:
    """Write the folder.

    Parameters
    ----------
    form : str
        See `Wheel` and `Hub`.
    files : sequence of Held
        Of the release; they lie in `folder` and have been checked.
    folder, out : Path
        `out` is made.

    Raises
    ------
    ModelError
        The files hold another kind of model than the form says.
    """
    out.mkdir()
    if form == "ctranslate2":
        from modgap.models.bases import from_ctranslate2

        from_ctranslate2.convert(folder, out)
    elif form == "gguf":
        from modgap.models.bases import from_gguf

        from_gguf.convert(folder / files[0].name, out)
    elif form == "whisper":
        _halved_whisper(folder, out)
    elif form == "plain":
        for held in files:
            shutil.copyfile(folder / held.name, out / held.name)
        return
    else:
        raise ModelError(f"Files of the form {form!r} cannot be converted.")
    _forget_versions(out)


def _halved_whisper(folder: Path, out: Path) -> None:
    """The hub's Whisper in float16: it was released in that and widened for the hub."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import GenerationConfig, WhisperConfig

    from modgap.models.bases.from_ctranslate2 import save_processor

    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: weight.to(torch.float16) for name, weight in weights.items()},
        out / "model.safetensors",
        metadata={"format": "pt"},
    )
    config = WhisperConfig.from_pretrained(folder)
    config.dtype = torch.float16
    config.save_pretrained(out)
    GenerationConfig.from_pretrained(folder).save_pretrained(out)
    save_processor(folder / "tokenizer.json", config.num_mel_bins, out)


def _forget_versions(folder: Path) -> None:
    """Which transformers wrote a file changes no number, and is no part of what a model is."""
    for file in folder.glob("*.json"):
        values = json.loads(file.read_text("utf-8"))
        if isinstance(values, dict) and values.pop("transformers_version", None) is not None:
            file.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", "utf-8")
