"""The interface every family of speech language models is reached through."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import torch
from torch import nn

from modgap.errors import ModelError
from modgap.models.decoding import decode
from modgap.models.prompt import Generation, Markers, Prompt, PromptPair
from modgap.models.prompting import PromptMaker
from modgap.models.template import ChatTokenizer
from modgap.progress import Progress

__all__ = ["Generation", "Markers", "Progress", "Prompt", "PromptPair", "SpeechLM"]


class SpeechLM(PromptMaker):
    """A speech language model: prompts in, hidden states and answers out.

    A family is a subclass in the module named after its transformers model type; it says how the
    clip enters the prompt (`encode_audio`) and what the audio slot of its chat template is.

    Parameters
    ----------
    hf : transformers.PreTrainedModel
        In evaluation mode, on its device.
    processor : transformers.ProcessorMixin
        With ``tokenizer``, ``feature_extractor`` and ``chat_template``.
    name : str
        What the user called the model.
    revision : str or None
    identity : str
        Fingerprint of everything that decides the numbers, whatever the name.

    Attributes
    ----------
    lock : threading.RLock
        Held during every pass. Hooks of one computation must not see another's tensors.
    """

    model_type: ClassVar[str]
    model_class: ClassVar[str]
    processor_class: ClassVar[str]
    #: Released checkpoints of the family, hub id to one line for a list.
    checkpoints: ClassVar[dict[str, str]] = {}
    #: How the weights are held, if not as they are ("8bit", "4bit"), and the PEFT adapter on them.
    quantization: str | None = None
    adapter: str | None = None

    def __init__(
        self, hf: Any, processor: Any, *, name: str, revision: str | None, identity: str
    ) -> None:
        self.hf = hf
        self.processor = processor
        self.name = name
        self.revision = revision
        self.identity = identity
        self.lock = threading.RLock()
        self.tokenizer = processor.tokenizer
        self.chat = ChatTokenizer(self.tokenizer, processor.chat_template)
        self.decoder: Any = _unwrap(hf.get_decoder())
        self.layers: Any = self.decoder.layers
        self.final_norm: Any = self.decoder.norm
        self.head: nn.Module = hf.get_output_embeddings()
        self.embeddings: nn.Module = hf.get_input_embeddings()
        self.n_layers = len(self.layers)
        self.hidden_size = int(self.decoder.config.hidden_size)
        self.max_length = int(getattr(self.decoder.config, "max_position_embeddings", 0)) or None
        self.eos_ids = _eos_ids(hf, self.tokenizer)

    # ---- passes -------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where prompts go in (with a device map: where the embeddings are)."""
        device = next(self.embeddings.parameters()).device
        # accelerate keeps offloaded weights off any device and moves inputs by itself.
        return torch.device("cpu") if device.type == "meta" else device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the hidden states and, unless they are quantized, of the weights."""
        return self.hf.dtype

    def trunk(self, **inputs: Any) -> Any:
        """Run the model without its language modelling head."""
        return self.hf.base_model(**inputs)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (..., V) of finally normed states (..., d)."""
        return self.head(hidden)

    def forward(self, prompt: Prompt) -> None:
        """Run one pass over the whole prompt for what hooks see of it; no logits, no cache."""
        with self.lock, torch.no_grad():
            self.trunk(**prompt.inputs, use_cache=False)

    def generate(
        self,
        prompt: Prompt,
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Generation:
        """Answer a prompt.

        Parameters
        ----------
        prompt : Prompt
        max_new_tokens : int
        temperature : float
            0 takes the likeliest token each time, as ``generate(do_sample=False)`` does without
            the checkpoint's penalties; above 0 samples from the whole vocabulary.
        seed : int
            Of the sampling; the process's own random state is neither read nor changed.
        progress : callable (fraction, note), optional
            Called before each token; may raise `Cancelled`.

        Raises
        ------
        SettingsError
            `max_new_tokens` is below 1, or `temperature` is negative or not a number.
        """
        return decode(self, prompt, max_new_tokens, temperature, seed, progress)

    # ---- what can be known of the model ---------------------------------------------------------

    def support(self) -> dict[str, str | None]:
        """Say for each thing that can be asked of a model: None if offered, else why not."""
        return {
            "speech_times": None,
            "text_spans": None,
            "capture": None,
            "final_norm": None,
            "logits": None,
            "edit": None,
            "answers": None,
            "sampling": None,
            "markers_keep": None,
            "markers_drop": None,
            "pad_content": None,
        }

    def info(self) -> dict[str, Any]:
        """Describe the model in JSON's terms."""
        return {
            "name": self.name,
            "revision": self.revision,
            "identity": self.identity,
            "model_type": self.model_type,
            "dtype": str(self.dtype).removeprefix("torch."),
            "quantization": self.quantization,
            "adapter": self.adapter,
            "device": str(self.device),
            "n_layers": self.n_layers,
            "hidden_size": self.hidden_size,
            "vocab_size": int(self.decoder.config.vocab_size),
            "parameters": sum(p.numel() for p in self.hf.parameters()),
            "sampling_rate": self.sampling_rate,
            "max_seconds": self.max_seconds,
            "seconds_per_position": self.seconds_per_position,
            "max_length": self.max_length,
        }


def _unwrap(module: Any) -> Any:
    """Follow `model` down to the stack that has the layers."""
    for _ in range(4):
        if hasattr(module, "layers"):
            return module
        module = getattr(module, "model", None)
    raise ModelError("This model's decoder layers were not found; its family needs an adapter.")


def _eos_ids(hf: Any, tokenizer: Any) -> frozenset[int]:
    for eos in (
        getattr(hf.generation_config, "eos_token_id", None),
        getattr(hf.config.get_text_config(), "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        if eos is not None:
            return frozenset([eos] if isinstance(eos, int) else eos)
    return frozenset()
