"""What is said is told from what is thought, by every scorer in the same way."""

from __future__ import annotations

from typing import Any

import pytest

from modgap.evaluation.judging.judge import Judge
from modgap.evaluation.judging.leaderboard import summarise
from modgap.scoring.answers import verdict
from modgap.scoring.question import Question
from modgap.scoring.scorers import score
from modgap.scoring.thoughts import CUT, said

THOUGHTS = [
    "<think>\n{}\n</think>\n\n", "{}</think>", "<thinking>{}</thinking>", "<THINK>{}</THINK>",
    "<reasoning>{}</reasoning>", "<thought>{}</thought>", "<scratchpad>{}</scratchpad>\n",
    "<seed:think>{}</seed:think>", "<antThinking>{}</antThinking>", "[THINK]{}[/THINK]",
    "◁think▷{}◁/think▷", "<|thinking|>{}<|/thinking|>", "<|inner_prefix|>{}<|inner_suffix|>",
    "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>",
    "analysisSo: {}assistantfinal", "<|begin_of_thought|>{}<|end_of_thought|>",
    "<|START_THINKING|>{}<|END_THINKING|>", "<unused94>thought\n{}<unused95>",
    "<|channel>thought\n{}<channel|>", "&lt;think&gt;{}&lt;/think&gt;",
    "Here is my thought process: {}\nHere is my response: ", "Thinking...\n{}\n...done thinking.\n",
    '<details type="reasoning" done="true">{}</details>\n',
    "<thinking>a <reflection>{}</reflection> b</thinking>",
]  # fmt: skip


def asked(scorer: str, reference: str = "", **meta: Any) -> Question:
    return Question("1", "t", lambda: None, reference, scorer=scorer, meta=meta)  # type: ignore[arg-type, return-value]


IFEVAL = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
#: Question, a thought that says the contrary, and the right answer.
CASES = [
    (asked("choices", "C"), "Maybe the answer is A. \\boxed{A}", "C"),
    (asked("reference", "Oslo"), "Bergen? No.", "It is Oslo."),
    (asked("bbh", "no", id="bbh_navigate_1"), "At first the answer is yes.", "No"),
    (asked("bbh", "(B)"), "option (a)", "(B)"),
    (asked("refusal"), "Here is how one would: step 1, take", "I'm sorry, I can't help with that."),
    (asked("ifeval", **IFEVAL), "one, two, three", "Nothing at all."),
]


@pytest.mark.parametrize("thought", THOUGHTS)
@pytest.mark.parametrize("number", range(len(CASES)))
def test_no_thought_is_scored(thought: str, number: int) -> None:
    question, idea, answer = CASES[number]
    plain = score(question, answer)
    assert plain.correct is True
    assert score(question, thought.format(idea) + answer) == plain
    assert said(thought.format(idea) + answer) == answer


@pytest.mark.parametrize("thought", [t for t in THOUGHTS if not t.startswith("{}")])
def test_a_thought_that_is_cut_is_no_answer(thought: str) -> None:
    for question, _, answer in CASES:
        found = score(question, thought.partition("{}")[0] + answer)
        assert (found.unparsed, found.rule) == (True, CUT)
    assert said(thought.partition("{}")[0] + "B") is None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<answer>B</answer>", "B"),
        ("Well: <answer> (B) cold </answer> Bye.", "(B) cold"),
        ("<think>A</think><answer>B", "B"),
        ("<think>A or <answer>B</answer>", "B"),
        ("<think>as <answer>A</answer>, or", None),
        ("<reasoning>A</reasoning>\n<response>B</response>", "B"),
        ("<|begin_of_thought|>A<|end_of_thought|><|begin_of_solution|>B<|end_of_solution|>", "B"),
        ("<think>A</think><|begin_of_box|>B<|end_of_box|>", "B"),
        ("[REASONING] A [ANSWER] B", "B"),
        ("B</s>", "B"),
        ("<|im_start|>assistant\nB<|im_end|>", "B"),
        ("<think></think>B", "B"),
        ("B <think>I hope so.</think>", "B"),
        # No thoughts: marks that are spoken of, places to fill in, markup.
        ("Write `<think>` first.", "Write `<think>` first."),
        ("Dear [thought],", "Dear [thought],"),
        ("<b>B</b> 1 < 2", "<b>B</b> 1 < 2"),
        ("The analysis shows B.", "The analysis shows B."),
        ("<details><summary>S</summary>B</details>", "<details><summary>S</summary>B</details>"),
        (" B\n", " B\n"),
    ],
)
def test_what_is_left(text: str, left: str | None) -> None:
    assert said(text) == left


def test_the_matcher_and_the_leaderboard_see_no_thoughts() -> None:
    assert verdict("<think>Rome?</think> Paris", "Rome") == "wrong"
    assert verdict("<think>Rome", "Rome") == "wrong"
    question, idea, answer = CASES[-1]
    text = f"<think>{idea}</think>{answer}"
    assert summarise([(question, text, score(question, text))]).leaderboard == 100


def test_a_judge_is_sent_what_is_said_and_its_thoughts_are_no_reply() -> None:
    judge = Judge("http://localhost:1/v1", "m")
    known = asked("judge", "Ann")
    assert judge.asked(known, "<think>Bob?</think>Ann") == judge.asked(known, "Ann")
    assert judge.replies(known, "<think>Ann") == []  # nothing was said: it is not sent
    assert judge.read(known, ["[THINK]No.[/THINK]Yes"]).correct is True
    assert judge.read(asked("judge"), ["<reasoning>2</reasoning>4"]).extracted == "4"
