"""`modgap runs judge`, and what is kept of a judge's replies when `modgap score` ends early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modgap.cli import main
from modgap.core.errors import SettingsError, StoreError
from modgap.evaluation.judging.judge import Judge, JudgeError
from modgap.evaluation.judging.judge_many import IN_VAIN
from modgap.evaluation.judging.rescore import score_file
from modgap.evaluation.judging.verdicts import judge_run
from modgap.evaluation.runs.record import read_run
from modgap.evaluation.runs.shards import read_rows
from modgap.gap.accuracy import accuracies, gap_table
from modgap.gap.overview import overview
from modgap.gap.run_data import open_run
from tests.evaluation.endpoint import Endpoint
from tests.gap.made import answer, question, write_run

ROOT = Path(__file__).parents[2]


def made_run(folder: Path, count: int = 6, models: tuple[str, ...] = ("m", "n")) -> Path:
    """Open questions, SD-QA's with a known answer, and one that a rule decides."""
    asked, rows = [], []
    for n in range(count):
        kind = {"scorer": "judge", "reference": "", "subset": "wildvoice"}
        if n % 2:
            kind = {"scorer": "reference", "reference": "Ann", "subset": "sd-qa"}
        asked.append({**question(f"q{n}"), **kind, "dataset": "voicebench"})
        for m in models:
            good = {"text": f"good {n} {m}" if n % 2 == 0 else f"It is Ann {m}",
                    "speech": f"bad {n} {m}" if n % 4 == 0 else f"good one, Bob {n} {m}",
                    "base": f"good Ann {n}"}  # fmt: skip
            rows += [
                {**answer(m, f"q{n}", given, None if n % 2 == 0 else False), "response": said}
                for given, said in good.items()
            ]
    asked.append(question("rule"))
    rows += [answer(m, "rule", given, True) for m in models for given in ("text", "speech", "base")]
    protocol = {"format": "modgap-run", "version": 1, "inputs": ["text", "speech", "base"],
                "interventions": {}, "models": {m: {} for m in models}}  # fmt: skip
    return write_run(folder, asked, {"answers": [rows[:5], rows[5:]]}, protocol)


@pytest.fixture
def rating(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """A judge that rates what is bad with 2."""
    plain = endpoint.reply

    def reply(prompt: str) -> str:
        said = plain(prompt)
        return "2" if said == "not a number at all" else said

    monkeypatch.setattr(endpoint, "reply", reply)
    return endpoint


def sent(endpoint: Endpoint) -> list[str]:
    return [r["messages"][0]["content"] for r in endpoint.requests]


def test_verdicts_enter_the_run_and_its_gap(rating: Endpoint, tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run")
    before = accuracies(open_run(folder)).set_index(["model", "input"])
    assert before.loc[("m", "text"), ["judged", "right"]].tolist() == [4, 1]
    judge = Judge(rating.url, "small", wait=0.01)
    made = judge_run(folder, judge)
    assert (made.before, made.now, made.failed) == (0, 2 * 6 * 3, 0)
    # What the base said is the same beside both models, and is sent once.
    assert len(sent(rating)) == len(set(sent(rating))) == 2 * 6 * 2 + 6
    rows = {(r["model"], r["question"], r["input"]): r for r in read_rows(folder, "judged")}
    assert len(rows) == 36
    row = rows["m", "q1", "speech"]
    assert (row["correct"], row["extracted"], row["rule"], row["expected"], row["replies"]) == (
        False, "No", "judge small", 0.0, ["No"] * 3,
    )  # fmt: skip
    record = json.loads((folder / "run.json").read_text())["judge"]
    assert record == {**judge.record(), "right_from": None}
    # SD-QA's answers are decided, the others only rated: 4 questions of 7 have a verdict.
    counts = accuracies(open_run(folder)).set_index(["model", "input"])
    assert counts.loc[("m", "text"), ["judged", "right"]].tolist() == [4, 4]
    assert counts.loc[("m", "speech"), ["judged", "right"]].tolist() == [4, 1]
    assert counts.loc[("m", "text"), "expected"] == pytest.approx((3 * 0.8 + 3 + 1) / 7)
    table = {(r["model"], r["input"]): r for r in overview(folder)["table"]}
    assert (table["m", "text"]["accuracy"], table["m", "text"]["not_judged"]) == (1, 3)


def test_a_rating_can_be_made_right_or_wrong_later(rating: Endpoint, tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run")
    judge = Judge(rating.url, "small", wait=0.01)
    judge_run(folder, judge, right_from=4)
    asked = len(rating.requests)
    table = gap_table(open_run(folder), ["m"]).set_index("quantity")
    # Speech: q0 and q4 are rated 2, q2 is rated 4, "rule" is right; SD-QA's are not.
    assert (table.loc["text", "value"], table.loc["text", "n"]) == (1, 7)
    assert table.loc["speech", "value"] == pytest.approx(2 / 7)
    made = judge_run(folder, judge, right_from=2)
    assert (made.before, made.now, len(rating.requests)) == (36, 0, asked)
    table = gap_table(open_run(folder), ["m"]).set_index("quantity")
    assert table.loc["speech", "value"] == pytest.approx(4 / 7)
    judge_run(folder, judge)
    found = read_run(folder)
    assert found is not None
    assert found["judge"]["right_from"] == 2
    shown = {(r["model"], r["input"]): r for r in overview(folder)["table"]}
    assert shown["m", "speech"]["accuracy"] == pytest.approx(4 / 7)
    with pytest.raises(SettingsError, match="from 1 to 5"):
        judge_run(folder, judge, right_from=6)


def test_another_judge_is_refused(rating: Endpoint, tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", 2, ("m",))
    judge_run(folder, Judge(rating.url, "small"))
    with pytest.raises(SettingsError, match=r"model \(small before, large now\)"):
        judge_run(folder, Judge(rating.url, "large"))
    other = Judge(rating.url, "small", open_prompt="{question} {response} good")
    with pytest.raises(SettingsError, match="prompt_sha256"):
        judge_run(folder, other)
    # The same judge on another machine is the same judge.
    elsewhere = rating.url.replace("127.0.0.1", "localhost")
    assert judge_run(folder, Judge(elsewhere, "small")).before == 6
    nothing = write_run(tmp_path / "none", [question("a")], {},
                        {"format": "modgap-run", "version": 1})  # fmt: skip
    with pytest.raises(SettingsError, match="no question that a judge decides"):
        judge_run(nothing, Judge(elsewhere, "small"))
    with pytest.raises(StoreError, match="There is no run"):
        judge_run(tmp_path / "nowhere", Judge(elsewhere, "small"))


def test_what_fails_is_asked_again_and_a_dead_endpoint_is_left(
    rating: Endpoint, tmp_path: Path
) -> None:
    folder = made_run(tmp_path / "run", 20, ("m",))
    judge = Judge(rating.url, "small", retries=0)
    rating.failures = [401, 401]
    made = judge_run(folder, judge)
    assert (made.now, made.failed) == (58, 2)
    assert "401" in made.reason
    again = judge_run(folder, judge)
    assert (again.before, again.now, again.failed) == (58, 2, 0)
    assert len(set(sent(rating))) == 60 == len(rating.requests) - 2
    dead = made_run(tmp_path / "dead", 20, ("m",))
    rating.failures = [401] * 1000
    before = len(rating.requests)
    with pytest.raises(JudgeError, match="answers in a row could not be judged"):
        judge_run(dead, judge)
    assert IN_VAIN <= len(rating.requests) - before < 2 * IN_VAIN


def test_the_command_asks_no_one_that_was_not_named(
    rating: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made_run(tmp_path / "run", 2, ("m",))
    go = lambda *more: CliRunner().invoke(main.app, ["runs", "judge", str(folder), *more])  # noqa: E731
    refused = go()
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Name the judge: --judge-url" in refused.stderr
    assert "Name the judge's model" in go("--judge-url", rating.url).stderr
    named = ("--judge-url", rating.url, "--judge-model", "small", "--judge-key", "THE_KEY")
    assert "no THE_KEY" in go(*named).stderr
    monkeypatch.setenv("THE_KEY", "secret-word")
    rating.failures = [401]
    made = go(*named)
    assert made.stdout == "5 answers judged by small, 0 were before\n"
    assert "1 answers could not be judged" in made.stderr
    assert go(*named).stdout == "1 answers judged by small, 5 were before\n"
    assert set(rating.keys) == {"Bearer secret-word"}
    assert "secret-word" not in (folder / "run.json").read_text()


# ---- ended in the middle ------------------------------------------------------------------------


def killed(args: list[str], endpoint: Endpoint, requests: int) -> None:
    """Start a command, and kill it once the judge was asked so often."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *args], env=env, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(endpoint.requests) < requests and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, complained = process.communicate()
    assert process.returncode == -signal.SIGKILL, complained.decode()


def test_a_killed_run_is_gone_on_with_and_asks_nothing_twice(
    rating: Endpoint, tmp_path: Path
) -> None:
    rating.seconds = 0.05
    folder, whole = made_run(tmp_path / "run", 40, ("m",)), made_run(tmp_path / "whole", 40, ("m",))
    code = (
        "import sys; from pathlib import Path; from modgap.evaluation.judging.judge import Judge; "
        "from modgap.evaluation.judging.verdicts import judge_run; "
        "judge_run(Path(sys.argv[1]), Judge(sys.argv[2], 'small'), part_seconds=0)"
    )
    killed(["-c", code, str(folder), rating.url], rating, 40)
    time.sleep(0.2)  # what was under way is counted
    kept = sum(1 for _ in read_rows(folder, "judged"))
    asked = len(rating.requests)
    assert 0 < kept < 120
    assert asked - kept <= 16  # what was under way, or came and was not yet written
    made = judge_run(folder, Judge(rating.url, "small"))
    assert (made.before, made.now) == (kept, 120 - kept)
    assert len(rating.requests) == asked + 120 - kept
    judge_run(whole, Judge(rating.url, "small"))
    key = lambda r: (r["question"], r["input"])  # noqa: E731
    one, other = (sorted(read_rows(f, "judged"), key=key) for f in (folder, whole))
    assert one == other
    assert accuracies(open_run(folder)).equals(accuracies(open_run(whole)))


def test_a_killed_score_goes_on_with_the_replies_it_has(rating: Endpoint, tmp_path: Path) -> None:
    path = tmp_path / "m-sd-qa-usa-audio.jsonl"
    rows = [{"prompt": f"Who {n}?", "reference": "Ann", "response": "Ann" if n % 3 else "Bob"}
            for n in range(60)]  # fmt: skip
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    judge = ("--judge", rating.url, "--judge-model", "small")
    refused = CliRunner().invoke(main.app, ["score", str(path), *judge])
    assert (refused.exit_code, rating.requests) == (2, [])
    assert "needs --out" in refused.stderr
    command = ["score", str(path), *judge, "--out", str(tmp_path / "out"), "--json"]
    rating.seconds = 0.05
    killed(["-m", "modgap.cli", *command], rating, 30)
    time.sleep(0.2)
    replies = tmp_path / "out" / f"replies-{path.name}"
    kept, asked = len(replies.read_text().splitlines()), len(rating.requests)
    assert 0 < kept < 60
    assert asked - kept <= 16
    with replies.open("a") as torn:
        torn.write('{"asked": "half a li')
    made = CliRunner().invoke(main.app, command)
    assert made.exit_code == 0, made.output
    assert len(rating.requests) == asked + 60 - kept
    record: dict[str, Any] = json.loads(made.stdout)[str(path)]
    assert (record["judged"], record["accuracy"]) == (60, pytest.approx(2 / 3))
    written = (tmp_path / "out" / f"result-{path.name}").read_text().splitlines()
    assert [json.loads(w)["score"][0] for w in written] == ["Yes." if n % 3 else "No"
                                                            for n in range(60)]  # fmt: skip
    # The same replies serve again; another judge's questions are its own.
    CliRunner().invoke(main.app, command)
    assert len(rating.requests) == asked + 60 - kept
    score_file(path, judge=Judge(rating.url, "large"), replies=replies)
    assert len(rating.requests) == asked + 120 - kept
    replies.write_text("[]\n")
    with pytest.raises(SettingsError, match="is no reply of a judge"):
        score_file(path, judge=Judge(rating.url, "small"), replies=replies)
