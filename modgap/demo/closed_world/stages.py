"""The stages of the recipe: text LLM, encoder warm-up, bridge, alignment (full or LoRA).

Each stage is run in a process of its own with one thread: ``python -m
modgap.demo.closed_world.stages text --work DIR``. On a small machine two of them side by side are
faster than one with two threads.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from modgap.demo.checkpoints import load_named, read_tensors, write_tensors
from modgap.demo.clips import train_plan
from modgap.demo.closed_world import features
from modgap.demo.closed_world.batches import Packed, SpeechSampler, TextSampler, pack
from modgap.demo.closed_world.ctc import Encoder, TokenHead
from modgap.demo.closed_world.loop import LoopSettings, Run
from modgap.demo.closed_world.model import (
    build_speech,
    build_text,
    encode,
    last_states,
    speech_positions,
    splice,
)
from modgap.demo.closed_world.settings import TrainSettings
from modgap.demo.closed_world.tokens import Prompts, build_tokenizer, said_tokens

STAGES = ("text", "encoder", "spread", "bridge", "full", "lora")
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Progress = Callable[[int, int, dict[str, float]], None]


def device() -> torch.device:
    """The GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def training_features(
    s: TrainSettings, workers: int = 2, progress: Callable[[int, int], None] | None = None
) -> features.FeatureSet:
    """Features of the training clips, made when missing."""
    if s.fsdd is None:
        raise ValueError("The digit recordings are missing; give fsdd=DIR.")
    plan = train_plan(s.fsdd)[: s.clips_limit]
    return features.build(plan, s.work / "features", s.fsdd, workers, progress)


def token_loss(head: Tensor, states: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
    """Weighted sum of the cross entropies of the target tokens, and the right ones' count.

    Logits are computed at the target positions only.
    """
    dev = states.device
    picked = states[packed.rows.to(dev), packed.columns.to(dev)]
    logits = picked @ head.T
    targets = packed.targets.to(dev)
    losses = fn.cross_entropy(logits, targets, reduction="none")
    return (losses * packed.weights.to(dev)).sum(), (logits.argmax(-1) == targets).sum()


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _rate(s: TrainSettings, name: str) -> float:
    """Peak learning rate of a parameter in stage C: the encoder is nearly done, the LLM is not."""
    if ".lora_" in name:
        return s.lora_lr
    return s.full_lr if "language_model" in name or "lm_head" in name else s.speech_lr


def _named(model: nn.Module, prefix: str = "") -> dict[str, nn.Parameter]:
    return {prefix + n: p for n, p in model.named_parameters() if p.requires_grad}


def run_text(
    s: TrainSettings, progress: Progress | None = None, stop: int | None = None, name: str = "text"
) -> None:
    """Stage A: the text LLM alone; as "spread", some of its questions at the pace of speech."""
    spread = name == "spread"
    prompts = Prompts(build_tokenizer())
    model = build_text(s.shape, prompts, s.seed)
    if spread:
        load_named(model, read_tensors(s.work / "text" / "final.safetensors")[0])
    model = model.to(device()).train()
    sampler = TextSampler(prompts, s.seed + (5 if spread else 0))
    parameters = _named(model)
    steps, rate = (s.spread_steps, s.spread_lr) if spread else (s.text_steps, s.text_lr)
    settings = LoopSettings(
        name, steps, min(100, steps // 10 + 1), save_every_seconds=s.save_seconds
    )
    run = Run(s.work / name, parameters, dict.fromkeys(parameters, rate), settings)

    def step(n: int) -> dict[str, float]:
        sequences = sampler.batch(n, s.text_batch, spread_share=s.spread_share if spread else 0.0)
        sequences.sort(key=lambda q: len(q.prompt.ids))
        total = sum(q.weight * len(q.target) for q in sequences)
        value = right = count = 0.0
        quarter = max(1, len(sequences) // 4)
        for start in range(0, len(sequences), quarter):
            packed = pack(sequences[start : start + quarter], prompts.pad_id)
            states = last_states(model.model, model.model.embed_tokens(packed.ids.to(device())))
            loss, hits = token_loss(model.lm_head.weight, states, packed)
            (loss / total).backward()
            value += float(loss.detach()) / total
            right += float(hits)
            count += len(packed.targets)
        return {"loss": value, "token_accuracy": right / count}

    run.run(step, progress=progress, stop_after=stop)
    if run.step == steps:
        write_tensors(s.work / name / "final.safetensors", dict(parameters), {"stage": name})


def run_encoder(
    s: TrainSettings, progress: Progress | None = None, stop: int | None = None
) -> None:
    """Stage B: the encoder learns to spell."""
    data = training_features(s)
    prompts = Prompts(build_tokenizer())
    sampler = SpeechSampler(data, prompts, s.warm_mix, s.seed + 1)
    tower = build_speech(s.shape, prompts, s.seed + 1).model.audio_tower
    model = Encoder(tower, s.shape.width).to(device()).train()
    parameters = _named(model)
    settings = LoopSettings(
        "encoder",
        s.encoder_steps,
        min(200, s.encoder_steps // 10 + 1),
        0.1,
        save_every_seconds=s.save_seconds,
    )
    run = Run(s.work / "encoder", parameters, dict.fromkeys(parameters, s.encoder_lr), settings)

    def step(n: int) -> dict[str, float]:
        groups = sampler.groups(n, n / s.encoder_steps)
        total = sum(len(g.clips) for g in groups)
        value = 0.0
        for g in groups:
            frames = g.frames.to(device())
            states = encode(model.tower, g.mel.to(device()), frames)
            texts = [data.specs[i].transcript for i in g.clips]
            loss = model.ctc(states, frames, texts) / total
            loss.backward()
            value += float(loss.detach())
        return {"ctc": value}

    run.run(step, progress=progress, stop_after=stop)
    if run.step == s.encoder_steps:
        write_tensors(s.work / "encoder" / "final.safetensors", dict(parameters), {"stage": "b"})


def add_lora(model: Any, rank: int, scale: float) -> None:
    """Freeze the LLM and put LoRA adapters on all its linear layers."""
    from peft import LoraConfig, inject_adapter_in_model

    decoder = model.model.language_model
    decoder.requires_grad_(False)
    config = LoraConfig(
        r=rank,
        lora_alpha=round(scale * rank),
        lora_dropout=0.0,
        bias="none",
        target_modules=list(LORA_TARGETS),
    )
    inject_adapter_in_model(config, decoder)


def put_together(s: TrainSettings, prompts: Prompts) -> tuple[Any, TokenHead]:
    """The speech LLM of text LLM and encoder, its projector fresh, and a head that reads tokens."""
    model = build_speech(s.shape, prompts, s.seed + 2)
    text, _ = read_tensors(s.work / "spread" / "final.safetensors")
    decoder = {k.removeprefix("model."): v for k, v in text.items()}
    model.model.language_model.load_state_dict(decoder)
    warm, _ = read_tensors(s.work / "encoder" / "final.safetensors")
    load_named(model.model.audio_tower, _under(warm, "tower."))
    table = model.model.language_model.embed_tokens.weight
    with torch.no_grad():
        # transformers ties the text LLM's head to its embeddings, but not this model's.
        model.lm_head.weight.copy_(table)
        # Speech must enter the LLM with the length its own tokens have.
        rms = float(table[: len(prompts.tokenizer)].pow(2).mean().sqrt())
        linear = model.model.multi_modal_projector.linear
        linear.weight.normal_(0.0, rms / s.shape.width**0.5)
        linear.bias.copy_(table[prompts.audio_id])  # nothing new, until it is learned
    return model, TokenHead(table, prompts.audio_id)


def run_bridge(s: TrainSettings, progress: Progress | None = None, stop: int | None = None) -> None:
    """Still stage B: encoder and projector learn to say the text LLM's tokens in its own space."""
    data = training_features(s)
    prompts = Prompts(build_tokenizer())
    sampler = SpeechSampler(data, prompts, s.warm_mix, s.seed + 4)
    model, head = put_together(s, prompts)
    tower, projector = model.model.audio_tower, model.model.multi_modal_projector
    table = model.model.language_model.embed_tokens.weight.detach().to(device())
    parameters = _named(tower, "tower.") | _named(projector, "projector.") | _named(head, "head.")
    for part in (tower, projector, head):
        part.to(device()).train()
    settings = LoopSettings(
        "bridge",
        s.bridge_steps,
        min(100, s.bridge_steps // 10 + 1),
        0.1,
        save_every_seconds=s.save_seconds,
    )
    # How sharp the reading is and how likely silence: two numbers that must move first.
    rates = {n: s.bridge_lr * (20 if n.startswith("head.") else 1) for n in parameters}
    run = Run(s.work / "bridge", parameters, rates, settings)

    def step(n: int) -> dict[str, float]:
        groups = sampler.groups(n, n / s.bridge_steps)
        total = sum(len(g.clips) for g in groups)
        value = 0.0
        for g in groups:
            frames = g.frames.to(device())
            projected = projector(encode(tower, g.mel.to(device()), frames))
            targets = [said_tokens(prompts, data.specs[i].transcript) for i in g.clips]
            loss = head.ctc(projected, table, frames, targets) / total
            loss.backward()
            value += float(loss.detach())
        return {"ctc": value}

    run.run(step, progress=progress, stop_after=stop)
    if run.step == s.bridge_steps:
        write_tensors(s.work / "bridge" / "final.safetensors", dict(parameters), {"stage": "b"})


def start_alignment(s: TrainSettings, prompts: Prompts, strategy: str) -> tuple[Any, TokenHead]:
    """The speech LLM at the start of stage C."""
    model, head = put_together(s, prompts)
    warm, _ = read_tensors(s.work / "bridge" / "final.safetensors")
    load_named(model.model.audio_tower, _under(warm, "tower."))
    load_named(model.model.multi_modal_projector, _under(warm, "projector."))
    load_named(head, _under(warm, "head."))
    if strategy == "lora":
        torch.manual_seed(s.seed + 3)
        add_lora(model, s.rank, s.lora_scale)
        model.lm_head.weight.requires_grad_(False)
    return model.to(device()).train(), head.to(device()).train()


def run_alignment(
    s: TrainSettings, strategy: str, progress: Progress | None = None, stop: int | None = None
) -> None:
    """Stage C: encoder, projector and LLM (wholly, or by LoRA) learn to answer speech."""
    data = training_features(s)
    prompts = Prompts(build_tokenizer())
    speech = SpeechSampler(data, prompts, s.mix, s.seed + 2)
    text = TextSampler(prompts, s.seed + 2)
    model, token_head = start_alignment(s, prompts, strategy)
    parameters = _named(model) | _named(token_head, "ctc_head.")
    rates = {n: _rate(s, n) for n in parameters}
    steps = s.full_steps if strategy == "full" else s.lora_steps
    # Most is learned early: the first snapshots lie close together.
    shots = tuple(round(steps * ((i + 1) / s.snapshots) ** 2) for i in range(s.snapshots))
    settings = LoopSettings(
        strategy,
        steps,
        min(100, steps // 10 + 1),
        snapshots=shots,
        save_every_seconds=s.save_seconds,
    )
    run = Run(s.work / strategy, parameters, rates, settings)
    decoder, head = model.model.language_model, model.lm_head.weight
    dev = device()

    def step(n: int) -> dict[str, float]:
        groups = speech.groups(n, n / steps)
        clips = sum(len(g.clips) for g in groups)
        total = sum(q.weight * len(q.target) for g in groups for q in g.sequences)
        sums = dict.fromkeys(("speech", "ctc", "text"), 0.0)
        right = count = 0.0
        for g in groups:
            frames = g.frames.to(dev)
            states = encode(model.model.audio_tower, g.mel.to(dev), frames)
            projected = model.model.multi_modal_projector(states)
            said = [said_tokens(prompts, data.specs[i].transcript) for i in g.clips]
            ctc = token_head.ctc(projected, decoder.embed_tokens.weight, frames, said) / clips
            packed = pack(g.sequences, prompts.pad_id)
            ids = packed.ids.to(dev)
            x = splice(
                decoder.embed_tokens(ids),
                ids == prompts.audio_id,
                projected,
                speech_positions(frames),
            )
            loss, hits = token_loss(head, last_states(decoder, x), packed)
            (loss / total + s.ctc_weight * ctc).backward()
            sums["speech"] += float(loss.detach()) / total
            sums["ctc"] += float(ctc.detach())
            right += float(hits)
            count += len(packed.targets)
        replay = sorted(text.batch(n, s.replay), key=lambda q: len(q.prompt.ids))
        replay_total = sum(q.weight * len(q.target) for q in replay)
        third = max(1, -(-len(replay) // 3))
        for start in range(0, len(replay), third):
            packed = pack(replay[start : start + third], prompts.pad_id)
            states = last_states(decoder, decoder.embed_tokens(packed.ids.to(dev)))
            loss, _ = token_loss(head, states, packed)
            (s.replay_weight * loss / replay_total).backward()
            sums["text"] += float(loss.detach()) / replay_total
        return {**sums, "token_accuracy": right / count}

    def snapshot(done: int) -> None:
        tensors = {n: p.half() for n, p in parameters.items() if not n.startswith("ctc_head.")}
        path = s.work / strategy / "snapshots" / f"{done:06d}.safetensors"
        write_tensors(
            path, tensors, {"strategy": strategy, "step": str(done), "scale": str(s.lora_scale)}
        )

    run.run(step, snapshot, progress, stop)


def run_stage(s: TrainSettings, name: str, stop: int | None = None) -> None:
    """Run one stage by name."""
    if name in ("text", "spread"):
        run_text(s, stop=stop, name=name)
    elif name == "encoder":
        run_encoder(s, stop=stop)
    elif name == "bridge":
        run_bridge(s, stop=stop)
    elif name in ("full", "lora"):
        run_alignment(s, name, stop=stop)
    else:
        raise ValueError(f"Unknown stage {name!r}; use one of {', '.join(STAGES)}.")


def main() -> None:
    """Entry of a stage process."""
    parser = argparse.ArgumentParser(description="Run one stage of the embedded family's recipe.")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stop", type=int, default=None, help="end after so many steps, unsaved")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # tiny numbers cost a CPU a hundred times their worth
    run_stage(TrainSettings.load(args.work), args.stage, args.stop)


if __name__ == "__main__":
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    main()
