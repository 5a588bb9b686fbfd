"""The interface every family of speech language models is reached through."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from modgap.core.errors import ModelError, SettingsError
from modgap.core.progress import Progress
from modgap.models.decoder import decoder_of, final_norm
from modgap.models.decoding import decode
from modgap.models.loadable import Loadable
from modgap.models.lora import adapter_state, switch_adapter
from modgap.models.prompt import Generation, Markers, Prompt, PromptPair
from modgap.models.prompting import PromptMaker
from modgap.models.sampling import Sampling
from modgap.models.template import TODAY, ChatTokenizer
from modgap.models.whole_pass import whole_pass

__all__ = ["Generation", "Markers", "Progress", "Prompt", "PromptPair", "SpeechLM"]


_ASKED = (
    *("speech", "speech_times", "text_spans", "capture", "final_norm", "logits", "lens"),
    *("cosine", "euclidean", "aps", "monotonicity"),
    *("edit", "edit_every_level", "angle", "length", "both", "patch", "mean", "random", "map"),
    *("patching", "answers", "sampling", "batch", "markers_keep", "markers_drop", "pad_content"),
)


class SpeechLM(Loadable, PromptMaker):
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

    #: Whether the clip enters in the model's own forward, not in that of its ``base_model``.
    merges_in_forward: ClassVar[bool] = False
    #: Whether layers carry several streams, (K, B, S, d), that are merged before the final norm.
    streamed: ClassVar[bool] = False
    stream: int = 0
    #: Whether the decoder's layers all take one causal mask and one rotary embedding, and no more.
    plain_decoder: ClassVar[bool] = False
    #: What the family was tested with.
    tested: ClassVar[str] = "tested with a tiny checkpoint; never run with real weights here"
    #: Frames of the feature extractor that a position covers, where that is one number.
    frames_per_position: ClassVar[int]
    #: Released checkpoints of the family, hub id to one line for a list.
    checkpoints: ClassVar[dict[str, str]] = {}
    #: How the weights are held, if not as they are ("8bit", "4bit"), and the PEFT adapter on them.
    quantization: str | None = None
    adapter: str | None = None
    #: The file of a family that is not of the package.
    family: str | None = None

    def __init__(
        self, hf: Any, processor: Any, *, name: str, revision: str | None, identity: str
    ) -> None:
        self.hf = hf
        self.processor = processor
        self.name = name
        self.revision = revision
        self._identity = identity
        self.lock = threading.RLock()
        self.tokenizer = processor.tokenizer
        self.chat = ChatTokenizer(self.tokenizer, processor.chat_template)
        self.decoder: Any = decoder_of(hf)
        self.layers: Any = self.decoder.layers
        self.final_norm: Any = final_norm(self.decoder)
        self.head: nn.Module = hf.get_output_embeddings()
        self.embeddings: nn.Module = hf.get_input_embeddings()
        self.n_layers = len(self.layers)
        self.hidden_size = int(self.decoder.config.hidden_size)
        self.max_length = int(getattr(self.decoder.config, "max_position_embeddings", 0)) or None
        self.eos_ids = _eos_ids(hf, self.tokenizer)
        self.extractor = processor.feature_extractor
        text = hf.config.get_text_config()
        #: What the family's text model does to the head's output, if anything.
        self.logits_divisor = float(getattr(text, "logits_scaling", None) or 1.0)
        self.logits_factor = float(getattr(text, "logit_scale", None) or 1.0)
        self.softcap = getattr(text, "final_logit_softcapping", None)

    # ---- what most families share -------------------------------------------------------------

    @property
    def published_as(self) -> str:
        """The family by which others name it: the model type; of a composite the project."""
        return self.model_type

    @property
    def sampling_rate(self) -> int:
        return int(self.extractor.sampling_rate)

    @property
    def seconds_per_position(self) -> float:
        """What a position of the speech covers."""
        return self.frames_per_position * self.extractor.hop_length / self.sampling_rate

    @property
    def placeholder(self) -> int:
        """Id that the model replaces with speech."""
        return int(self.hf.config.audio_token_id)

    @property
    def audio_slot(self) -> str:
        return str(self.tokenizer.convert_ids_to_tokens(self.placeholder))

    @property
    def identity(self) -> str:
        """Fingerprint of everything that decides the numbers; the adapter's state is part of it."""
        if self.lora != "off":
            return self._identity
        return hashlib.sha256(f"{self._identity} without its adapter".encode()).hexdigest()

    @property
    def lora(self) -> Literal["none", "on", "off"]:
        """Whether the checkpoint has a LoRA adapter beside its weights, and whether it acts."""
        return adapter_state(self.hf)

    def use_lora(self, on: bool) -> None:
        """Switch the adapter for both prompts; off, the text prompt asks the base text model.

        Raises
        ------
        ModelError
            The checkpoint has no adapter.
        """
        if self.lora == "none":
            raise ModelError(f"{self.name} has no LoRA adapter to switch.")
        with self.lock:
            switch_adapter(self.hf, on)

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
        if self.merges_in_forward:
            return whole_pass(self, inputs)
        return self.hf.base_model(**inputs)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (..., V) of finally normed states (..., d), scaled as the family's text model."""
        scores = self.head(hidden)
        if self.logits_divisor != 1 or self.logits_factor != 1:
            scores = scores * (self.logits_factor / self.logits_divisor)
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        return scores

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
        sampling: Sampling | None = None,
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
        sampling : Sampling, optional
            Takes the place of `temperature`: penalty, top-k and top-p as transformers has them,
            such as those of the checkpoint (`vendor_sampling`).
        progress : callable (fraction, note), optional
            Called before each token; may raise `Cancelled`.

        Raises
        ------
        SettingsError
            `max_new_tokens` is below 1, or `temperature` is negative or not a number.
        """
        return decode(self, prompt, max_new_tokens, temperature, seed, progress, sampling)

    @property
    def vendor_sampling(self) -> Sampling:
        """What the checkpoint's generation_config and its publisher's code make of the logits."""
        return Sampling.of_config(self.hf.generation_config, self.vendor.decoding)

    # ---- what can be known of the model ---------------------------------------------------------

    @property
    def resumable(self) -> bool:
        """Whether a pass can be taken up in its middle, from the states of one level alone."""
        return True

    @property
    def editable_levels(self) -> range:
        """Levels whose speech positions reach the answer."""
        return range(self.n_layers)

    def check_edit(self, levels: Sequence[int]) -> None:
        """Refuse levels a change of which could not reach the answer in this checkpoint.

        Raises
        ------
        SettingsError
        """
        beyond = [level for level in levels if level not in self.editable_levels]
        if beyond:
            raise SettingsError(
                f"Layer {beyond[0]} cannot be changed: {self.support()['edit_every_level']}"
            )

    #: Why a family cannot do something, by the names that `support` lists.
    unsupported: ClassVar[dict[str, str]] = {}

    def support(self) -> dict[str, str | None]:
        """Say for each thing that can be asked of this checkpoint: None if offered, else why not.

        ``speech`` and what needs it (the measures, the interventions), ``text_spans``, ``capture``,
        ``final_norm``, ``logits`` (and with them the lens), ``edit`` and the rules one by one,
        ``edit_every_level``, ``answers``, ``sampling``, ``batch``, both kinds of markers, and
        ``pad_content``: whether positions of padding silence are told apart.
        """
        found = {name: self.unsupported.get(name) for name in _ASKED}
        if not self.takes_typed:
            found["markers_drop"] = found["markers_drop"] or (
                "its chat template has no place for a typed message."
            )
        return found

    def info(self) -> dict[str, Any]:
        """Describe the model in JSON's terms."""
        return {
            "name": self.name,
            "revision": self.revision,
            "identity": self.identity,
            "model_type": self.model_type,
            "family": self.family,
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
            "lora": self.lora,
            "prompt_date": TODAY.isoformat() if self.chat.dated else None,
            "editable_layers": len(self.editable_levels),
            "unsupported": {name: why for name, why in self.support().items() if why},
        }


def _eos_ids(hf: Any, tokenizer: Any) -> frozenset[int]:
    for eos in (
        getattr(hf.generation_config, "eos_token_id", None),
        getattr(hf.config.get_text_config(), "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        if eos is not None:
            return frozenset([eos] if isinstance(eos, int) else eos)
    return frozenset()
