"""Which clips exist: a plan of rows, made by rule, that the manifest stores."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from modgap.audio.conditions import CONDITIONS
from modgap.demo.corpus import Question, capitalise, facts, heldout_questions, questions, stable_rng
from modgap.demo.facts import DIGITS
from modgap.demo.phrasings import DIGIT_TYPES
from modgap.demo.voices import (
    FAST_RATE,
    FAST_RATE_CHOICE,
    HELDOUT_DIGIT_SPEAKERS,
    HELDOUT_VOICES,
    TRAIN_DIGIT_SPEAKERS,
    TRAIN_PITCH,
    TRAIN_RATE,
    TRAIN_RATE_CHOICE,
    TRAIN_VOICES,
)

PLAN_SEED = 7
#: Fact types about numbers alone.
COUNTED = frozenset({"add", "subtract", "larger", *(t.name for t in DIGIT_TYPES)})


@dataclass(frozen=True)
class ClipSpec:
    """One clip to be made.

    Attributes
    ----------
    id : str
        Unique name.
    question : str
        Id of the question, ``"digit"`` for a digit that any typed digit task may use, or
        ``"word"`` for words that ask nothing and are only ever written down.
    form : {"open", "choice", "digit", "word", "jumble"}
    split : {"train", "heldout"}
    transcript : str
    voice : str
        A voice of espeak-ng, or a speaker of the digit recordings.
    rate, pitch : int
        Of the synthesis; 0 for recordings.
    condition : str
        ``"train"`` (random treatment) or one of the evaluation's conditions.
    file : str
        Path inside the digit recordings; empty for synthetic clips.
    """

    id: str
    question: str
    form: str
    split: str
    transcript: str
    voice: str
    rate: int
    pitch: int
    condition: str
    file: str = ""


def read_fsdd(folder: Path) -> list[tuple[str, str, str]]:
    """Rows ``(file, digit word, speaker)`` of the Free Spoken Digit Dataset in ``folder``.

    Accepts the repository's layout (``recordings/7_jackson_32.wav``) with or without a manifest.

    Raises
    ------
    FileNotFoundError
        The folder holds no recordings.
    """
    manifest = folder / "manifest.csv"
    if manifest.is_file():
        with manifest.open(newline="") as handle:
            return [(r["file"], r["transcript"], r["speaker"]) for r in csv.DictReader(handle)]
    rows = []
    for path in sorted((folder / "recordings").glob("*_*_*.wav")):
        digit, speaker, _ = path.stem.split("_")
        rows.append((f"recordings/{path.name}", DIGITS[int(digit)], speaker))
    if not rows:
        raise FileNotFoundError(
            f"No digit recordings in {folder}; give the folder that holds 'recordings/'."
        )
    return rows


def _spoken(q: Question, copy: int, voice: str) -> ClipSpec:
    rng = stable_rng(PLAN_SEED, "train", q.id, copy)
    low, high = TRAIN_RATE_CHOICE if q.form == "choice" else TRAIN_RATE
    return ClipSpec(
        f"{q.id}/{copy}",
        q.id,
        q.form,
        "train",
        q.transcript,
        voice,
        int(rng.integers(low, high + 1)),
        int(rng.integers(TRAIN_PITCH[0], TRAIN_PITCH[1] + 1)),
        "train",
    )


def content_words() -> list[str]:
    """The words that facts are about and that few questions hold, in a fixed order.

    Numbers are heard in hundreds of questions; a capital in a handful, too few for an encoder.
    """
    words: dict[str, None] = {}
    for f in facts():
        if f.type in COUNTED:
            continue
        words |= dict.fromkeys([*(value for _, value in f.slots), f.answer])
    return list(words)


@lru_cache(maxsize=1)
def all_words() -> tuple[str, ...]:
    """Every word of the training questions, as it is written inside a sentence, content twice."""
    inside = {w: None for q in questions() if q.split == "train" for w in _split(q)[1:]}
    return (*inside, *(w for phrase in content_words() for w in phrase.split()))


def _split(q: Question) -> list[str]:
    return "".join(c for c in q.transcript if c.isalpha() or c == " ").split()


def train_plan(
    fsdd: Path, copies: int = 4, digit_copies: int = 2, jumbles: int = 8192
) -> list[ClipSpec]:
    """The training clips, in a shuffled but fixed order.

    Parameters
    ----------
    fsdd : Path
        Folder of the digit recordings.
    copies : int
        Voices per open question (multiple choice: one, and every other question only).
    digit_copies : int
        Differently treated copies of each real digit.
    jumbles : int
        Clips of words in no order.
    """
    out: list[ClipSpec] = []
    for q in questions():
        if q.split != "train" or q.form not in ("open", "choice"):
            continue
        rng = stable_rng(PLAN_SEED, "voices", q.id)
        if q.form == "choice" and rng.random() < 0.5:
            continue
        chosen = rng.permutation(len(TRAIN_VOICES))[: copies if q.form == "open" else 1]
        out += [_spoken(q, c, TRAIN_VOICES[v]) for c, v in enumerate(chosen)]
    for word in DIGITS:
        for voice in TRAIN_VOICES:
            for copy in range(3):
                rng = stable_rng(PLAN_SEED, "synthetic digit", word, voice, copy)
                out.append(
                    ClipSpec(
                        f"digit/{word}/{voice}/{copy}",
                        "digit",
                        "digit",
                        "train",
                        capitalise(word) + ".",
                        voice,
                        int(rng.integers(110, 220)),
                        int(rng.integers(25, 75)),
                        "train",
                    )
                )
    for word in content_words():
        for voice in TRAIN_VOICES:
            rng = stable_rng(PLAN_SEED, "word", word, voice)
            out.append(
                ClipSpec(
                    f"word/{word}/{voice}",
                    "word",
                    "word",
                    "train",
                    word + ".",
                    voice,
                    int(rng.integers(120, 190)),
                    int(rng.integers(TRAIN_PITCH[0], TRAIN_PITCH[1] + 1)),
                    "train",
                )
            )
    for file, word, speaker in read_fsdd(fsdd):
        if speaker in TRAIN_DIGIT_SPEAKERS:
            out += [
                ClipSpec(
                    f"digit/{file}/{c}",
                    "digit",
                    "digit",
                    "train",
                    capitalise(word) + ".",
                    speaker,
                    0,
                    0,
                    "train",
                    file,
                )
                for c in range(digit_copies)
            ]
    order = stable_rng(PLAN_SEED, "order").permutation(len(out))
    return [out[i] for i in order] + [_jumble(n) for n in range(jumbles)]


def _jumble(number: int) -> ClipSpec:
    """A few words in no order, which nobody can guess from each other: they must be heard."""
    rng = stable_rng(PLAN_SEED, "jumble", number)
    words = all_words()
    said = " ".join(words[i] for i in rng.integers(len(words), size=int(rng.integers(2, 7))))
    return ClipSpec(
        f"jumble/{number}",
        "word",
        "jumble",
        "train",
        said + ".",
        TRAIN_VOICES[number % len(TRAIN_VOICES)],
        int(rng.integers(TRAIN_RATE[0], TRAIN_RATE[1] + 1)),
        int(rng.integers(TRAIN_PITCH[0], TRAIN_PITCH[1] + 1)),
        "train",
    )


def heldout_plan(
    condition: str, n_open: int = 400, n_choice: int = 140, seed: int = 0
) -> list[ClipSpec]:
    """Held-out questions spoken by held-out voices under one condition.

    The questions are the same for every condition, voices take turns.
    """
    if condition not in CONDITIONS:
        raise ValueError(f"Unknown condition {condition!r}; use one of {', '.join(CONDITIONS)}.")
    out = []
    picked = heldout_questions("open", n_open) + heldout_questions("choice", n_choice)
    for i, q in enumerate(picked):
        rng = stable_rng(PLAN_SEED, "heldout", q.id, seed)
        rate = int(rng.integers(160, 181)) if q.form == "open" else int(rng.integers(198, 211))
        if condition == "fast":
            rate = FAST_RATE if q.form == "open" else FAST_RATE_CHOICE
        out.append(
            ClipSpec(
                f"{q.id}/{condition}/{seed}",
                q.id,
                q.form,
                "heldout",
                q.transcript,
                HELDOUT_VOICES[(i + seed) % len(HELDOUT_VOICES)],
                rate,
                int(rng.integers(42, 59)),
                condition,
            )
        )
    return out


def digit_plan(folder: Path, speakers: tuple[str, ...] = HELDOUT_DIGIT_SPEAKERS) -> list[ClipSpec]:
    """The real digits of the held-out speakers, untreated."""
    return [
        ClipSpec(
            f"digit/{file}",
            "digit",
            "digit",
            "heldout",
            capitalise(word) + ".",
            speaker,
            0,
            0,
            "real",
            file,
        )
        for file, word, speaker in read_fsdd(folder)
        if speaker in speakers
    ]


def manifest(fsdd: Path) -> pd.DataFrame:
    """Every clip of training and evaluation as a table, one row each."""
    rows = [asdict(c) for c in train_plan(fsdd)]
    for name in CONDITIONS:
        rows += [asdict(c) for c in heldout_plan(name)]
    rows += [asdict(c) for c in digit_plan(fsdd)]
    return pd.DataFrame(rows)
