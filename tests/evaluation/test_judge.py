"""The judge, asked over HTTP at a real server on this machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from modgap.core.errors import SettingsError
from modgap.evaluation.data.voicebench_subsets import question_of
from modgap.evaluation.judging.judge import OPEN_PROMPT, REFERENCE_PROMPT, Judge, JudgeError
from modgap.evaluation.judging.rescore import Scored, score_file, write_scored
from modgap.evaluation.judging.voicebench_results import read_results
from modgap.scoring.question import Question
from tests.evaluation.endpoint import Endpoint


def known(response: str = "") -> Question:
    return Question("k", "Who?", lambda: None, "Ann", "Briefly.")  # type: ignore[arg-type, return-value]


OPEN = question_of("wildvoice", "test", 0, {"prompt": "Tell me {response} things."})


def test_answers_with_a_reference_go_by_the_majority(endpoint: Endpoint) -> None:
    judge = Judge(endpoint.url, "small")
    right, wrong = judge.verdict(known(), "It was Ann"), judge.verdict(known(), "Bob")
    assert (right.correct, right.extracted, right.expected) == (True, "Yes", 1.0)
    assert (wrong.correct, wrong.extracted, wrong.expected) == (False, "No", 0.0)
    assert right.rule == "judge small"
    (asked, _) = endpoint.requests
    assert asked["path"] == "/v1/chat/completions"
    assert (asked["model"], asked["n"], asked["temperature"], asked["top_p"]) == (
        "small",
        3,
        0.5,
        0.95,
    )
    assert "Who?\nBriefly." in asked["messages"][0]["content"]
    assert endpoint.keys == [None, None]
    assert judge.read(known(), ["Yes", "no", "No."]).correct is False
    assert judge.read(known(), ["Yes", "no"]).expected == 0.5
    assert judge.read(known(), ["Yes", "no"]).correct is False
    assert judge.read(known(), ["yes", "hm"]).correct is True


def test_open_answers_are_rated(endpoint: Endpoint) -> None:
    judge = Judge(endpoint.url, "small", samples=2)
    found = judge.verdict(OPEN, "a good {question} answer")
    assert (found.correct, found.extracted, found.expected) == (None, "4", 0.8)
    # Braces of questions and answers are words, not places.
    content = endpoint.requests[0]["messages"][0]["content"]
    assert "Tell me {response} things." in content
    assert "a good {question} answer" in content
    assert judge.read(OPEN, ["5", "Score: 2", "4.5", "17"]).extracted == "3.5"
    with pytest.raises(JudgeError, match="neither what was asked for"):
        judge.verdict(OPEN, "bad")


@pytest.mark.parametrize(
    ("reply", "rating"),
    [
        ("4", 4),
        ("**4**", 4),
        ("4.", 4),
        ("Score (1-5): 4", 4),
        ("On a scale of 1 to 5, I rate this 2.", 2),
        ("Rating: 3/5", 3),
        ("I would give it 4 out of 5.", 4),
        ("\\boxed{5}", 5),
        ("4: it is right, complete and to the point.", 4),
        ("Rating: 4. It covers 2 of 3 points.", 4),
        ("It covers 2 of 3 points.\n\n4", 4),
        ("1. It is right.\n2. It is short.\n\n**5**", 5),
        ("3\n\nNo, on reflection:\n4", 4),
        ("<think>\n1. The user asks</think>\n5", 5),
        ("<think>I would say 2.</think>Score: 3", 3),
        ("1. The user asks. Perhaps 2?\n</think>\n\n5", 5),
        # Several could be meant, or none is.
        ("<think>Perhaps 4", None),
        ("4. It covers 2 of 3 points.", None),
        ("3 or 4", None),
        ("3-4", None),
        ("Rating: 3-4", None),
        ("Between 3 and 4.", None),
        ("4.5", None),
        ("17", None),
        ("8/10", None),
        ("4/10", None),
        ("0", None),
        ("Accuracy score: 2, style score: 4", None),
        ("", None),
        ("five", None),
    ],
)
def test_the_rating_that_a_reply_gives(reply: str, rating: int | None) -> None:
    judge = Judge("http://localhost:1/v1", "small")
    if rating is None:
        with pytest.raises(JudgeError, match="neither what was asked for"):
            judge.read(OPEN, [reply])
    else:
        assert judge.read(OPEN, [reply]).extracted == str(rating)


def test_what_a_judge_thinks_is_no_reply() -> None:
    judge = Judge("http://localhost:1/v1", "small")
    assert judge.read(known(), ["<think>\nNo, wait.\n</think>\n\nYes."]).correct is True
    assert judge.read(known(), ["Yes? Hm.</think> No"]).correct is False
    with pytest.raises(JudgeError):
        judge.read(known(), ["<think>Yes, it"])


def test_an_empty_answer_is_not_sent(endpoint: Endpoint) -> None:
    judge = Judge(endpoint.url, "small")
    assert judge.verdict(known(), " ").unparsed
    assert judge.verdict(OPEN, "").expected == 0.2
    assert endpoint.requests == []


def test_endpoints_that_give_one_reply_at_a_time(endpoint: Endpoint) -> None:
    endpoint.one_at_a_time = True
    assert len(Judge(endpoint.url, "small").replies(known(), "Ann")) == 3
    assert [r["n"] for r in endpoint.requests] == [3, 2, 1]


def test_the_key_comes_from_the_environment(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(endpoint.url, "small", "JUDGE_KEY")
    with pytest.raises(SettingsError, match="no JUDGE_KEY"):
        judge.verdict(known(), "Ann")
    monkeypatch.setenv("JUDGE_KEY", "secret-word")
    judge.verdict(known(), "Ann")
    assert endpoint.keys == ["Bearer secret-word"]
    assert "secret-word" not in json.dumps(judge.record()) + repr(judge)


def test_a_busy_endpoint_is_asked_again_and_a_refusal_is_not(endpoint: Endpoint) -> None:
    judge = Judge(endpoint.url, "small", retries=2, wait=0.01)
    endpoint.failures = [503, 429]
    assert judge.verdict(known(), "Ann").correct
    assert len(endpoint.requests) == 3
    endpoint.failures = [401]
    with pytest.raises(JudgeError, match="401"):
        judge.verdict(known(), "Ann")
    endpoint.failures = [500, 500, 500]
    with pytest.raises(JudgeError, match="500"):
        judge.verdict(known(), "Ann")
    assert len(endpoint.requests) == 7


def test_nothing_follows_a_redirection(endpoint: Endpoint) -> None:
    endpoint.failures = [302]
    with pytest.raises(JudgeError, match="302"):
        Judge(endpoint.url, "small", retries=0).verdict(known(), "Ann")
    assert [r["path"] for r in endpoint.requests] == ["/v1/chat/completions"]


@pytest.mark.parametrize("raw", [b'{"choices": []}', b'{"error": "no"}', b"<html>", b"[]"])
def test_replies_that_are_none(endpoint: Endpoint, raw: bytes) -> None:
    endpoint.raw = raw
    with pytest.raises(JudgeError):
        Judge(endpoint.url, "small", retries=0).verdict(known(), "Ann")


def test_no_one_there() -> None:
    with pytest.raises(JudgeError, match=r"127\.0\.0\.1 gave no reply"):
        Judge("http://127.0.0.1:9/v1", "small", retries=0).verdict(known(), "Ann")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "file:///etc/passwd"}, "http or https"),
        ({"url": "localhost:8000"}, "http or https"),
        ({"model": " "}, "Name the judge's model"),
        ({"samples": 0}, "at least once"),
        ({"open_prompt": "{question}?"}, "lacks the place {response}"),
        ({"reference_prompt": "{question} {response}"}, "lacks the place {reference}"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Judge(**({"url": "http://localhost:1/v1", "model": "m"} | change))


def test_the_record_names_model_and_prompts() -> None:
    one, other = (Judge("http://h:1/v1", m) for m in ("a", "b"))
    text = json.dumps([REFERENCE_PROMPT, OPEN_PROMPT])
    assert one.record()["prompt_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert one.record()["model"] == "a"
    assert one.record() != other.record()
    changed = Judge("http://h:1/v1", "a", open_prompt="{question} {response}")
    assert changed.record()["prompt_sha256"] != one.record()["prompt_sha256"]


def test_a_file_is_judged_and_written_with_its_judge(endpoint: Endpoint, tmp_path: Path) -> None:
    path = tmp_path / "m-sd-qa-usa-audio.jsonl"
    rows = [{"prompt": "Who?", "reference": "Ann", "response": r} for r in ("Ann", "Bob", "")]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    judge = Judge(endpoint.url, "small", wait=0.01, retries=0)
    scored = score_file(path, judge=judge)
    assert [s.verdict.correct for s in scored] == [True, False, False]
    summary = Scored.summary(scored)
    assert (summary.judged, summary.unparsed) == (3, 1)
    write_scored(tmp_path / "result-x.jsonl", scored, judge)
    written = list(read_results(tmp_path / "result-x.jsonl"))
    assert [w.get("score") for w in written] == [["Yes."] * 3, ["No"] * 3, None]
    assert written[0]["modgap"]["judge"] == judge.record()
    assert written[2]["modgap"]["verdict"]["rule"] == "empty"
    endpoint.failures = [401]  # one of two requests fails: the rest stands
    again = score_file(path, judge=judge)
    assert sorted(str(s.verdict.correct) for s in again[:2]) in (
        ["False", "None"],
        ["None", "True"],
    )
    endpoint.failures = [401, 401]
    rows = rows[:2]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(JudgeError, match="401"):
        score_file(path, judge=judge)
