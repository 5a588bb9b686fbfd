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
from modgap.analysis.score_support import filtered_paths
from modgap.analysis.session import KINDS, Session
from modgap.cli.main import app
from modgap.core.errors import SettingsError
from modgap.core.settings import AnalysisSettings, analysis_key
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.models.loading import load as loading
from modgap.store.cache import Store
from tests.even_words import aligned, even_words
from tests.tiny import make_clip

WORDS = "what is two plus three"


@pytest.fixture(autouse=True)
def made_up_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips of tones hold no words."""
    monkeypatch.setattr("modgap.analysis.session.word_times", aligned)


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
    assert counted["scores"] == 2  # the patches and their control
    sound = modgap.load_clip("clip.wav")
    found = modgap.patching(tiny_model, sound, WORDS, store=modgap.default_store())
    assert counted["scores"] == 2
    assert found.target == printed["target"]
    assert found.where == "word"
    rows = found.table()
    assert rows["positions"].tolist() == [row["positions"] for row in printed["rows"]]
    assert rows["change"].dropna().tolist() == [
        row["change"] for row in printed["rows"] if row["change"] is not None
    ]
    # The same said aloud, and a map of other layers.
    every = list(tiny_model.editable_levels)
    modgap.patching(tiny_model, sound, WORDS, store=modgap.default_store(), layers=every)
    assert counted["scores"] == 2
    modgap.patching(tiny_model, sound, WORDS, store=modgap.default_store(), layers=[0])
    assert counted["scores"] == 4


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
    mine, other = (
        session.patching(layers=[0, 2]),
        patching(ready, name, layers=[0, 2], words=session.words),
    )
    assert mine.target == other.target
    assert np.array_equal(mine.change, other.change, equal_nan=True)
    assert np.array_equal(mine.control, other.control, equal_nan=True)
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
    assert session.key("patching", words=session.words) == session.key("patching", where="word")
    assert session.key("patching") != session.key(
        "patching", words=even_words(WORDS, 0.25)
    )  # other times are another request
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
    for ask in (session.patching, session.lens, session.sweep, session.answer_lens,
                session.mismatched):  # fmt: skip
        with pytest.raises((SettingsError, TypeError)):
            ask(colour="red")
        with pytest.raises(SettingsError):
            session.key(ask.__name__, colour="red")
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


def test_an_estimate_counts_passes_and_takes_the_last_rate(
    tiny_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: dict[str, int]
) -> None:
    clock = iter(range(0, 10_000, 8))  # every look at it is 8 s later
    monkeypatch.setattr("modgap.analysis.session.time.perf_counter", lambda: float(next(clock)))
    clip = make_clip(1.3)
    session = Session(tiny_model, clip, WORDS, max_new_tokens=4, store=Store(tmp_path))
    count = len(session.pair.text.pieces or ())
    depth = tiny_model.n_layers
    made = session.estimate("patching", layers=[0, 2])
    assert not made.cached
    # Each cell and its control, and the two runs with the answer behind the prompt.
    assert made.passes == 2 * 2 * count + 2
    layers = 2 * count * (depth + depth - 2) + 2 * depth
    assert made.seconds == pytest.approx(layers * 8 / depth)  # the plain run of L layers: 8 s
    assert counted["scores"] == 0
    session.patching(layers=[0, 2])
    assert session.estimate("patching", layers=[0, 2]).cached
    other = session.estimate("patching", layers=[1], where="after")
    assert other.passes == session.plain.after + 2
    work = session.plain.after * (depth - 1) + 2 * depth
    assert other.seconds == pytest.approx(work * 8 / layers)  # the rate of the last search
    grid = {"rules": ["angle", "length"], "layers": [3], "tokens": ["all"], "strengths": [1.0]}
    assert session.estimate("sweep", **grid).passes == 2 + 2
    assert session.estimate("mismatched", texts=["a b", "c d", "e"]).passes == 3
    assert session.estimate("lens").passes == 2


def test_mismatched_pairs_are_analyses_with_the_other_text(
    tiny_model: Any, tmp_path: Path, counted: dict[str, int]
) -> None:
    """The score of another text is that of an analysis of the clip with it."""
    clip, texts = make_clip(1.3), ["The ferry leaves.", WORDS.upper(), "Bread and salt"]
    session = Session(tiny_model, clip, WORDS, store=Store(tmp_path))
    made = session.mismatched(texts=texts)
    assert made.texts == ("The ferry leaves.", "Bread and salt")  # not its own words
    for n, text in enumerate(made.texts):
        own = modgap.analyze(tiny_model, clip, text, answers=False)
        assert made.scores["aps_cos"][n] == pytest.approx(own.alignment.aps_cos, abs=1e-5)
        assert made.scores["aps_euc"][n] == pytest.approx(own.alignment.aps_euc, abs=1e-4)
        kept = filtered_paths(own)
        assert made.scores["filtered_aps_cos"][n] == pytest.approx(kept["cos"].score, abs=1e-5)
    band = made.band("aps_cos", 0.0, 1.0)
    assert band["low"].to_numpy() == pytest.approx(made.scores["aps_cos"].min(0))
    assert len(made.table()) == 2 * 5
    again = modgap.mismatched_aps(tiny_model, clip, WORDS, texts=texts, store=Store(tmp_path))
    assert counted["of"] == 1
    assert np.array_equal(again.scores["aps_cos"], made.scores["aps_cos"])
    with pytest.raises(SettingsError, match="at least two other texts"):
        session.mismatched(texts=[WORDS, "one"])
