"""How well a recogniser hears and aligns: ``python -m benchmarks.hearing [MANIFEST]``.

Boundaries are compared with espeak-ng's own account of its words, and with another aligner on a
manifest of read speech if one is given; word errors and right answers are counted on the same
held-out questions, and word errors on the manifest.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Iterator

import numpy as np

import modgap
from modgap.audio.clip import Clip
from modgap.core.errors import ModgapError
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.data.word_clips import known_clips, sounds
from modgap.scoring.answers import verdict
from modgap.scoring.word_errors import word_errors
from modgap.speech.base import EMBEDDED
from modgap.speech.recognizers import Recognizer
from modgap.speech.words import WordTimes

QUESTIONS = 200


def boundaries(ears: Recognizer, questions: int) -> None:
    """Differences of word boundaries, the aligner's less espeak-ng's, in ms."""
    _compare(ears, ((clip, known) for _, clip, known in known_clips(questions)), "espeak-ng")


def against(ears: Recognizer, other: Recognizer, manifest: str) -> None:
    """Differences of word boundaries from another aligner's, on clips of a manifest, in ms."""
    _compare(ears, _aligned(other, manifest), other.name)


def _aligned(ears: Recognizer, manifest: str) -> Iterator[tuple[Clip, WordTimes]]:
    for _, load, said in sounds(manifest, None):
        clip = load()
        with contextlib.suppress(ModgapError):
            yield clip, ears.align(clip, said)


def _compare(ears: Recognizer, known_words: Iterable[tuple[Clip, WordTimes]], name: str) -> None:
    off, first, clips, lost = [], [], 0, 0
    for clip, known in known_words:
        clips += 1
        try:
            found = ears.align(clip, known.transcript)
        except ModgapError:
            lost += 1
            continue
        at = {tuple(s): t for s, t in zip(found.spans.tolist(), found.times, strict=True)}
        spans = known.spans.tolist()
        off += [at[tuple(s)] - t for s, t in zip(spans, known.times, strict=True)]
        first += [n == 0 for n in range(len(spans))]
    d = 1000 * np.array(off)
    print(f"{ears.name} less {name}: {clips} clips ({lost} not aligned), {len(d)} words")
    print("boundary | median of |difference| (ms) | 90 % below | median of difference")
    begin = np.array(first)
    rows = {
        "begin": d[:, 0], "end": d[:, 1], "both": d.ravel(),
        "begin of the first word": d[begin, 0], "begin of the others": d[~begin, 0],
        "end of the last word": d[np.append(begin[1:], True), 1],
    }  # fmt: skip
    for row, values in rows.items():
        a = np.abs(values)
        print(f"{row} | {np.median(a):.0f} | {np.quantile(a, 0.9):.0f} | {np.median(values):+.0f}")


def errors(ears: Recognizer, data: str, limit: int | None) -> None:
    """Word error rate, words of all clips pooled."""
    wrong = words = clips = 0
    for _, load, said in sounds(data, limit):
        found = word_errors(said, ears.transcribe(load()))
        wrong += found.substitutions + found.deletions + found.insertions
        words += found.words
        clips += 1
    print(f"{data.rsplit('/', 1)[-1]}: word error rate {100 * wrong / words:.1f} % "
          f"({wrong} of {words} words, {clips} clips)")  # fmt: skip


def answers(ears: Recognizer, name: str, questions: int) -> None:
    """Right answers to the text, the speech, and by the pipeline, on the same questions."""
    model = modgap.load_model(name)
    right = {"text": 0, "speech": 0, "pipeline": 0}
    for item in read_questions("demo", questions):
        clip = item.load()
        pair = model.prepare(clip, item.transcript)
        made = modgap.pipeline(ears, model, clip, item.transcript, max_new_tokens=12)
        given = {
            "text": model.generate(pair.text, max_new_tokens=12).text,
            "speech": model.generate(pair.speech, max_new_tokens=12).text,
            "pipeline": "" if made.answer is None else made.answer.text,
        }
        for kind, text in given.items():
            right[kind] += verdict(text, item.reference) == "right"
    shares = ", ".join(f"{kind} {100 * n / questions:.1f} %" for kind, n in right.items())
    print(f"{name}, {questions} questions, right answers: {shares}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description="How well a recogniser hears and aligns.")
    parser.add_argument("manifests", nargs="*", help="of read speech: columns file, transcript")
    parser.add_argument("--recognizer", default=EMBEDDED)
    parser.add_argument("--against", help="another aligner, on the manifests")
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--answers", action=argparse.BooleanOptionalAction, default=True)
    asked = parser.parse_args()
    ears = modgap.load_recognizer(asked.recognizer)
    boundaries(ears, asked.questions)
    for manifest in asked.manifests if asked.against else ():
        against(ears, modgap.load_recognizer(asked.against), manifest)
    for data, limit in (("demo", asked.questions), *((m, None) for m in asked.manifests)):
        errors(ears, data, limit)
    for name in ("demo:adapter", "demo:lora") if asked.answers else ():
        answers(ears, name, asked.questions)


if __name__ == "__main__":
    main()
