"""What a family says of its checkpoints: which they are, and how their parts are read."""

from __future__ import annotations

from typing import Any, ClassVar

from modgap.models.lora import load_adapter
from modgap.models.processor import load_parts
from modgap.models.skeleton import bare


class Loadable:
    """The half of `SpeechLM` that goes from files to a transformers model and its processor."""

    model_type: ClassVar[str]
    #: A class of transformers by its name, or a class with ``from_pretrained`` itself.
    model_class: ClassVar[str | type]
    #: A processor of transformers; None reads tokenizer, feature extractor and template alone.
    processor_class: ClassVar[str | None] = None
    extractor_class: ClassVar[str | type] = "WhisperFeatureExtractor"
    #: Where a checkpoint's own LoRA adapter lies, if it has one; "" is beside the weights.
    adapter_folder: ClassVar[str] = ""
    #: Subfolders of a checkpoint that hold weights, too.
    weight_folders: ClassVar[tuple[str, ...]] = ()
    #: The chat template of checkpoints that bring none in a file.
    chat_template: ClassVar[str | None] = None

    @classmethod
    def takes(cls, config: dict[str, Any]) -> bool:
        """Whether a checkpoint with this config.json is of the family, where a user names it."""
        return config.get("model_type") == cls.model_type

    @classmethod
    def refusal(cls, config: dict[str, Any]) -> str | None:
        """Why a checkpoint with this config.json is not loaded, though of the family; what to do.

        The sentence goes on after "NAME is of model type TYPE, which is not loaded: ".
        """
        return None

    @classmethod
    def load_processor(cls, where: str, options: dict[str, Any]) -> Any:
        """Read tokenizer, feature extractor and chat template; `options` for from_pretrained."""
        import transformers

        if cls.processor_class is not None:
            return getattr(transformers, cls.processor_class).from_pretrained(where, **options)
        return load_parts(where, options, _class(cls.extractor_class), cls.chat_template)

    @classmethod
    def own_config(cls, where: str, options: dict[str, Any]) -> dict[str, Any]:
        """A ``config`` for from_pretrained, where it is not to be the checkpoint's as it is."""
        return {}

    @classmethod
    def load_weights(cls, where: str, **options: Any) -> tuple[Any, dict[str, Any]]:
        """The transformers model and what was missing; `options` for from_pretrained."""
        hf, report = _class(cls.model_class).from_pretrained(
            where,
            **cls.own_config(where, options),
            output_loading_info=True,
            # Else an adapter beside the weights would be loaded with them, and the report of what
            # the weights lack be lost.
            adapter_kwargs={"subfolder": "no-adapter"},
            **options,
        )
        missing = load_adapter(hf, where, cls.adapter_folder, options)
        return hf, {**report, "missing_keys": {*report["missing_keys"], *missing}}

    @classmethod
    def skeleton(cls, where: str, options: dict[str, Any]) -> Any:
        """The transformers model without weights (torch's meta device), from the config alone."""
        kind = _class(cls.model_class)
        config = cls.own_config(where, options).get("config")
        return bare(kind, config or kind.config_class.from_pretrained(where, **options))


def _class(named: str | type) -> Any:
    import transformers

    return getattr(transformers, named) if isinstance(named, str) else named
