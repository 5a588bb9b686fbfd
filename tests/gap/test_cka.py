"""CKA by minibatches against loops by its definition; controls against the library's own parts."""

from __future__ import annotations

import math
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modgap.core.errors import AudioError, ModgapError, SettingsError, StoreError
from modgap.figures.controls import CkaHeat, against_controls
from modgap.gap.controls import (
    folder_in_run,
    kept_controls,
    read_controls,
    set_controls,
    write_controls,
)
from modgap.measures.cka import CkaStream
from modgap.measures.similarity import centred_cosine, linear_cka, mismatched
from modgap.models.base import SpeechLM
from modgap.models.capture import capture_pair
from modgap.scoring.question import Question
from tests.tiny import make_clip


def hsic(K: np.ndarray, L: np.ndarray) -> float:
    """Song et al. (2012), equation 5, term by term."""
    n = len(K)
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    one = np.ones(n)
    return float(
        np.trace(K @ L)
        + (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ K @ L @ one)
    ) / (n * (n - 3))


def oracle(speech: np.ndarray, text: np.ndarray, ends: list[int]) -> np.ndarray:
    layers = len(speech)
    cross, s, t = np.zeros((layers, layers)), np.zeros(layers), np.zeros(layers)
    for a, b in zip([0, *ends[:-1]], ends, strict=True):
        G = [x[a:b] @ x[a:b].T for x in speech]
        H = [x[a:b] @ x[a:b].T for x in text]
        for i in range(layers):
            s[i] += hsic(G[i], G[i])
            t[i] += hsic(H[i], H[i])
            for j in range(layers):
                cross[i, j] += hsic(G[i], H[j])
    return cross / np.sqrt(np.outer(s, t))


def pairs(n: int, layers: int = 3, d: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    speech = torch.randn(layers, n, d, generator=g, dtype=torch.float64)
    text = 0.5 * speech.flip(0) + torch.randn(layers, n, d, generator=g, dtype=torch.float64)
    return speech + 3, text - 7


@given(st.lists(st.integers(1, 9), min_size=3, max_size=12), st.integers(4, 11))
def test_minibatches_by_the_definition(sizes: list[int], batch: int) -> None:
    n = sum(sizes)
    speech, text = pairs(n)
    stream, start = CkaStream(batch), 0
    for size in sizes:
        stream.add(speech[:, start : start + size], text[:, start : start + size])
        start += size
    ends = list(range(batch, n + 1, batch))
    rest = n - (ends[-1] if ends else 0)
    if rest >= 4 and (not ends or 2 * rest >= batch):
        ends.append(n)
    if not ends:
        with pytest.raises(ModgapError, match="at least 4 aligned tokens"):
            stream.finish()
        return
    made = stream.finish()
    assert (made.pairs, made.batches) == (ends[-1], len(ends))
    expected = oracle(speech.numpy(), text.numpy(), ends)
    known = np.isfinite(expected) & np.isfinite(made.values)
    assert made.values[known] == pytest.approx(np.minimum(expected, 1.0)[known], rel=1e-6, abs=1e-9)


def test_ends_of_the_scale() -> None:
    speech, _ = pairs(300, d=4)
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    stream = CkaStream(100)
    stream.add(speech, 2.5 * speech @ rotation + 1)
    assert np.diag(stream.finish().values) == pytest.approx(1.0)
    unrelated = CkaStream(100)
    unrelated.add(pairs(2000, d=200, seed=1)[0], pairs(2000, d=200, seed=2)[0])
    made = unrelated.finish().values
    assert np.abs(made).max() < 0.05
    # The biased estimate of the same tokens is far from 0: fewer tokens than dimensions.
    assert linear_cka(pairs(100, d=200, seed=1)[0][0], pairs(100, d=200, seed=2)[0][0]) > 0.5
    still = CkaStream(10)
    still.add(torch.ones(2, 10, 3), pairs(10, 2, 3)[1])
    assert np.isnan(still.finish().values).all()


def test_what_does_not_fit() -> None:
    stream = CkaStream()
    speech, text = pairs(6)
    stream.add(speech, text)
    for bad in (
        (speech[:2], text[:2]),
        (speech[:, :3], text),
        (speech[0], text[0]),
        (speech * math.nan, text),
    ):
        with pytest.raises(ModgapError):
            stream.add(*bad)
    with pytest.raises(ModgapError, match="at least 4 tokens, not 3"):
        CkaStream(3)
    with pytest.raises(ModgapError, match="2 names for 3 layers"):
        stream.finish((0, 1))


def broken() -> None:
    raise AudioError("gone")


def test_controls_of_a_set(
    tiny_model: SpeechLM, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    words = ["two plus three", "the capital of France", "blue", "how many legs has a dog"]
    asked = [
        Question(f"q{n}", w, lambda n=n: make_clip(1.2 + 0.2 * n, seed=n))
        for n, w in enumerate(words)
    ]
    asked.insert(1, Question("bad", "x", broken))  # type: ignore[arg-type]
    made = set_controls(tiny_model, asked, batch=8)
    assert made.paired
    assert (made.clips, made.left_out, made.pooled) == (4, 1, 4)
    assert "bad is left out: gone" in caplog.text
    states = [
        capture_pair(tiny_model, tiny_model.prepare(q.load(), q.transcript))
        for q in asked
        if q.id != "bad"
    ]
    s = np.stack([x.speech.float().mean(1).numpy() for x in states])
    t = np.stack([x.text.float().mean(1).numpy() for x in states])
    null = mismatched(s, t)
    assert made.layers["cosine_null"].tolist() == pytest.approx(null.cosine_mean.tolist())
    assert made.layers["centred"].tolist() == pytest.approx(centred_cosine(s, t).mean(0).tolist())
    one = np.mean(
        [
            np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
            for a, b in zip(s[:, 2], t[:, 2], strict=True)
        ]
    )
    assert made.layers["cosine"][2] == pytest.approx(one, rel=1e-5)
    # The map again, with pairs found by hand in the middle layer.
    level, stream = tiny_model.n_layers // 2, CkaStream(8)
    for x in states:
        a, b = x.speech[level].numpy(), x.text[level].numpy()
        cos = (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T
        stream.add(x.speech[:, cos.argmax(0)], x.text)
    again = stream.finish()
    assert again.values == pytest.approx(made.cka.values, abs=1e-6, nan_ok=True)
    curves = against_controls(made)
    assert [c.name for c in curves.curves] == ["matched", "mismatched", "matched, mean-centred"]
    assert len(against_controls(made, "euclidean").curves) == 2
    write_controls(folder_in_run(tmp_path, "a/b:c"), "a/b:c", "words", made)
    (folder,) = kept_controls(tmp_path, ["other", "a/b:c", "a-b:c"]).values()
    model, data, same = read_controls(folder)
    assert (model, data) == ("a/b:c", "words")
    pd.testing.assert_frame_equal(same.layers, made.layers)
    np.testing.assert_array_equal(same.cka.values, made.cka.values)
    rest = ("clips", "left_out", "pooled", "path_layer", "markers", "system")
    assert [getattr(same, n) for n in rest] == [getattr(made, n) for n in rest]
    rest = ("layers", "pairs", "batches")
    assert [getattr(same.cka, n) for n in rest] == [getattr(made.cka, n) for n in rest]
    made.layers.drop(columns="centred").to_parquet(folder / "controls.parquet")
    with pytest.raises(StoreError, match="centred"):
        read_controls(folder)
    made.layers.assign(cosine="high").to_parquet(folder / "controls.parquet")
    with pytest.raises(StoreError, match="high"):
        read_controls(folder)
    made.layers.to_parquet(folder / "controls.parquet")
    (folder / "cka.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(StoreError, match="Make them again with `modgap controls`"):
        read_controls(folder)
    heat = CkaHeat(made.cka).figure(dark=True)
    assert heat.data[0].z.shape == (tiny_model.n_layers + 1,) * 2
    assert len(made.cka.table()) == (tiny_model.n_layers + 1) ** 2


def test_controls_need_two_clips_and_a_layer_that_exists(tiny_model: SpeechLM) -> None:
    asked = [Question("a", "x", broken), Question("b", "blue", make_clip)]  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="at least two"):
        set_controls(tiny_model, asked)
    asked = [Question(n, "blue", make_clip) for n in "ab"]
    with pytest.raises(SettingsError, match="different words"):
        set_controls(tiny_model, asked)
    with pytest.raises(SettingsError, match="Layer 99 does not exist"):
        set_controls(tiny_model, asked, path_layer=99)


def test_pairs_of_the_dtw_path(tiny_model: SpeechLM, tmp_path: Path) -> None:
    """The path is librosa's; of a text token's pairs on it, that of the highest cosine counts."""
    words = ["two plus three", "the capital of France", "how many legs has a dog"]
    asked = [
        Question(f"q{n}", w, lambda n=n: make_clip(1 + n / 5, seed=n)) for n, w in enumerate(words)
    ]
    made = set_controls(tiny_model, asked, path="dtw", path_layer=1, batch=8)
    stream = CkaStream(8)
    for question in asked:
        pair = tiny_model.prepare(question.load(), question.transcript)
        states = capture_pair(tiny_model, pair)
        a, b = (torch.nn.functional.normalize(x[1], dim=-1) for x in (states.speech, states.text))
        cos = (a @ b.T).numpy()
        _, steps = librosa.sequence.dtw(C=1 - cos)
        rows = [
            max((i for i, j in steps if j == token), key=lambda i: (cos[i, token], -i))
            for token in range(cos.shape[1])
        ]
        assert rows == sorted(rows)
        stream.add(states.speech[:, rows], states.text)
    assert stream.finish().values == pytest.approx(made.cka.values, abs=1e-6, nan_ok=True)
    argmax = set_controls(tiny_model, asked, path_layer=1, batch=8)
    assert not np.allclose(argmax.cka.values, made.cka.values, equal_nan=True)
    assert argmax.pairing == "argmax path of layer 1"
    assert made.pairing == "DTW path, one pair a text token, of layer 1"
    write_controls(tmp_path, "m", "words", made)
    assert read_controls(tmp_path)[2].pairing == made.pairing
    with pytest.raises(SettingsError, match="argmax or dtw, not 'best'"):
        set_controls(tiny_model, asked, path="best")
