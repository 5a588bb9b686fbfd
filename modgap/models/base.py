"""The interface every family of speech language models is reached through."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from modgap.errors import AudioError, ModelError, SettingsError
from modgap.models.decoding import decode
from modgap.models.prompt import Generation, Markers, Prompt, PromptPair
from modgap.models.template import CONTENT, INSTRUCTION, SYSTEM, ChatTokenizer, Frame

if TYPE_CHECKING:
    from modgap.audio import Clip

__all__ = ["Generation", "Markers", "Progress", "Prompt", "PromptPair", "SpeechLM"]

Progress = Callable[[float, str], Any]


class SpeechLM(ABC):
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

    # ---- what a family says -------------------------------------------------------------------

    @property
    @abstractmethod
    def sampling_rate(self) -> int:
        """Rate in Hz at which the model hears."""

    @property
    @abstractmethod
    def max_seconds(self) -> float | None:
        """Longest clip the model takes whole, or None."""

    @property
    @abstractmethod
    def audio_slot(self) -> str:
        """What the chat template writes where the clip goes."""

    @abstractmethod
    def encode_audio(self, wave: np.ndarray) -> tuple[dict[str, torch.Tensor], list[int], int]:
        """Features, the ids of the placeholders, and how many of them are not padding silence.

        `wave` is float32 mono at `sampling_rate`. The features are keyword arguments of the
        transformers model's forward.
        """

    @property
    @abstractmethod
    def seconds_per_position(self) -> float:
        """Time that one speech position covers."""

    # ---- prompts ------------------------------------------------------------------------------

    def prepare(
        self,
        clip: Clip,
        transcript: str,
        *,
        instruction: str = "",
        system: str | None = None,
        markers: Markers = "keep",
    ) -> PromptPair:
        """Build the speech prompt and the text prompt of one clip (method, section 1).

        Parameters
        ----------
        clip : Clip
        transcript : str
            What is said, read as plain text even where it looks like a special token.
        instruction : str
            A typed question or task, the same in both prompts.
        system : str or None
            System message; None leaves what the model's chat template does by itself.
        markers : "keep" or "drop"
            With "keep" the text prompt keeps the audio markers around the transcript; with "drop"
            it is the prompt of a plain typed message. The speech prompt is the same in both.

        Raises
        ------
        AudioError
            The clip is longer than the model takes, or too short to fill two positions.
        SettingsError
            The transcript is empty, `markers` is unknown, or the prompt is too long.
        """
        return PromptPair(
            speech=self.speech_prompt(clip, instruction=instruction, system=system),
            text=self.text_prompt(
                transcript, instruction=instruction, system=system, markers=markers
            ),
            markers=markers,
            instruction=instruction,
            transcript=transcript,
            system=system,
        )

    def speech_prompt(
        self, clip: Clip, *, instruction: str = "", system: str | None = None
    ) -> Prompt:
        """Build the prompt with the clip in the user's turn; see `prepare`."""
        if self.max_seconds is not None and clip.seconds > self.max_seconds + 1e-6:
            raise AudioError(
                f"The clip lasts {clip.seconds:.2f} s, but {self.name} takes at most "
                f"{self.max_seconds:g} s. Choose a part of it with start and end, "
                f"for example start=0, end={self.max_seconds:g}."
            )
        wave = clip.resample(self.sampling_rate)
        if self.max_seconds is not None:
            # Resampling may round up by a sample; the check above is what refuses long clips.
            wave = wave[: round(self.max_seconds * self.sampling_rate)]
        features, placeholders, n = self.encode_audio(wave)
        frame, words = self._audio_frame(instruction, system)
        prefix, suffix = self.chat.ids(frame.prefix, words), self.chat.ids(frame.suffix, words)
        positions = torch.arange(len(placeholders), device=self.device) + len(prefix)
        starts = np.arange(n, dtype=np.float64) * self.seconds_per_position
        ends = np.minimum(starts + self.seconds_per_position, clip.seconds)
        return Prompt(
            kind="speech",
            inputs=self._inputs([*prefix, *placeholders, *suffix], features),
            content=positions[:n],
            pad_content=positions[n:],
            length=self._checked(len(prefix) + len(placeholders) + len(suffix)),
            times=np.stack([starts, ends], axis=1),
        )

    def text_prompt(
        self,
        transcript: str,
        *,
        instruction: str = "",
        system: str | None = None,
        markers: Markers = "keep",
    ) -> Prompt:
        """Build the prompt with the transcript in the user's turn; see `prepare`."""
        if not transcript.strip():
            raise SettingsError("The transcript is empty: type the words that are said.")
        if markers not in ("keep", "drop"):
            raise SettingsError(f'markers is "keep" or "drop", not {markers!r}.')
        make = self._audio_frame if markers == "keep" else self._plain_frame
        frame, words = make(instruction, system)
        prefix, suffix = self.chat.ids(frame.prefix, words), self.chat.ids(frame.suffix, words)
        ids, spans = self.chat.content(transcript)
        whole = self.chat.ids(CONTENT.join(frame), {**words, CONTENT: transcript})
        notes = () if whole == [*prefix, *ids, *suffix] else (_BORDER_NOTE,)
        return Prompt(
            kind="text",
            inputs=self._inputs([*prefix, *ids, *suffix], {}),
            content=torch.arange(len(ids), device=self.device) + len(prefix),
            pad_content=torch.empty(0, dtype=torch.long, device=self.device),
            length=self._checked(len(prefix) + len(ids) + len(suffix)),
            pieces=tuple(transcript[a:b] for a, b in spans),
            spans=spans,
            notes=notes,
        )

    def audio_message(self) -> dict[str, str]:
        """The entry of a chat message that stands for the clip."""
        return {"type": "audio", "audio_url": "clip"}

    def _audio_frame(self, instruction: str, system: str | None) -> tuple[Frame, dict[str, str]]:
        content: list[dict[str, str]] = [self.audio_message()]
        if instruction:
            content.append({"type": "text", "text": INSTRUCTION})
        return self._frame(content, self.audio_slot, instruction, system)

    def _plain_frame(self, instruction: str, system: str | None) -> tuple[Frame, dict[str, str]]:
        content = f"{CONTENT}\n{INSTRUCTION}" if instruction else CONTENT
        return self._frame(content, CONTENT, instruction, system)

    def _frame(
        self, content: Any, slot: str, instruction: str, system: str | None
    ) -> tuple[Frame, dict[str, str]]:
        messages = [{"role": "user", "content": content}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": SYSTEM})
        return self.chat.frame(messages, slot), {INSTRUCTION: instruction, SYSTEM: system or ""}

    def _inputs(
        self, ids: Sequence[int], features: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        # No attention mask: one unpadded sequence is masked causally all the same, and for less.
        inputs = {"input_ids": torch.tensor([list(ids)], device=self.device)}
        for key, value in features.items():
            dtype = self.dtype if value.is_floating_point() else value.dtype
            inputs[key] = value.to(self.device, dtype)
        return inputs

    def _checked(self, length: int) -> int:
        if self.max_length is not None and length > self.max_length:
            raise SettingsError(
                f"The prompt has {length} tokens, but {self.name} takes at most "
                f"{self.max_length}: shorten the transcript or the instruction."
            )
        return length

    # ---- passes -------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where prompts go in (with a device map: where the embeddings are)."""
        return next(self.embeddings.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights and of the hidden states."""
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


_BORDER_NOTE = (
    "The model's tokenizer would merge letters of the transcript with what stands beside it; here "
    "the transcript is tokenised alone, so that its positions hold its words and nothing else."
)


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
