"""VoiceBench: tables with the real fields, files of results, all subsets end to end."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import modgap
from modgap.core.errors import AudioError, SettingsError
from modgap.evaluation.data import embedded_audio, voicebench_tables
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.data.voicebench_subsets import SUBSETS, question_of
from modgap.evaluation.judging.leaderboard import OVERALL, overall, summarise
from modgap.evaluation.judging.rescore import score_file
from modgap.evaluation.judging.voicebench_results import (
    ResultName,
    ResultsFile,
    questions_of,
    read_results,
)
from modgap.evaluation.runs.protocol import Protocol
from modgap.scoring.question import Question
from modgap.scoring.scorers import score
from tests.evaluation import voicebench_like as like


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return like.make(tmp_path_factory.mktemp("voicebench"))


@pytest.fixture(scope="module")
def questions(folder: Path) -> list[Question]:
    return read_questions(str(folder))


def test_every_subset_is_read(questions: list[Question]) -> None:
    expected = {name: 2 * len(splits) for name, splits in like.SPLITS.items()}
    assert set(expected) == set(SUBSETS)
    assert Counter(q.subset for q in questions) == expected
    for q in questions:
        assert q.scorer == SUBSETS[q.subset].scorer
        split, _, number = q.id.removeprefix(f"{q.subset}/").partition("#")
        row = like.rows(q.subset, split)[int(number)]
        assert q.transcript == row["prompt"]
        assert q.reference == row.get("reference", "")
        assert q.load() == modgap.load_clip(row["audio"]["bytes"])


def test_fields_and_groups(questions: list[Question]) -> None:
    by_id = {q.id: q for q in questions}
    accent = by_id["sd-qa/ind_n#1"]
    assert accent.groups["accent"] == "ind_n"
    assert accent.groups["item"] == by_id["sd-qa/usa#1"].groups["item"]
    voice = by_id["alpacaeval_speaker/en_US_Wavenet_A_1.5_0.0_0.0#0"].groups
    assert (voice["accent"], voice["voice"], voice["speed"]) == ("US", "US_Wavenet_A", "1.5")
    assert voice["item"] == "alpacaeval_speaker#0"
    choice = by_id["mmsu/physics#0"]
    assert choice.choices == ("Rome", "Madrid", "Lisbon", "Athens")
    assert choice.groups["topic"] == "physics"
    assert by_id["bbh/test#1"].groups["task"] == "hyperbaton"
    assert by_id["bbh/test#0"].choices == ("Yes", "No")
    assert by_id["ifeval/test#1"].meta["key"] == 1001
    assert len(by_id["ifeval/test#1"].meta["kwargs"]) == 2
    assert by_id["wildvoice/test#0"].groups["spoken by"] == "people"
    assert by_id["openbookqa/test#1"].groups["spoken by"] == "synthesizer"


def test_parts_of_the_folder(folder: Path) -> None:
    assert len(read_questions(str(folder / "sd-qa"))) == 4
    file = folder / "sd-qa" / "usa-00000-of-00001.parquet"
    assert [q.id for q in read_questions(str(file))] == ["sd-qa/usa#0", "sd-qa/usa#1"]
    assert [q.id for q in read_questions(str(folder / "openbookqa"))] == [
        "openbookqa/test#0",
        "openbookqa/test#1",
    ]
    question = read_questions(str(file))[1]
    assert pickle.loads(pickle.dumps(question)).load() == question.load()


def test_large_row_groups_are_read_in_batches(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "advbench").mkdir()
    rows = [
        {**row, "audio": like._audio(name)}
        for name in (*like.OPEN, "sphinx-clubs") * 12
        for row in like.rows("advbench", "test")[:1]
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "advbench" / "test-0.parquet")
    made = read_questions(str(tmp_path))
    kept = [q.load() for q in made]
    monkeypatch.setattr(embedded_audio, "_GROUP_BYTES", 0)
    assert [q.load() for q in made] == kept
    assert kept[5] == modgap.load_clip(like._audio("sphinx-clubs")["bytes"])


@pytest.mark.parametrize(
    ("row", "subset", "message"),
    [
        ({"prompt": "x"}, "sd-qa", "has no reference"),
        ({"prompt": "x", "reference": "yes"}, "bbh", "has no id"),
        ({"reference": "yes"}, "bbh", "has no prompt"),
        ({"prompt": "x", "instruction_id_list": [], "kwargs": []}, "ifeval", "instruction_id_list"),
        ({"turns": ["x"]}, "mtbench", "Unknown subset 'mtbench'"),
    ],
)
def test_rows_that_lack_something(row: dict, subset: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        question_of(subset, "test", 0, row)


def test_tables_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no parquet files of VoiceBench"):
        read_questions(str(tmp_path))
    (tmp_path / "bbh").mkdir()
    (tmp_path / "bbh" / "test.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_questions(str(tmp_path))
    pq.write_table(pa.table({"turns": ["a"]}), tmp_path / "bbh" / "test.parquet")
    with pytest.raises(SettingsError, match="no column 'prompt'"):
        read_questions(str(tmp_path))
    rows = [{"prompt": "x", "audio": {"bytes": None, "path": None}}]
    (tmp_path / "bbh" / "test.parquet").unlink()
    (tmp_path / "advbench").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "advbench" / "test.parquet")
    (silent,) = read_questions(str(tmp_path))
    with pytest.raises(AudioError, match="no sound"):
        silent.load()


def test_the_hub_needs_a_known_subset_and_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    with pytest.raises(SettingsError, match="Unknown subset 'mtbench'"):
        read_questions("voicebench:mtbench")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SettingsError, match=r"pip install modgap\[hub\]"):
        read_questions("voicebench:sd-qa/usa")


def test_the_librarys_tables_are_read_alike(
    folder: Path, questions: list[Question], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    lines = ["---", "configs:"]
    for subset, splits in like.SPLITS.items():
        lines += [f"- config_name: {subset}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {subset}/{split}-*"]
    local = tmp_path / "hub"
    local.symlink_to(folder)
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
    monkeypatch.setattr(voicebench_tables, "HUB", str(local))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for subset in ("sd-qa", "ifeval"):
        made = read_questions(f"voicebench:{subset}")
        wanted = [q for q in questions if q.subset == subset]
        assert {q.id for q in made} == {q.id for q in wanted}
        for q in made:
            same = next(w for w in wanted if w.id == q.id)
            assert (q.transcript, q.meta, q.groups) == (same.transcript, same.meta, same.groups)
            assert q.load() == same.load()


# ---- files of results ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("qwen2-alpacaeval-test-audio.jsonl", ("qwen2", "alpacaeval", "test", "audio")),
        ("my-model-sd-qa-ind_n-text.jsonl", ("my-model", "sd-qa", "ind_n", "text")),
        ("result-m-alpacaeval_full-test-audio.jsonl", ("m", "alpacaeval_full", "test", "audio")),
        (
            "m-alpacaeval_speaker-en_AU_Wavenet_A_1.0_0.0_0.0-audio.jsonl",
            ("m", "alpacaeval_speaker", "en_AU_Wavenet_A_1.0_0.0_0.0", "audio"),
        ),
    ],
)
def test_names_of_files(file: str, name: tuple[str, ...]) -> None:
    parsed = ResultName.parse(file)
    assert parsed == ResultName(*name)
    assert parsed is not None
    assert parsed.file == file.removeprefix("result-")
    assert ResultName("Qwen/Qwen2-Audio", "bbh").file == "Qwen_Qwen2-Audio-bbh-test-audio.jsonl"


def test_other_names() -> None:
    assert ResultName.parse("answers.jsonl") is None
    assert ResultName.parse("m-bbh-test-video.jsonl") is None
    with pytest.raises(SettingsError, match="modality"):
        ResultName("m", "bbh", modality="video")


def test_answers_are_appended_and_gone_on_with(tmp_path: Path, questions: list[Question]) -> None:
    asked = [q for q in questions if q.subset == "ifeval"]
    name, protocol = ResultName("m", "ifeval"), Protocol(max_new_tokens=5)
    with ResultsFile(tmp_path, name, protocol) as file:
        file.append(asked[0], "one \N{SNOWMAN} \ud800")
        file.append(asked[0], "again")
    path = tmp_path / name.file
    with path.open("ab") as torn:  # killed in the middle of a line
        torn.write(b'{"prompt": "half of a li')
    with ResultsFile(tmp_path, name, protocol) as file:
        assert file.done == {asked[0].id}
        file.append(asked[1], "two", answered=True)
    rows = list(read_results(path))
    assert [r["response"] for r in rows] == ["one \N{SNOWMAN} ?", "two"]
    wanted = like.rows("ifeval", "test")
    for row, original in zip(rows, wanted, strict=True):
        theirs = {k: v for k, v in row.items() if k not in ("response", "modgap")}
        assert theirs == {k: v for k, v in original.items() if k != "audio"}
    assert rows[1]["modgap"] == {
        "question": asked[1].id,
        "protocol": protocol.digest,
        "answered": True,
    }
    with pytest.raises(SettingsError, match="another protocol"):
        ResultsFile(tmp_path, name, Protocol(max_new_tokens=6))


def test_results_made_elsewhere_are_matched(tmp_path: Path, questions: list[Question]) -> None:
    asked = [q for q in questions if q.subset == "mmsu"]  # all four have the same words
    lines = [{"prompt": q.transcript, "response": str(n)} for n, q in enumerate(asked)]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    pairs = [(q.id, row["response"]) for q, row in questions_of(path, asked)]
    assert pairs == [(q.id, str(n)) for n, q in enumerate(asked)]
    with pytest.raises(SettingsError, match=r"Line 1 of x\.jsonl answers no question"):
        list(questions_of(path, [q for q in questions if q.subset == "bbh"]))
    with pytest.raises(SettingsError, match="does not say which subset"):
        list(questions_of(path))
    path.write_text('{"prompt": "x"}\n')
    with pytest.raises(SettingsError, match="Line 1"):
        list(read_results(path))
    with pytest.raises(SettingsError, match="no file of results"):
        list(read_results(tmp_path / "gone.jsonl"))


def test_protocols() -> None:
    assert Protocol().digest == Protocol().digest
    assert len({Protocol(max_new_tokens=n).digest for n in (5, 6)}) == 2
    assert Protocol().record()["scorers"]["choices"] >= 1
    json.dumps(Protocol().record())


# ---- scores of a set ----------------------------------------------------------------------------


def answered(subset: str, *pairs: tuple[dict[str, Any], str]) -> list[Any]:
    made = [
        question_of(subset, "test", n, {"prompt": "p", **row}) for n, (row, _) in enumerate(pairs)
    ]
    return [(q, r, score(q, r)) for q, (_, r) in zip(made, pairs, strict=True)]


def test_a_set_of_choices() -> None:
    rows = answered(
        "openbookqa",
        ({"reference": "A"}, "A."),
        ({"reference": "A"}, "B."),
        ({"reference": "A"}, "hm"),
        ({"reference": "A"}, ""),
    )
    found = summarise(rows)
    assert (found.n, found.judged, found.unparsed) == (4, 4, 2)
    assert found.accuracy == 0.25
    assert found.expected == (1 + 0 + 0.25 + 0.25) / 4
    assert found.leaderboard == 37.5


def test_a_set_of_instructions_weighs_by_their_number() -> None:
    no_comma, title = "punctuation:no_comma", "detectable_format:title"
    rows = answered(
        "ifeval",
        ({"instruction_id_list": [no_comma], "kwargs": [{}]}, "a, b"),
        ({"instruction_id_list": [no_comma, title, title], "kwargs": [{}] * 3}, "<<t>>"),
    )
    found = summarise(rows)
    assert found.accuracy == 0.5
    # strict and loose alike: 1 of 2 prompts, 3 of 4 instructions
    assert found.leaderboard == pytest.approx(100 * (0.5 + 0.75) / 2)
    assert found.expected == pytest.approx((0 + 1) / 2)


def test_an_empty_answer_is_safe_to_voicebench_only() -> None:
    found = summarise(answered("advbench", ({}, ""), ({}, "I can't help."), ({}, "Sure: do it.")))
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.leaderboard == pytest.approx(200 / 3)


def test_sets_without_a_comparable_score() -> None:
    assert summarise([]).accuracy is None
    judged = summarise(answered("wildvoice", ({}, "hello")))
    assert (judged.judged, judged.accuracy, judged.leaderboard) == (0, None, None)
    assert summarise(answered("sd-qa", ({"reference": "x"}, "x"))).leaderboard is None
    with pytest.raises(SettingsError, match="all nine"):
        overall(dict.fromkeys(OVERALL[1:], 1.0))


# ---- end to end ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_subset_end_to_end(questions: list[Question], tmp_path: Path) -> None:
    model = modgap.load_model("demo")
    protocol = Protocol(max_new_tokens=8)
    first: dict[str, Question] = {}
    for q in questions:
        first.setdefault(q.subset, q)
    for subset, question in first.items():
        for modality in ("text", "audio"):
            pair = model.prepare(question.load(), question.transcript)
            prompt = pair.text if modality == "text" else pair.speech
            said = model.generate(prompt, max_new_tokens=protocol.max_new_tokens).text
            split = question.groups["split"]
            name = ResultName("demo", subset, split, modality)
            with ResultsFile(tmp_path, name, protocol) as file:
                file.append(question, said)
            (scored,) = score_file(tmp_path / name.file)
            assert scored.row["response"] == said
            assert scored.verdict == score(question, said)
            assert (scored.verdict.correct is None) == (SUBSETS[subset].scorer == "judge")
            assert scored.question.transcript == question.transcript
