"""Whisper: any checkpoint of the family, from a folder or the hub."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from modgap.core.errors import ModelError, SettingsError
from modgap.core.progress import Steps
from modgap.models.loading.load import quiet, straight_to
from modgap.models.loading.load_errors import explained
from modgap.models.loading.locate import named_revision, read_config
from modgap.models.weights import check_weights
from modgap.speech.attention import silent, times_of_words, token_starts
from modgap.speech.base import EMBEDDED, RATE, Recognizer
from modgap.speech.words import WordTimes, timed, words_of

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress

FULL_HASH_BYTES = 256 << 20
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_whisper(
    name: str, *, folder: Path | None = None, device: str = "auto", dtype: str = "auto"
) -> Whisper:
    """Load a Whisper, from `folder` or where its name leads; see `load_recognizer`."""
    import transformers

    place = folder or Path(name).expanduser()
    local = place if place.is_dir() else None
    id, revision = named_revision(name)
    if local is None and (id.count("/") != 1 or id.startswith((".", "/", "~"))):
        raise ModelError(
            f'There is no folder {name}, and it is no recogniser: use "{EMBEDDED}", the folder of '
            'a Whisper checkpoint, or a hub id such as "openai/whisper-small".'
        )
    where = id if local is None else str(local)
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if dtype == "auto":
        dtype = "float16" if device.startswith("cuda") else "float32"
    if dtype not in _DTYPES:
        raise ModelError(f'Unknown dtype {dtype!r}: use "auto" or one of {", ".join(_DTYPES)}.')
    config, options = read_config(name, where, local, revision)
    if config.get("model_type") != "whisper":
        raise ModelError(
            f"{name} is of model type {config.get('model_type')!r}; recognisers are Whisper "
            "checkpoints."
        )
    with explained(name, local), quiet(local is not None):
        processor = transformers.WhisperProcessor.from_pretrained(where, **options)
        loaded: Any = transformers.WhisperForConditionalGeneration.from_pretrained(
            where,
            dtype=_DTYPES[dtype],
            device_map=straight_to(torch.device(device)),
            attn_implementation="eager",  # the others give no attention to look at
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
        hf, report = loaded
        check_weights(name, hf, report)
        hf.to(device).eval().requires_grad_(False)
    content = _content(local) if local else options["revision"]
    identity = hashlib.sha256(f"{content} {dtype}".encode())
    return Whisper(hf, processor, name=name, identity=identity.hexdigest())


class Whisper(Recognizer):
    """A Whisper checkpoint as a recogniser.

    Parameters
    ----------
    hf : transformers.WhisperForConditionalGeneration
        With eager attention.
    processor : transformers.WhisperProcessor
    name, identity : str
        See `Recognizer`.
    """

    def __init__(self, hf: Any, processor: Any, *, name: str, identity: str) -> None:
        self.hf, self.name, self.identity = hf, name, identity
        self.tokenizer, self.extractor = processor.tokenizer, processor.feature_extractor
        self.window = self.extractor.n_samples / self.extractor.sampling_rate
        self._lock = threading.Lock()
        self._languages = getattr(hf.generation_config, "lang_to_id", None) or {}

    @torch.no_grad()
    def transcribe(self, clip: Clip, *, progress: Progress | None = None) -> str:
        """See `Recognizer.transcribe`; greedy, in the language that Whisper finds."""
        long = clip.seconds > self.window
        features = self._features(clip, whole=long)
        options: dict[str, Any] = {"num_beams": 1, "do_sample": False}
        if self._languages:
            options["task"] = "transcribe"
        if long:  # transformers goes on from window to window by the timestamps
            options |= {"return_timestamps": True, "attention_mask": features[1]}
        if progress is not None:
            options["stopping_criteria"] = [_Report(progress)]
        with self._lock:
            ids = self.hf.generate(features[0], **options)
        return str(self.tokenizer.decode(ids[0], skip_special_tokens=True)).strip()

    @torch.no_grad()
    def align(self, clip: Clip, transcript: str, *, progress: Progress | None = None) -> WordTimes:
        """See `Recognizer.align`; clips up to one window (30 s).

        Every transcript gets times, also words that are not in the clip: their `scores`, mean
        log-probabilities, are low.
        """
        words = words_of(transcript)
        if clip.seconds > self.window + 1e-6:
            raise SettingsError(
                f"The clip lasts {clip.seconds:.1f} s; {self.name} aligns at most {self.window:g} "
                "s: choose a part."
            )
        if progress is not None:
            progress(0.0, "aligning")
        said = self.tokenizer(
            " " + transcript,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
        )
        ids = list(said["input_ids"])
        spans = np.array(said["offset_mapping"]).reshape(-1, 2) - 1  # the blank in front
        features, mask = self._features(clip, whole=False)
        with self._lock:
            start = self._start(features)
            tokens = [*start, *ids, self.tokenizer.eos_token_id]
            if len(tokens) > self.hf.config.max_target_positions:
                raise SettingsError(
                    f"The transcript is too long for {self.name}: it takes at most "
                    f"{self.hf.config.max_target_positions} tokens. Choose a part of the clip."
                )
            out = self.hf(
                features,
                decoder_input_ids=torch.tensor([tokens], device=self.hf.device),
                output_attentions=True,
                use_cache=False,
            )
        stride = self.hf.config.max_source_positions / self.extractor.nb_max_frames
        frames = max(1, int(int(mask.sum()) * stride))
        rows = slice(len(start) - 1, -1)  # the row of a token is the one that predicts it
        starts = token_starts(self._weights(out, frames), rows)
        logp = out.logits[0, rows].float().log_softmax(-1).cpu().numpy()
        found = [
            [k for k, (a, b) in enumerate(spans) if a < word.end and b > word.start]
            for word in words
        ]
        lost = [word.text for word, at in zip(words, found, strict=True) if not at]
        if lost:
            raise ModelError(f"The tokenizer of {self.name} has no token for {lost[0]!r}.")
        times = times_of_words(
            starts,
            found,
            self.window / self.hf.config.max_source_positions,
            silent(clip.resample(RATE), RATE),
            clip.seconds,
        )
        scores = [float(np.mean([logp[k, ids[k]] for k in at])) for at in found]
        return timed(transcript, self.name, words, times, scores, clip.seconds)

    def _features(self, clip: Clip, *, whole: bool) -> tuple[torch.Tensor, torch.Tensor]:
        batch = self.extractor(
            clip.resample(RATE),
            sampling_rate=RATE,
            truncation=not whole,
            padding="longest" if whole else "max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        features = batch["input_features"].to(self.hf.device, self.hf.dtype)
        return features, batch["attention_mask"].to(self.hf.device)

    def _start(self, features: torch.Tensor) -> list[int]:
        """Tokens before the text: start, language and task where there are several, no times."""
        config = self.hf.generation_config
        start = [int(self.hf.config.decoder_start_token_id)]
        if self._languages:
            start.append(int(self.hf.detect_language(features)[0]))
            start.append(int(config.task_to_id["transcribe"]))
        return [*start, int(config.no_timestamps_token_id)]

    def _weights(self, out: Any, frames: int) -> np.ndarray:
        """Attention of the heads that follow the sound, float64 (heads, tokens, frames)."""
        heads = getattr(self.hf.generation_config, "alignment_heads", None)
        n_layers, n_heads = len(out.cross_attentions), out.cross_attentions[0].shape[1]
        if not heads:  # OpenAI's choice where none were picked: all of the upper half
            heads = [(n, h) for n in range(n_layers // 2, n_layers) for h in range(n_heads)]
        chosen = torch.stack([out.cross_attentions[n][0, h, :, :frames] for n, h in heads])
        weights = chosen.double().cpu().numpy()
        return weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)


class _Report:
    """A stopping criterion that never stops, but reports, and so can be cancelled."""

    def __init__(self, progress: Progress) -> None:
        self.steps = Steps(progress)
        self.calls = 0

    def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.calls += 1
        self.steps(1 - 0.99**self.calls, f"heard {self.calls} tokens")
        return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)


def _content(folder: Path) -> str:
    """Hash of a folder's files; of large weights their size and time."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".json", ".txt", ".safetensors"):
            continue
        stat = path.stat()
        if stat.st_size <= FULL_HASH_BYTES:
            part = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            part = f"{stat.st_size} {stat.st_mtime_ns}"
        digest.update(f"{path.name} {part}\n".encode())
    return digest.hexdigest()
