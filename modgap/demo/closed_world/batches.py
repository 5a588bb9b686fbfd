"""Training batches as pure functions of (seed, step): a resumed run needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from modgap.demo.clips import COUNTED, all_words
from modgap.demo.closed_world.features import EXTRA, FeatureSet
from modgap.demo.closed_world.model import speech_positions
from modgap.demo.closed_world.tokens import Prompt, Prompts, said_tokens
from modgap.demo.corpus import (
    Fact,
    Question,
    choice_question,
    digit_question,
    facts,
    letter_question,
    questions,
    stable_rng,
)
from modgap.demo.phrasings import ANSWER_INSTRUCTIONS, DIGIT_TYPES, TRANSCRIBE, TYPE_BY_NAME

#: Weights of one token of an answer and of one token of a transcription: an answer has far fewer.
ANSWER_WEIGHT, TRANSCRIPT_WEIGHT = 2.0, 1.0
#: Share of the multiple-choice questions that ask for the letter.
LETTER_SHARE = 0.5
FORMS = ("open", "choice", "digit", "word", "jumble")


@dataclass
class Sequence:
    """A prompt with its target; ``clip`` is set for speech."""

    prompt: Prompt
    target: list[int]
    weight: float
    clip: int = -1


@dataclass
class Packed:
    """Right-padded rows ready for the decoder.

    Attributes
    ----------
    ids : Tensor of int64, shape (B, S)
    rows, columns : Tensor of int64, shape (N,)
        Where the states lie that predict the targets.
    targets : Tensor of int64, shape (N,)
    weights : Tensor, shape (N,)
    """

    ids: Tensor
    rows: Tensor
    columns: Tensor
    targets: Tensor
    weights: Tensor


def pack(sequences: list[Sequence], pad_id: int) -> Packed:
    """Pad sequences on the right and note where each target token is predicted."""
    full = [s.prompt.ids + s.target[:-1] for s in sequences]
    width = max(len(f) for f in full)
    ids = torch.full((len(full), width), pad_id, dtype=torch.long)
    rows: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    for b, (s, f) in enumerate(zip(sequences, full, strict=True)):
        ids[b, : len(f)] = torch.tensor(f)
        n, start = len(s.target), len(s.prompt.ids) - 1
        rows += [b] * n
        columns += range(start, start + n)
        targets += s.target
        weights += [s.weight] * n
    return Packed(
        ids,
        torch.tensor(rows),
        torch.tensor(columns),
        torch.tensor(targets),
        torch.tensor(weights),
    )


class TextSampler:
    """Text questions for stage A and for the replay in stage C.

    Parameters
    ----------
    prompts : Prompts
    seed : int
    """

    def __init__(self, prompts: Prompts, seed: int) -> None:
        self.prompts, self.seed = prompts, seed
        digit_types = {t.name for t in DIGIT_TYPES}
        self.open = [q for q in questions() if q.split == "train" and q.form == "open"]
        self.choice = [
            f for f in facts() if f.type not in digit_types and TYPE_BY_NAME[f.type].choice
        ]
        self.digits = [f for f in facts() if f.type in digit_types]

    def _question(self, rng: np.random.Generator) -> Question:
        kind = rng.random()
        if kind < 0.60:
            return self.open[rng.integers(len(self.open))]
        pool = self.choice if kind < 0.92 else self.digits
        f: Fact = pool[rng.integers(len(pool))]
        p = int(rng.integers(TYPE_BY_NAME[f.type].heldout))
        if kind < 0.92:
            make = letter_question if rng.random() < LETTER_SHARE else choice_question
            return make(f, p, int(rng.integers(4)), salt=int(rng.integers(1 << 30)))
        return digit_question(f, p)

    def batch(
        self, step: int, size: int, copy_share: float = 0.15, spread_share: float = 0.0
    ) -> list[Sequence]:
        """``size`` sequences of step ``step``: answers, and a share of copies of the question.

        ``spread_share`` of them have their words as far apart as speech has them.
        """
        rng = stable_rng("text", self.seed, step)
        return [
            self._spread(rng)
            if spread_share and rng.random() < spread_share
            else self._one(rng, copy_share)
            for _ in range(size)
        ]

    def _spread(self, rng: np.random.Generator) -> Sequence:
        """A question, or words in no order, as speech would be if every word were heard.

        Placeholders of the clip stand where nothing new is said. Some words are lost and some come
        twice, as they do in what a recogniser hears.
        """
        if rng.random() < 0.2:
            words = all_words()
            said = " ".join(words[i] for i in rng.integers(len(words), size=rng.integers(2, 7)))
            said, instruction, answer = f"{said}.", TRANSCRIBE, f"{said}."
        else:
            q = self._question(rng)
            said, instruction, answer = q.transcript, q.instruction, q.answer
            if rng.random() < 0.3:
                instruction, answer = TRANSCRIBE, q.transcript
        pace = rng.uniform(1.0, 9.0)
        content: list[int] = []
        for token in said_tokens(self.prompts, said):
            content += [self.prompts.audio_id] * int(rng.poisson(pace))
            content += [token] * int(rng.choice(3, p=(0.03, 0.94, 0.03)))
        content += [self.prompts.audio_id] * int(1 + rng.poisson(pace))
        prompt = self.prompts.spoken(content, instruction or pick_instruction(rng))
        weight = TRANSCRIPT_WEIGHT if instruction == TRANSCRIBE else ANSWER_WEIGHT
        return Sequence(prompt, self.prompts.answer(answer), weight)

    def _one(self, rng: np.random.Generator, copy_share: float) -> Sequence:
        q = self._question(rng)
        markers = "keep" if rng.random() < 0.5 else "drop"
        if rng.random() < copy_share:
            prompt = self.prompts.text(q.transcript, TRANSCRIBE, markers)
            return Sequence(prompt, self.prompts.answer(q.transcript), TRANSCRIPT_WEIGHT)
        instruction = q.instruction or pick_instruction(rng)
        newline = bool(rng.random() < 0.5)
        prompt = self.prompts.text(q.transcript, instruction, markers, newline)
        return Sequence(prompt, self.prompts.answer(q.answer), ANSWER_WEIGHT)


def pick_instruction(rng: np.random.Generator) -> str:
    """Mostly none: the clip itself is the question."""
    return ANSWER_INSTRUCTIONS[0 if rng.random() < 0.7 else 1 + int(rng.integers(2))]


@dataclass(frozen=True)
class SpeechMix:
    """How many clips of each form a step has, and what is done with them."""

    open: int = 19
    choice: int = 1
    digit: int = 4
    word: int = 2
    jumble: int = 6
    transcribe: float = 0.4
    content: float = 0.6  #: share of the open clips that are about more than numbers
    short_until: float = 0.15  #: share of the steps in which only short open clips are drawn
    masked: float = 0.25  #: share of the clips with SpecAugment: a small model has little to spare
    frames_per_group: int = 3000


@dataclass
class SpeechGroup:
    """Clips of similar length that go through the model together."""

    clips: list[int]
    mel: Tensor
    frames: Tensor
    sequences: list[Sequence] = field(default_factory=list)


class SpeechSampler:
    """Speech batches of stages B and C.

    Parameters
    ----------
    features : FeatureSet
        The training clips.
    prompts : Prompts
    mix : SpeechMix
    seed : int
    """

    def __init__(self, features: FeatureSet, prompts: Prompts, mix: SpeechMix, seed: int) -> None:
        self.features, self.prompts, self.mix, self.seed = features, prompts, mix, seed
        self.by_id = {q.id: q for q in questions()}
        pools: dict[str, list[int]] = {form: [] for form in FORMS}
        for i, spec in enumerate(features.specs):
            pools[spec.form].append(i)
        self.pools = {k: np.array(v, dtype=np.int64) for k, v in pools.items()}
        opens = self.pools["open"]
        counted = np.array(
            [self.by_id[features.specs[i].question].type in COUNTED for i in opens], dtype=bool
        )
        self.opens = [part for part in (opens[~counted], opens[counted]) if len(part)]
        length = np.array([features.frames(i) for i in range(len(features))])
        self.short = length <= np.median(length[opens]) if len(opens) else length > 0
        digit_types = {t.name for t in DIGIT_TYPES}
        self.digit_facts: dict[str, list[Fact]] = {}
        for f in facts():
            if f.type in digit_types:
                self.digit_facts.setdefault(dict(f.slots)["x"], []).append(f)

    def draw(self, step: int, progress: float) -> list[int]:
        """Clip numbers of one step; ``progress`` in [0, 1] drives the short-to-long curriculum."""
        rng = stable_rng("speech", self.seed, step)
        m = self.mix
        early = progress < m.short_until
        counts = {
            "digit": m.digit,
            "word": m.word,
            "jumble": m.jumble,
            "choice": 0 if early else m.choice,
        }
        pools = [(self.pools[form], n) for form, n in counts.items()]
        opens = m.open + (m.choice if early else 0)
        content = round(opens * m.content) if len(self.opens) == 2 else opens
        for pool, n in zip(self.opens, (content, opens - content), strict=False):
            short = pool[self.short[pool]]
            pools.append((short if early and len(short) else pool, n))
        return [
            int(i) for pool, n in pools if len(pool) for i in pool[rng.integers(len(pool), size=n)]
        ]

    def groups(self, step: int, progress: float) -> list[SpeechGroup]:
        """The step's clips in groups of similar length, with SpecAugment applied."""
        clips = sorted(self.draw(step, progress), key=self.features.frames, reverse=True)
        rng = stable_rng("specaugment", self.seed, step)
        tasks = stable_rng("task", self.seed, step)
        out: list[SpeechGroup] = []
        while clips:
            longest = self.features.frames(clips[0])
            size = max(1, self.mix.frames_per_group // longest)
            # Padding a short clip to twice its length costs more than another group.
            size = min(size, len(clips))
            while self.features.frames(clips[size - 1]) < longest * 0.6:
                size -= 1
            part, clips = clips[:size], clips[size:]
            mel, frames = collate(self.features, part, rng, self.mix.masked)
            group = SpeechGroup(part, mel, frames)
            group.sequences = [self._sequence(i, tasks) for i in part]
            out.append(group)
        return out

    def _sequence(self, clip: int, rng: np.random.Generator) -> Sequence:
        spec = self.features.specs[clip]
        n = int(speech_positions(torch.tensor(self.features.frames(clip))))
        share = {"digit": 0.5 * self.mix.transcribe, "word": 1.0, "jumble": 1.0}.get(
            spec.form, self.mix.transcribe
        )
        if rng.random() < share:
            prompt = self.prompts.speech(n, TRANSCRIBE)
            return Sequence(prompt, self.prompts.answer(spec.transcript), TRANSCRIPT_WEIGHT, clip)
        if spec.form == "digit":
            pool = self.digit_facts[spec.transcript.rstrip(".").lower()]
            f = pool[rng.integers(len(pool))]
            q = digit_question(f, int(rng.integers(TYPE_BY_NAME[f.type].heldout)))
            instruction, answer = q.instruction, q.answer
        else:
            q = self.by_id[spec.question]
            if spec.form == "choice" and rng.random() < LETTER_SHARE:
                q = self.by_id[spec.question.replace("/choice/", "/letter/")]
            instruction, answer = q.instruction or pick_instruction(rng), q.answer
        prompt = self.prompts.speech(n, instruction)
        return Sequence(prompt, self.prompts.answer(answer), ANSWER_WEIGHT, clip)


def collate(
    features: FeatureSet,
    clips: list[int],
    rng: np.random.Generator | None = None,
    masked: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Stack clips padded to the longest.

    Parameters
    ----------
    features : FeatureSet
    clips : list of int
    rng : numpy.random.Generator, optional
        When given, SpecAugment and a little feature noise are applied.
    masked : float
        To this share of the clips.

    Returns
    -------
    mel : Tensor, float32, shape (B, T, mels)
    frames : Tensor, int64, shape (B,)
    """
    frames = [features.frames(i) for i in clips]
    width = max(frames) + EXTRA
    width += width % 2
    out = np.full((len(clips), width, features.mel(clips[0]).shape[1]), -1.0, dtype=np.float32)
    for b, i in enumerate(clips):
        mel = features.mel(i).astype(np.float32)
        if rng is not None and rng.random() < masked:
            mel = spec_augment(mel, frames[b], rng)
        out[b, : mel.shape[0]] = mel
    return torch.from_numpy(out), torch.tensor(frames)


def spec_augment(mel: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Mask bands and moments of one clip; mild, since most clips are already treated."""
    mel = mel + 0.05 * rng.random() * rng.standard_normal(mel.shape, dtype=np.float32)
    mel += rng.uniform(-0.15, 0.15)
    fill = float(mel.mean())
    for _ in range(2):
        width = int(rng.integers(0, 13))
        start = int(rng.integers(0, mel.shape[1] - width))
        mel[:, start : start + width] = fill
    for _ in range(2):
        width = int(rng.integers(0, max(2, min(12, frames // 10))))
        start = int(rng.integers(0, max(1, frames - width)))
        mel[start : start + width] = fill
    return mel.astype(np.float32)
