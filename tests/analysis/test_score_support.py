"""What stands beside a path score, against counts by hand on a tiny model's analysis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import modgap
from modgap.analysis.score_support import filtered_paths, score_support
from modgap.analysis.word_hits import word_hits
from modgap.core.errors import ModgapError
from tests.even_words import even_words
from tests.tiny import make_clip

WORDS = "what is two plus three?"


@pytest.fixture(scope="module")
def analysis(tiny_model: Any) -> Any:
    return modgap.analyze(tiny_model, make_clip(1.3), WORDS, answers=False)


def test_what_stands_beside_a_score(analysis: Any) -> None:
    words = even_words(WORDS, 1.3)
    made, hits = score_support(analysis, words=words), word_hits(analysis, words).layers()
    assert made["layer"].tolist() == analysis.layer_ids.tolist()
    assert (made["tokens"] == len(analysis.pieces)).all()
    for m, path in (("cos", analysis.alignment.argmax_cos), ("euc", analysis.alignment.argmin_euc)):
        assert made[f"aps_{m}"].tolist() == analysis.layers[f"aps_{m}"].tolist()
        assert made[f"distinct_{m}"].tolist() == [len(set(row.tolist())) for row in path]
        assert made[f"word_{m}"].to_numpy() == pytest.approx(hits[f"word_{m}"].to_numpy())
        filtered = filtered_paths(analysis)[m]
        assert made[f"left_out_{m}"].tolist() == (~filtered.kept).sum(1).tolist()
        assert made[f"filtered_aps_{m}"].to_numpy() == pytest.approx(filtered.score)
    assert made["chance"].to_numpy() == pytest.approx(hits["chance"].to_numpy())
    assert not any(name.startswith("word") for name in score_support(analysis).columns)


def test_where_nothing_is_left_out_the_filtered_score_is_the_score(analysis: Any) -> None:
    made = score_support(analysis, words=even_words(WORDS, 1.3))
    for m in ("cos", "euc"):
        same = made[made[f"left_out_{m}"] == 0]
        assert same[f"filtered_aps_{m}"].to_numpy() == pytest.approx(same[f"aps_{m}"].to_numpy())
        assert same[f"filtered_word_{m}"].tolist() == same[f"word_{m}"].tolist()
        assert same[f"filtered_chance_{m}"].to_numpy() == pytest.approx(same["chance"].to_numpy())


def test_the_band_is_the_middle_of_the_other_texts(tiny_model: Any, analysis: Any) -> None:
    texts = ["The ferry leaves.", "Bread and salt", "She painted it."]
    others = modgap.mismatched_aps(tiny_model, make_clip(1.3), WORDS, texts=texts)
    made = score_support(analysis, others=others)
    low, high = np.quantile(others.scores["aps_cos"], (0.05, 0.95), axis=0)
    assert made["others_low_cos"].to_numpy() == pytest.approx(low)
    assert made["others_high_cos"].to_numpy() == pytest.approx(high)
    assert (made["filtered_others_low_euc"] <= made["filtered_others_high_euc"]).all()


def test_what_does_not_belong_is_refused(analysis: Any) -> None:
    with pytest.raises(ModgapError, match="another transcript"):
        score_support(analysis, words=even_words("other words", 1.3))
