"""Sweeps, patching and the logit lens against single runs and plain transformers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from modgap.analysis.answer_lens import answer_lens
from modgap.analysis.lens import logit_lens
from modgap.analysis.patching import patching, random_positions
from modgap.analysis.sweeps import sweep, with_target
from modgap.core.errors import SettingsError
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from tests.even_words import even_words
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
    assert patching(*ready, layers=[1, 0, 1], where="pair").layers == (1, 0)


@pytest.mark.parametrize("where", ["segment", "pair"])
def test_patching_is_patches_given_by_hand(ready: tuple[Prefill, str], where: str) -> None:
    prefill, name = ready
    made = patching(prefill, name, layers=(0, 3), where=where, draws=0)
    assert np.isnan(made.control).all()
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
    assert (made.spans[..., 1] > made.spans[..., 0]).all()
    assert made.positions[0][0] == tuple(prefill.segments(0, "cosine", where)[0])


def test_the_words_positions_are_those_whose_time_the_word_shares(
    ready: tuple[Prefill, str],
) -> None:
    prefill, name = ready
    times, pieces = prefill.pair.speech.times, prefill.pair.text.pieces
    assert times is not None
    assert pieces is not None
    words = even_words(WORDS, float(times[-1, 1]))
    made = patching(prefill, name, words=words, layers=(1, 3), draws=0)
    said = dict(zip(words.words, words.times, strict=True))
    mark = pieces.index("?")
    for j, piece in enumerate(pieces):
        rows = made.positions[0][j]
        assert rows == made.positions[1][j]  # the same in every layer
        if j == mark:
            assert rows == ()
            assert np.isnan(made.change[:, j]).all()
            continue
        start, end = said[piece.strip()]
        assert rows == tuple(i for i, (a, b) in enumerate(times) if a < end and start < b)
        it = Intervention(rule="patch", layers=(3,), tokens="given",
                          pairs=tuple((i, j) for i in rows))  # fmt: skip
        change = prefill.scores([(it,)])[0] - made.plain
        assert made.change[1, j] == pytest.approx(change, abs=1e-4)
    table = made.table()
    assert table["positions"].tolist()[0] == " ".join(map(str, made.positions[0][0]))
    assert table["count"].tolist()[: len(pieces)] == [len(rows) for rows in made.positions[0]]
    assert made.source == "made up"
    with pytest.raises(SettingsError, match="another transcript"):
        patching(prefill, words=even_words("Other words", 1.0))
    with pytest.raises(SettingsError, match="needs the times"):
        patching(prefill)


def test_the_control_patches_as_many_other_positions(ready: tuple[Prefill, str]) -> None:
    prefill, name = ready
    times = prefill.pair.speech.times
    assert times is not None
    words = even_words(WORDS, float(times[-1, 1]))
    made = patching(prefill, name, words=words, layers=(2,), draws=2, seed=7)
    n, (line,) = len(times), made.positions
    for j, rows in enumerate(line):
        if not rows:
            assert np.isnan(made.control[0, j])
            continue
        changes = []
        for draw in range(2):
            chosen = random_positions(rows, n, (7, draw, j))
            assert len(chosen) == len(set(chosen)) == len(rows)
            assert not set(chosen) & set(rows)
            pairs = tuple((i, j) for i in chosen)
            it = Intervention(rule="patch", layers=(2,), tokens="given", pairs=pairs)
            changes.append(prefill.scores([(it,)])[0] - made.plain)
        assert made.control[0, j] == pytest.approx(np.mean(changes), abs=1e-4)
    # Where the others do not suffice, all of them are taken.
    assert 3 in random_positions((0, 1, 2), 4, (0,))


def test_how_much_is_overwritten_is_told(ready: tuple[Prefill, str]) -> None:
    made = patching(*ready, where="segment", draws=0)
    counts, change = made.counts.ravel(), np.abs(made.change).ravel()
    assert made.size_effect == pytest.approx(stats.spearmanr(counts, change).statistic)
    assert np.isnan(patching(*ready, where="pair", draws=0).size_effect)


def test_patching_behind_the_audio_is_a_hook_that_swaps_states(
    tiny_model: Any, pair: Any, ready: tuple[Prefill, str]
) -> None:
    """Against plain passes of transformers with a hook in a decoder layer."""
    prefill, name = ready
    made = patching(prefill, name, where="after")
    count = len(made.pieces)
    ids = pair.speech.inputs["input_ids"][0]
    assert ids[-count:].tolist() == pair.text.inputs["input_ids"][0, -count:].tolist()
    assert made.change.shape == (4, count)
    assert np.isnan(made.control).all()
    assert np.isnan(made.spans).all()

    def run(prompt: Any, hook: Any, level: int) -> torch.Tensor:
        more = torch.tensor([prefill.continuation[:-1]], dtype=ids.dtype)
        inputs = dict(prompt.inputs)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], more], 1)
        if "attention_mask" in inputs:
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        module = tiny_model.layers[level - 1]
        handle = module.register_forward_hook(hook)
        with torch.no_grad():
            logits = tiny_model.hf(**inputs).logits[0]
        handle.remove()
        return logits[-len(prefill.continuation) :].double().log_softmax(-1)

    for level, k in ((1, 0), (2, count - 1), (3, 1)):
        seen: list[torch.Tensor] = []
        run(pair.text, lambda _, __, out, seen=seen: seen.append(out.clone()), level)
        state = seen[0][0, pair.text.length - count + k]

        def swap(_: Any, __: Any, out: Any, state: Any = state, k: int = k) -> Any:
            out = out.clone()
            out[0, pair.speech.length - count + k] = state
            return out

        logp = run(pair.speech, swap, level)
        score = sum(float(logp[n, id]) for n, id in enumerate(prefill.continuation))
        at = made.layers.index(level)
        assert made.change[at, k] == pytest.approx(score - made.plain, abs=1e-3)


def test_the_answers_lens_is_norm_and_head_at_the_last_token(
    tiny_model: Any, pair: Any, ready: tuple[Prefill, str]
) -> None:
    """Against the hidden states of transformers, which hold the final norm in the last level."""
    prefill, name = ready
    made = answer_lens(prefill, name)
    first = prefill.continuation[0]
    assert made.token == tiny_model.tokenizer.decode([first])
    for row, prompt in enumerate((pair.speech, pair.text)):
        seen: list[torch.Tensor] = []
        handles = [
            layer.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out))
            for layer in tiny_model.layers
        ]
        with torch.no_grad():
            logits = tiny_model.hf(**prompt.inputs).logits[0, -1]
            read = [tiny_model.hf.lm_head(tiny_model.decoder.norm(h[0, -1])) for h in seen]
        for handle in handles:
            handle.remove()
        for level, scores in enumerate(read, start=1):
            p = scores.softmax(-1)
            assert made.probability[row, level] == pytest.approx(float(p[first]), abs=1e-5)
            assert made.rank[row, level] == int((p > p[first]).sum())
        assert made.probability[row, -1] == pytest.approx(float(logits.softmax(-1)[first]),
                                                          abs=1e-5)  # fmt: skip
    plain, text = made.logprob[:, -1]
    assert plain == pytest.approx(float(prefill.log_probability(prefill.logits[None])[0]))
    assert text == pytest.approx(float(prefill.log_probability(prefill.text_logits[None])[0]))
    assert len(made.table()) == 2 * 5
    with pytest.raises(SettingsError, match="no target answer"):
        answer_lens(Prefill.of(tiny_model, pair))


def test_segments_cover_the_clip_in_order(ready: tuple[Prefill, str]) -> None:
    segments = ready[0].segments(1)
    assert segments[0][0] == 0
    assert segments[-1][-1] == len(ready[0].pair.speech.content) - 1
    assert {i for rows in segments for i in rows} == set(range(segments[-1][-1] + 1))
    assert all(a[-1] <= b[0] for a, b in itertools.pairwise(segments))


def test_what_cannot_be_swept_is_refused(tiny_model: Any, pair: Any, ready: Any) -> None:
    plain = Prefill.of(tiny_model, pair)
    for call in (sweep, patching):
        with pytest.raises(SettingsError, match="no target answer"):
            call(plain)
    with pytest.raises(SettingsError, match="where is one of word, segment, pair, after"):
        patching(ready[0], where="stretch")
    with pytest.raises(SettingsError, match="draws"):
        patching(ready[0], where="segment", draws=-1)
    with pytest.raises(SettingsError, match="cannot be changed"):
        patching(ready[0], where="after", layers=(4,))
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
