"""PEFT adapters: a folder of LoRA or similar weights, put on the base that it was trained on.

The base's layers are wrapped in place, by peft itself; the adapter is not merged, so that it can be
switched off. Tokenizer, chat template and feature extractor are the base's.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from modgap.core.errors import ModelError
from modgap.core.foreign_files import read_json
from modgap.models.loading.locate import named_revision
from modgap.models.lora import take_out_empty

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# Where it was trained and how it is held do not change what it computes.
_IGNORED = frozenset({"base_model_name_or_path", "revision", "inference_mode", "peft_version"})


@dataclass(frozen=True)
class PeftAdapter:
    """An adapter folder.

    Attributes
    ----------
    folder : Path
    base : str
        What its config names as the base: a folder or a hub id; may be empty.
    revision : str or None
        Of the base.
    identity : str
        SHA-256 of its settings and weights, in hexadecimal.
    bytes : int
        Size of its weights file.
    """

    folder: Path
    base: str
    revision: str | None
    identity: str
    bytes: int

    @classmethod
    def read(cls, folder: Path) -> PeftAdapter:
        """Read a folder's config and hash its weights.

        Raises
        ------
        ModelError
            Files are missing or damaged, or the method cannot be put into a model's layers.
        """
        try:
            config = read_json(folder / CONFIG)
            method = config["peft_type"]
        except OSError as err:
            raise ModelError(
                f"{folder} is no adapter: it has no {CONFIG}. Name the folder that peft's "
                "save_pretrained wrote."
            ) from err
        except (ValueError, KeyError, TypeError) as err:
            raise ModelError(f"{CONFIG} in {folder} is damaged: get the adapter again.") from err
        if str(method) in ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING"):
            raise ModelError(
                f"The adapter {folder.name} is of the kind {method}, which adds positions to the "
                "prompt; only adapters of the layers (LoRA and its like) are loaded."
            )
        weights = folder / WEIGHTS
        if not weights.is_file():
            raise ModelError(
                f"The adapter {folder.name} has no {WEIGHTS}; other formats are not loaded. Save "
                "it again with peft's save_pretrained."
            )
        settings = {k: v for k, v in config.items() if k not in _IGNORED}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        with weights.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        base, revision = config.get("base_model_name_or_path"), config.get("revision")
        return cls(
            folder=folder,
            base=base if isinstance(base, str) else "",
            revision=revision if isinstance(revision, str) else None,
            identity=digest.hexdigest(),
            bytes=weights.stat().st_size,
        )

    @property
    def base_name(self) -> str:
        """The base as `load_model` takes it: a folder beside the adapter, too, if that is meant.

        Raises
        ------
        ModelError
            The config names none.
        """
        if not self.base:
            raise ModelError(
                f"The adapter {self.folder.name} does not say what it was trained on: name the "
                "base, and the adapter beside it (adapter=FOLDER, or --adapter FOLDER)."
            )
        beside = self.folder / self.base
        if not Path(self.base).expanduser().is_dir() and beside.is_dir():
            return str(beside)
        return self.base

    def config_for(self, hf: Any) -> Any:
        """The adapter's settings, with the names that this transformers model has for its layers.

        transformers 4 called ``model.language_model.layers`` of a speech model
        ``language_model.model.layers``. peft translates the names of the weights, but a regular
        expression for the layers to tune would find none of them.
        """
        from peft import PeftConfig

        config = PeftConfig.from_pretrained(str(self.folder))
        config.inference_mode = True
        wanted = getattr(config, "target_modules", None)
        if not isinstance(wanted, str) or wanted == "all-linear":
            return config
        names = [name for name, _ in hf.named_modules()]
        if any(re.fullmatch(wanted, name) for name in names):
            return config
        left = getattr(config, "exclude_modules", None)
        found = [name for name in names if re.fullmatch(wanted, _old_name(name))]
        if found and isinstance(left, str):
            found = [name for name in found if not re.fullmatch(left, _old_name(name))]
            config.exclude_modules = None
        if found:
            config.target_modules = set(found)
        return config

    def put_on(self, hf: Any) -> Any:
        """Wrap the layers of a transformers model; returns the model, of the same class.

        Raises
        ------
        ModelError
            Its weights do not fit the model.
        """
        from peft import PeftModel

        if getattr(hf, "_hf_peft_config_loaded", False):
            raise ModelError(
                f"{self.base or 'The model'} comes with an adapter of its own; a second one "
                f"({self.folder.name}) is not put on it."
            )

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is checked below
            try:
                wrapped = PeftModel(hf, self.config_for(hf))
                found = wrapped.load_adapter(str(self.folder), "default")
            except SafetensorError as err:
                raise ModelError(
                    f"{WEIGHTS} of the adapter {self.folder.name} is damaged: get the adapter "
                    "again."
                ) from err
            except torch.OutOfMemoryError:
                raise
            except (ValueError, RuntimeError, KeyError, TypeError) as err:
                line = (str(err).strip().splitlines() or [type(err).__name__])[0]
                raise ModelError(
                    f"The adapter {self.folder.name} does not fit its base {self.base or 'model'} "
                    f"({line[:150]}): was it trained on this model, with the layer names of this "
                    "version of transformers?"
                ) from err
        astray = [*take_out_empty(wrapped, found.missing_keys), *found.unexpected_keys]
        if astray:
            raise ModelError(
                f"The adapter {self.folder.name} does not fit the base: {len(astray)} of its "
                f"weights have no place or are missing, for example {sorted(astray)[0]}."
            )
        return wrapped.get_base_model()


def _old_name(name: str) -> str:
    """What transformers 4 called a module of a speech model."""
    short = name.removeprefix("model.")
    if short == "lm_head":
        return "language_model.lm_head"
    part, dot, rest = short.partition(".")
    return f"language_model.model.{rest}" if part == "language_model" and dot else short


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def split(
    name: str, adapter: str | Path | None, revision: str | None
) -> tuple[str, str | None, PeftAdapter | None]:
    """What to load: the base's name, its revision, and the adapter to put on it, if any.

    Parameters
    ----------
    name : str
        A model, which may carry a revision (``org/name@v1``), or the folder of an adapter.
    adapter : str or Path, optional
        The folder of an adapter for the model `name`.
    revision : str, optional
        Of the base.

    Raises
    ------
    ModelError
        The adapter cannot be read, or two adapters or revisions are named.
    """
    id, named = named_revision(name)
    if named is not None:
        if revision not in (None, named):
            raise ModelError(f"{name} names its revision: leave out the other one ({revision}).")
        name, revision = id, named
    folder = Path(name).expanduser()
    if adapter is None:
        if not is_adapter(folder):
            return name, revision, None
        found = PeftAdapter.read(folder)
        base = found.base_name
        on_hub = not Path(base).expanduser().is_dir()
        return base, revision or (found.revision if on_hub else None), found
    if is_adapter(folder):
        raise ModelError(f"{name} is an adapter itself: name its base instead, or no adapter.")
    return name, revision, PeftAdapter.read(Path(adapter).expanduser())
