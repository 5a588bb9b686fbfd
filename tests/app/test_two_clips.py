"""Two clips of the same words on the Compare page; the prompts token by token on the Clip page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamlit.testing.v1 import AppTest

import modgap
from modgap.audio.perturbations import Perturbation, perturb
from modgap.ui.server.service import service
from tests.app.conftest import data_of, finish, go, visit_of
from tests.app.test_pages import NASTY, address, tone
from tests.tiny import make_clip

Open = Callable[..., AppTest]
SAID = "What is two plus three?"


def test_a_condition_then_another_recording(analysed: AppTest, open_app: Open) -> None:
    at = go(analysed, "compare")
    at.segmented_control(key="cm_what").set_value("clips").run()
    finish(at)
    assert not at.error
    assert len(at.get("plotly_chart")) == 8
    kept = [a for a, _ in service()._results._items.values()]
    clip = modgap.load_clip(make_clip(1.2, seed=0).wav_bytes())  # the first example
    noisy = perturb(clip.resample(16_000), Perturbation.parse("noise:5"))
    wanted = modgap.load_clip(noisy, rate=16_000)
    assert {a.clip["sha256"] for a in kept} == {clip.sha256, wanted.sha256}
    at.select_slider(key="ab_layer").set_value(1).run()
    at.segmented_control(key="cm_measure").set_value("euclidean").run()
    at.selectbox(key="ab_condition").set_value("codec:gsm").run()
    finish(at)
    link = address(at)
    assert (link["what"], link["condition"], link["layer"]) == (["clips"], ["codec:gsm"], ["1"])
    again = go(open_app(**link), "compare")
    assert again.segmented_control(key="cm_what").value == "clips"
    assert again.selectbox(key="ab_condition").value == "codec:gsm"
    # Another recording, whose name is no markup.
    at.session_state["ab_source"] = "Upload"
    at.run()
    assert any("Choose a second clip" in c.value for c in at.caption)
    at.file_uploader(key="ab_upload").set_value((f"{NASTY}.wav", tone(1.4), "audio/wav")).run()
    finish(at)
    assert not at.error
    assert len(at.get("plotly_chart")) == 8
    assert not [m for m in (*at.markdown, *at.caption) if "<b>bold" in m.value]
    at.file_uploader(key="ab_upload").set_value(("bad.wav", b"no sound", "audio/wav")).run()
    assert at.error
    assert not at.get("plotly_chart")


def test_the_prompts_are_shown_by_a_click(analysed: AppTest, tiny_model: Any) -> None:
    at = analysed
    assert not [c for c in at.get("bidi_component") if "prompt_" in c.proto.id]
    at.toggle(key="prompts").set_value(True).run()
    finish(at)
    analysis = service().result(visit_of(at).shown.key)
    assert analysis is not None
    clip = make_clip(1.2, seed=0)
    made = modgap.prompt_tokens(tiny_model, clip, SAID, instruction="Answer briefly.")
    for kind in ("text", "speech"):
        tokens = getattr(made, kind)
        shown = data_of(at, f"prompt_{kind}")["tokens"]
        assert [role for _, _, role in shown] == [t.role for t in tokens]
        assert any(c.value.endswith(f": {sum(t.count for t in tokens)} tokens") for c in at.caption)
    (sound,) = [text for text, _, role in data_of(at, "prompt_speech")["tokens"]
                if role == "content"]  # fmt: skip
    assert sound.endswith(f"× {len(analysis.speech_times)}")
