"""What a model writes down of shipped clips, and its prompt against the vendor's processor."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modgap.analysis import listening
from modgap.analysis.examples import Example, examples
from modgap.analysis.fidelity_report import CheckReport, from_record, to_record
from modgap.analysis.listening import ASKED, Listening, listen
from modgap.analysis.vendor_prompt import vendor_prompt
from modgap.cli import main
from modgap.models.base import SpeechLM
from modgap.models.loading.load import load_model
from modgap.models.loading.reference import load_processor
from modgap.models.prompt import AudioInput, Generation
from tests.tiny import make_clip

QUESTION, READ = "What is two plus three?", "Many ideas about the rainbow have been formed."


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clips in the place of those that are shipped."""
    rows = []
    for name, said, instruction, reference in (
        ("question", QUESTION, "", "five"), ("read", READ, ASKED, None),
    ):  # fmt: skip
        path = tmp_path / f"{name}.wav"
        path.write_bytes(make_clip(0.8).wav_bytes())
        rows.append(Example(name, path, "", said, instruction, reference, "", "", ""))
    monkeypatch.setattr(listening, "examples", lambda: tuple(rows))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Let every model say these words, one after the other; gives the budgets it was asked with."""

    def say(*words: str) -> list[int]:
        left, budgets = iter(words), []

        def generate(self: SpeechLM, prompt: Any, *, max_new_tokens: int, **_: Any) -> Generation:
            budgets.append(max_new_tokens)
            text = next(left, None)
            if text is None:
                raise RuntimeError("it breaks")
            return Generation(text, token_ids=tuple(range(min(max_new_tokens, len(text.split())))))

        monkeypatch.setattr(SpeechLM, "generate", generate)
        return budgets

    return say


def test_clips_are_shipped_for_it() -> None:
    assert [e for e in examples() if e.reference and not e.instruction]
    assert [e for e in examples() if e.instruction == ASKED]


def test_what_it_hears(shipped: None, answers: Any, tiny_model: SpeechLM) -> None:
    """One that transcribes by itself is asked by the clip alone, once it was told in vain."""
    budgets = answers("Sure!", "what is 2 plus 3", "Many ideas about a rainbow", "It is five.",
                      "six", "six it is")  # fmt: skip
    found = listen(tiny_model, 1.5)
    assert budgets == [48, 48, 48, 48, 1, 48]
    question, read = found.clips
    assert (question.asked, question.wer, question.heard) == ("", 0, "what is 2 plus 3")
    assert (read.asked, read.said) == (ASKED, READ)
    assert read.wer == pytest.approx(4 / 8), "the -> a, and three words that are not there"
    assert (found.typed_right, found.spoken_right, found.spoken) == (True, False, "six it is")
    assert found.plausible
    assert found.sentence == "it hears: word error rate 0.00 on the better of 2 clips"
    assert found.load_seconds == 1.5
    assert found.token_seconds is not None
    weights = sum(p.numel() * p.element_size() for p in tiny_model.hf.parameters())
    assert found.peak_bytes > found.weights_bytes == weights
    report = CheckReport({"name": "m"}, (), "2026", {}, listening=found)
    assert from_record(to_record(report)) == report
    json.dumps(report.to_dict(), allow_nan=False)


def test_what_does_not_hear(shipped: None, answers: Any, tiny_model: SpeechLM) -> None:
    answers(*["a b c d e f g h"] * 7)
    found = listen(tiny_model)
    assert not found.plausible
    assert found.sentence.startswith("it does not write down what it hears (word error rate 1.")
    answers()  # it breaks at the first word
    broken = listen(tiny_model)
    assert (broken.plausible, broken.clips) == (False, ())
    assert broken.sentence == "it could not be asked to listen: RuntimeError: it breaks"
    assert not Listening("float32").plausible


def test_the_command_says_whether_it_hears(
    shipped: None, answers: Any, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODGAP_CACHE", raising=False)
    asked = ["check", str(tiny_folder), "--dtype", "float32", "--out", "page.json"]
    right = (QUESTION, READ, "five", "five", "five")
    answers(*right)
    good = CliRunner().invoke(main.app, asked)
    assert good.exit_code == 0, good.output
    assert len(good.stdout.splitlines()) < 45, "one page"
    assert "spoken, right: five" in good.stdout
    assert "all 13 checks passed" in good.stdout
    page = json.loads(Path("page.json").read_text())
    assert page["accepted"] is True
    assert [clip["wer"] for clip in page["listening"]["clips"]] == [0, 0]
    answers(*["nothing"] * 7)
    deaf = CliRunner().invoke(main.app, [*asked, "--no-cache"])
    assert deaf.exit_code == 1
    assert "all 13 checks passed" in deaf.stdout
    assert "it does not write down what it hears" in deaf.stdout
    page = json.loads(Path("page.json").read_text())
    assert (page["passed"], page["accepted"]) == (True, False)


def test_the_prompt_is_held_against_the_vendor_s(tiny_folder: Path) -> None:
    model, clip = load_model(tiny_folder), make_clip()
    processor, why = load_processor(str(tiny_folder), device="cpu")
    assert (why, type(processor).__name__) == ("", "Qwen2AudioProcessor")
    prompt = model.speech_prompt(clip)
    same = vendor_prompt(model, prompt, clip, processor, "")
    assert (same.passed, same.difference) == (True, 0)
    encode = model.encode_audio

    def louder(wave: Any) -> AudioInput:
        made = encode(wave)
        features = {**made.features, "input_features": 1.1 * made.features["input_features"]}
        return dataclasses.replace(made, features=features)

    model.encode_audio = louder  # type: ignore[method-assign]
    found = vendor_prompt(model, model.speech_prompt(clip), clip, processor, "")
    assert found.passed is False
    assert "input_features differs by up to 0.1" in found.note
    assert processor is not None
    processor.chat_template = processor.chat_template.replace("You are a", "Be a")
    found = vendor_prompt(model, prompt, clip, processor, "")
    assert found.passed is False
    assert "tokens differ" in found.note
    assert vendor_prompt(model, prompt, clip, None, "no torchvision").note == "no torchvision"

    class Deaf:
        def __call__(self, text: list[str], **_: Any) -> dict[str, Any]:
            return {"input_ids": [[1]]}

    found = vendor_prompt(model, prompt, clip, Deaf(), "")
    assert found.passed is None
    assert "it takes no clip beside its text" in found.note
