"""Which prompts are asked in a run, against transformers' own processor and plain generations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modgap.core.errors import SettingsError
from modgap.evaluation.runs import shards
from modgap.evaluation.runs.plan import Loader
from modgap.evaluation.runs.protocol import Protocol
from modgap.evaluation.runs.record import RunSettings
from modgap.evaluation.runs.runner import evaluate
from modgap.evaluation.runs.worker import Worker
from modgap.gap.prompts import prompts_note
from modgap.scoring.question import Question
from tests.evaluation.runs import make_manifest
from tests.tiny import make_clip

WORDS = "What is two plus three?"


def question(name: str = "q", **values: Any) -> Question:
    return Question(name, WORDS, lambda: make_clip(0.8), "five", **values)


def asked(model: Any, settings: RunSettings, *inputs: str, **beside: Any) -> dict[str, Any]:
    """Rows of one question by input."""
    rows = Worker(model, settings, **beside).run([(question(), inputs)])
    assert not rows["failures"]
    return {row["input"]: row for row in rows["answers"]}


def typed_ids(model: Any) -> list[int]:
    """What a user of the model types, by the processor's own template: VoiceBench's text prompt."""
    said = [{"role": "user", "content": [{"type": "text", "text": WORDS}]}]
    text = model.processor.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    return list(model.tokenizer(text)["input_ids"])


def test_text_is_answered_as_typed_and_similarity_is_of_the_strict_pair(tiny_model: Any) -> None:
    typed = tiny_model.text_prompt(WORDS, markers="drop")
    assert typed.inputs["input_ids"][0].tolist() == typed_ids(tiny_model)
    strict = tiny_model.prepare(make_clip(0.8), WORDS)
    assert strict.text.length > typed.length
    said = {
        "drop": tiny_model.generate(typed, max_new_tokens=6).text.strip(),
        "keep": tiny_model.generate(strict.text, max_new_tokens=6).text.strip(),
    }
    assert said["drop"] != said["keep"], "both prompts give one answer: this test says nothing"
    layers = []
    for text_markers, answer in said.items():
        for inputs in (("text", "speech"), ("text",)):
            settings = RunSettings(max_new_tokens=6, inputs=inputs, text_markers=text_markers)
            worker = Worker(tiny_model, settings)
            rows = worker.run([(question(), inputs)])
            found = {row["input"]: row for row in rows["answers"]}
            assert found["text"]["response"] == answer
            assert found["text"]["markers"] == text_markers
            if "speech" in inputs:
                assert found["speech"]["pair_markers"] == "keep"
                assert found["speech"].get("markers") is None
                layers.append(rows["layers"])
    assert layers[0] == layers[1]  # whatever is answered, similarity is of the strict pair
    assert asked(tiny_model, RunSettings(max_new_tokens=6), "text")["text"]["markers"] == "drop"
    natural = RunSettings(max_new_tokens=6, markers="drop")
    assert asked(tiny_model, natural, "text", "speech")["text"]["response"] == said["drop"]


def test_a_run_says_which_prompts_its_numbers_are_of(tmp_path: Path, tiny_folder: Path) -> None:
    data, out = make_manifest(tmp_path / "data", 3), tmp_path / "run"
    loader = Loader(store=False)

    def go(**settings: Any) -> Any:
        settings = {"inputs": ("text",), "max_new_tokens": 2, **settings}
        models = [str(tiny_folder)]
        return evaluate(out, str(data), models, RunSettings(**settings), loader=loader)

    go()
    run = json.loads((out / "run.json").read_text())
    assert run["settings"]["text_markers"] == "drop"
    assert {row["markers"] for row in shards.read_rows(out, "answers")} == {"drop"}
    assert "without audio markers" in prompts_note(run)
    with pytest.raises(SettingsError, match=r"text_markers \(drop before, keep now\)"):
        go(text_markers="keep")
    # A run of before they were told apart answered the text of its pair, and goes on with that.
    for part in (run["settings"], run["protocol"]):
        del part["text_markers"]
    (out / "run.json").write_text(json.dumps(run))
    with pytest.raises(SettingsError, match=r"text_markers \(keep before, drop now\)"):
        go()
    assert go(text_markers="keep").now == 0
    assert "the same prompt" in prompts_note(run)
    old = {"markers": "keep", "max_new_tokens": 2}
    assert Protocol.from_record(old).text_markers == "keep"
    assert Protocol.from_record(old).digest != Protocol(max_new_tokens=2).digest
