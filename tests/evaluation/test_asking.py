"""Which prompts are asked in a run, against transformers' own processor and plain generations."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modgap.core.errors import SettingsError
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.runs import shards
from modgap.evaluation.runs.asking import asking_of
from modgap.evaluation.runs.plan import Loader
from modgap.evaluation.runs.protocol import Protocol
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.runner import evaluate
from modgap.evaluation.runs.worker import Worker
from modgap.figures.report import report_html
from modgap.gap.cut_answers import run_warnings
from modgap.gap.overview import overview
from modgap.gap.prompts import prompts_note
from modgap.gap.run_data import open_run
from modgap.gap.run_folders import shipped_runs
from modgap.models.loading.load import load_model
from modgap.models.sampling import Sampling
from modgap.scoring.question import Question
from tests.evaluation.runs import make_manifest
from tests.evaluation.voicebench_like import make as make_tables
from tests.families.build import edit_json
from tests.gap.made import answer, write_run
from tests.gap.made import question as listed
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
    for text_markers, wanted in said.items():
        for inputs in (("text", "speech"), ("text",)):
            settings = RunSettings(max_new_tokens=6, inputs=inputs, text_markers=text_markers)
            worker = Worker(tiny_model, settings)
            rows = worker.run([(question(), inputs)])
            found = {row["input"]: row for row in rows["answers"]}
            assert found["text"]["response"] == wanted
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


@pytest.mark.parametrize("folder", shipped_runs(), ids=lambda folder: folder.name)
def test_the_digest_of_a_protocol_stays(folder: Path) -> None:
    """As it was written: files of results that an older version began are gone on with."""
    said = json.loads((folder / "run.json").read_text())["protocol"]
    assert Protocol.from_record(said).digest == said["digest"]


# ---- who says what stands around the words -------------------------------------------------------


def test_voicebench_is_asked_as_voicebench_does(tiny_model: Any, tmp_path: Path) -> None:
    """Its budget, and what its wrapper of each model says, wherever the data lie."""
    whole = RunSettings().for_data("voicebench:ifeval")
    assert (whole.max_new_tokens, whole.prompt, whole.decoding) == (2048, "voicebench", "vendor")
    assert whole.transcribed
    assert RunSettings(max_new_tokens=7).for_data("voicebench:ifeval").max_new_tokens == 7
    assert RunSettings().for_data("demo").max_new_tokens == 48
    assert RunSettings().for_data("questions.csv").max_new_tokens == 256
    assert RunSettings(prompt="plain").for_data("voicebench:bbh").decoding == "greedy"
    folder = make_tables(tmp_path / "voicebench")
    assert RunSettings().for_data(str(folder)).prompt == "voicebench"
    asking = asking_of(tiny_model, whole)
    assert (asking.source, asking.style, asking.system) == ("VoiceBench, qwen2.py", "vendor", None)
    assert asking.typed(question()).inputs["input_ids"][0].tolist() == typed_ids(tiny_model)
    said = asking.said()["prompt"]
    assert said["decoding"]["repetition_penalty"] == 1.0
    omni = SimpleNamespace(published_as="qwen2_5_omni", vendor_sampling=None)
    assert asking_of(omni, whole).system == "You are a helpful assistant."  # type: ignore[arg-type]
    assert asking_of(omni, replace(whole, system="Be.")).system == "Be."  # type: ignore[arg-type]
    other = asking_of(SimpleNamespace(published_as="voxtral"), whole)  # type: ignore[arg-type]
    assert (other.source, other.style, other.said()) == ("plain", "plain", {})


def test_a_vendors_decoding_is_recorded_and_followed(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    edit_json(folder / "generation_config.json", repetition_penalty=1.6)
    data, out, loader = make_manifest(tmp_path / "data", 3), tmp_path / "run", Loader(store=False)

    def go(**settings: Any) -> Any:
        settings = {"max_new_tokens": 8, **settings}
        return evaluate(out, str(data), [str(folder)], RunSettings(**settings), loader=loader)

    go(prompt="vendor")
    run = json.loads((out / "run.json").read_text())
    assert (run["settings"]["prompt"], run["settings"]["decoding"]) == ("vendor", "vendor")
    prompt = run["models"][str(folder)]["prompt"]
    assert prompt["decoding"]["repetition_penalty"] == 1.6
    assert (prompt["separator"], prompt["order"]) == ("", "audio, text")
    model, differs = load_model(str(folder)), 0
    asked = {q.id: q for q in read_questions(str(data))}
    for row in shards.read_rows(out, "answers"):
        one = asked[row["question"]]
        typed = model.text_prompt(one.transcript, markers="drop")
        given = typed if row["input"] == "text" else model.speech_prompt(one.load())
        sampling = Sampling(repetition_penalty=1.6)
        told = model.generate(given, max_new_tokens=8, sampling=sampling).text.strip()
        assert row["response"] == told
        differs += model.generate(given, max_new_tokens=8).text.strip() != told
    assert differs, "the penalty changes no answer: this test says nothing"
    assert "publisher" in prompts_note(run)
    with pytest.raises(SettingsError, match=r"prompt \(vendor before, plain now\)"):
        go()


def test_text_is_answered_without_the_adapter_where_the_vendor_does_so(family_folder: Any) -> None:
    """Phi-4-multimodal's own code takes its speech adapter off for typed messages."""
    model = load_model(family_folder("phi4_multimodal"))
    rows = asked(model, RunSettings(max_new_tokens=6, prompt="vendor"), "text", "speech")
    typed = model.text_prompt(WORDS, markers="drop", style="vendor")
    spoken = model.speech_prompt(make_clip(0.8), style="vendor")
    said = {}
    for on in (True, False):
        model.use_lora(on)
        said[on] = [model.generate(p, max_new_tokens=6).text.strip() for p in (typed, spoken)]
    model.use_lora(True)
    assert said[True][0] != said[False][0]
    assert (rows["text"]["response"], rows["speech"]["response"]) == (said[False][0], said[True][1])
    assert model.lora == "on"
    plain = asked(model, RunSettings(max_new_tokens=6), "text", "speech")
    assert plain["text"]["response"] == said[True][0]


# ---- the pipeline's text model -------------------------------------------------------------------


class Heard:
    """A recogniser that always hears the same."""

    def hear(self, clip: Any) -> str:
        return "what is too plus three"


def test_the_pipelines_model_is_told_of_transcribed_speech(tiny_model: Any) -> None:
    """VoiceBench's text (naive.py to naive4.py), by the model's own template."""
    told = (
        "You are a helpful assistant who tries to help answer the user's question. Please note "
        "that the user's query is transcribed from speech, and the transcription may contain "
        "errors."
    )
    said = {}
    for wanted, system in ((True, told), (False, None)):
        settings = RunSettings(inputs=("pipeline",), max_new_tokens=6, transcribed=wanted)
        row = asked(tiny_model, settings, "pipeline", ears=Heard())["pipeline"]
        prompt = tiny_model.text_prompt(Heard().hear(None), system=system, markers="drop")
        said[wanted] = tiny_model.generate(prompt, max_new_tokens=6).text.strip()
        assert row["response"] == said[wanted]
    assert said[True] != said[False]
    default = RunSettings(inputs=("pipeline",), max_new_tokens=6)
    row = asked(tiny_model, default, "pipeline", ears=Heard())["pipeline"]
    assert row["response"] == said[True]
    # Typed questions are not: they are as they would be typed.
    asking = asking_of(tiny_model, default.for_data("questions.csv"))
    assert asking.typed(question()).inputs["input_ids"][0].tolist() == typed_ids(tiny_model)
    own = asking_of(tiny_model, replace(default, system="Be brief.").for_data("x.csv"))
    ids = own.typed(question(), "words").inputs["input_ids"][0]
    assert "system\nBe brief. Please note" in tiny_model.tokenizer.decode(ids)


def test_it_is_told_behind_the_words_where_there_is_no_system_message(family_folder: Any) -> None:
    model = load_model(family_folder("voxtral"))
    assert not model.takes_system
    asking = asking_of(model, RunSettings(inputs=("pipeline",)).for_data("x.csv"))
    ids = asking.typed(question(), "what is it").inputs["input_ids"][0]
    assert "what is it\nPlease note that the user's query" in model.tokenizer.decode(ids)


# ---- the budget ----------------------------------------------------------------------------------


def test_cut_answers_are_warned_of_in_numbers(tmp_path: Path) -> None:
    def rows(model: str, kind: str, cut: int) -> list[dict[str, Any]]:
        return [
            answer(model, f"q{n}", kind, True, finished=n >= cut, tokens=48) for n in range(100)
        ]

    made = [
        *rows("a", "text", 1), *rows("a", "speech", 2), *rows("b", "text", 1),
        *rows("b", "speech", 0),
    ]  # fmt: skip
    said = {"format": "modgap-run", "version": 1, "inputs": ["text", "speech"], "models": {},
            "interventions": {}, "settings": {"max_new_tokens": 48, "markers": "keep"}}  # fmt: skip
    folder = write_run(
        tmp_path / "run", [listed(f"q{n}") for n in range(100)], {"answers": [made]}, said
    )
    for found in (overview(folder)["warnings"], run_warnings(open_run(folder))):
        (warning,) = found
        assert warning.startswith(
            "a: answers were cut at 48 new tokens: text 1 of 100 (1.0 %), speech 2 of 100 (2.0 %)."
        )
    assert run_warnings(open_run(folder), ["b"]) == []
    assert "answers were cut at 48 new tokens" in report_html(open_run(folder))
