"""A run: its rows against the single calls, and what ends it at any moment."""

from __future__ import annotations

import errno
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from modgap.analysis.functions import analyze, compare
from modgap.audio.clip import load_clip
from modgap.core.errors import Cancelled, ModelError, SettingsError, StoreError
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.runs import failures as faults
from modgap.evaluation.runs import pipeline_and_base, shards
from modgap.evaluation.runs.plan import Loader
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.runner import evaluate
from modgap.evaluation.runs.worker import Worker
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.scoring.answers import answer
from modgap.scoring.likeliest_option import answer_options
from modgap.scoring.option_likelihoods import option_probabilities
from modgap.scoring.question import Question
from modgap.scoring.scorers import score
from tests.evaluation.runs import make_manifest, row_counts, tables
from tests.tiny import make_clip

ALL = Intervention(rule="angle", tokens="all")
SETTINGS = RunSettings(interventions=(("all", (ALL,)),), max_new_tokens=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_manifest(tmp_path_factory.mktemp("data"), 10, bad=[4])


@pytest.fixture(scope="module")
def loader(tiny_folder: Path) -> Loader:
    return Loader(unit=3, batch=4, store=False)


def go(out: Path, data: Path, tiny_folder: Path, loader: Loader, **options: Any) -> Any:
    options = {"settings": SETTINGS, "part_seconds": 0.0, **options}
    return evaluate(out, str(data), [str(tiny_folder)], loader=loader, **options)


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, data: Path, tiny_folder: Path, loader: Loader
) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    summary = go(out, data, tiny_folder, loader)
    assert (summary.questions, summary.before, summary.now, summary.failures) == (10, 0, 10, 2)
    return out


def test_the_rows_are_those_of_the_single_calls(whole: Path, data: Path, tiny_model: Any) -> None:
    rows = {(r["question"], r["input"]): r for r in shards.read_rows(whole, "answers")}
    layers: dict[str, list[dict[str, Any]]] = {}
    for row in shards.read_rows(whole, "layers"):
        layers.setdefault(row["question"], []).append(row)
    for question in read_questions(str(data)):
        typed = tiny_model.text_prompt(question.transcript, markers="drop")
        said = {"text": answer(tiny_model, typed, max_new_tokens=4)}
        if question.id != "q4":
            clip = question.load()
            found = compare(tiny_model, clip, question.transcript, ALL, max_new_tokens=4)
            said |= {"speech": found.before, "speech+all": found.after}
            kl = {"speech": found.kl_before, "speech+all": found.kl_after}
            for given, value in kl.items():
                assert rows[question.id, given]["kl"] == pytest.approx(value, rel=1e-4)
            table = analyze(tiny_model, clip, question.transcript, answers=False).layers
            assert [r["layer"] for r in layers[question.id]] == list(table["layer"])
            for name in ("cosine", "euclidean", "aps_cos", "aps_euc"):
                values = [r[name] for r in layers[question.id]]
                assert values == pytest.approx(list(table[name]), rel=1e-4)
        for given, one in said.items():
            row = rows.pop((question.id, given))
            verdict = score(question, one.text.strip())
            assert row["response"] == one.text.strip()
            assert (row["correct"], row["rule"]) == (verdict.correct, verdict.rule)
            assert (row["tokens"], row["finished"]) == (len(one.token_ids), one.finished)
    assert not rows


def test_options_are_those_of_the_prompt_alone(whole: Path, data: Path, tiny_model: Any) -> None:
    question = read_questions(str(data))[3]
    row = next(
        r
        for r in shards.read_rows(whole, "answers")
        if (r["question"], r["input"]) == ("q3", "speech")
    )
    pair = tiny_model.prepare(question.load(), question.transcript)
    plain = Prefill.of(tiny_model, pair)
    options = answer_options(question)
    shares = option_probabilities(
        tiny_model, plain.kept, plain.logits[0], pair.speech.length, options
    )
    ratio = shares["A"] / shares["B"]
    assert options == ("A", "B")
    a, b = row["option_logprob"]
    assert a - b == pytest.approx(math.log(ratio), rel=1e-4)


def test_a_bad_clip_is_recorded_and_its_text_answered(whole: Path) -> None:
    failures = list(shards.read_rows(whole, "failures"))
    assert {(f["question"], f["input"], f["kind"]) for f in failures} == {
        ("q4", "speech", "AudioError"),
        ("q4", "speech+all", "AudioError"),
    }
    assert all(f["reason"] for f in failures)
    inputs = {r["input"] for r in shards.read_rows(whole, "answers") if r["question"] == "q4"}
    assert inputs == {"text"}


def test_the_questions_know_their_clips_at_the_end(whole: Path, data: Path) -> None:
    rows = pq.read_table(whole / "questions.parquet").to_pylist()
    assert [r["question"] for r in rows] == [f"q{n}" for n in range(10)]
    for question, row in zip(read_questions(str(data)), rows, strict=True):
        clip = None if row["question"] == "q4" else question.load()
        assert row["audio"] == (clip and clip.sha256)
        assert row["seconds"] == (clip and clip.seconds)


def test_a_whole_run_is_not_touched_again(
    whole: Path, data: Path, tiny_folder: Path, loader: Loader, monkeypatch: Any
) -> None:
    before = {p: p.stat().st_mtime_ns for p in whole.glob("*/part-*")}
    monkeypatch.setattr(Loader, "worker", lambda *a, **k: pytest.fail("a model was loaded"))
    summary = go(whole, data, tiny_folder, loader)
    assert (summary.before, summary.now) == (10, 0)
    assert before == {p: p.stat().st_mtime_ns for p in whole.glob("*/part-*")}


class Killed(BaseException):
    """Nothing in modgap may catch this, as nothing catches kill -9."""


@pytest.mark.slow
def test_an_end_between_any_two_files_loses_nothing_and_doubles_nothing(
    tmp_path: Path, whole: Path, data: Path, tiny_folder: Path, loader: Loader, monkeypatch: Any
) -> None:
    """Every rename of the run is, once, what the process did not live to do."""
    real, unlink = Path.replace, Path.unlink
    countdown, dead = 0, False

    def dying(self: Path, target: Any) -> Path:
        nonlocal countdown, dead
        countdown -= 1
        dead = dead or countdown == 0
        if dead:
            raise Killed
        return real(self, target)

    def clean(self: Path, **options: Any) -> None:
        if dead:  # the dead take nothing away
            raise Killed
        unlink(self, **options)

    monkeypatch.setattr(Path, "replace", dying)
    monkeypatch.setattr(Path, "unlink", clean)
    model = Loader().worker(str(tiny_folder), SETTINGS, {})
    monkeypatch.setattr(Loader, "worker", lambda *a, **k: model)
    expected, deaths, left = tables(whole), 0, 0
    for at in range(1, 40):
        out = tmp_path / f"{at}"
        countdown = at
        try:
            go(out, data, tiny_folder, loader)
        except Killed:
            deaths += 1
            left += len(list(out.glob("**/.*.tmp")))
            countdown, dead = 10**9, False
            go(out, data, tiny_folder, loader)
        assert tables(out) == expected
        assert row_counts(out) == row_counts(whole)
        assert not list(out.glob("**/.*.tmp"))
        if countdown > 0 and countdown < 10**8:
            break
    assert deaths > 12
    assert left >= deaths  # each had begun a file


def test_a_full_disk_ends_the_run_and_the_same_call_goes_on(
    tmp_path: Path, whole: Path, data: Path, tiny_folder: Path, loader: Loader, monkeypatch: Any
) -> None:
    out, written, real = tmp_path / "run", 0, os.fsync

    def full(handle: int) -> None:
        nonlocal written
        written += 1
        if written > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            go(out, data, tiny_folder, loader)
    done = row_counts(out)["answers"]
    assert 0 < done < row_counts(whole)["answers"]
    assert not list(out.glob("**/.*.tmp"))
    summary = go(out, data, tiny_folder, loader)
    assert summary.before > 0
    assert tables(out) == tables(whole)
    assert row_counts(out) == row_counts(whole)


def test_a_cancelled_run_writes_what_is_done(
    tmp_path: Path, whole: Path, data: Path, tiny_folder: Path, loader: Loader
) -> None:
    out = tmp_path / "run"

    def stop(fraction: float, note: str) -> None:
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        go(out, data, tiny_folder, loader, part_seconds=1e9, progress=stop)
    assert row_counts(out)["answers"] >= 12
    go(out, data, tiny_folder, loader)
    assert tables(out) == tables(whole)


def test_another_protocol_is_refused_and_the_message_says_what_differs(
    whole: Path, data: Path, tiny_folder: Path, loader: Loader, tmp_path: Path
) -> None:
    before = (whole / "run.json").read_bytes()
    for changed, words in (
        ({"settings": replace(SETTINGS, max_new_tokens=5)}, r"max_new_tokens \(4 before, 5 now\)"),
        ({"settings": replace(SETTINGS, interventions=())}, r"interventions all \(.* nothing now"),
        ({"settings": replace(SETTINGS, system="Be brief.")}, r"system \(nothing before, Be brief"),
        ({"limit": 3}, r"data limit \(nothing before, 3 now\)"),
    ):
        with pytest.raises(SettingsError, match=words):
            go(whole, data, tiny_folder, loader, **changed)
    other = make_manifest(tmp_path, 10, bad=[4])
    other.write_text(other.read_text().replace("five", "six"))
    with pytest.raises(SettingsError, match="data name"):
        go(whole, other, tiny_folder, loader)
    assert (whole / "run.json").read_bytes() == before


def test_a_model_that_is_no_longer_the_same_is_refused(
    tmp_path: Path, data: Path, loader: Loader
) -> None:
    from tests.tiny import make_tiny_checkpoint

    folder, out = tmp_path / "model", tmp_path / "run"
    make_tiny_checkpoint(folder)
    evaluate(out, str(data), [str(folder)], SETTINGS, loader=loader)
    for path in (out / "answers").iterdir():
        path.unlink()
    make_tiny_checkpoint(folder, seed=1)
    with pytest.raises(SettingsError, match="identity"):
        evaluate(out, str(data), [str(folder)], SETTINGS, loader=loader)


def test_models_can_be_added_and_one_that_does_not_load_stops_no_other(
    tmp_path: Path, data: Path, tiny_folder: Path, loader: Loader
) -> None:
    out = tmp_path / "run"
    settings = RunSettings(inputs=("text",), max_new_tokens=2)
    summary = evaluate(
        out, str(data), [str(tmp_path / "gone"), str(tiny_folder)], settings, loader=loader
    )
    assert list(summary.unloadable) == [str(tmp_path / "gone")]
    assert summary.now == 10
    assert json.loads((out / "run.json").read_text())["finished"] is None
    summary = evaluate(out, str(data), ["demo"], settings, loader=loader)
    assert summary.now == 10
    models = {r["model"] for r in shards.read_rows(out, "answers")}
    assert models == {str(tiny_folder), "demo"}
    with pytest.raises(ModelError, match="no folder"):
        evaluate(out, str(data), [str(tmp_path / "gone")], settings, loader=loader)


def test_what_failed_is_tried_again_when_asked(
    tmp_path: Path, tiny_folder: Path, loader: Loader
) -> None:
    data, out = make_manifest(tmp_path / "data", 4, bad=[1]), tmp_path / "run"
    go(out, data, tiny_folder, loader)
    (tmp_path / "data" / "1.wav").write_bytes(make_clip(0.5).wav_bytes())
    assert go(out, data, tiny_folder, loader).now == 0
    assert go(out, data, tiny_folder, loader, retry=True).now == 1
    from modgap.gap.overview import overview

    found = overview(out)
    assert [(r["input"], r["answers"], r["failed"]) for r in found["table"]] == [
        ("text", 4, 0),
        ("speech", 4, 0),
        ("speech+all", 4, 0),
    ]
    assert found["reasons"] == []


def test_a_file_system_without_locks_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    from modgap.evaluation.runs.record import locked

    def none(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with locked(tmp_path):
        pass
    assert "cannot be locked" in caplog.text


def test_two_writers_and_foreign_folders_are_refused(
    tmp_path: Path, data: Path, tiny_folder: Path, loader: Loader, whole: Path
) -> None:
    from modgap.evaluation.runs.record import locked

    with locked(whole), pytest.raises(StoreError, match="Another process"):
        go(whole, data, tiny_folder, loader)
    (tmp_path / "letter.txt").write_text("Dear")
    with pytest.raises(StoreError, match="not a run"):
        go(tmp_path, data, tiny_folder, loader)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(StoreError, match="does not describe"):
        go(tmp_path, data, tiny_folder, loader)


def test_a_damaged_part_is_named(
    tmp_path: Path, data: Path, tiny_folder: Path, loader: Loader
) -> None:
    out = tmp_path / "run"
    go(out, data, tiny_folder, loader, part_seconds=1e9)
    (part,) = (out / "answers").glob("part-*")
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(StoreError, match=part.name):
        go(out, data, tiny_folder, loader)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": ("video",)}, "not 'video'"),
        ({"inputs": ()}, "not nothing"),
        ({"inputs": ("text",), "heard": "Write."}, "have speech"),
        ({"inputs": ("text",), "interventions": (("a", (ALL,)),)}, "have speech"),
        ({"interventions": (("a", (ALL,)), ("a", ()))}, "name of its own"),
        ({"inputs": ("base",)}, "--base"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"markers": "lose"}, "markers"),
        ({"text_markers": "lose"}, "text_markers"),
    ],
)
def test_settings_that_do_not_fit(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        RunSettings(**options)


def test_settings_come_back_from_a_run() -> None:
    settings = replace(SETTINGS, heard="Write.", inputs=("speech", "pipeline"), system="Be")
    for one in (settings, replace(settings, base="b", pipeline_llm=""), replace(SETTINGS, base="")):
        whole = one.for_data("questions.csv")
        found = RunSettings.from_dict(json.loads(json.dumps(whole.to_dict())))
        assert found.for_data("questions.csv") == whole


# ---- one unit of work ----------------------------------------------------------------------------


def question(n: int, load: Any = None, **values: Any) -> Question:
    return Question(f"q{n}", "The fox", load or (lambda: make_clip(0.6)), "dog", **values)


def test_padded_batches_answer_as_one_prompt_alone(tiny_model: Any) -> None:
    words = ["A", "The quick brown fox jumps over the lazy dog.", "What is two plus three?"]
    asked = [
        (Question(w, w, lambda n=n: make_clip(0.4 + n / 2), "x"), ("text", "speech"))
        for n, w in enumerate(words)
    ]
    settings = RunSettings(max_new_tokens=12)
    together = Worker(tiny_model, settings, batch=8).run(asked)["answers"]
    alone = [
        r for one in asked for r in Worker(tiny_model, settings, batch=1).run([one])["answers"]
    ]
    key = lambda r: (r["question"], r["input"])  # noqa: E731
    for a, b in zip(sorted(together, key=key), sorted(alone, key=key), strict=True):
        assert (key(a), a["response"], a["tokens"]) == (key(b), b["response"], b["tokens"])
    lengths = {tiny_model.text_prompt(w).length for w in words}
    assert len(lengths) == 3  # else nothing was padded


def test_equal_lengths_only_where_a_family_cannot_pad(tiny_model: Any, monkeypatch: Any) -> None:
    from modgap.evaluation.runs import pool

    sizes = []
    real = pool.answer_batch

    def seen(model: Any, batch: Any, *more: Any) -> Any:
        sizes.append({w.length for w in batch})
        return real(model, batch, *more)

    monkeypatch.setattr(pool, "answer_batch", seen)
    support = {**tiny_model.support(), "batch": "its window slides."}
    monkeypatch.setattr(type(tiny_model), "support", lambda self: support)
    asked = [(question(n, lambda n=n: make_clip(0.5 + n % 2)), ("speech",)) for n in range(4)]
    Worker(tiny_model, RunSettings(max_new_tokens=2)).run(asked)
    assert [len(s) for s in sizes] == [1, 1]


def test_memory_that_is_short_once_is_tried_again_and_else_recorded(
    tiny_model: Any, monkeypatch: Any
) -> None:
    import torch

    real, left = Prefill.of, {"q0": 1, "q1": 9}
    current = [""]

    def short(cls: Any, model: Any, pair: Any, **_: Any) -> Any:
        if left.get(current[0], 0) > 0:
            left[current[0]] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, pair)

    def load(name: str) -> Any:
        def inner() -> Any:
            current[0] = name
            return make_clip(0.6)

        return inner

    monkeypatch.setattr(Prefill, "of", classmethod(short))
    asked = [(question(n, load(f"q{n}")), ("text", "speech")) for n in range(3)]
    rows = Worker(tiny_model, RunSettings(max_new_tokens=2)).run(asked)
    assert [(f["question"], f["input"], f["kind"]) for f in rows["failures"]] == [
        ("q1", "speech", "OutOfMemoryError")
    ]
    assert {(r["question"], r["input"]) for r in rows["answers"]} == {
        *(("q0", k) for k in ("text", "speech")),
        ("q1", "text"),
        *(("q2", k) for k in ("text", "speech")),
    }


def test_a_lost_device_ends_the_run_and_records_nothing(tiny_model: Any, monkeypatch: Any) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(Prefill, "of", lost)
    with pytest.raises(faults.DeviceLost, match="unspecified launch"):
        Worker(tiny_model, RunSettings()).run([(question(0), ("speech",))])


def test_what_fails_every_question_is_no_bad_clip(tiny_model: Any) -> None:
    def broken() -> Any:
        raise KeyError("codec")

    asked = [(question(n, broken), ("text", "speech")) for n in range(faults.UNFORESEEN)]
    worker = Worker(tiny_model, RunSettings(max_new_tokens=1))
    assert len(worker.run(asked[:-1])["failures"]) == faults.UNFORESEEN - 1
    with pytest.raises(faults.DeviceLost, match=r"20 times in a row.*KeyError"):
        worker.run(asked[-1:])


def test_an_intervention_that_does_not_fit_fails_alone(tiny_model: Any) -> None:
    far = Intervention(tokens="given", pairs=((999, 0),))
    settings = RunSettings(interventions=(("far", (far,)),), max_new_tokens=1)
    asked = [(question(0), settings.all_inputs)]
    rows = Worker(tiny_model, settings).run(asked)
    assert [r["input"] for r in rows["answers"]] == ["text", "speech"]
    assert [(f["input"], f["kind"]) for f in rows["failures"]] == [("speech+far", "SettingsError")]
    deep = RunSettings(interventions=(("deep", (Intervention(layers=(99,)),)),))
    with pytest.raises(SettingsError, match="Layer 99"):
        Worker(tiny_model, deep)


def test_the_base_is_asked_once_however_many_models(tiny_model: Any, tmp_path: Path) -> None:
    from modgap.store.cache import Store

    calls = 0

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(tiny_model, name)

        def generate(self, *args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            return tiny_model.generate(*args, **options)

    settings = RunSettings(inputs=("base",), base="x", max_new_tokens=3)
    base = pipeline_and_base.Base(Counting(), Store(tmp_path))  # type: ignore[arg-type]
    asked = [(question(0), ("base",))]
    rows = [
        Worker(tiny_model, settings, base=base, name=name).run(asked)["answers"][0]
        for name in ("a", "b")
    ]
    assert calls == 1
    typed = tiny_model.text_prompt("The fox", markers="drop")
    alone = answer(tiny_model, typed, max_new_tokens=3)
    assert [r["response"] for r in rows] == [alone.text.strip()] * 2
    assert [r["model"] for r in rows] == ["a", "b"]


def test_a_scorer_that_raises_costs_its_question_only(tiny_model: Any, monkeypatch: Any) -> None:
    from modgap.evaluation.runs import worker as work

    real = work.score

    def choosy(asked: Question, response: str) -> Any:
        if asked.id == "q1":
            raise ValueError("a row without its setting")
        return real(asked, response)

    monkeypatch.setattr(work, "score", choosy)
    asked = [(question(n), ("text", "speech")) for n in range(3)]
    rows = Worker(tiny_model, RunSettings(max_new_tokens=1)).run(asked)
    assert [(r["question"], r["input"]) for r in rows["answers"]] == [
        (q, given) for q in ("q0", "q2") for given in ("text", "speech")
    ]
    assert [(f["question"], f["input"], f["kind"]) for f in rows["failures"]] == [
        ("q1", "text", "ValueError"),
        ("q1", "speech", "ValueError"),
    ]


def test_the_base_gives_its_options_too(tiny_model: Any) -> None:
    """As `modgap.scoring.option_likelihoods` has them from a prompt that is read anew."""
    from modgap.evaluation.runs.answering import read_prompt
    from modgap.scoring.option_likelihoods import option_logprobs

    settings = RunSettings(inputs=("base",), base="x", max_new_tokens=1)
    asked = [(question(0, choices=("cat", "dog"), scorer="choices"), ("base",))]
    worker = Worker(tiny_model, settings, base=pipeline_and_base.Base(tiny_model))
    (row,) = worker.run(asked)["answers"]
    prompt = tiny_model.text_prompt("The fox", markers="drop")
    kept, logits = read_prompt(tiny_model, prompt)
    wanted = option_logprobs(tiny_model, kept, logits, prompt.length, ("A", "B"))
    assert row["option_logprob"] == pytest.approx(list(wanted))


def test_clips_of_the_wrong_kind_are_no_end(tmp_path: Path, tiny_model: Any) -> None:
    """What datasets give: missing files, folders, silence, clips that are too long or too short."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.wav").touch()
    loads = [
        lambda: load_clip(tmp_path / "gone.wav"),
        lambda: load_clip(tmp_path / "folder"),
        lambda: load_clip(tmp_path / "empty.wav"),
        lambda: make_clip(12.0),
        lambda: make_clip(0.01),
    ]
    asked = [(question(n, load), ("text", "speech")) for n, load in enumerate(loads)]
    rows = Worker(tiny_model, RunSettings(max_new_tokens=1)).run(asked)
    assert [f["question"] for f in rows["failures"]] == [f"q{n}" for n in range(5)]
    assert [r["input"] for r in rows["answers"]] == ["text"] * 5
