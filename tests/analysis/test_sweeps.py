"""Sweeps, patching and the logit lens against single runs and plain transformers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from modgap.analysis.lens import logit_lens
from modgap.analysis.patching import patching
from modgap.analysis.sweeps import sweep, with_target
from modgap.core.errors import SettingsError
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from tests.tiny import make_clip

WORDS = "What is two plus three?"


@pytest.fixture(scope="module")
def pair(tiny_model: Any) -> Any:
    return tiny_model.prepare(make_clip(1.2), WORDS)


@pytest.fixture(scope="module")
def ready(tiny_model: Any, pair: Any) -> tuple[Prefill, str]:
    return with_target(tiny_model, pair, "five")


def test_the_target_is_the_answer_to_the_text_or_a_given_one(
    tiny_model: Any, pair: Any, ready: tuple[Prefill, str]
) -> None:
    own, name = with_target(tiny_model, pair)
    answer = tiny_model.generate(pair.text, max_new_tokens=48)
    assert own.continuation == answer.token_ids
    assert name == answer.text.strip()
    ids = ready[0].continuation
    assert tiny_model.tokenizer.decode(ids).strip() == "five"
    with pytest.raises(SettingsError, match="is empty"):
        with_target(tiny_model, pair, "  ")


def test_a_sweep_is_its_single_interventions(ready: tuple[Prefill, str]) -> None:
    prefill, name = ready
    made = sweep(prefill, name, rules=("angle", "patch"), layers=(0, 2), strengths=(0, 1.0))
    assert len(made.table) == 2 * 2 * 2 * 2
    assert made.target == "five"
    for row in made.table.itertuples():
        it = Intervention(
            rule=row.rule, layers=(row.layer,), tokens=row.tokens, strength=row.strength
        )
        assert row.logprob == pytest.approx(prefill.scores([(it,)])[0], abs=1e-4)
        assert row.change == pytest.approx(row.logprob - made.plain)
    assert (made.table.loc[made.table["strength"] == 0, "change"] == 0).all()
    assert made.plain == pytest.approx(prefill.scores([()])[0])


def test_what_is_named_twice_is_tried_once(ready: tuple[Prefill, str]) -> None:
    twice = sweep(*ready, rules=("angle",) * 2, layers=(2, 0, 2), tokens=("all",) * 2,
                  strengths=(1, 0.5, 1.0))  # fmt: skip
    assert twice.table[["layer", "strength"]].values.tolist() == [
        [2, 1],
        [2, 0.5],
        [0, 1],
        [0, 0.5],
    ]
    assert patching(*ready, layers=[1, 0, 1]).layers == (1, 0)


@pytest.mark.parametrize("where", ["segment", "pair"])
def test_patching_is_patches_given_by_hand(ready: tuple[Prefill, str], where: str) -> None:
    prefill, name = ready
    made = patching(prefill, name, layers=(0, 3), where=where)
    assert made.change.shape == (2, len(made.pieces))
    for k, layer in enumerate(made.layers):
        segments = prefill.segments(layer, "cosine", where)
        assert all(segments)
        for j in (0, len(made.pieces) - 1):
            pairs = tuple((i, j) for i in segments[j])
            it = Intervention(rule="patch", layers=(layer,), tokens="given", pairs=pairs)
            score = prefill.scores([(it,)])[0]
            assert made.change[k, j] == pytest.approx(score - made.plain, abs=1e-4)
    assert np.allclose(made.restored, made.change / (made.text - made.plain))
    assert len(made.table()) == made.change.size
    assert (made.spans[:, 1] > made.spans[:, 0]).all()


def test_segments_cover_the_clip_in_order(ready: tuple[Prefill, str]) -> None:
    segments = ready[0].segments(1)
    assert segments[0][0] == 0
    assert segments[-1][-1] == len(ready[0].pair.speech.content) - 1
    assert {i for rows in segments for i in rows} == set(range(segments[-1][-1] + 1))
    assert all(a[-1] <= b[0] for a, b in itertools.pairwise(segments))


def test_what_cannot_be_swept_is_refused(tiny_model: Any, pair: Any, ready: Any) -> None:
    plain = Prefill.of(tiny_model, pair)
    for call in (sweep, patching):
        with pytest.raises(SettingsError, match="no wanted answer"):
            call(plain)
    with pytest.raises(SettingsError, match='"segment" or "pair"'):
        patching(ready[0], where="word")
    with pytest.raises(SettingsError, match="cannot be changed"):
        sweep(ready[0], layers=(4,))


def test_where_the_lens_reads_the_word(tiny_model: Any, pair: Any) -> None:
    made = logit_lens(Prefill.of(tiny_model, pair), top=1)
    i, j = made.segments[1][0], 1
    assert made.word_at(i) == j
    assert made.word_at(10_000) == 0
    made.speech.tokens[2, i, 0] = f" {made.pieces[j].strip().upper()}"
    assert made.in_place[2, i]
    made.speech.tokens[2, i, 0] = "another word"
    assert not made.in_place[2, i]
    assert made.in_place.shape == made.speech.tokens.shape[:2]


def test_the_lens_reads_raw_states_through_norm_and_head(tiny_model: Any, pair: Any) -> None:
    kept = Prefill.of(tiny_model, pair)
    made = logit_lens(kept, top=3)
    seen: list[torch.Tensor] = []
    handles = [
        layer.register_forward_hook(lambda _, __, out: seen.append(out))
        for layer in tiny_model.layers
    ]
    with torch.no_grad():
        logits = tiny_model.hf(**pair.speech.inputs).logits[0]
    for handle in handles:
        handle.remove()
    at = pair.speech.content
    with torch.no_grad():
        for level, h in enumerate(seen, start=1):
            p = tiny_model.hf.lm_head(tiny_model.decoder.norm(h[0, at])).softmax(-1)
            top = p.topk(3)
            assert np.array_equal(made.speech.ids[level], top.indices.numpy())
            assert np.allclose(made.speech.probabilities[level], top.values.numpy(), atol=1e-5)
    last = logits[at].softmax(-1).topk(3)
    assert np.array_equal(made.speech.ids[-1], last.indices.numpy())
    for token, i in zip(made.speech.tokens[1, 0], made.speech.ids[1, 0], strict=True):
        assert token == tiny_model.tokenizer.decode([i])
    assert made.text.ids.shape == (5, len(made.pieces), 3)
    assert len(made.table()) == 5 * len(made.times)
    assert ((made.first_layer >= -1) & (made.first_layer <= 4)).all()
    for j, level in enumerate(made.first_layer):
        word = made.pieces[j].strip()
        read = {
            str(t).strip()
            for t in made.speech.tokens[level, list(made.segments[j]), 0]
        }  # fmt: skip
        assert level == -1 or word in read
