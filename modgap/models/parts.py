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


def _processor_template(where: str, options: dict[str, Any]) -> str | None:
    """The template that belongs to the processor, which a tokenizer's own may lack audio of."""
    from transformers.utils.hub import cached_file

    for name in ("chat_template.jinja", "chat_template.json"):
        found = cached_file(where, name, _raise_exceptions_for_missing_entries=False, **options)
        if found is not None:
            text = Path(found).read_text(encoding="utf-8")
            return text if name.endswith("jinja") else json.loads(text)["chat_template"]
    return None


def extractor_settings(where: str, options: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint's files say of its feature extractor."""
    from transformers.utils.hub import cached_file

    for name in ("processor_config.json", "preprocessor_config.json"):
        found = cached_file(where, name, _raise_exceptions_for_missing_entries=False, **options)
        if found is not None:
            read = json.loads(Path(found).read_text(encoding="utf-8"))
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
