"""From a clip and its transcript to two prompts that differ in nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from modgap.core.errors import AudioError, ModelError, SettingsError
from modgap.models.clip_limit import cut_notes, seconds_heard
from modgap.models.prompt import AudioInput, Markers, Prompt, PromptPair, TooLong
from modgap.models.rendering import EndlessTemplateError
from modgap.models.template import AUDIO, CONTENT, INSTRUCTION, SYSTEM, TODAY, ChatTokenizer, Frame
from modgap.models.vendor import STYLES, Style, VendorPrompt

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

_BORDER_NOTE = (
    "The model's tokenizer would merge letters of the transcript with what stands beside it; here "
    "the transcript is tokenised alone, so that its positions hold its words and nothing else."
)
_DATE_NOTE = (
    f"The model's chat template asks for the day's date; it always gets {TODAY:%Y-%m-%d}, so that "
    "results do not depend on the day."
)


class PromptMaker(ABC):
    """The half of `SpeechLM` that builds prompts; a family fills in how a clip enters one."""

    #: Whether the chat template takes a user's turn as one string with the clip's mark in it.
    one_string: ClassVar[bool] = False
    #: Markers of the clip that the processor adds, not the chat template.
    slot_before: str = ""
    slot_after: str = ""
    #: Whether a system message, too, is given to the template as a list of parts.
    system_in_parts: ClassVar[bool] = False
    #: What the publisher's own code puts into a prompt, for ``style="vendor"``.
    vendor: VendorPrompt = VendorPrompt()

    name: str
    chat: ChatTokenizer
    max_length: int | None

    # ---- what a family says -------------------------------------------------------------------

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where prompts go in."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """What floating inputs are cast to."""

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
    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """What the clip becomes.

        Parameters
        ----------
        wave : ndarray float32, shape (n,)
            Mono at `sampling_rate`, full scale at 1.
        """

    @property
    @abstractmethod
    def seconds_per_position(self) -> float:
        """Time that one speech position covers."""

    # ---- prompts ------------------------------------------------------------------------------

    def prepare(
        self,
        clip: Clip,
        transcript: str | None,
        *,
        instruction: str = "",
        system: str | None = None,
        markers: Markers = "keep",
        too_long: TooLong = "fail",
        style: Style = "plain",
    ) -> PromptPair:
        """Build the speech prompt and the text prompt of one clip (method, section 1).

        Parameters
        ----------
        clip : Clip
        transcript : str or None
            What is said, read as plain text even where it looks like a special token. None: nobody
            knows it, and the pair has no text prompt (`Prompt.unknown`).
        instruction : str
            A typed question or task, the same in both prompts.
        system : str or None
            System message; None leaves what the model's chat template does by itself.
        markers : "keep" or "drop"
            With "keep" the text prompt keeps the audio markers around the transcript; with "drop"
            it is the prompt of a plain typed message. The speech prompt is the same in both.
        too_long : "fail" or "cut"
            With "cut", a clip longer than the model takes is heard up to its limit, with a note
            and the rest in `Prompt.unheard`; the transcript stays whole.
        style : "plain" or "vendor"
            With "vendor" separator, order and system text are those of `vendor`. Words of the
            transcript and of the instruction may then stand side by side, as the clip does.

        Raises
        ------
        AudioError
            The clip is longer than the model takes and not to be cut, or too short to fill two
            positions.
        SettingsError
            The transcript is empty, `markers` or `style` is unknown, or the prompt is too long.
        """
        return PromptPair(
            speech=self.speech_prompt(
                clip, instruction=instruction, system=system, style=style, too_long=too_long
            ),
            text=Prompt.unknown()
            if transcript is None
            else self.text_prompt(
                transcript, instruction=instruction, system=system, markers=markers, style=style
            ),
            markers=markers,
            instruction=instruction,
            transcript=transcript or "",
            system=system,
            style=style,
        )

    def speech_prompt(
        self,
        clip: Clip,
        *,
        instruction: str = "",
        system: str | None = None,
        too_long: TooLong = "fail",
        style: Style = "plain",
    ) -> Prompt:
        """Build the prompt with the clip in the user's turn; see `prepare`."""
        heard = seconds_heard(self, clip, too_long)
        wave = clip.resample(self.sampling_rate)
        if self.max_seconds is not None:
            # Resampling may round up by a sample; what is to be cut is longer still.
            wave = wave[: round(self.max_seconds * self.sampling_rate)]
        audio = self.encode_audio(wave)
        if len(audio.content) < 2:
            # Two are the least that an alignment needs, and transformers takes a lone placeholder
            # for one that is yet to be repeated.
            raise AudioError(
                f"The clip lasts {clip.seconds:.3f} s; the model needs at least "
                f"{2 * self.seconds_per_position:g} s. Use a longer clip."
            )
        frame, words = self._audio_frame(instruction, system, self._vendor(style))
        prefix, suffix = self.chat.ids(frame.prefix, words), self.chat.ids(frame.suffix, words)
        ids = [*prefix, *audio.ids, *suffix]
        times = audio.times
        if times is None:
            edges = np.arange(len(audio.content) + 1) * self.seconds_per_position
            times = np.stack([edges[:-1], edges[1:]], axis=1)
        return Prompt(
            kind="speech",
            inputs=self._inputs(ids, self._placed(audio, len(prefix), len(ids))),
            content=torch.tensor(audio.content, device=self.device) + len(prefix),
            pad_content=torch.tensor(audio.pad, dtype=torch.long, device=self.device) + len(prefix),
            length=self._checked(len(ids)),
            times=np.minimum(times, heard),
            notes=(*self.notes, *cut_notes(self, clip, too_long)),
            unheard=clip.seconds - heard,
        )

    @cached_property
    def takes_typed(self) -> bool:
        """Whether a message may be typed: a recogniser's template may write clips alone."""
        try:
            self._plain_frame("", None, None)
        except EndlessTemplateError:
            raise
        except ModelError:
            return False
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of any of this checkpoint's numbers should know."""
        return (_DATE_NOTE,) if self.chat.dated else ()

    def _placed(self, audio: AudioInput, start: int, length: int) -> dict[str, torch.Tensor]:
        """The features, where the model itself does not look for the placeholders' ids."""
        return audio.features

    def text_prompt(
        self,
        transcript: str,
        *,
        instruction: str = "",
        system: str | None = None,
        markers: Markers = "keep",
        style: Style = "plain",
    ) -> Prompt:
        """Build the prompt with the transcript in the user's turn; see `prepare`."""
        if not transcript.strip():
            raise SettingsError("The transcript is empty: type the words that are said.")
        if markers not in ("keep", "drop"):
            raise SettingsError(f'markers is "keep" or "drop", not {markers!r}.')
        if markers == "drop" and not self.takes_typed:
            raise SettingsError(
                f"The chat template of {self.name} has no place for a typed message: keep the "
                "clip's markers around the transcript (markers keep)."
            )
        make = self._audio_frame if markers == "keep" else self._plain_frame
        frame, words = make(instruction, system, self._vendor(style))
        prefix, suffix = self.chat.ids(frame.prefix, words), self.chat.ids(frame.suffix, words)
        ids, spans = self.chat.content(transcript)
        whole = self.chat.ids(CONTENT.join(frame), {**words, CONTENT: transcript})
        notes = self.notes
        if whole != [*prefix, *ids, *suffix]:
            notes = (*notes, _BORDER_NOTE)
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
        return {"type": "audio", "audio": "clip", "audio_url": "clip"}

    @cached_property
    def takes_system(self) -> bool:
        """Whether the chat template has a place for a system message."""
        try:
            self._frame(CONTENT, CONTENT, "", "system")
        except EndlessTemplateError:
            raise
        except (SettingsError, ModelError):
            return False
        return True

    def _vendor(self, style: Style) -> VendorPrompt | None:
        """What the publisher puts into the prompt; None for the plain one."""
        if style not in STYLES:
            raise SettingsError(f"The prompt's style is {' or '.join(STYLES)}, not {style!r}.")
        return self.vendor if style == "vendor" else None

    def _audio_frame(
        self, instruction: str, system: str | None, vendor: VendorPrompt | None
    ) -> tuple[Frame, dict[str, str]]:
        first = vendor is None or vendor.audio_first
        between = vendor.separator if vendor is not None else ""
        text = (between + INSTRUCTION if first else INSTRUCTION + between) if instruction else ""
        system = vendor.system if vendor is not None and system is None else system
        if self.one_string:
            content: Any = AUDIO + text if first else text + AUDIO
            frame, words = self._frame(content, AUDIO, instruction, system)
        else:
            content = [self.audio_message()]
            if instruction:
                content.insert(len(content) if first else 0, {"type": "text", "text": text})
            frame, words = self._frame(content, self.audio_slot, instruction, system)
        prefix, suffix = frame
        before = self.slot_after[-1:]
        joins = not before or before.isalnum() or before in ".?!"
        if vendor is None and joins and suffix.startswith(INSTRUCTION):
            # Else the last word before the instruction and its first would be one.
            suffix = "\n" + suffix
        return Frame(prefix + self.slot_before, self.slot_after + suffix), words

    def _plain_frame(
        self, instruction: str, system: str | None, vendor: VendorPrompt | None
    ) -> tuple[Frame, dict[str, str]]:
        parts = [CONTENT, INSTRUCTION] if instruction else [CONTENT]
        if vendor is not None:
            system = vendor.system if system is None else system
            parts = parts if vendor.audio_first else parts[::-1]
        # Nobody types a question and a task without anything between them.
        return self._frame("\n".join(parts), CONTENT, instruction, system)

    def _frame(
        self, content: Any, slot: str, instruction: str, system: str | None
    ) -> tuple[Frame, dict[str, str]]:
        messages = [{"role": "user", "content": content}]
        if system is not None:
            whole: Any = SYSTEM
            if not (self.one_string or isinstance(content, str)) and self.system_in_parts:
                whole = [{"type": "text", "text": SYSTEM}]
            messages.insert(0, {"role": "system", "content": whole})
        frame = self.chat.frame(messages, slot)
        wanted = {"a system message": system, "an instruction": instruction}
        for (what, words), slot in zip(wanted.items(), (SYSTEM, INSTRUCTION), strict=True):
            if words and slot not in "".join(frame):
                raise SettingsError(
                    f"The chat template of {self.name} has no place for {what}: leave it out."
                )
        return frame, {INSTRUCTION: instruction, SYSTEM: system or ""}

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
