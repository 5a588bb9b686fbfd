"""The score of a multiple choice by the options' probabilities."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.data.voicebench_subsets import question_of
from modgap.interventions.prefill import Prefill
from modgap.models.base import SpeechLM
from modgap.scoring.likeliest_option import answer_options, option_verdict
from modgap.scoring.option_likelihoods import option_logprobs
from modgap.scoring.question import Question
from tests.tiny import make_clip

PROMPT = "Which?\nA. Rome\nB. Oslo\nC. Paris\nD. Bern\nChoose."
LETTERS = question_of("openbookqa", "test", 0, {"prompt": PROMPT, "reference": "C"})
#: A multiple choice that is answered in words, and one in words and letters.
WORDS = Question("1", "Rome or Oslo?", make_clip, "Oslo", choices=("Rome", "Oslo"))
BOTH = replace(WORDS, reference="Oslo, B", meta={"options": ["Rome, A", "Oslo, B"]})


def test_what_an_answer_can_begin_with() -> None:
    assert answer_options(LETTERS) == ("A", "B", "C", "D")
    yes = {"prompt": "p", "reference": "no", "id": "bbh_navigate_1"}
    assert answer_options(question_of("bbh", "test", 0, yes)) == ("Yes", "No")
    assert answer_options(WORDS) == WORDS.choices
    assert answer_options(BOTH) == ("Rome, A", "Oslo, B")
    assert answer_options(read_questions("demo", 1)[0]) == ()


def test_the_likeliest_option_is_the_answer() -> None:
    right = option_verdict(LETTERS, [-3.0, -2.0, -1.0, -4.0])
    assert (right.correct, right.extracted) == (True, "C")
    wrong = option_verdict(LETTERS, [-1.0, -2.0, -1.0, -4.0])
    assert (wrong.correct, wrong.extracted, wrong.unparsed) == (False, "A", False)
    for question in (WORDS, BOTH):
        options = answer_options(question)
        verdicts = [option_verdict(question, [float(o == p) for p in options]) for o in options]
        assert [v.correct for v in verdicts] == [o == question.reference for o in options]
    two = question_of(
        "bbh", "test", 0, {"prompt": "p", "reference": "(B)", "id": "bbh_hyperbaton_1"}
    )
    assert option_verdict(two, [-2.0, -1.0]).correct is True
    assert option_verdict(LETTERS, []).correct is None
    assert option_verdict(Question("1", "t", lambda: None), [-1.0]).correct is None  # type: ignore[arg-type, return-value]


def test_log_probabilities_by_a_plain_pass(tiny_model: SpeechLM) -> None:
    pair = tiny_model.prepare(make_clip(1.2), "What is two?")
    kept = Prefill.of(tiny_model, pair)
    options = answer_options(LETTERS)
    found = option_logprobs(tiny_model, kept.kept, kept.logits[0], pair.speech.length, options)
    with torch.no_grad():
        out = tiny_model.hf(**pair.speech.inputs)
    logp = out.logits[0, -1].double().log_softmax(-1)
    start = tiny_model.tokenizer.decode([int(logp.argmax())])
    space = " " if start.startswith(" ") else ""
    ids = [tiny_model.tokenizer.encode(space + o, add_special_tokens=False) for o in options]
    one_token = [n for n, i in enumerate(ids) if len(i) == 1]
    assert one_token
    for n in one_token:
        assert found[n] == pytest.approx(float(logp[ids[n][0]]), abs=1e-4)
