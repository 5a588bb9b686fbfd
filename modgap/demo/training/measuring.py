"""What the family hears of people: the words it writes down, and how its paths run.

The tables of the model card are made here; accuracies on questions are `modgap eval`'s.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from modgap.analysis.functions import analyze
from modgap.analysis.word_hits import word_hits
from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import SettingsError
from modgap.core.files import write_atomic
from modgap.models.base import SpeechLM
from modgap.models.loading.load import load_quietly
from modgap.models.prompt import TRANSCRIBE
from modgap.scoring.word_errors import word_errors
from modgap.speech.words import WordTimes

__all__ = ["BEGIN", "END", "Recording", "markdown", "measure", "measure_clip", "read_people",
           "update_card"]  # fmt: skip

BEGIN = "<!-- tables: written by modgap demo eval -->"
END = "<!-- end of tables -->"
#: Tokens of a transcript that is written down.
TOKENS = 100
RESAMPLES = 2000


@dataclass(frozen=True)
class Recording:
    """A recording of a person, and what is said in it. Attributes: file, clip, transcript."""

    file: str
    clip: Clip
    transcript: str


def read_people(manifest: Path, longest: float = 30.0) -> list[Recording]:
    """The recordings that a manifest names (columns file or audio, transcript).

    Raises
    ------
    SettingsError
        No such manifest, or none of its recordings is short enough.
    """
    try:
        with manifest.expanduser().open(newline="") as handle:
            rows = list(csv.DictReader(handle))
    except OSError as problem:
        raise SettingsError(f"{manifest} cannot be read: name a CSV file.") from problem
    found = []
    for row in rows:
        name = row.get("file") or row.get("audio") or ""
        if not name or not row.get("transcript"):
            raise SettingsError(f"{manifest} lacks a column: it needs file and transcript.")
        clip = load_clip(manifest.expanduser().parent / name)
        if clip.seconds <= longest:
            found.append(Recording(name, clip, row["transcript"]))
    if not found:
        raise SettingsError(f"No recording in {manifest} is shorter than {longest:g} s.")
    return found


def measure(
    names: Sequence[str], clips: Sequence[Recording], say: Callable[[str], None] | None = None
) -> pd.DataFrame:
    """Measure models on recordings.

    Parameters
    ----------
    names : sequence of str
        As `load_model` takes them.
    clips : sequence of Recording
    say : callable, optional
        Told each model's name before it is loaded.

    Returns
    -------
    DataFrame
        One row a model and recording: ``model``, ``file``, ``transcript``, ``wrote``, ``errors``
        and ``words`` (the rate's two parts), and one list over the layers each of ``cosine``,
        ``euclidean``, ``monotonicity``, ``distinct`` (share of text tokens whose argmax positions
        differ), ``in_word``, with ``chance`` beside it.
    """
    from modgap.speech.word_times import word_times

    rows = []
    times = [word_times(one.clip, one.transcript) for one in clips]
    for name in names:
        if say is not None:
            say(name)
        model = load_quietly(name)
        rows += [
            {"model": name, **measure_clip(model, one, words)}
            for one, words in zip(clips, times, strict=True)
        ]
    return pd.DataFrame(rows)


def measure_clip(model: SpeechLM, one: Recording, words: WordTimes) -> dict[str, object]:
    """One recording's row of `measure`."""
    asked = model.speech_prompt(one.clip, instruction=TRANSCRIBE)
    wrote = model.generate(asked, max_new_tokens=TOKENS).text
    found = word_errors(one.transcript, wrote)
    analysis = analyze(model, one.clip, one.transcript, answers=False)
    paths = analysis.alignment.argmax_cos
    hits = word_hits(analysis, words).layers()
    layers = analysis.layers
    return {
        "file": one.file, "transcript": one.transcript, "wrote": wrote,
        "errors": found.substitutions + found.deletions + found.insertions, "words": found.words,
        "cosine": layers.cosine.to_list(), "euclidean": layers.euclidean.to_list(),
        "monotonicity": layers.monotonicity.to_list(),
        "distinct": [len(set(path.tolist())) / len(path) for path in paths],
        "in_word": hits.word_cos.to_list(), "chance": float(hits.chance.iloc[0]),
    }  # fmt: skip


def markdown(table: pd.DataFrame) -> str:
    """The tables of `measure`'s rows: word error rates with intervals, then layer by layer."""
    lines = [
        f"{table.file.nunique()} recordings of people. Word error rate of what is written down at "
        f'"{TRANSCRIBE}", 95 % interval by drawing recordings with replacement; the other '
        "columns at the best layer above 0, mean over recordings.\n",
        "| model | word error rate | monotonicity | distinct | in the word | chance |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in table.groupby("model", sort=False):
        rate, low, high = _rate(part)
        cells = [f"{100 * rate:.1f} % ({100 * low:.1f} to {100 * high:.1f})"]
        mono = _layers(part, "monotonicity")
        best = int(np.nanargmax(mono[1:])) + 1
        cells.append(f"{mono[best]:.2f} (layer {best})")
        cells.append(f"{100 * _layers(part, 'distinct')[best]:.0f} %")
        inside = _layers(part, "in_word")
        top = int(np.nanargmax(inside[1:])) + 1
        cells.append(f"{100 * inside[top]:.0f} % (layer {top})")
        cells.append(f"{100 * part.chance.mean():.0f} %")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    name = str(table.model.iloc[0])
    part = table[table.model == name]
    columns = ("cosine", "euclidean", "monotonicity", "distinct", "in_word")
    means = {c: _layers(part, c) for c in columns}
    lines += [
        f"\nLayer by layer, {name}:\n",
        f"| layer | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|",
        *(
            f"| {n} | " + " | ".join(f"{means[c][n]:.2f}" for c in columns) + " |"
            for n in range(len(means["cosine"]))
        ),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _layers(part: pd.DataFrame, column: str) -> np.ndarray:
    """Mean over the recordings (K,); where a recording has no value it is left out."""
    return np.nanmean(np.array(part[column].to_list(), dtype=np.float64), axis=0)


def _rate(part: pd.DataFrame) -> tuple[float, float, float]:
    """Word error rate of all recordings together, and its 95 % interval."""
    errors, words = part.errors.to_numpy(), part.words.to_numpy()
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(part), size=(RESAMPLES, len(part)))
    rates = errors[drawn].sum(1) / np.maximum(1, words[drawn].sum(1))
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(errors.sum() / max(1, words.sum())), float(low), float(high)


def update_card(card: Path, text: str) -> None:
    """Replace what stands between the markers of a model card.

    Raises
    ------
    SettingsError
        The card has no markers.
    """
    old = card.read_text()
    if BEGIN not in old or END not in old:
        raise SettingsError(f"{card} has no place for tables; add the lines {BEGIN} and {END}.")
    before, rest = old.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    write_atomic(card, f"{before}{BEGIN}\n{text}\n{END}{after}".encode())
