"""Coarse measures against plain float64 numpy, and what they must do whatever the numbers are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modgap.core.errors import ModgapError
from modgap.measures.similarity import centred_cosine, coarse, linear_cka, mismatched


def states(seed: int, k: int, n: int, m: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(k, n, d, generator=generator),
        torch.randn(k, m, d, generator=generator) + 0.3,
    )


def cos(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x * y).sum(-1) / (np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1))


def test_worked_by_hand():
    speech = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]])
    text = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    c = coarse(speech, text)  # means (4/3, 2) and (1/2, 1/2)
    assert c.cosine[0] == pytest.approx(5 / 26**0.5, abs=1e-6)
    assert c.euclidean[0] == pytest.approx(106**0.5 / 6, abs=1e-6)
    assert c.speech_norm[0] == pytest.approx(52**0.5 / 3, abs=1e-6)
    assert c.text_norm[0] == pytest.approx(0.5**0.5, abs=1e-6)
    assert c.norm_ratio[0] == pytest.approx((104**0.5) / 3, abs=1e-6)
    # norms of the positions: 1, 2, 5 and 1, 1
    assert (c.speech_token_norm_q25[0], c.speech_token_norm_q50[0]) == (1.5, 2)
    assert c.speech_token_norm_q75[0] == 3.5
    assert c.text_token_norm_q50[0] == 1


@pytest.mark.parametrize(
    "shape", [(3, 37, 11, 24), (1, 1, 1, 5), (2, 4, 1, 3), (2, 1, 6, 300), (1, 6, 7, 1)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_equals_numpy(shape, dtype):
    speech, text = (x.to(dtype) for x in states(1, *shape))
    c = coarse(speech, text)
    H_s, H_t = speech.double().numpy(), text.double().numpy()
    s, t = H_s.mean(1), H_t.mean(1)
    want = {
        "cosine": cos(s, t),
        "euclidean": np.linalg.norm(s - t, axis=1),
        "speech_norm": np.linalg.norm(s, axis=1),
        "text_norm": np.linalg.norm(t, axis=1),
        "norm_ratio": np.linalg.norm(s, axis=1) / np.linalg.norm(t, axis=1),
    }
    spreads = {
        "cosine": cos(H_s, t[:, None]),
        "euclidean": np.linalg.norm(H_s - t[:, None], axis=2),
        "speech_token_norm": np.linalg.norm(H_s, axis=2),
        "text_token_norm": np.linalg.norm(H_t, axis=2),
    }
    for name, values in spreads.items():
        for q in (25, 50, 75):
            want[f"{name}_q{q}"] = np.percentile(values, q, axis=1)
    assert set(want) == set(vars(c))
    for name, value in want.items():
        got = getattr(c, name)
        assert got.dtype == np.float64
        assert got.shape == (shape[0],)
        np.testing.assert_allclose(got, value, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("n", "d"), [(1, 4), (5, 33), (40, 128)])
def test_identical_inputs_give_exactly_one_and_zero(dtype, n, d):
    speech, _ = states(2, 3, n, 1, d)
    c = coarse(speech.to(dtype), speech.clone().to(dtype))
    assert (c.cosine == 1).all()
    assert (c.euclidean == 0).all()
    assert (c.norm_ratio == 1).all()
    if n == 1:
        assert (c.cosine_q25 == 1).all()
        assert (c.euclidean_q75 == 0).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(1, 9),
    m=st.integers(1, 9),
    d=st.integers(2, 20),
    factor=st.floats(1e-3, 1e3),
)
def test_rotation_and_scale(seed, n, m, d, factor):
    speech, text = (x.double() for x in states(seed, 2, n, m, d))
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator).double())[0]
    plain, rotated = coarse(speech, text), coarse(speech @ rotation, text @ rotation)
    for name in vars(plain):
        a, b = getattr(plain, name), getattr(rotated, name)
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=name)
    louder = coarse(speech * factor, text)
    for name in ("cosine", "cosine_q25", "cosine_q75", "text_norm"):
        np.testing.assert_allclose(
            getattr(louder, name), getattr(plain, name), rtol=1e-9, atol=1e-12
        )
    np.testing.assert_allclose(louder.norm_ratio, plain.norm_ratio * factor, rtol=1e-9)


def test_layers_are_independent():
    speech, text = states(3, 5, 8, 4, 16)
    order = [3, 0, 4, 1, 2]
    one, other = coarse(speech, text), coarse(speech[order], text[order])
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name)[order], getattr(other, name))


def test_zero_states_give_cosine_zero_never_nan():
    speech, text = states(4, 1, 6, 3, 8)
    silent = coarse(torch.zeros_like(speech), text)
    assert silent.cosine[0] == silent.cosine_q75[0] == silent.norm_ratio[0] == 0
    empty = coarse(speech, torch.zeros_like(text))
    assert empty.cosine[0] == 0
    assert np.isnan(empty.norm_ratio[0])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("side", [0, 1])
def test_nonfinite_states_are_refused(value, side):
    pair = states(5, 3, 6, 4, 8)
    pair[side][1, 2, 3] = value
    with pytest.raises(ModgapError, match=r"1 of 3 layers.*number 1.*NaN"):
        coarse(*pair)


@pytest.mark.parametrize(
    ("speech", "text", "words"),
    [
        ((2, 0, 4), (2, 3, 4), "speech positions"),
        ((2, 3, 4), (2, 0, 4), "transcript"),
        ((2, 3, 4), (2, 3, 5), "same layers"),
        ((2, 3, 4), (3, 3, 4), "same layers"),
        ((3, 4), (3, 4), r"\(K, T, d\)"),
        ((0, 3, 4), (0, 3, 4), "empty"),
        ((2, 3, 0), (2, 3, 0), "empty"),
    ],
)
def test_bad_shapes_say_what_is_wrong(speech, text, words):
    with pytest.raises(ModgapError, match=words):
        coarse(torch.zeros(speech), torch.zeros(text))


def test_not_float_tensors():
    with pytest.raises(ModgapError, match="int64"):
        coarse(torch.zeros(1, 2, 3, dtype=torch.int64), torch.zeros(1, 2, 3))
    with pytest.raises(ModgapError, match="ndarray"):
        coarse(np.zeros((1, 2, 3)), torch.zeros(1, 2, 3))


# --- controls ---------------------------------------------------------------------------------


def pooled(seed: int, n: int, k: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, k, d)) + 2, rng.normal(size=(n, k, d)) - 1


def test_mismatched_is_every_pair_of_different_clips():
    s, t = pooled(0, 6, 3, 5)
    got = mismatched(s, torch.from_numpy(t), band=(0.1, 0.8))
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    assert got.pairs == len(pairs) == 30
    cosines = np.array([cos(s[a], t[b]) for a, b in pairs])
    distances = np.array([np.linalg.norm(s[a] - t[b], axis=1) for a, b in pairs])
    np.testing.assert_allclose(got.cosine_mean, cosines.mean(0))
    np.testing.assert_allclose(got.cosine_low, np.quantile(cosines, 0.1, axis=0))
    np.testing.assert_allclose(got.cosine_high, np.quantile(cosines, 0.8, axis=0))
    np.testing.assert_allclose(got.euclidean_mean, distances.mean(0))
    np.testing.assert_allclose(got.euclidean_low, np.quantile(distances, 0.1, axis=0))
    np.testing.assert_allclose(got.euclidean_high, np.quantile(distances, 0.8, axis=0))


def test_mismatched_sample_is_seeded_and_near_the_whole():
    s, t = pooled(1, 60, 1, 4)
    whole = mismatched(s, t)
    part, again = mismatched(s, t, max_pairs=800), mismatched(s, t, max_pairs=800)
    other = mismatched(s, t, max_pairs=800, seed=1)
    assert part.pairs == 800
    assert part.cosine_mean == again.cosine_mean != other.cosine_mean
    assert part.cosine_mean[0] == pytest.approx(whole.cosine_mean[0], abs=0.05)


def test_mismatched_never_takes_a_clip_with_itself():
    # Own pairs are equal (cosine 1), all others orthogonal.
    s = np.eye(7)[:, None, :]
    assert mismatched(s, s).cosine_high[0] == 0
    assert mismatched(s, s, max_pairs=5).cosine_high[0] == 0


def test_centred_cosine():
    s, t = pooled(2, 5, 2, 6)
    want = [
        [cos(s[n, k] - s[:, k].mean(0), t[n, k] - t[:, k].mean(0)) for k in (0, 1)]
        for n in range(5)
    ]
    np.testing.assert_allclose(centred_cosine(s, t), want)
    # what all clips share does not count
    np.testing.assert_allclose(centred_cosine(s + 50, t - 70), want, atol=1e-9)


@pytest.mark.parametrize("function", [mismatched, centred_cosine])
def test_controls_refuse(function):
    s, t = pooled(3, 3, 2, 4)
    with pytest.raises(ModgapError, match="at least 2"):
        function(s[:1], t[:1])
    with pytest.raises(ModgapError, match=r"\(N, K, d\)"):
        function(s, t[:, :1])
    with pytest.raises(ModgapError, match="NaN"):
        function(s * np.nan, t)


def test_mismatched_refuses_bad_settings():
    s, t = pooled(3, 3, 2, 4)
    for bad in ({"max_pairs": 0}, {"band": (0.9, 0.1)}, {"band": (-1, 0.5)}):
        with pytest.raises(ModgapError, match="quantiles"):
            mismatched(s, t, **bad)


# --- CKA --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d1", "d2"), [(50, 4, 7), (9, 30, 5), (9, 5, 30), (2, 3, 3)])
def test_cka_equals_its_definition_by_hsic(n, d1, d2):
    rng = np.random.default_rng(n)
    X, Y = rng.normal(size=(n, d1)) + 3, rng.normal(size=(n, d2))
    H = np.eye(n) - 1 / n

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.trace(a @ a.T @ H @ b @ b.T @ H))

    want = hsic(X, Y) / np.sqrt(hsic(X, X) * hsic(Y, Y))
    assert linear_cka(X, torch.from_numpy(Y)) == pytest.approx(want, rel=1e-9)


def test_cka_ignores_rotation_shift_and_scale_but_not_the_order():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 6))
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert linear_cka(X, 5 * X @ rotation + 2) == pytest.approx(1)
    assert linear_cka(X, X[::-1]) < 0.5


def test_cka_undefined_and_refused():
    X = np.random.default_rng(2).normal(size=(5, 3))
    assert np.isnan(linear_cka(X, np.ones((5, 2))))
    for bad in (X[:4], X[:, 0], X[:, :, None]):
        with pytest.raises(ModgapError, match="same n"):
            linear_cka(X, bad)
    with pytest.raises(ModgapError, match="NaN"):
        linear_cka(X, X * np.inf)
