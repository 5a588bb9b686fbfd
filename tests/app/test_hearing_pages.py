"""The pipeline as a third column of the Clip page; word boundaries on the Alignment page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import modgap.analysis.examples
from modgap.analysis.mismatched import Mismatched
from modgap.analysis.pipeline import pipeline
from modgap.analysis.score_support import filtered_paths
from modgap.analysis.word_hits import word_hits, word_rows
from modgap.audio.clip import load_clip
from modgap.speech.base import EMBEDDED
from modgap.speech.recognizers import load_recognizer
from modgap.speech.word_times import word_times
from modgap.ui import recognition
from modgap.ui.server.service import service
from modgap.ui.widgets import plain
from tests.analysis.test_pipeline import EXAMPLES, Ears, whisper_folder  # noqa: F401
from tests.app.conftest import finish, go, paint, visit_of
from tests.app.test_pages import address, press
from tests.tiny import make_clip

Open = Callable[..., AppTest]
SAID = "he was not an ill disposed young man"
HEARD = f"Heard by {plain(EMBEDDED)}"


@pytest.fixture
def real_example(
    shared: None, example_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first example is real speech."""
    rows = json.loads((example_folder / "examples.json").read_text())
    for row in rows:
        (tmp_path / row["file"]).write_bytes((example_folder / row["file"]).read_bytes())
    file = "austen-0880.flac"
    (tmp_path / file).write_bytes((EXAMPLES / file).read_bytes())
    rows[0] |= {"file": file, "transcript": SAID, "instruction": ""}
    (tmp_path / "examples.json").write_text(json.dumps(rows))
    monkeypatch.setattr(modgap.analysis.examples, "FOLDER", tmp_path)
    monkeypatch.setattr("modgap.speech.word_times.word_times", word_times)


@pytest.fixture
def heard(shared: None, real_example: None, ears_here: Path, open_app: Open) -> AppTest:
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
    analysis = service().result(visit_of(at).shown.key)
    assert analysis is not None
    clip = load_clip((EXAMPLES / "austen-0880.flac").read_bytes())
    made = pipeline(load_recognizer(), tiny_model, clip, SAID)
    assert made.answer is not None
    texts = [t.value.strip() for t in at.text]
    for text in (
        analysis.answers["text"].text,
        analysis.answers["speech"].text,
        made.answer.text,
    ):
        assert (text.strip() or "(an empty answer)") in texts  # st.text drops outer blanks
    assert any(f"{HEARD}, word error rate {made.errors.rate:.0%}" in c
               for c in shown(at))  # fmt: skip
    assert recognition.marked(made) in [m.value for m in at.markdown]
    assert recognition.marked(made).count(":red[**") == sum(
        c.kind in ("substitute", "insert") for c in made.errors.changes
    )
    assert address(at)["pipeline"] == [EMBEDDED]
    press(at, "Without the pipeline")
    assert "pipeline" not in address(at)
    assert "Ask the pipeline" in [b.label for b in at.button]


def test_a_link_asks_the_pipeline(heard: AppTest, open_app: Open) -> None:
    at = finish(press(heard, "Ask the pipeline"))
    again = finish(open_app(**address(at)))
    assert any(HEARD in text for text in shown(again))
    foreign = finish(open_app(**{**address(at), "pipeline": ["openai/whisper-large"]}))
    assert "Ask the pipeline" in [b.label for b in foreign.button]


def test_it_goes_on_with_the_next_clip(heard: AppTest) -> None:
    at = finish(press(heard, "Ask the pipeline"))
    finish(press(at, "Analyse", 1))
    assert any("word error rate" in text for text in shown(at))
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
    assert recognition.marked(made) == expected


def test_other_pages_stay_as_they_are(heard: AppTest) -> None:
    at = finish(press(heard, "Ask the pipeline"))
    go(at, "layers")
    assert "pipeline" not in address(at)
    at = finish(go(at, "clip"))
    assert any(HEARD in text for text in shown(at))


# ---- word boundaries -----------------------------------------------------------------------------


def sent(at: AppTest) -> Any:
    """What the page sent to the component as the words."""
    (component,) = at.get("bidi_component")
    data = bytes(component.proto.bytes)
    size = int.from_bytes(data[:4], "little")
    return json.loads(data[4 : 4 + size])["start"]["words"]


def words_on(at: AppTest, *paths: str) -> AppTest:
    """As presses on the component's switches, and the runs that follow from them."""
    state = {"paths": list(paths or ("argmax", "dtw", "words"))}
    paint(at, **state)
    while visit_of(at).jobs:
        finish(at)
    return paint(at, **state)


def test_word_boundaries_on_the_alignment_page(heard: AppTest) -> None:
    at = go(heard, "alignment")
    words_on(at, "argmax", "dtw")
    assert not any(m.label.startswith("Within its word") for m in at.metric)
    assert address(at)["paths"] == ["argmax", "dtw"]
    words_on(at)
    analysis = service().result(visit_of(at).shown.key)
    assert analysis is not None
    clip = load_clip(analysis.audio, rate=analysis.audio_rate)
    times = word_times(clip, analysis.transcript)
    assert sent(at) == [list(row) for row in word_rows(times, analysis.spans)]
    found = word_hits(analysis, times).layers()
    values = {m.label: m.value for m in at.metric}
    row = found[found["layer"] == int(values["Layer"])].iloc[0]
    assert values[f"Within its word (chance {100 * row['chance']:.0f} %)"] == (
        f"{100 * row['word_cos']:.0f} %"
    )
    assert len(at.get("plotly_chart")) == 2
    assert any(f"by {plain(EMBEDDED)} and not by the model" in c.value for c in at.caption)
    assert "paths" not in address(at)  # words are on unless they are switched off
    assert len(at.get("download_button")) == 10


def test_a_link_opens_with_the_boundaries(heard: AppTest, open_app: Open) -> None:
    link = address(words_on(go(heard, "alignment")))
    at = open_app(**link)
    at.switch_page("../../pages/alignment.py").run()
    finish(at)
    at.run()
    rows = sent(at)
    assert len(rows) == 8
    assert (np.diff([row[0] for row in rows]) >= 0).all()


def test_words_that_cannot_be_aligned(
    ears_here: Path, open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modgap.speech.word_times.word_times", word_times)
    at = finish(press(open_app(), "Analyse"))
    at.text_area(key="transcript").set_value("...").run()
    finish(at.button(key="analyse").click().run())
    go(at, "alignment")
    words_on(at)
    said = [c.value.replace("\\", "").replace("\u2060", "") for c in at.caption]
    assert any("No word boundaries: The transcript holds no words" in text for text in said)
    assert sent(at) == []
    assert "Try again" in [b.label for b in at.button]


def test_a_score_stands_beside_what_it_rests_on(analysed: AppTest) -> None:
    at = paint(finish(go(analysed, "alignment")))
    analysis = service().result(visit_of(at).shown.key)
    assert analysis is not None
    values = {m.label: m.value for m in at.metric}
    layer = int(values["Layer"])
    k, n = analysis.row(layer), len(analysis.speech_times)
    path = analysis.alignment.argmax_cos[k]
    assert values["Distinct speech tokens"] == f"{len(set(path.tolist()))} of {n}"
    made = [m for m, _ in service()._made._items.values() if isinstance(m, Mismatched)]
    band = made[-1].band().iloc[k]
    assert values["Mismatched pairs"] == f"{band['low']:.3f} – {band['high']:.3f}".replace("-", "−")
    assert values["APS, cosine"] == f"{analysis.alignment.aps_cos[k]:.3f}".replace("-", "−")
    at.toggle(key="align_filtered").set_value(True).run()
    values = {m.label: m.value for m in at.metric}
    assert "APS, cosine" not in values  # never under the paper's name
    score = filtered_paths(analysis)["cos"].score[k]
    assert values["APS without sinks and silence"] == f"{score:.3f}".replace("-", "−")
    assert address(at)["filtered"] == ["1"]
