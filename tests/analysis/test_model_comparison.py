"""Several models on the same clips: tables over relative depth, and how models are run."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.analysis.functions import analyze
from modgap.analysis.model_comparison import (
    ModelComparison,
    apart,
    at_common_depths,
    common_depths,
    curve_table,
    nearest_layer,
    records,
    spread_over_models,
)
from modgap.analysis.several_models import clip_curves, compare_models
from modgap.core.errors import AudioError, ModelError, SettingsError
from modgap.core.settings import AnalysisSettings
from modgap.models.loading.load import load_model
from modgap.scoring.question import Question
from modgap.store.cache import Store
from tests.crafted_runs import run
from tests.tiny import make_clip, make_tiny_checkpoint

QUICK = AnalysisSettings(max_new_tokens=2)


@pytest.fixture(scope="module")
def deep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint of six layers, where the other has four."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("deep") / "deep", seed=3, layers=6)


# ---- tables --------------------------------------------------------------------------------------


def test_points_stand_where_they_were_measured() -> None:
    table = curve_table([run("a", "x", [1, 2, 3]), run("b", "x", [4, 5, 6, 7, 8])])
    assert table["depth"].tolist() == [0, 0.5, 1, 0, 0.25, 0.5, 0.75, 1]
    assert table["layer"].tolist() == [0, 1, 2, 0, 1, 2, 3, 4]
    assert table["aps_cos"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert table["n_layers"].tolist() == [2] * 3 + [4] * 5


def test_some_layers_keep_their_depth_in_the_whole_model() -> None:
    table = curve_table([run("a", "x", [1, 2], layers=[3, 6], n_layers=12)])
    assert table["depth"].tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("layers", "n", "depth", "want"),
    [
        (range(5), 4, 0.5, 2),
        (range(5), 4, 0.6, 2),
        (range(5), 4, 0.63, 3),
        (range(5), 4, 0.125, 0),  # a tie: the lower
        (range(13), 12, 0.625, 7),  # a tie of 7/12 and 8/12 that floats would break
        ([0, 4], 4, 0.51, 4),
        ([2], 4, 1.0, 2),
    ],
)
def test_the_nearest_layer(layers: Any, n: int, depth: float, want: int) -> None:
    assert nearest_layer(layers, n, depth) == want


@given(st.integers(1, 100), st.floats(0, 1))
def test_the_nearest_layer_is_never_further_than_half_a_layer(n: int, depth: float) -> None:
    k = nearest_layer(range(n + 1), n, depth)
    assert abs(k / n - depth) <= 0.5 / n + 1e-8
    assert nearest_layer(range(n + 1), n, k / n) == k


def test_the_common_grid_is_that_of_the_shallowest_model() -> None:
    curves = curve_table([run("deep", "x", [10, 11, 12, 13, 14]), run("flat", "x", [1, 2, 4])])
    assert common_depths(curves).tolist() == [0, 0.5, 1]
    found = at_common_depths(curves, "cosine")
    assert found.to_dict("list") == {
        "depth": [0, 0, 0.5, 0.5, 1, 1],
        "model": ["deep", "flat"] * 3,
        "layer": [0, 0, 2, 1, 4, 2],
        "cosine": [10, 1, 12, 2, 14, 4],
    }
    spread = spread_over_models(curves, "cosine")
    assert spread["mean"].tolist() == [5.5, 7, 9]
    assert spread["std"].tolist() == [4.5, 5, 5]  # divisor n: half of the distance of two
    assert spread["low"].tolist() == [1, 2, 4]
    assert spread["high"].tolist() == [10, 12, 14]


def test_the_grid_takes_means_over_clips_and_leaves_out_the_undefined() -> None:
    nan = float("nan")
    curves = curve_table(
        [run("a", "x", [1, nan, nan]), run("a", "y", [3, 5, nan]), run("b", "x", [0, 0, 1])]
    )
    by = at_common_depths(curves, "monotonicity").pivot(index="depth", columns="model")
    assert by["monotonicity"]["a"].tolist()[:2] == [2, 5]
    assert np.isnan(by["monotonicity"]["a"].tolist()[2])
    spread = spread_over_models(curves, "monotonicity")
    assert spread["n"].tolist() == [2, 2, 1]
    assert spread["std"].tolist() == [1, 2.5, 0]


@given(st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=9), min_size=2, max_size=4))
def test_models_of_one_depth_are_compared_layer_by_layer(values: list[list[float]]) -> None:
    size = min(map(len, values))
    runs = [run(str(n), "x", v[:size]) for n, v in enumerate(values)]
    found = at_common_depths(curve_table(runs), "cosine")
    for n, v in enumerate(values):
        own = found[found["model"] == str(n)]
        assert own["layer"].tolist() == list(range(size))
        assert own["cosine"].tolist() == v[:size]


@pytest.mark.parametrize(
    ("make", "say"),
    [
        (lambda: curve_table([]), "at least one analysis"),
        (lambda: curve_table([run("a", "x", [1, 2])] * 2), "name them apart"),
        (lambda: curve_table([run("a", "x", [1, 2])], models=["a", "b"]), "as many names"),
        (lambda: at_common_depths(curve_table([run("a", "x", [1])]), "depth"), "Unknown measure"),
        (lambda: ModelComparison((), ()), "at least one"),
        (lambda: ModelComparison(("a", "a"), (run("a", "x", [1, 2]),) * 2), "named twice"),
        (
            lambda: ModelComparison(("a", "b"), (run("a", "x", [1, 2]), run("b", "y", [1, 2]))),
            "these differ",
        ),
    ],
)
def test_what_is_refused(make: Any, say: str) -> None:
    with pytest.raises(SettingsError, match=say):
        make()


def test_a_comparison_knows_its_stops_answers_and_twins() -> None:
    runs = (
        run("a", "x", [1, 2, 3], answers=("Paris", "Rome"), identity="w"),
        run("b", "x", [1, 2, 3, 4], answers=("", "The answer is Paris."), identity="w"),
        run("c", "x", [1, 2, 3]),
    )
    found = ModelComparison(("a", "b", "c"), runs)
    assert found.stops() == (0, round(1 / 3, 6), 0.5, round(2 / 3, 6), 1)
    assert found.layers_at(0.5) == (1, 1, 1)  # 1/3 and 2/3 are as near: the lower
    assert found.layers_at(0.6) == (1, 2, 1)
    assert found.same_weights == (("a", "b"),)
    table = found.answers("Paris")
    assert table["text_verdict"].tolist() == ["right", "wrong", None]
    assert table["speech_verdict"].tolist() == ["wrong", "right", None]
    assert found.answers()["speech"].tolist() == ["Rome", "The answer is Paris.", None]


def test_names_are_told_apart_and_nan_is_none() -> None:
    assert apart(["a", "b", "a", "a"]) == ("a", "b", "a (2)", "a (3)")
    assert apart(["a", "a (2)", "a"]) == ("a", "a (2)", "a (3)")
    curves = curve_table([run("a", "x", [1, float("nan")])])
    assert [row["cosine"] for row in records(curves)] == [1, None]


# ---- runs ----------------------------------------------------------------------------------------


def test_models_of_different_depth_give_what_analyze_gives(
    tiny_folder: Path, deep_folder: Path
) -> None:
    clip = make_clip()
    seen: list[float] = []
    found = compare_models(
        [tiny_folder, str(deep_folder)],
        clip,
        "two plus three",
        QUICK,
        progress=lambda fraction, note: seen.append(fraction),
    )
    assert found.names == (tiny_folder.name, "deep")
    assert seen == sorted(seen)
    assert seen[-1] == 1
    for folder, ours in zip((tiny_folder, deep_folder), found.analyses, strict=True):
        alone = analyze(load_model(folder), clip, "two plus three", QUICK)
        assert ours.key == alone.key
        assert ours.layers.equals(alone.layers)
        assert ours.answers == alone.answers
    assert found.curves.groupby("model", sort=False)["layer"].max().tolist() == [4, 6]
    body = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [m["n_layers"] for m in body["models"]] == [4, 6]
    assert body["answers"][1]["speech"] == found.analyses[1].answers["speech"].text
    assert len(body["curves"]) == 5 + 7


def test_one_model_in_memory_at_a_time_and_none_afterwards(
    tiny_folder: Path, deep_folder: Path
) -> None:
    loaded: list[weakref.ref] = []

    def load(name: Any) -> Any:
        gc.collect()
        assert not [ref for ref in loaded if ref() is not None]
        model = load_model(name)
        loaded.append(weakref.ref(model.hf))
        return model

    items = [Question(str(n), "hello", lambda n=n: make_clip(1.0, seed=n)) for n in range(2)]
    compare_models([tiny_folder, deep_folder], make_clip(), "hello", QUICK, load=load)
    clip_curves([tiny_folder, deep_folder], items, load=load)
    assert len(loaded) == 4
    assert not [ref for ref in loaded if ref() is not None]


def test_the_cache_is_used(tiny_model: Any, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    first = compare_models([tiny_model], make_clip(), "hello", QUICK, store=store)
    again = compare_models([tiny_model], make_clip(), "hello", QUICK, store=store)
    assert not first.analyses[0].from_cache
    assert again.analyses[0].from_cache
    assert again.curves.equals(first.curves)


def test_many_clips(tiny_model: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Any:
        raise AudioError("The file holds no sound.")

    reads: list[int] = []

    def load(n: int) -> Any:
        reads.append(n)
        return make_clip(1.0 + 0.2 * n, seed=n)

    items = [
        *(Question(f"q{n}", "two plus three", lambda n=n: load(n)) for n in range(3)),
        Question("bad", "hello", broken),
    ]
    found = clip_curves([tiny_model], items)
    assert found["clip"].unique().tolist() == ["q0", "q1", "q2"]
    assert "bad is left out" in caplog.text
    settings = AnalysisSettings(answers=False)
    alone = analyze(tiny_model, make_clip(1.2, seed=1), "two plus three", settings)
    ours = found[found["clip"] == "q1"]
    assert ours["aps_cos"].tolist() == alone.layers["aps_cos"].tolist()
    assert reads == [0, 1, 2]


def test_clips_are_read_once_for_all_models(tiny_folder: Path, deep_folder: Path) -> None:
    reads: list[int] = []

    def load() -> Any:
        reads.append(1)
        return make_clip(1.0)

    clip_curves([tiny_folder, deep_folder], [Question("q", "hello", load)])
    assert len(reads) == 1


def test_bad_runs(tiny_model: Any, tiny_folder: Path, tmp_path: Path) -> None:
    clip = make_clip()
    with pytest.raises(SettingsError, match="Name the models"):
        compare_models([], clip, "hello")
    with pytest.raises(SettingsError, match="named twice"):
        compare_models(["demo", "demo"], clip, "hello")
    with pytest.raises(ModelError):
        compare_models([tmp_path / "missing"], clip, "hello")
    with pytest.raises(SettingsError, match="no clips"):
        clip_curves([tiny_model], [])
    items = [Question("q", "", lambda: make_clip(60.0))]
    with pytest.raises(SettingsError, match="No clip could be analysed"):
        clip_curves([tiny_model], items)
