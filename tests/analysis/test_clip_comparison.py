"""Two clips of the same words: differences and the clips against each other, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import modgap
from modgap.analysis.clip_comparison import ClipComparison
from modgap.analysis.model_comparison import CURVES
from modgap.core.errors import SettingsError
from modgap.figures.clip_difference import (
    ClipDifference,
    TokenDifference,
    between_curves,
    both_curves,
)
from modgap.models.base import SpeechLM
from tests.tiny import make_clip

WORDS = "two plus two"


@pytest.fixture(scope="module")
def found(tiny_model: SpeechLM) -> ClipComparison:
    clips = make_clip(1.2, seed=1), make_clip(1.5, seed=2)
    return modgap.compare_clips(tiny_model, *clips, WORDS, states=True, max_new_tokens=4)


def test_the_difference_is_b_less_a(found: ClipComparison) -> None:
    a, b = found.analyses
    table = found.differences
    assert len(table) == len(CURVES) * len(a.layer_ids)
    for name in CURVES:
        mine = table[table["measure"] == name]
        np.testing.assert_array_equal(mine["a"], a.layers[name])
        np.testing.assert_array_equal(mine["difference"], b.layers[name] - a.layers[name])


def test_the_clips_against_each_other(found: ClipComparison) -> None:
    one, other = (x.states.speech.double().mean(dim=1) for x in found.analyses if x.states)
    between = found.between
    cosine = torch.nn.functional.cosine_similarity(one, other, dim=-1)
    np.testing.assert_allclose(between["cosine"], cosine.numpy(), atol=1e-5)
    distance = torch.linalg.vector_norm(one - other, dim=-1)
    np.testing.assert_allclose(between["euclidean"], distance.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("measure", ["cosine", "euclidean"])
def test_tokens_are_those_of_the_argmax_paths(found: ClipComparison, measure: str) -> None:
    layer = 1
    rows = found.tokens(layer, measure)
    for side, analysis in zip("ab", found.analyses, strict=True):
        k, alignment = analysis.row(layer), analysis.alignment
        path = [analysis.position(layer, j, measure=measure) for j in range(len(rows))]
        matrix = alignment.similarity if measure == "cosine" else alignment.distance
        assert rows[side].tolist() == [float(matrix[k, i, j]) for j, i in enumerate(path)]
        assert rows[f"start_{side}"].tolist() == [analysis.speech_times[i, 0] for i in path]
    np.testing.assert_array_equal(rows["difference"], rows["b"] - rows["a"])
    with pytest.raises(SettingsError, match="Layer 99"):
        found.tokens(99, measure)
    with pytest.raises(SettingsError, match="cosine or euclidean"):
        found.tokens(layer, "angle")


def test_swapped_clips_differ_by_the_sign(found: ClipComparison) -> None:
    a, b = found.analyses
    swapped = ClipComparison(("B", "A"), (b, a))
    np.testing.assert_array_equal(
        swapped.differences["difference"], -found.differences["difference"]
    )
    np.testing.assert_array_equal(swapped.between, found.between)
    same = ClipComparison(("A", "again"), (a, a))
    assert not same.differences["difference"].fillna(0).any()
    np.testing.assert_allclose(same.between["cosine"], 1.0)


def test_answers(found: ClipComparison) -> None:
    table = found.answers("four")
    assert table["clip"].tolist() == ["text", *found.names]
    first, second = found.analyses
    assert first.answers is not None
    assert second.answers is not None
    assert table["answer"].tolist() == [
        first.answers["text"].text, first.answers["speech"].text, second.answers["speech"].text,
    ]  # fmt: skip
    assert set(table["verdict"]) <= {"right", "wrong", None}
    assert found.to_dict()["clips"][1]["sha256"] == second.clip["sha256"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"transcript": "three"}, "same words"),
        ({"model": {"identity": "other", "dtype": "float32"}}, "one model"),
        ({"settings": modgap.AnalysisSettings(markers="drop")}, "same settings"),
        ({"layer_ids": np.array([0, 1])}, "same settings"),
    ],
)
def test_what_cannot_be_compared(found: ClipComparison, change: dict[str, Any], said: str) -> None:
    a, b = found.analyses
    with pytest.raises(SettingsError, match=said):
        ClipComparison(("A", "B"), (a, replace(b, **change)))
    with pytest.raises(SettingsError, match="two different names"):
        ClipComparison(("A", "A"), (a, b))


def test_figures_hold_the_numbers(found: ClipComparison) -> None:
    apart = ClipDifference.of(found, "cosine")
    a, b = (x.layers["cosine"].to_numpy() for x in found.analyses)
    np.testing.assert_array_equal(apart.table()["difference"], b - a)
    drawn = {int(x): y for bar in apart.figure().data for x, y in zip(bar.x, bar.y, strict=True)}
    assert drawn == dict(enumerate((b - a).tolist()))
    both = both_curves(found, "aps_cos").figure()
    assert [trace.name for trace in both.data] == list(found.names)
    alike = between_curves(found, "cosine")
    np.testing.assert_array_equal(alike.table()["cosine"], found.between["cosine"])
    each = TokenDifference.of(found, 1).figure()
    marks = [trace for trace in each.data if trace.mode == "markers"]
    assert [list(m.y) for m in marks] == [found.tokens(1)[s].tolist() for s in "ab"]
