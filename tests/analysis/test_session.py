"""One session: what is made once, and the keys that library, command and page share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import modgap
from modgap.analysis import sweeps
from modgap.analysis.patching import patching
from modgap.analysis.session import KINDS, Session
from modgap.cli.main import app
from modgap.core.errors import SettingsError
from modgap.core.settings import AnalysisSettings, analysis_key
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.models.loading import load as loading
from modgap.store.cache import Store
from tests.tiny import make_clip

WORDS = "what is two plus three"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often plain runs are made, and variants scored."""
    calls = {"of": 0, "scores": 0}
    of, scores = Prefill.of.__func__, Prefill.scores  # type: ignore[attr-defined]

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(Prefill, "of", classmethod(counting("of", of)))
    monkeypatch.setattr(Prefill, "scores", counting("scores", scores))
    return calls


def test_the_command_and_the_library_compute_a_patching_once(
    tiny_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: dict[str, int]
) -> None:
    clip = make_clip(1.3)
    (tmp_path / "clip.wav").write_bytes(clip.wav_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loading, "load_quietly", lambda *_, **__: tiny_model)
    said = ["sweep", "clip.wav", "--transcript", WORDS, "--patch", "--json"]
    printed = json.loads(CliRunner().invoke(app, said).stdout)
    assert counted["scores"] == 1
    sound = modgap.load_clip("clip.wav")
    found = modgap.patching(tiny_model, sound, WORDS, store=modgap.default_store())
    assert counted["scores"] == 1
    assert found.target == printed["target"]
    assert found.table()["change"].tolist() == [row["change"] for row in printed["rows"]]
    # The same said aloud, and a map of other layers.
    every = list(tiny_model.editable_levels)
    modgap.patching(tiny_model, sound, WORDS, store=modgap.default_store(), layers=every)
    assert counted["scores"] == 1
    modgap.patching(tiny_model, sound, WORDS, store=modgap.default_store(), layers=[0])
    assert counted["scores"] == 2


def test_plain_runs_are_made_once_for_all_that_is_asked(
    tiny_model: Any, counted: dict[str, int]
) -> None:
    session = Session(tiny_model, make_clip(1.3), WORDS, max_new_tokens=4)
    session.compare(Intervention(tokens="all"))
    session.compare(Intervention(rule="length"))
    session.lens(top=2)
    assert counted["of"] == 1
    small = session.nbytes
    session.sweep(layers=[0], rules=["angle"])
    session.patching(layers=[1])
    assert counted["of"] == 2  # once more, with the answer behind the prompt
    assert session.nbytes > small > 0
    session.patching(layers=[1], target="five")
    assert counted["of"] == 3


def test_results_are_those_of_the_functions_on_plain_runs(tiny_model: Any) -> None:
    clip, settings = make_clip(1.3), AnalysisSettings(max_new_tokens=4)
    ready, name = sweeps.with_target(tiny_model, tiny_model.prepare(clip, WORDS), None, settings)
    session = Session(tiny_model, clip, WORDS, settings)
    mine, other = session.patching(layers=[0, 2]), patching(ready, name, layers=[0, 2])
    assert mine.target == other.target
    assert np.array_equal(mine.change, other.change)
    grid = {"rules": ["angle"], "layers": [1], "strengths": [0.5]}
    assert session.sweep(**grid).table.equals(sweeps.sweep(ready, name, **grid).table)
    assert modgap.sweep(ready, name, **grid).table.equals(session.sweep(**grid).table)


def test_the_analysis_key_is_the_one_of_before(tiny_model: Any) -> None:
    clip, settings = make_clip(1.3), AnalysisSettings(instruction="Say it.", layers=(0, 2))
    expected = analysis_key(
        tiny_model.identity, "float32", clip.sha256, WORDS, settings, device="cpu"
    )
    session = Session(tiny_model, clip, WORDS, settings)
    assert session.key("analysis") == expected == session.analyze().key


@given(
    layers=st.none() | st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True),
    where=st.sampled_from(["segment", "pair"]),
    top=st.integers(1, 9),
    strengths=st.lists(st.sampled_from([0.25, 0.5, 1.0, 1]), min_size=1, max_size=3),
)
def test_defaults_are_filled_in_before_hashing(
    tiny_model: Any, layers: list[int] | None, where: str, top: int, strengths: list[float]
) -> None:
    session = Session(tiny_model, make_clip(0.5), WORDS)
    every = list(tiny_model.editable_levels)
    said = {"layers": layers, "where": where, "measure": "cosine", "path_layer": None}
    short = {"where": where} | ({} if layers is None else {"layers": layers})
    assert session.key("patching", **said) == session.key("patching", **short)
    assert (session.key("patching", layers=layers) == session.key("patching")) == (
        layers is None or layers == every
    )
    assert session.key("lens", top=top) == session.key("lens", top=top, path_layer=None)
    once = list(dict.fromkeys(map(float, strengths)))
    assert session.key("sweep", strengths=strengths) == session.key("sweep", strengths=once)
    assert session.key("sweep", layers=every, path="argmax") == session.key("sweep")


def test_every_kind_has_a_key_of_its_own(tiny_model: Any) -> None:
    session = Session(tiny_model, make_clip(0.5), WORDS)
    assert len({session.key(kind) for kind in KINDS}) == len(KINDS)
    for kind in KINDS[1:]:
        assert session.key(kind) != Session(tiny_model, make_clip(0.5), WORDS, markers="drop").key(
            kind
        )


def test_what_does_not_fit_is_told_before_any_work(
    tiny_model: Any, counted: dict[str, int]
) -> None:
    clip = make_clip(0.5)
    session = Session(tiny_model, clip, WORDS)
    with pytest.raises(SettingsError, match="no 'analyses' of a session"):
        session.key("analyses")
    for ask in (session.patching, session.lens, session.sweep):
        with pytest.raises(SettingsError):
            ask(colour="red")
    for unknown in (modgap.compare, modgap.analyze):
        extra = [()] if unknown is modgap.compare else []
        with pytest.raises(SettingsError, match="Unknown setting 'colour'"):
            unknown(tiny_model, clip, WORDS, *extra, colour="red")
    with pytest.raises(SettingsError, match="must be a Clip"):
        Session(tiny_model, "clip.wav", WORDS)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="must be text"):
        Session(tiny_model, clip, 3)  # type: ignore[arg-type]
    assert counted == {"of": 0, "scores": 0}


def test_a_lens_is_kept(tiny_model: Any, tmp_path: Path, counted: dict[str, int]) -> None:
    store, clip = Store(tmp_path), make_clip(1.3)
    first = modgap.logit_lens(tiny_model, clip, WORDS, store=store, top=3)
    again = modgap.logit_lens(tiny_model, clip, WORDS, store=store, top=3)
    assert counted["of"] == 1
    assert first.table().equals(again.table())
    assert again.segments == first.segments
