"""What a checkpoint brings besides its weights: tokenizer, feature extractor, chat template.

transformers' own processor classes would do the same, but some of them need torchvision or
mistral-common, of which a speech prompt uses nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(eq=False)
class Parts:
    """Stands where a processor would.

    Attributes
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
    feature_extractor : object or None
        With ``sampling_rate`` and ``to_dict()``; None for a text model.
    chat_template : str or None
    """

    tokenizer: Any
    feature_extractor: Any
    chat_template: str | None


def load_parts(
    where: str, options: dict[str, Any], extractor: Any = None, template: str | None = None
) -> Parts:
    """Read the parts of a folder or of a hub checkpoint.

    Parameters
    ----------
    where : str
    options : dict
        For ``from_pretrained``.
    extractor : class with ``from_pretrained``, optional
    template : str, optional
        The chat template of a family whose checkpoints have none in a file.
    """
    import transformers

    # Where mistral-common is installed, Mistral's checkpoints would get its own tokenizer, which is
    # no fast one: it does not tell which characters a token stands for.
    tokenizer = transformers.AutoTokenizer.from_pretrained(where, mistral_format=False, **options)
    return Parts(
        tokenizer,
        extractor.from_pretrained(where, **options) if extractor is not None else None,
        _processor_template(where, options) or tokenizer.chat_template or template,
    )


def optional_file(
    where: str, name: str, options: dict[str, Any], folder: str = "", *, here: bool = False
) -> Path | None:
    """A file of a checkpoint, or None where the checkpoint has none.

    Parameters
    ----------
    where, name : str
    options : dict
        For ``from_pretrained``; of it counts what `hub_options` names.
    folder : str
        Where in the checkpoint.
    here : bool
        Whether a file that is not on this machine counts as missing. Else not to know is an error:
        a checkpoint without its adapter would give other numbers.
    """
    from transformers.utils.hub import cached_file

    hub = hub_options(options) | ({"local_files_only": True} if here else {})
    found = cached_file(
        where, name, subfolder=folder, _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=not here, **hub,
    )  # fmt: skip
    return None if found is None else Path(found)


def hub_options(options: dict[str, Any]) -> dict[str, Any]:
    """Of what ``from_pretrained`` takes: which revision is meant, and where its files are had."""
    return {k: options[k] for k in ("revision", "cache_dir", "local_files_only") if k in options}


def _processor_template(where: str, options: dict[str, Any]) -> str | None:
    """The template that belongs to the processor, which a tokenizer's own may lack audio of."""
    for name in ("chat_template.jinja", "chat_template.json"):
        found = optional_file(where, name, options, options.get("subfolder", ""))
        if found is not None:
            text = found.read_text(encoding="utf-8")
            return text if name.endswith("jinja") else json.loads(text)["chat_template"]
    return None


def extractor_settings(where: str, options: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint's files say of its feature extractor."""
    for name in ("processor_config.json", "preprocessor_config.json"):
        found = optional_file(where, name, options, options.get("subfolder", ""))
        if found is not None:
            read = json.loads(found.read_text(encoding="utf-8"))
            return read.get("audio_processor") or read.get("feature_extractor") or read
    return {}


def chunked(extractor: Any, wave: Any) -> Any:
    """Features of consecutive windows of the extractor's ``chunk_length``, the last one padded.

    Returns
    -------
    transformers.BatchFeature
        ``input_features`` (windows, mels, frames) and ``attention_mask`` (windows, frames).
    """
    window = extractor.n_samples
    pieces = [wave[start : start + window] for start in range(0, len(wave), window)]
    return extractor(
        pieces,
        sampling_rate=extractor.sampling_rate,
        padding="max_length",
        return_attention_mask=True,
        return_tensors="pt",
    )
