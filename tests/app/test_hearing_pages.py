"""The pipeline as a third column of the Clip page; word boundaries on the Alignment page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import modgap.ui.examples
from modgap.cascade import pipeline
from modgap.recognition import load_recognizer
from modgap.ui import hearing
from modgap.ui.service import service
from tests.app.conftest import finish, go
from tests.app.test_pages import address, press
from tests.test_cascade import EXAMPLES, Ears, whisper_folder  # noqa: F401
from tests.tiny import make_clip

Open = Callable[..., AppTest]
SAID = "you didn't want to come"


@pytest.fixture
def real_example(example_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first example is real speech."""
    rows = json.loads((example_folder / "examples.json").read_text())
    for row in rows:
        (tmp_path / row["file"]).write_bytes((example_folder / row["file"]).read_bytes())
    file = "ls-3005-163389-0007.flac"
    (tmp_path / file).write_bytes((EXAMPLES / file).read_bytes())
    rows[0] |= {"file": file, "transcript": SAID, "instruction": ""}
    (tmp_path / "examples.json").write_text(json.dumps(rows))
    monkeypatch.setattr(modgap.ui.examples, "FOLDER", tmp_path)


@pytest.fixture
def heard(shared: None, real_example: None, open_app: Open) -> AppTest:
    at = finish(press(open_app(), "Analyse"))
    assert not at.error
    return at


def shown(at: AppTest) -> list[str]:
    return [e.value for kind in (at.text, at.caption, at.markdown) for e in kind]


def test_the_third_column_answers(heard: AppTest, tiny_model: Any) -> None:
    at = heard
    assert "pipeline" not in address(at)
    assert not any("Heard by" in text for text in shown(at))
    finish(press(at, "Ask the pipeline"))
    analysis = service().result(at.session_state["run"])
    assert analysis is not None
    clip = modgap.ui.state.load_clip((EXAMPLES / "ls-3005-163389-0007.flac").read_bytes())
    made = pipeline(load_recognizer(), tiny_model, clip, SAID)
    assert made.answer is not None
    texts = [t.value for t in at.text]
    for text in (
        analysis.answers["text"].text,
        analysis.answers["speech"].text,
        made.answer.text,
    ):
        assert (text if text.strip() else "(an empty answer)") in texts
    assert any(f"Heard by pocketsphinx, word error rate {made.errors.rate:.0%}" in c
               for c in shown(at))  # fmt: skip
    assert hearing.marked(made) in [m.value for m in at.markdown]
    assert hearing.marked(made).count(":red[**") == sum(
        c.kind in ("substitute", "insert") for c in made.errors.changes
    )
    assert address(at)["pipeline"] == ["pocketsphinx"]
    press(at, "Without the pipeline")
    assert "pipeline" not in address(at)
    assert "Ask the pipeline" in [b.label for b in at.button]


def test_a_link_asks_the_pipeline(heard: AppTest, open_app: Open) -> None:
    at = finish(press(heard, "Ask the pipeline"))
    again = finish(open_app(**address(at)))
    assert any("Heard by pocketsphinx" in text for text in shown(again))
    foreign = finish(open_app(**{**address(at), "pipeline": ["openai/whisper-large"]}))
    assert "Ask the pipeline" in [b.label for b in foreign.button]


def test_it_goes_on_with_the_next_clip(heard: AppTest) -> None:
    at = finish(press(heard, "Ask the pipeline"))
    finish(press(at, "Analyse", 1))  # a clip of tones: no words are heard
    assert any("word error rate 100%" in text for text in shown(at))
    at.text_area(key="transcript").set_value("something else").run()
    assert any("The inputs have changed since this result" in text for text in shown(at))


def test_the_operators_whisper_is_offered(
    heard: AppTest,
    open_app: Open,
    whisper_folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [str(whisper_folder), str(whisper_folder.parent / "gone")]
    monkeypatch.setenv("MODGAP_RECOGNIZERS", json.dumps(names))
    at = finish(open_app(**address(heard)))
    buttons = [b for b in at.button if (b.key or "").startswith("pipeline_")]
    assert len(buttons) == 3
    finish(buttons[1].click().run())
    assert any(f"Heard by {whisper_folder.name}" in text for text in shown(at))
    press(at, "Without the pipeline")
    gone = next(b for b in at.button if b.key == "pipeline_gone")
    finish(gone.click().run())
    (error,) = [e.value for e in at.error]
    assert "There is no folder" in error
    assert str(whisper_folder.parent) not in error.replace("\\", "").replace("\u2060", "")


@pytest.mark.parametrize(
    ("said", "heard", "expected"),
    [
        ("a b c", "a x c", "a :gray[~~b~~] :red[**x**] c"),
        ("a b", "a", "a :gray[~~b~~]"),
        ("a", "a b", "a :red[**b**]"),
        ("5.5", "5.5", "5\\.5"),
    ],
)
def test_marked_words(tiny_model: Any, said: str, heard: str, expected: str) -> None:
    made = pipeline(Ears(heard), tiny_model, make_clip(), said, max_new_tokens=1)
    assert hearing.marked(made) == expected


def test_other_pages_stay_as_they_are(heard: AppTest) -> None:
    at = finish(press(heard, "Ask the pipeline"))
    go(at, "layers")
    assert "pipeline" not in address(at)
    at = finish(go(at, "clip"))
    assert any("Heard by pocketsphinx" in text for text in shown(at))
