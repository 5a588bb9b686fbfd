"""How well the embedded recogniser hears and aligns: ``python -m benchmarks.hearing [MANIFEST]``.

Boundaries are compared with espeak-ng's own account of its words; word errors and right answers are
counted on the same held-out questions, and word errors on a manifest of read speech if one is
given.
"""

from __future__ import annotations

import sys

import numpy as np

import modgap
from modgap.core.errors import ModgapError
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.data.word_clips import known_clips, sounds
from modgap.scoring.answers import verdict
from modgap.scoring.word_errors import word_errors
from modgap.speech.recognizers import Recognizer

QUESTIONS = 200


def boundaries(ears: Recognizer, questions: int) -> None:
    """Differences of word boundaries, pocketsphinx less espeak-ng, in ms."""
    off, lost = [], 0
    for _, clip, known in known_clips(questions):
        try:
            found = ears.align(clip, known.transcript)
        except ModgapError:
            lost += 1
            continue
        at = {tuple(s): t for s, t in zip(found.spans.tolist(), found.times, strict=True)}
        spans = known.spans.tolist()
        off += [at[tuple(s)] - t for s, t in zip(spans, known.times, strict=True)]
    d = 1000 * np.array(off)
    print(f"{questions} questions ({lost} not aligned), {len(d)} words")
    print("boundary | median of |difference| (ms) | 90 % below | median of difference")
    for n, name in enumerate(("begin", "end")):
        a = np.abs(d[:, n])
        print(
            f"{name} | {np.median(a):.0f} | {np.quantile(a, 0.9):.0f} | {np.median(d[:, n]):+.0f}"
        )
    a = np.abs(d)
    print(f"both | {np.median(a):.0f} | {np.quantile(a, 0.9):.0f} | {np.median(d):+.0f}")


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


def main(manifests: list[str]) -> None:
    """Print everything."""
    ears = modgap.load_recognizer()
    boundaries(ears, QUESTIONS)
    errors(ears, "demo", QUESTIONS)
    for manifest in manifests:
        errors(ears, manifest, None)
    for name in ("demo:full", "demo:lora"):
        answers(ears, name, QUESTIONS)


if __name__ == "__main__":
    main(sys.argv[1:])
