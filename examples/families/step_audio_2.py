"""Step-Audio 2 mini. NOT RUN with the released files: hold it against the project's code first.

Written after what is known of the published inference code (stepfun-ai/Step-Audio-2-mini on the
hub, `modeling_step_audio_2.py`; stepfun-ai/Step-Audio2, `stepaudio2.py` and `utils.py`), none of
which was at hand:

- the checkpoint's own code (`StepAudio2ForCausalLM`) has `encoder`, `adapter`, a stock Qwen2 as
  `model`, and `lm_head`; its forward puts what encoder and adapter make of the clip behind
  ``<audio_start>``, and keeps no cache, so the same is done here around the same parts;
- prompts are ``<|BOT|>role\\n ... <|EOT|>``, the user is called human, and a clip is
  ``<audio_start>``, as many ``<audio_patch>`` as positions, ``<audio_end>``;
- clips are log mel spectra of 128 bands as Whisper's, with 479 zeros behind the sound, in pieces of
  25 s, of which this file takes one.

`--family step_audio_2.py` runs the code that the checkpoint brings. `test_step_audio_2.py` runs it
with a stand-in for that code.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
import transformers

import modgap
from modgap.models.processor import load_parts

TEMPLATE = (
    "{% for message in messages %}"
    "<|BOT|>{{ 'human' if message['role'] == 'user' else message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' %}"
    "<audio_start><audio_patch><audio_end>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}<|EOT|>{% endfor %}{% if add_generation_prompt %}<|BOT|>assistant\n{% endif %}"
)


class Mel:
    """Whisper's log mel spectrum of the clip and of `padding` zeros behind it."""

    sampling_rate, hop, size, bands, padding = 16000, 160, 400, 128, 479

    @classmethod
    def from_pretrained(cls, where: str, **options: Any) -> Mel:
        return cls()

    def to_dict(self) -> dict[str, Any]:
        return {"hop": self.hop, "size": self.size, "bands": self.bands, "padding": self.padding}

    def __call__(self, wave: np.ndarray) -> torch.Tensor:
        """(1, bands, frames)"""
        from transformers.audio_utils import mel_filter_bank

        filters = mel_filter_bank(
            *(self.size // 2 + 1, self.bands, 0.0, 8000.0, self.sampling_rate),
            norm="slaney",
            mel_scale="slaney",
        )
        sound = torch.nn.functional.pad(torch.as_tensor(wave).float(), (0, self.padding))
        window = torch.hann_window(self.size)
        spectrum = torch.stft(sound, self.size, self.hop, window=window, return_complex=True)
        mel = torch.as_tensor(filters).float().T @ spectrum[..., :-1].abs() ** 2
        log = mel.clamp(min=1e-10).log10()
        return ((torch.maximum(log, log.max() - 8.0) + 4.0) / 4.0)[None]


class StepAudio2(modgap.SpeechLM):
    """The adapter; passes are its own, around the checkpoint's parts."""

    model_type = "step_audio_2"
    model_class = transformers.AutoModelForCausalLM
    max_seconds = 25.0
    seconds_per_position = 0.08
    padding_patch: ClassVar[str] = "<audio_patch>"

    @classmethod
    def load_processor(cls, where: str, options: dict[str, Any]) -> Any:
        return load_parts(where, {**options, "trust_remote_code": True}, Mel, TEMPLATE)

    @classmethod
    def load_weights(cls, where: str, **options: Any) -> tuple[Any, dict[str, Any]]:
        # The one who names this file wants the checkpoint's code to be run.
        return super().load_weights(where, **{**options, "trust_remote_code": True})

    @property
    def placeholder(self) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(self.padding_patch))

    def encode_audio(self, wave: np.ndarray) -> modgap.AudioInput:
        mel = self.extractor(wave)
        # The encoder's second convolution, its pooling, and the adapter's convolution; the two
        # frames of the zeros are no sound.
        frames = (mel.shape[-1] - 2 + 1) // 2 // 2
        n = (frames + 2 - 3) // 2 + 1
        features = {"wavs": mel, "wav_lens": torch.tensor([mel.shape[-1] - 2])}
        return modgap.AudioInput.of(features, self.placeholder, n)

    def trunk(self, input_ids: Any, wavs: Any = None, wav_lens: Any = None, **inputs: Any) -> Any:
        embeds = self.embeddings(input_ids)
        if wavs is not None:
            heard, _ = self.hf.encoder(wavs, wav_lens)
            at = (input_ids == self.placeholder).unsqueeze(-1)
            speech = self.hf.adapter(heard)[:, : int(at.sum())]
            embeds = embeds.masked_scatter(at, speech.to(embeds.dtype))
        return self.hf.model(inputs_embeds=embeds, **inputs)


ADAPTER = StepAudio2
