"""One pass at a time through a model, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pytest

from modgap.analysis.comparison import Comparison
from modgap.analysis.functions import analyze, compare
from modgap.analysis.lens import logit_lens
from modgap.analysis.patching import patching
from modgap.analysis.sweeps import sweep, with_target
from modgap.core.settings import AnalysisSettings
from modgap.evaluation.interventions.question_outcomes import outcomes
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.worker import Worker
from modgap.interventions.intervention import Intervention
from modgap.models.base import SpeechLM
from modgap.scoring.answers import answer
from modgap.scoring.question import Question
from tests.even_words import even_words
from tests.tiny import make_clip

WORDS = "What is two plus three? A, four. B, five."
STACKS = [
    (Intervention(rule="angle", tokens="all"),),
    (Intervention(rule="patch", layers=(2,), tokens="all"),),
]


@dataclass
class Watch:
    """Counts passes of a model's layers, and those without its lock."""

    passes: int = 0
    unlocked: list[str] = field(default_factory=list)


@pytest.fixture
def watch(tiny_model: SpeechLM) -> Iterator[Watch]:
    seen = Watch()

    def look(*_: Any) -> None:
        seen.passes += 1
        if not tiny_model.lock._is_owned():  # type: ignore[attr-defined]
            seen.unlocked.append("pass")

    handles = [layer.register_forward_pre_hook(look) for layer in tiny_model.layers]
    yield seen
    for handle in handles:
        handle.remove()


QUESTION = Question(
    "q", WORDS, lambda: make_clip(1.2), "five dogs", choices=("four dogs", "five dogs")
)


def run_questions(model: SpeechLM) -> None:
    ways = ("text", "speech", "speech+x")
    settings = RunSettings(max_new_tokens=3, interventions=(("x", STACKS[0]),))
    rows = Worker(model, settings).run([(QUESTION, ways)])
    rows_text = Worker(model, settings).run([(QUESTION, ("text",))])
    assert not rows["failures"]
    assert len(rows["answers"] + rows_text["answers"]) == 4


def search(model: SpeechLM) -> None:
    ready, name = with_target(model, model.prepare(make_clip(1.2), WORDS))
    sweep(ready, name, layers=(0, 2), strengths=(1.0,))
    patching(ready, name, layers=(1,), words=even_words(WORDS, 1.2))
    logit_lens(ready)


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: compare(m, make_clip(1.2), WORDS, STACKS[0], max_new_tokens=3),
        lambda m: answer(m, make_clip(1.2), STACKS[1], transcript=WORDS, max_new_tokens=3),
        lambda m: answer(m, make_clip(1.2), max_new_tokens=3),
        lambda m: analyze(m, make_clip(1.2), WORDS, max_new_tokens=3),
        lambda m: outcomes(m, [QUESTION], {"x": STACKS[0]}, AnalysisSettings(max_new_tokens=3)),
        run_questions,
        search,
    ],
    ids=["compare", "answer edited", "answer", "analyze", "outcomes", "run", "sweep and lens"],
)
def test_every_pass_holds_the_lock(tiny_model: SpeechLM, watch: Watch, ask: Any) -> None:
    ask(tiny_model)
    assert watch.passes
    assert not watch.unlocked


@pytest.mark.parametrize("plain", [True, False], ids=["plain layers", "the decoder's own forward"])
def test_two_threads_get_their_own_answers(
    tiny_model: SpeechLM, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    monkeypatch.setattr(tiny_model, "plain_decoder", plain)

    def ask(which: int) -> Comparison:
        clip = make_clip(1 + which / 2, seed=which)
        return compare(tiny_model, clip, WORDS, STACKS[which], max_new_tokens=6)

    alone = [ask(which) for which in range(2)]
    wrong: list[str] = []

    def work(which: int) -> None:
        for _ in range(6):
            found = ask(which)
            pd.testing.assert_frame_equal(found.layers, alone[which].layers)
            names = ("before", "after", "text", "kl_before", "kl_after")
            wrong.extend(n for n in names if getattr(found, n) != getattr(alone[which], n))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(2)))  # raises what a thread has raised
    assert not wrong
