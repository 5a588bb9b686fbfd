"""Checkpoints of other projects as composite folders: weights renamed, no code of theirs run.

Ultravox (fixie-ai/ultravox, ``ultravox_model.py``) keeps its adapter and what it trained, and names
the text model and the Whisper encoder it was trained on. LLaMA-Omni (ictnlp/LLaMA-Omni,
``omni_speech_arch.py``) and LLaMA-Omni 2 keep adapter and text model and name a Whisper encoder.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from modgap.core.errors import ModelError
from modgap.models.composite_net import CompositeConfig
from modgap.models.loading.llama_omni import SPEECH, omni_kind, write_prompt

_TEXT_FILES = ("config.json", "generation_config.json")
_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json"),
)
_ULTRAVOX_ADAPTER = {
    "multi_modal_projector.ln_pre.weight": "norm_in.weight",
    "multi_modal_projector.linear_1.weight": "linear1.weight",
    "multi_modal_projector.ln_mid.weight": "norm_mid.weight",
    "multi_modal_projector.linear_2.weight": "linear2.weight",
    "multi_modal_projector.ln_post.weight": "norm_out.weight",
}


@dataclass(frozen=True)
class Converted:
    """What `convert` made.

    Attributes
    ----------
    kind : "ultravox", "llama-omni" or "llama-omni2"
    folder : Path
    adapter, encoder, llm : int
        Tensors of each part that came from the source; 0 where a part is the given folder's.
    left : tuple of str
        First parts of the names of weights that have no place in a composite.
    """

    kind: str
    folder: Path
    adapter: int
    encoder: int
    llm: int
    left: tuple[str, ...]


def convert(
    source: str | Path, out: str | Path, *, encoder: str | Path, llm: str | Path | None = None
) -> Converted:
    """Make a composite folder of an Ultravox-, LLaMA-Omni- or LLaMA-Omni-2-style checkpoint.

    Parameters
    ----------
    source : str or Path
        Folder with the checkpoint's config.json and safetensors files.
    out : str or Path
        Folder to make; it must not be there yet.
    encoder : str or Path
        Folder of the Whisper checkpoint that the source was trained on.
    llm : str or Path, optional
        Folder of the text model it was trained on; LLaMA-Omni brings its own.

    Raises
    ------
    ModelError
        Files are missing, the checkpoint is of another kind, or holds what cannot be converted.
    """
    source, out, encoder = Path(source), Path(out), Path(encoder)
    if out.exists():
        raise ModelError(f"{out} is there already: name a folder that is not.")
    config = _json(source / "config.json")
    named = " ".join([str(config.get("model_type")), *(config.get("architectures") or ())]).lower()
    make: Callable[..., tuple[CompositeConfig, Converted]]
    if "ultravox" in named:
        make = _ultravox
    elif re.search("omni2?_?speech", named):
        make = _llama_omni
    else:
        raise ModelError(
            f"{source} is of model type {config.get('model_type')!r}; Ultravox, LLaMA-Omni and "
            "LLaMA-Omni 2 checkpoints can be converted."
        )
    work = out.with_name(out.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    try:
        (work / "llm").mkdir(parents=True)
        (work / "encoder").mkdir()
        settings, made = make(source, work, config, encoder, None if llm is None else Path(llm))
        (work / "config.json").write_text(settings.to_json())
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Converted(made.kind, out, made.adapter, made.encoder, made.llm, made.left)


def _ultravox(
    source: Path, work: Path, config: dict[str, Any], encoder: Path, llm: Path | None
) -> tuple[CompositeConfig, Converted]:
    if config.get("audio_latency_block_size") is not None:
        raise ModelError(
            "This Ultravox checkpoint hears in blocks (audio_latency_block_size), which a "
            "composite's encoder does not: choose one that hears the whole clip."
        )
    if llm is None:
        wanted = config.get("text_model_id") or "its text model"
        raise ModelError(f"An Ultravox checkpoint also needs --llm, a folder with {wanted}.")
    parts = _sorted_out(
        source,
        adapter=_ULTRAVOX_ADAPTER.get,
        encoder=_behind("audio_tower."),
        llm=_behind("language_model."),
    )
    if any("lora_" in name for names in parts.values() for name in names):
        raise ModelError("This Ultravox checkpoint holds unmerged LoRA weights: merge them first.")
    _write_adapter(work, source, parts["adapter"])
    _copy_encoder(work / "encoder", encoder, source, parts["encoder"])
    if parts["llm"]:
        _copy(llm, work / "llm", _TEXT_FILES)
        _write_parts(work / "llm", source, parts["llm"])
    else:
        _copy(llm, work / "llm", _TEXT_FILES)
        _copy_weights(llm, work / "llm")
    _copy_tokenizer(work / "llm", source, llm)
    settings = CompositeConfig(
        stack=int(config.get("stack_factor", 8)),
        activation=config.get("projector_act", "swiglu"),
        last="pad",
        hears="clip",
        positions="clip",
        source="ultravox",
    )
    return settings, _counted("ultravox", work, parts)


def _llama_omni(
    source: Path, work: Path, config: dict[str, Any], encoder: Path, llm: Path | None
) -> tuple[CompositeConfig, Converted]:
    kind, text_type, text_class = omni_kind(source, config)
    parts = _sorted_out(
        source,
        adapter=_behind("model.speech_projector."),
        encoder=lambda name: None,
        llm=lambda name: None if "speech_" in name else name,
    )
    _write_adapter(work, source, parts["adapter"])
    _copy_encoder(work / "encoder", encoder, source, {})
    _write_parts(work / "llm", source, parts["llm"])
    text = {k: v for k, v in config.items() if not k.startswith(SPEECH)}
    text.pop("auto_map", None)
    text |= {"model_type": text_type, "architectures": [text_class]}
    (work / "llm" / "config.json").write_text(json.dumps(text, indent=2))
    _copy(source, work / "llm", ("generation_config.json",))
    _copy_tokenizer(work / "llm", source, llm)
    told = write_prompt(work / "llm") if (kind, text_type) == ("llama-omni", "llama") else ""
    settings = CompositeConfig(
        stack=int(config.get("speech_encoder_ds_rate", 5)),
        activation="relu",
        last="drop",
        hears="window",
        positions="window",
        after=told,
        source=kind,
    )
    return settings, _counted(kind, work, parts)


# ---- weights ------------------------------------------------------------------------------------

Names = dict[str, str]  # name in the source to name in the part


def _behind(prefix: str) -> Callable[[str], str | None]:
    return lambda name: name.removeprefix(prefix) if name.startswith(prefix) else None


def _sorted_out(source: Path, **part: Callable[[str], str | None]) -> dict[str, Names]:
    """Give every weight of the source to the first part that has a name for it."""
    from safetensors import safe_open

    parts: dict[str, Names] = {name: {} for name in (*part, "left")}
    for file in _weight_files(source):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118, it is no dict
                for key, rename in part.items():
                    new = rename(name)
                    if new is not None:
                        parts[key][name] = new
                        break
                else:
                    parts["left"][name] = name
    if not parts["adapter"]:
        raise ModelError(f"{source} holds no adapter weights under the names of its kind.")
    return parts


def _counted(kind: str, work: Path, parts: dict[str, Names]) -> Converted:
    left = sorted({name.removeprefix("model.").split(".")[0] for name in parts["left"]})
    adapter, encoder, llm = (len(parts[part]) for part in ("adapter", "encoder", "llm"))
    return Converted(kind, work, adapter, encoder, llm, tuple(left))


def _tensors(source: Path, names: Names) -> Iterator[tuple[str, Tensor]]:
    from safetensors import safe_open

    for file in _weight_files(source):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118, it is no dict
                if name in names:
                    yield names[name], weights.get_tensor(name)


def _write(file: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in tensors}, file, metadata={"format": "pt"})


def _write_parts(to: Path, source: Path, names: Names) -> None:
    """As many files as the source has, one after the other: never all weights in memory."""
    files = [file for file in _weight_files(source) if names.keys() & _names(file)]
    where: dict[str, str] = {}
    for n, file in enumerate(files, 1):
        held = {key: name for key, name in names.items() if key in _names(file)}
        part = f"model-{n:05}-of-{len(files):05}.safetensors"
        _write(to / (part if len(files) > 1 else "model.safetensors"), _tensors(source, held))
        where |= dict.fromkeys(held.values(), part)
    if len(files) > 1:
        index = {"metadata": {}, "weight_map": where}
        (to / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


def _names(file: Path) -> set[str]:
    from safetensors import safe_open

    with safe_open(file, "pt") as weights:
        return set(weights.keys())


def _write_adapter(work: Path, source: Path, names: Names) -> None:
    _write(work / "adapter.safetensors", _tensors(source, names))


def _weight_files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise ModelError(f"{folder} holds no safetensors files; pickled weights are not read.")
    return found


# ---- files --------------------------------------------------------------------------------------


def _copy_encoder(to: Path, encoder: Path, source: Path, trained: Names) -> None:
    _copy(encoder, to, ("config.json", "preprocessor_config.json", "processor_config.json"))
    if trained:
        _write(to / "model.safetensors", _tensors(source, trained))
    elif (encoder / "model.safetensors").is_file():
        _copy(encoder, to, ("model.safetensors",))
    else:
        _write(
            to / "model.safetensors",
            _tensors(encoder, _sorted_out(encoder, adapter=lambda name: name)["adapter"]),
        )


def _copy_tokenizer(to: Path, source: Path, llm: Path | None) -> None:
    """The source's own tokenizer if it has one: it may have learnt tokens."""
    own = (source / "tokenizer.json").is_file() or llm is None
    _copy(source if own or llm is None else llm, to, _TOKENIZER_FILES)
    has_template = any((to / name).is_file() for name in ("chat_template.jinja",))
    if own and llm is not None and not has_template:
        _copy(llm, to, ("chat_template.jinja", "chat_template.json"))


def _copy_weights(llm: Path, to: Path) -> None:
    _copy(llm, to, [f.name for f in (*_weight_files(llm), *llm.glob("*.safetensors.index.json"))])


def _copy(source: Path, to: Path, names: Iterable[str]) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, to / name)


def _json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise ModelError(f"{file} cannot be read: name the folder of a checkpoint.") from err
