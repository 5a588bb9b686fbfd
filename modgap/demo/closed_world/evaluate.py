"""``modgap demo eval``: accuracies of family members on held-out phrasings and voices.

An answer is right when the greedy answer is the reference, letter for letter. That is decided in
one pass: greedy decoding yields the reference if and only if, given the reference so far, the most
likely next token is always the reference's next one, end mark included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from modgap.audio.conditions import CONDITIONS
from modgap.demo.clips import digit_plan, heldout_plan
from modgap.demo.closed_world import features
from modgap.demo.closed_world.batches import Sequence, collate, pack
from modgap.demo.closed_world.model import encode, last_states, speech_positions, splice
from modgap.demo.closed_world.settings import default_work
from modgap.demo.closed_world.tokens import Prompts
from modgap.demo.corpus import Question, heldout_questions, questions
from modgap.demo.waveforms import DIGITS_FOLDER, digit_questions_for


@dataclass(frozen=True)
class EvalSettings:
    """What is evaluated.

    Attributes
    ----------
    work : Path
        Folder that keeps the evaluation's features.
    n_open, n_choice : int
        Held-out questions per condition.
    n_snapshot : int
        Open questions for intermediate snapshots (clean speech and text only).
    conditions : tuple of str
    fsdd : Path or None
        All digits of the held-out speakers; ``None``: the shipped ones.
    weights : Path or None
        Another weights folder.
    workers : int
        Processes that make features.
    """

    work: Path = field(default_factory=default_work)
    n_open: int = 400
    n_choice: int = 140
    n_snapshot: int = 240
    conditions: tuple[str, ...] = CONDITIONS
    fsdd: Path | None = None
    weights: Path | None = None
    workers: int = 2


def interval(right: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; sensible at 0 and 1, too."""
    if n == 0:
        return math.nan, math.nan
    z = 1.959964
    p, zz = right / n, z * z / n
    half = z * math.sqrt(p * (1 - p) / n + zz / (4 * n))
    return max(0.0, (p + zz / 2 - half) / (1 + zz)), min(1.0, (p + zz / 2 + half) / (1 + zz))


@torch.no_grad()
def score(decoder: Any, head: Any, embed: Callable[[torch.Tensor], torch.Tensor],
          sequences: list[Sequence], prompts: Prompts) -> list[bool]:  # fmt: skip
    """Whether the greedy answer of each sequence is its target."""
    packed = pack(sequences, prompts.pad_id)
    states = last_states(decoder, embed(packed.ids))
    right = (head(states[packed.rows, packed.columns]).argmax(-1) == packed.targets).tolist()
    out = [True] * len(sequences)
    for row, hit in zip(packed.rows.tolist(), right, strict=True):
        out[row] &= hit
    return out


def score_text(model: Any, prompts: Prompts, asked: list[Question], markers: str) -> list[bool]:
    """Answers to typed questions; ``model`` may be the text LLM or the speech LLM."""
    decoder = model.get_decoder()
    out: list[bool] = []
    for start in range(0, len(asked), 64):
        part = [
            Sequence(
                prompts.text(q.transcript, q.instruction, markers), prompts.answer(q.answer), 1.0
            )
            for q in asked[start : start + 64]
        ]
        out += score(decoder, model.lm_head, model.get_input_embeddings(), part, prompts)
    return out


@torch.no_grad()
def score_speech(
    model: Any, prompts: Prompts, data: features.FeatureSet, asked: list[Question]
) -> list[bool]:
    """Answers to clips; ``asked[i]`` belongs to clip ``i``."""
    inner, out = model.model, [False] * len(asked)
    order = sorted(range(len(asked)), key=data.frames)
    for start in range(0, len(order), 24):
        part = order[start : start + 24]
        mel, frames = collate(data, part)
        states = inner.multi_modal_projector(encode(inner.audio_tower, mel, frames))
        counts = speech_positions(frames)
        rows = [
            Sequence(
                prompts.speech(int(n), asked[i].instruction), prompts.answer(asked[i].answer), 1.0
            )
            for i, n in zip(part, counts, strict=True)
        ]

        def embed(ids: torch.Tensor, states: Any = states, counts: Any = counts) -> torch.Tensor:
            x = inner.language_model.embed_tokens(ids)
            return splice(x, ids == prompts.audio_id, states, counts)

        hits = score(inner.language_model, model.lm_head, embed, rows, prompts)
        for i, hit in zip(part, hits, strict=True):
            out[i] = hit
    return out


def _rows(member: str, modality: str, condition: str, asked: Iterable[Question],
          voices: Iterable[str], right: Iterable[bool]) -> list[dict[str, Any]]:  # fmt: skip
    return [
        {"member": member, "modality": modality, "condition": condition, "form": q.form,
         "topic": q.topic, "type": q.type, "question": q.id, "voice": v, "right": bool(r)}
        for q, v, r in zip(asked, voices, right, strict=True)
    ]  # fmt: skip


def text_questions(s: EvalSettings) -> list[Question]:
    """The typed held-out questions: those of the clips, and every digit task."""
    return list(
        heldout_questions("open", s.n_open)
        + heldout_questions("choice", s.n_choice)
        + heldout_questions("letter", s.n_choice)
        + heldout_questions("digit")
    )


def evaluate_member(
    name: str, model: Any, prompts: Prompts, s: EvalSettings, small: bool = False
) -> pd.DataFrame:
    """All answers of one member, one row each.

    Parameters
    ----------
    name : str
        Only written into the table.
    model : Qwen2AudioForConditionalGeneration or Qwen2ForCausalLM
        A text LLM is asked in text only.
    small : bool
        The set for intermediate snapshots: fewer questions, clean speech only.

    Returns
    -------
    pandas.DataFrame
        Columns member, modality, condition, form, topic, type, question, voice, right.
    """
    model.eval()
    n_open = min(s.n_open, s.n_snapshot) if small else s.n_open
    n_choice = min(s.n_choice, s.n_snapshot // 4) if small else s.n_choice
    rows: list[dict[str, Any]] = []
    typed = text_questions(s)
    for markers in ("keep", "drop"):
        right = score_text(model, prompts, typed, markers)
        rows += _rows(name, "text", markers, typed, [""] * len(typed), right)
    if not hasattr(model.model, "audio_tower"):
        return pd.DataFrame(rows)
    by_id = {q.id: q for q in questions()}
    folder = s.work / "eval-features"
    for condition in ("clean",) if small else s.conditions:
        # The full plan's features are shared; a snapshot's set is the first part of each form.
        plan = heldout_plan(condition, s.n_open, s.n_choice)
        keep = list(range(n_open)) + list(range(s.n_open, s.n_open + n_choice))
        data = _subset(features.build(plan, folder, None, s.workers), keep)
        asked = [by_id[c.question] for c in data.specs]
        right = score_speech(model, prompts, data, asked)
        rows += _rows(name, "speech", condition, asked, (c.voice for c in data.specs), right)
        # The same multiple-choice clips once more, with the typed wish for the letter.
        data = _subset(data, [i for i, c in enumerate(data.specs) if c.form == "choice"])
        asked = [by_id[c.question.replace("/choice/", "/letter/")] for c in data.specs]
        right = score_speech(model, prompts, data, asked)
        rows += _rows(name, "speech", condition, asked, (c.voice for c in data.specs), right)
    source = s.fsdd or DIGITS_FOLDER
    plan = digit_plan(source)
    if plan:
        data = features.build(plan, folder, source, s.workers)
        asked = digit_questions_for(plan)
        right = score_speech(model, prompts, data, asked)
        rows += _rows(name, "speech", "real digits", asked, (c.voice for c in plan), right)
    return pd.DataFrame(rows)


def _subset(data: features.FeatureSet, keep: list[int]) -> features.FeatureSet:
    keep = [i for i in keep if i < len(data)]
    return features.FeatureSet(
        [data.specs[i] for i in keep], data._arrays, [data._where[i] for i in keep]
    )


def summary(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Accuracy with n and the 95 % interval per group.

    Returns
    -------
    pandas.DataFrame
        The columns of ``by``, then n, accuracy, low, high.
    """
    rows = []
    for key, part in table.groupby(by, sort=False):
        n, right = len(part), int(part["right"].sum())
        low, high = interval(right, n)
        rows.append((*key, n, right / n, low, high))
    return pd.DataFrame(rows, columns=[*by, "n", "accuracy", "low", "high"])


def evaluate(names: list[str], s: EvalSettings,
             progress: Callable[[str], None] | None = None) -> pd.DataFrame:  # fmt: skip
    """Evaluate members of the family by name; ``demo:base`` is the text LLM.

    Returns
    -------
    pandas.DataFrame
        See :func:`evaluate_member`.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2AudioForConditionalGeneration

    from modgap.demo import family

    tables = []
    for name in names:
        if progress:
            progress(name)
        if name == "demo:base":
            root = family.weights_root(s.weights)
            model: Any = AutoModelForCausalLM.from_pretrained(root / "base", dtype=torch.float32)
            # For this model type AutoTokenizer puts Qwen2's own splitting rule (digits apart) in
            # place of the saved one, and " 1" would be tokens that the model never saw.
            folder = root / "full"
        else:
            folder = family.resolve(name, s.work / "checkpoints", s.weights)
            model = Qwen2AudioForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        prompts = Prompts(AutoTokenizer.from_pretrained(folder))
        tables.append(evaluate_member(name, model, prompts, s, small="@" in name))
    return pd.concat(tables, ignore_index=True)
