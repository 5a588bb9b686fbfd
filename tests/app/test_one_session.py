"""What pages, commands and library share: one session of a clip, one entry in the cache."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

import modgap
from modgap.analysis import asked as questions
from modgap.analysis.examples import examples
from modgap.cli import main
from modgap.interventions.intervention import Intervention
from modgap.models.base import SpeechLM
from modgap.store.cache import Store, default_store
from modgap.ui.server.models import ModelChoice
from modgap.ui.server.requests import AnalysisRequest, EditRequest
from modgap.ui.server.service import Service, service
from tests.app.conftest import go, result
from tests.tiny import make_clip


@pytest.fixture
def patchings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The patchings that are computed."""
    made: list[dict[str, Any]] = []
    compute = questions.SEARCHES["patching"]

    @functools.wraps(compute)
    def counted(*given: Any, **options: Any) -> Any:
        made.append(options)
        return compute(*given, **options)

    monkeypatch.setitem(questions.SEARCHES, "patching", counted)
    return made


def test_page_command_and_library_compute_a_patching_once(
    analysed: AppTest, tiny_folder: Path, tiny_model: SpeechLM, patchings: list[Any]
) -> None:
    at = go(analysed, "decided")
    assert not at.error
    assert len(patchings) == 1
    shown = result()
    service().store.flush()
    example = examples()[0]
    said = CliRunner().invoke(
        main.app,
        ["sweep", str(example.path), "--transcript", example.transcript, "--instruction",
         example.instruction, "--model", str(tiny_folder), "--patch", "--json"],
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    rows = {(r["layer"], r["j"]): r["change"] for r in json.loads(said.stdout)["rows"]}
    settings = modgap.AnalysisSettings(instruction=example.instruction)
    clip = modgap.load_clip(example.path)
    store = default_store()
    made = modgap.patching(tiny_model, clip, example.transcript, settings, store=store)
    assert len(patchings) == 1, "the others found it"
    np.testing.assert_array_equal(made.change, shown.change)
    printed = [rows[k, j] for k in made.layers for j in range(len(made.pieces))]
    changed = [None if v != v else pytest.approx(v) for v in made.change.ravel().tolist()]
    assert printed == changed
    modgap.patching(tiny_model, clip, example.transcript, settings, store=store, where="pair")
    assert len(patchings) == 2, "another question is another patching"


def test_analyses_and_edits_of_a_clip_share_their_prompts(
    shared: None, tiny_folder: Path, tiny_model: SpeechLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[str] = []
    prepare = type(tiny_model).prepare

    def counted(self: SpeechLM, *given: Any, **options: Any) -> Any:
        prepared.append(given[1])
        return prepare(self, *given, **options)

    monkeypatch.setattr(type(tiny_model), "prepare", counted)
    made, quiet = Service(), lambda *_: None
    request = AnalysisRequest(ModelChoice(str(tiny_folder)), "tiny", make_clip(), "one two")
    assert not made.make(request, quiet)
    for kind, options in (("patching", {"target": "two"}), ("lens", {}), ("mismatched", {})):
        assert not made.make(EditRequest(request, kind, options=json.dumps(options)), quiet)
    stack = (Intervention(tokens="all"),)
    asked = EditRequest(request, "compare", stack)
    made.make(asked, quiet)
    assert prepared == ["one two"]
    assert made.found(request).key == made.key(request.signature)
    assert made.found(asked).interventions == stack
    # The key is the library's: links to results and the shipped analyses stay where they are.
    clip, settings = make_clip(), modgap.AnalysisSettings()
    assert made.found(request).key == modgap.Session(tiny_model, clip, "one two", settings).key(
        "analysis"
    )
    made.close()


def test_an_answer_does_not_wait_for_the_disk(
    analysed: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    service().store.flush()
    opened, put = threading.Event(), Store.put

    def slow(*given: Any) -> None:
        assert opened.wait(60)
        put(*given)

    monkeypatch.setattr(Store, "put", slow)
    at = go(analysed, "interventions")
    at.slider(key="iv_strength").set_value(0.5).run()
    assert result().interventions[0].strength == 0.5
    assert not service().store.flush(0.0)
    opened.set()
    assert service().store.flush(60)


def test_a_result_is_read_again_after_the_server_has_begun_anew(
    analysed: AppTest, open_app: Callable[..., AppTest], patchings: list[Any]
) -> None:
    import streamlit as st

    go(analysed, "decided")
    st.cache_resource.clear()  # what is on its way to the disk is written
    at = open_app(example="ex0")
    go(at, "decided")
    assert len(patchings) == 1
