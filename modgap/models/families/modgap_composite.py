"""A composite folder: a Whisper encoder, an adapter, any causal text model, maybe LoRA.

What the source of the method trained, and how Ultravox, LLaMA-Omni and others are made. A folder::

    config.json           {"model_type": "modgap_composite", "stack": 5, ...}: CompositeConfig
    encoder/              a Whisper checkpoint (config.json, model.safetensors,
                          preprocessor_config.json); its decoder is read only for "windows"
    adapter.safetensors   linear1.weight, linear2.weight, and biases and norms if it has them;
                          or, with "adapter": "conv_transformer", that adapter's weights
    llm/                  a causal text model with its tokenizer and chat template
    words.safetensors     with "words": ids of the tokens that both models have ("whisper", "llm")
    lora/                 if there is one, a PEFT adapter of the text model

`modgap.models.loading.convert` makes such a folder of the checkpoints of those projects.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.families.text_only import text_skeleton
from modgap.models.lora import load_adapter, merge_adapter
from modgap.models.processor import Parts, load_parts, optional_file
from modgap.models.prompt import AudioInput
from modgap.models.skeleton import bare
from modgap.models.vendor import VendorPrompt
from modgap.models.window_reader import WindowReader

#: How the projects that composites are made of prompt their models, by `CompositeConfig.source`.
VENDORS = {
    "ultravox": VendorPrompt(
        separator=" ",
        audio_first=False,
        system="You are a friendly and helpful character. You love to answer questions for people.",
        decoding={"do_sample": False, "repetition_penalty": 1.1},
        source="ultravox_pipeline.py and the model card's example",
    ),
}


class CompositeLM(SpeechLM):
    """The adapter of such folders."""

    model_type = "modgap_composite"
    model_class = "AutoModelForCausalLM"
    one_string = True
    weight_folders = ("encoder", "llm", "lora")
    adapter_folder = "lora"
    checkpoints: ClassVar[dict[str, str]] = {}

    def __init__(self, hf: Any, processor: Any, **kwargs: Any) -> None:
        super().__init__(hf, processor, **kwargs)
        self.settings = hf.settings
        self.slot_before, self.slot_after = self.settings.before, self.settings.after
        self.vendor = VENDORS.get(self.settings.source, VendorPrompt(separator="\n"))

    @property
    def published_as(self) -> str:
        return self.settings.source or self.model_type

    @classmethod
    def load_processor(cls, where: str, options: dict[str, Any]) -> Parts:
        """See the base class; the tokenizer is the text model's, the features are the encoder's."""
        import transformers

        options = {**options}
        parts = load_parts(where, {**options, "subfolder": "llm"})
        extractor = transformers.WhisperFeatureExtractor.from_pretrained(
            where, subfolder="encoder", **options
        )
        return Parts(parts.tokenizer, extractor, parts.chat_template)

    @classmethod
    def load_weights(cls, where: str, **options: Any) -> tuple[Any, dict[str, Any]]:
        """See the base class."""
        import transformers
        from safetensors.torch import load_file

        from modgap.models import composite_net as net

        settings = net.CompositeConfig.read(_json(where, options))
        loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
            where,
            subfolder="llm",
            output_loading_info=True,
            adapter_kwargs={"subfolder": "no-adapter"},
            **options,
        )
        llm, report = loaded
        missing = load_adapter(llm, where, cls.adapter_folder, options)
        if settings.lora == "merged":
            merge_adapter(llm)
        file = _file(where, "model.safetensors", options, "encoder")
        config = _json(where, options, "encoder")
        encoder = net.load_encoder(file, config, llm.dtype)
        reader, shared = None, None
        if settings.words:
            shared = load_file(_file(where, "words.safetensors", options))
        if settings.windows:
            reader = WindowReader.load(
                file, config, settings.windows, settings.prompt, llm.dtype,
                None if shared is None else shared["whisper"],
            )  # fmt: skip
        weights = load_file(_file(where, "adapter.safetensors", options))
        adapter = net.make_adapter(weights, settings).to(llm.dtype)
        widths = adapter.widths
        frames = settings.stack + settings.reads
        wanted = (frames * encoder.config.d_model, llm.get_input_embeddings().embedding_dim)
        if widths != wanted:
            raise ModelError(
                f"The composite's adapter goes from {widths[0]} to {widths[1]} values, but encoder "
                f"and text model need {wanted[0]} to {wanted[1]}: check stack and windows in "
                "config.json."
            )
        ids = None if shared is None else shared["llm"].long()
        hf = net.Composite(encoder, adapter, llm, settings, reader, ids)
        if options.get("device_map") is not None:
            hf.encoder.to(llm.device)
            if reader is not None:
                reader.to(llm.device)
            hf.adapter.to(llm.device)
        lacking = {*report["missing_keys"], *missing}
        found = {"missing_keys": lacking, "unexpected_keys": report["unexpected_keys"]}
        return hf, {kind: {f"llm.{name}" for name in names} for kind, names in found.items()}

    @classmethod
    def skeleton(cls, where: str, options: dict[str, Any]) -> Any:
        """See the base class; the stacking adapter's sizes are in its weights file."""
        import transformers
        from safetensors import safe_open
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        from modgap.models import composite_net as net

        config = transformers.WhisperConfig.from_pretrained(where, subfolder="encoder", **options)
        settings, _ = transformers.PretrainedConfig.get_config_dict(where, **options)
        file = _file(where, "adapter.safetensors", options)
        with safe_open(file, framework="pt") as held:
            shapes = {name: held.get_slice(name).get_shape() for name in held.keys()}  # noqa: SIM118
        llm = text_skeleton(where, {**options, "subfolder": "llm"})
        encoder = bare(WhisperEncoder, config)
        with torch.device("meta"):
            weights = {name: torch.empty(shape) for name, shape in shapes.items()}
            composed = net.CompositeConfig.read(settings)
            reader, count = None, 0
            if composed.words:
                with safe_open(_file(where, "words.safetensors", options), framework="pt") as held:
                    count = held.get_slice("whisper").get_shape()[0]
            if composed.windows:
                reader = WindowReader(config, composed.windows, composed.prompt, count)
            adapter = net.make_adapter(weights, composed)
            return net.Composite(encoder, adapter, llm, composed, reader)

    @property
    def placeholder(self) -> int:
        # Any id will do: the speech goes in by position. One that decodes to nothing is best.
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    @property
    def max_seconds(self) -> float:
        return self.extractor.n_samples / self.sampling_rate

    @property
    def seconds_per_position(self) -> float:
        return 2 * self.settings.stack * self.extractor.hop_length / self.sampling_rate

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class."""
        batch = self.extractor(
            wave,
            sampling_rate=self.sampling_rate,
            padding="longest" if self.settings.hears == "clip" else "max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        features, k = batch["input_features"], self.settings.stack
        frames = (int(batch["attention_mask"].sum()) - 1) // 2 + 1
        whole = (features.shape[-1] - 1) // 2 + 1
        up = k - 1 if self.settings.last == "pad" else 0
        n, total = (frames + up) // k, (whole + up) // k
        padding = total - n if self.settings.positions == "window" else 0
        return AudioInput.of({"input_features": features}, self.placeholder, n, padding)

    def _placed(self, audio: AudioInput, start: int, length: int) -> dict[str, torch.Tensor]:
        mask = torch.zeros(1, length, dtype=torch.bool)
        mask[0, start : start + len(audio.ids)] = True
        return {**audio.features, "speech_mask": mask}


def _file(where: str, name: str, options: dict[str, Any], folder: str = "") -> Path:
    found = optional_file(where, name, options, folder)
    if found is None:
        raise ModelError(f"{where} lacks {folder and folder + '/'}{name}.")
    return found


def _json(where: str, options: dict[str, Any], folder: str = "") -> dict[str, Any]:
    return json.loads(_file(where, "config.json", options, folder).read_text())


ADAPTER = CompositeLM
