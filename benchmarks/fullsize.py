"""A 30 s clip in models of full size, on a CUDA GPU: time and memory against two bare passes.

    python -m benchmarks.fullsize                 # both models, on the first GPU
    python -m benchmarks.fullsize --model qwen2_5_omni --batch 16
    python -m benchmarks.fullsize --tiny          # the same on small models, on the CPU

The models are built from their published configs with random weights in bfloat16: what is measured
does not depend on the weights. "Bare" are the two forward passes of the speech and the text prompt,
without hooks or metrics; "analysis" is `stream_pair` into `PairMetrics`, to the finished paths and
scores. Both run in turn in one process; the GPU is waited for before every look at the clock.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

import torch

from benchmarks.analysis import peak_bytes
from benchmarks.full_configs import QWEN2_5_OMNI_7B_THINKER, QWEN2_AUDIO_7B
from modgap.measures.pair_metrics import PairMetrics
from modgap.models.base import PromptPair, SpeechLM
from modgap.models.capture import stream_pair
from modgap.models.processor import Parts
from modgap.testing.batching import run_batch, states_batch
from tests.families.build import make_tokenizer
from tests.tiny import CHAT_TEMPLATE, make_clip

MODELS: dict[str, dict[str, Any]] = {
    "qwen2_audio": QWEN2_AUDIO_7B,
    "qwen2_5_omni": QWEN2_5_OMNI_7B_THINKER,
}
TIME_TARGET, PEAK_TARGET = 1.15, 1.1
NEEDS_GPU = (
    "The full-size models need a CUDA GPU with at least 24 GB, and torch finds none here. "
    "Add --tiny to run the same on small models on the CPU."
)
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>"]
_SPECIAL += ["<|audio_eos|>", "<|IMAGE|>", "<|VIDEO|>"]
_WORDS = "what is the capital of the country where people said that two and three make five"


@dataclass(frozen=True)
class FullSize:
    """Medians in seconds, and peaks in bytes.

    Attributes
    ----------
    model, device : str
    parameters : int
    seconds : float
        Of the clip.
    shape : tuple of int
        Levels, speech positions, text tokens, hidden size.
    bare, analysis : float
        Seconds.
    weights, bare_peak, analysis_peak : int
        Bytes; the peaks with the weights.
    batch : int
        Clips that go through the decoder together.
    batch_seconds : float
        Of the analysis of all of them.
    """

    model: str
    device: str
    parameters: int
    seconds: float
    shape: tuple[int, int, int, int]
    bare: float
    analysis: float
    weights: int
    bare_peak: int
    analysis_peak: int
    batch: int
    batch_seconds: float

    @property
    def time_ratio(self) -> float:
        return self.analysis / self.bare

    @property
    def peak_ratio(self) -> float:
        return self.analysis_peak / self.bare_peak

    @property
    def clips_per_second(self) -> float:
        return self.batch / self.batch_seconds

    def as_dict(self) -> dict[str, Any]:
        more = ("time_ratio", "peak_ratio", "clips_per_second")
        return asdict(self) | {name: getattr(self, name) for name in more}

    def table(self) -> str:
        """The numbers as a Markdown table."""
        shape = " x ".join(map(str, self.shape))
        beyond = [(peak - self.weights) / 1e6 for peak in (self.bare_peak, self.analysis_peak)]
        return "\n".join(
            [
                f"| {self.model}, {self.parameters / 1e9:.2f} B parameters, {self.seconds:g} s, "
                f"{shape} | ms | peak GB | MB beyond the weights |",
                "|---|---:|---:|---:|",
                f"| two bare forward passes | {1e3 * self.bare:.1f} | {self.bare_peak / 1e9:.3f} | "
                f"{beyond[0]:.0f} |",
                f"| analysis | {1e3 * self.analysis:.1f} | {self.analysis_peak / 1e9:.3f} | "
                f"{beyond[1]:.0f} |",
                "",
                f"{self.time_ratio:.2f} times the bare passes (target: at most {TIME_TARGET}); "
                f"{self.peak_ratio:.2f} times their peak (target: at most {PEAK_TARGET}). "
                f"Clips a second: {1 / self.analysis:.2f} one by one, {self.clips_per_second:.2f} "
                f"in batches of {self.batch}. {self.device}.",
            ]
        )


def build(model_type: str, device: torch.device, *, tiny: bool) -> SpeechLM:
    """A model of a family with random weights, in bfloat16 (small ones in float32)."""
    import transformers

    family = importlib.import_module(f"modgap.models.families.{model_type}").ADAPTER
    settings = copy.deepcopy(MODELS[model_type])
    tokenizer = make_tokenizer(_SPECIAL, "<|im_end|>", "<|endoftext|>")
    if tiny:
        _shrink(settings)
    at = tokenizer.convert_tokens_to_ids
    # The tokenizer is a small one, whose ids any vocabulary has; speed does not depend on them.
    settings["audio_token_index"] = at("<|AUDIO|>")
    settings["text_config"] |= {
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if "image_token_index" in settings:
        settings |= {
            "image_token_index": at("<|IMAGE|>"),
            "video_token_index": at("<|VIDEO|>"),
            "audio_start_token_id": at("<|audio_bos|>"),
            "audio_end_token_id": at("<|audio_eos|>"),
        }
    kind = getattr(transformers, family.model_class)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if tiny else torch.bfloat16)
    torch.manual_seed(0)  # the same model each time
    try:
        with torch.device(device):
            hf = kind(kind.config_class.from_dict(settings)).eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(before)
    extractor = transformers.WhisperFeatureExtractor(
        feature_size=settings["audio_config"]["num_mel_bins"], chunk_length=30
    )
    template = family.chat_template or CHAT_TEMPLATE
    parts = Parts(tokenizer, extractor, template)
    name = f"{model_type} (tiny)" if tiny else model_type
    return family(hf, parts, name=name, revision=None, identity="0" * 64)


def _shrink(settings: dict[str, Any]) -> None:
    settings["audio_config"] |= {
        "d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64,
        "num_mel_bins": 16,
    }  # fmt: skip
    text = settings["text_config"]
    text |= {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512,
        "tie_word_embeddings": False,
    }  # fmt: skip
    settings["vocab_size"] = 512
    if "output_dim" in settings["audio_config"]:
        settings["audio_config"]["output_dim"] = 32
        text["rope_parameters"] = {**text["rope_parameters"], "mrope_section": [2, 1, 1]}
        settings["vision_config"] |= {
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2,
            "out_hidden_size": 32,
        }  # fmt: skip


def measure(
    model_type: str,
    *,
    tiny: bool = False,
    seconds: float = 30.0,
    words: int = 90,
    rounds: int = 7,
    batch: int = 8,
) -> FullSize:
    """Measure one model.

    Parameters
    ----------
    model_type : "qwen2_audio" or "qwen2_5_omni"
    tiny : bool
        A small model on the CPU instead.
    seconds : float
        Of the clip.
    words : int
        Of the transcript; 3 a second are usual.
    rounds : int
        Repetitions of both ways, in turn.
    batch : int
        Clips in a batch.

    Raises
    ------
    RuntimeError
        There is no CUDA GPU.
    """
    if not tiny and not torch.cuda.is_available():
        raise RuntimeError(NEEDS_GPU)
    device = torch.device("cpu" if tiny else "cuda:0")
    model = build(model_type, device, tiny=tiny)
    transcript = " ".join(islice(cycle(_WORDS.split()), words))
    pairs = [model.prepare(make_clip(seconds, seed=n), transcript) for n in range(batch)]
    pair = pairs[0]
    ways: dict[str, Callable[[], Any]] = {
        "bare": lambda: bare(model, pair),
        "analysis": lambda: analysis(model, pair),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for n in range(rounds + 1):
        for name, way in ways.items():
            spent = _timed(way, device)
            if n:
                times[name].append(spent)
    peaks = {name: _peak(way, device) for name, way in ways.items()}
    together = [_timed(lambda: analysis_batch(model, pairs), device) for _ in range(3)]
    weights = sum(p.numel() * p.element_size() for p in model.hf.parameters())
    shape = (
        model.n_layers + 1, len(pair.speech.content), len(pair.text.content), model.hidden_size,
    )  # fmt: skip
    held = weights if tiny else 0  # the CUDA peak has them in it
    return FullSize(
        model=model.name,
        device=_device_name(device),
        parameters=sum(p.numel() for p in model.hf.parameters()),
        seconds=seconds,
        shape=shape,
        bare=statistics.median(times["bare"]),
        analysis=statistics.median(times["analysis"]),
        weights=weights,
        bare_peak=peaks["bare"] + held,
        analysis_peak=peaks["analysis"] + held,
        batch=batch,
        batch_seconds=statistics.median(together),
    )


def bare(model: SpeechLM, pair: PromptPair) -> None:
    """Two forward passes, nothing else."""
    model.forward(pair.text)
    model.forward(pair.speech)


def analysis(model: SpeechLM, pair: PromptPair) -> Any:
    """All measures of one clip."""
    metrics = PairMetrics(model.n_layers + 1)
    stream_pair(model, pair, metrics.add)
    return metrics.finish()


def analysis_batch(model: SpeechLM, pairs: list[PromptPair]) -> list[Any]:
    """All measures of several clips, whose prompts go through the decoder together."""
    texts = states_batch(model, [pair.text for pair in pairs])
    metrics = [PairMetrics(model.n_layers + 1) for _ in pairs]
    longest = max(pair.speech.length for pair in pairs)

    def see(level: int, hidden: torch.Tensor) -> None:
        for row, pair in enumerate(pairs):
            at = pair.speech.content.to(hidden.device) + longest - pair.speech.length
            picked = hidden[row, at]
            if level == model.n_layers:
                picked = model.final_norm(picked)
            metrics[row].add(level, picked, texts[row][level])

    run_batch(model, [pair.speech for pair in pairs], see)
    return [one.finish() for one in metrics]


def _timed(way: Callable[[], Any], device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    way()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(way: Callable[[], Any], device: torch.device) -> int:
    """Most bytes of the device's memory that torch held while `way` ran; on the CPU, beyond."""
    if device.type != "cuda":
        return peak_bytes(way)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    way()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device))


def _device_name(device: torch.device) -> str:
    import transformers

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return f"{name}, torch {torch.__version__}, transformers {transformers.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description="A 30 s clip in models of full size.")
    parser.add_argument("--model", choices=MODELS, action="append", help="both by default")
    parser.add_argument("--tiny", action="store_true", help="small models, on the CPU")
    parser.add_argument("--seconds", type=float, default=30.0, help="of the clip, up to 30")
    parser.add_argument("--words", type=int, default=90, help="of the transcript")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=8, help="clips in a batch")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args = vars(parser.parse_args())
    as_json, models = args.pop("json"), args.pop("model")
    if not args["tiny"] and not torch.cuda.is_available():
        print(NEEDS_GPU, file=sys.stderr)
        raise SystemExit(2)
    found = [measure(name, **args) for name in models or MODELS]
    if as_json:
        print(json.dumps([one.as_dict() for one in found], indent=1))
    else:
        print("\n\n".join(one.table() for one in found))


if __name__ == "__main__":
    main()
