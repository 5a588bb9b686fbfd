"""Fine measures against scipy and librosa, and what they must do whatever the numbers are."""

from __future__ import annotations

from dataclasses import fields

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from modgap.core.errors import ModgapError
from modgap.measures import dtw, kernels
from modgap.measures import similarity_matrices as pairwise
from modgap.measures.alignment import (
    ALL_EQUAL,
    TOO_SHORT,
    Alignment,
    align,
    argmax_path,
    dtw_paths,
    monotonicity,
    path_pairs,
    similarity_matrices,
)
from modgap.measures.monotone import most_monotone
from modgap.measures.pair_metrics import PairMetrics
from modgap.measures.similarity import coarse


def states(seed: int, k: int, n: int, m: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(k, n, d, generator=generator) * 2 + 0.5,
        torch.randn(k, m, d, generator=generator) + 0.3,
    )


def measure(speech: torch.Tensor, text: torch.Tensor, n_layers: int | None = None):
    metrics = PairMetrics(n_layers)
    for layer, (s, t) in enumerate(zip(speech, text, strict=True)):
        metrics.add(layer, s, t)
    return metrics.finish()


def librosa_path(cost: np.ndarray) -> tuple[float, np.ndarray]:
    total, path = librosa.sequence.dtw(C=cost)
    return total[-1, -1], path[::-1]


def is_monotone_and_complete(path: np.ndarray, n: int, m: int) -> bool:
    steps = {tuple(step) for step in np.diff(path, axis=0)}
    return (
        tuple(path[0]) == (0, 0)
        and tuple(path[-1]) == (n - 1, m - 1)
        and steps <= {(0, 1), (1, 0), (1, 1)}
    )


# --- worked by hand ---------------------------------------------------------------------------

HEARD = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]])
TYPED = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])


def test_worked_by_hand():
    _, a, s, t = measure(HEARD, TYPED)
    np.testing.assert_allclose(a.similarity[0], [[1, 0], [0, 1], [0.6, 0.8]], atol=1e-6)
    root = np.sqrt
    np.testing.assert_allclose(
        a.distance[0], [[0, root(2)], [root(5), 1], [root(20), root(18)]], rtol=1e-6
    )
    assert a.argmax_cos.tolist() == a.argmin_euc.tolist() == [[0, 1]]
    # 1 - S: 0 + 0 + 0.2 down the diagonal and one more position of speech
    assert a.dtw_cos[0].tolist() == [[0, 0], [1, 1], [2, 1]]
    assert a.dtw_euc[0].tolist() == [[0, 0], [1, 1], [2, 1]]  # 0 + 1 + sqrt(18)
    assert a.dtw_pair_cos.tolist() == a.dtw_pair_euc.tolist() == [[0, 1]]
    assert (a.aps_cos[0], a.aps_dtw_cos[0]) == (1, 1)
    assert (a.aps_euc[0], a.aps_dtw_euc[0]) == (0.5, 0.5)
    assert a.monotonicity_cos[0] == a.monotonicity_euc[0] == 1
    np.testing.assert_allclose(s, [[4 / 3, 2]], rtol=1e-6)
    np.testing.assert_allclose(t, [[0.5, 0.5]])


def test_worked_by_hand_words_swapped():
    _, a, _, _ = measure(HEARD, TYPED.flip(1))
    assert a.argmax_cos.tolist() == [[1, 0]]
    assert a.aps_cos[0] == 1
    assert a.monotonicity_cos[0] == -1
    # 1 - S = [[1, 0], [0, 1], [0.2, 0.4]]: the best monotone way is 1 + 0 + 0.4
    assert a.dtw_cos[0].tolist() == [[0, 0], [1, 0], [2, 1]]
    assert a.dtw_pair_cos.tolist() == [[1, 2]]
    assert a.aps_dtw_cos[0] == pytest.approx((1 + 0.6) / 2)


# --- the matrices -----------------------------------------------------------------------------

SHAPES = [(3, 40, 13, 16), (2, 1, 1, 5), (2, 1, 7, 4), (2, 9, 1, 4), (2, 5, 30, 300), (1, 6, 4, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_matrices_equal_cdist(shape, dtype):
    speech, text = (x.to(dtype) for x in states(0, *shape))
    S, D = similarity_matrices(speech, text)
    assert S.dtype == D.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for k in range(shape[0]):
        x, y = speech[k].double().numpy(), text[k].double().numpy()
        np.testing.assert_allclose(S[k], 1 - cdist(x, y, "cosine"), atol=2e-6)
        np.testing.assert_allclose(D[k], cdist(x, y), rtol=2e-5)


def test_matrices_of_any_leading_shape():
    speech, text = states(1, 6, 5, 4, 8)
    S, D = similarity_matrices(speech, text)
    S2, D2 = similarity_matrices(speech.reshape(2, 3, 5, 8), text.reshape(2, 3, 4, 8))
    s, d = similarity_matrices(speech[4], text[4])
    torch.testing.assert_close(S2.reshape(6, 5, 4), S, rtol=0, atol=0)
    torch.testing.assert_close(D2.reshape(6, 5, 4), D, rtol=0, atol=0)
    torch.testing.assert_close(s, S[4], rtol=0, atol=0)
    torch.testing.assert_close(d, D[4], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("n", "d"), [(1, 3), (30, 7), (41, 128), (10, 1000)])
def test_identical_inputs_give_exactly_one_and_zero(dtype, n, d):
    speech = states(2, 2, n, 1, d)[0].to(dtype)
    _, a, s, t = measure(speech, speech.clone())
    index = np.arange(n)
    assert (a.similarity[:, index, index] == 1).all()
    assert (a.distance[:, index, index] == 0).all()
    assert (a.similarity <= 1).all()
    assert (a.argmax_cos == index).all()
    assert (a.argmin_euc == index).all()
    assert all((path == np.stack([index, index], 1)).all() for path in a.dtw_cos + a.dtw_euc)
    assert (a.aps_cos == 1).all()
    assert (a.aps_dtw_cos == 1).all()
    assert (a.aps_euc == 0).all()
    assert (a.aps_dtw_euc == 0).all()
    assert (s == t).all()
    if n > 1:
        assert (a.monotonicity_cos == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gap", [1, 0.3, 0.1, 1e-2, 1e-3, 1e-5])
def test_nearly_equal_states_keep_their_digits(gap, dtype):
    # Anisotropic states: all within ``gap`` of one large vector. |x|^2 + |y|^2 - 2 x.y in float32
    # has no right digit left at 1e-4.
    speech, text = states(3, 1, 20, 15, 256)
    centre = torch.randn(256, generator=torch.Generator().manual_seed(9)) * 3
    speech, text = (centre + gap * speech).to(dtype), (centre + gap * text).to(dtype)
    S, D = similarity_matrices(speech, text)
    x, y = speech[0].double().numpy(), text[0].double().numpy()
    np.testing.assert_allclose(D[0], cdist(x, y), rtol=5e-5)
    unit_x = x / np.linalg.norm(x, axis=1, keepdims=True)
    unit_y = y / np.linalg.norm(y, axis=1, keepdims=True)
    # A float32 sum of 256 terms: which way it rounds hangs on the processor's kernels.
    np.testing.assert_allclose(S[0], 1 - cdist(unit_x, unit_y) ** 2 / 2, atol=2e-6)
    assert S.max() <= 1


def test_the_two_ways_to_fill_a_layer_agree():
    # The compiled kernel (CPU, float32) and the tensor operations (every other device).
    speech, text = states(4, 1, 23, 9, 70)
    text[0, 3] = speech[0, 5]  # equal: the entry is computed again
    text[0, 4] = 0
    X, Y = speech[0], text[0]
    shapes = ((23, 9), (23, 9), (23,), (9,), (70,), (70,), (23, 1), (23, 1))
    one, other = (
        pairwise.LayerProducts(*(torch.full(shape, torch.nan) for shape in shapes))
        for _ in range(2)
    )
    torch.mm(X, Y.T, out=one.similarity)
    other.similarity.copy_(one.similarity)
    kernels.layer(X.numpy(), Y.numpy(), *(part.numpy() for part in one))
    pairwise._fill(X, Y, other)
    for name, a, b in zip(one._fields, one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=name)
    assert other.similarity[5, 3] == one.similarity[5, 3] == 1
    assert other.distance[5, 3] == one.distance[5, 3] == 0
    assert (other.similarity[:, 4] == 0).all()
    assert (one.similarity[:, 4] == 0).all()


def test_zero_vectors_have_cosine_zero():
    speech, text = states(5, 1, 4, 3, 6)
    speech[0, 1], text[0, 2] = 0, 0
    _, a, _, _ = measure(speech, text)
    assert (a.similarity[0, 1] == 0).all()
    assert (a.similarity[0, :, 2] == 0).all()
    assert a.distance[0, 1, 2] == 0
    assert np.isfinite(a.aps_cos).all()


# --- the whole, against the libraries ---------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_alignment_equals_scipy_and_librosa(shape):
    speech, text = states(6, *shape)
    _, a, s, t = measure(speech, text)
    m = shape[2]
    j = np.arange(m)
    for k in range(shape[0]):
        S, D = a.similarity[k], a.distance[k]
        np.testing.assert_array_equal(a.argmax_cos[k], S.argmax(0))
        np.testing.assert_array_equal(a.argmin_euc[k], D.argmin(0))
        assert a.aps_cos[k] == pytest.approx(S.max(0).mean(dtype=float))
        assert a.aps_euc[k] == pytest.approx(D.min(0).mean(dtype=float))
        for cost, path, pairs, score, matrix in (
            (1 - S, a.dtw_cos[k], a.dtw_pair_cos[k], a.aps_dtw_cos[k], S),
            (D, a.dtw_euc[k], a.dtw_pair_euc[k], a.aps_dtw_euc[k], D),
        ):
            np.testing.assert_array_equal(path, librosa_path(cost)[1])
            visited = [path[path[:, 1] == column, 0] for column in j]
            want = [rows[cost[rows, c].argmin()] for c, rows in enumerate(visited)]
            np.testing.assert_array_equal(pairs, want)
            assert score == pytest.approx(matrix[want, j].mean(dtype=float))
        for rho, reason, i_star in (
            (a.monotonicity_cos[k], a.monotonicity_reason_cos[k], a.argmax_cos[k]),
            (a.monotonicity_euc[k], a.monotonicity_reason_euc[k], a.argmin_euc[k]),
        ):
            if m < 2 or len(set(i_star)) == 1:
                assert np.isnan(rho)
                assert reason == (TOO_SHORT if m < 2 else ALL_EQUAL)
            else:
                assert reason is None
                assert rho == pytest.approx(spearmanr(j, i_star).statistic, abs=1e-12)
    np.testing.assert_allclose(s, speech.mean(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(t, text.mean(1), rtol=1e-5, atol=1e-6)
    assert a.similarity.dtype == a.distance.dtype == s.dtype == t.dtype == np.float32
    assert a.argmax_cos.dtype == a.dtw_pair_euc.dtype == a.dtw_cos[0].dtype == np.int32


def test_streaming_equals_whole_states():
    speech, text = states(7, 5, 12, 7, 24)
    c, a, _, _ = measure(speech, text, n_layers=2)  # grows beyond what was announced
    whole_c, whole_a = coarse(speech, text), align(*similarity_matrices(speech, text))
    for streamed, whole in ((c, whole_c), (a, whole_a)):
        for field in fields(streamed):
            one, other = getattr(streamed, field.name), getattr(whole, field.name)
            for x, y in zip(one, other, strict=True):
                np.testing.assert_array_equal(x, y, err_msg=field.name)


def test_layers_are_independent_and_threads_change_nothing(monkeypatch):
    speech, text = states(8, 7, 15, 9, 8)
    one = measure(speech, text)[1]
    order = [4, 0, 6, 2, 1, 5, 3]
    monkeypatch.setattr(dtw, "_THREADED_CELLS", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    other = measure(speech[order], text[order])[1]
    for field in fields(Alignment):
        want, got = getattr(one, field.name), getattr(other, field.name)
        for k, source in enumerate(order):
            np.testing.assert_array_equal(got[k], want[source], err_msg=field.name)


def test_inputs_are_neither_kept_nor_changed():
    speech, text = states(9, 1, 6, 4, 8)
    before = speech.clone(), text.clone()
    metrics = PairMetrics()
    metrics.add(0, speech[0], text[0])
    torch.testing.assert_close((speech, text), before, rtol=0, atol=0)
    expected = similarity_matrices(*before)[0][0]
    speech.zero_()
    np.testing.assert_array_equal(metrics.finish()[1].similarity[0], expected)


def test_states_in_odd_memory_and_modes():
    speech, text = states(10, 1, 6, 4, 8)
    want = measure(speech, text)[1].distance
    strided = torch.zeros(6, 16)[:, ::2].copy_(speech[0]), text[0].T.contiguous().T
    metrics = PairMetrics()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        metrics.add(0, strided[0], strided[1])
    metrics.add(1, speech[0].requires_grad_(), text[0])
    with torch.inference_mode():
        metrics.add(2, speech[0] * 1, text[0] * 1)
    for got in metrics.finish()[1].distance:
        np.testing.assert_allclose(got, want[0], rtol=1e-6)


def test_coarser_products_asked_for_by_the_process_are_not_used():
    held = torch.backends.mkldnn.matmul.fp32_precision
    speech, text = states(11, 1, 6, 4, 8)
    want = similarity_matrices(speech, text)
    try:
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        got = similarity_matrices(speech, text)
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = held
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)


# --- properties -------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 9), m=st.integers(1, 9), d=st.integers(2, 20))
def test_scores_do_not_change_when_both_are_rotated_alike(seed, n, m, d):
    speech, text = (x.double() for x in states(seed, 2, n, m, d))
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator).double())[0]
    plain, turned = measure(speech, text)[1], measure(speech @ rotation, text @ rotation)[1]
    for name in ("similarity", "distance", "aps_cos", "aps_euc"):
        np.testing.assert_allclose(
            getattr(turned, name), getattr(plain, name), rtol=1e-6, atol=1e-6, err_msg=name
        )
    for cost, path, other in (
        *zip(1 - plain.similarity, plain.dtw_cos, turned.dtw_cos, strict=True),
        *zip(plain.distance, plain.dtw_euc, turned.dtw_euc, strict=True),
    ):
        # Rounding may pick another of two equally short paths, never a longer one.
        assert cost[tuple(other.T)].sum() == pytest.approx(cost[tuple(path.T)].sum(), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), factor=st.floats(1e-3, 1e3))
def test_louder_speech_has_the_same_cosines(seed, factor):
    speech, text = states(seed, 1, 7, 5, 12)
    plain, _ = similarity_matrices(speech, text)
    louder, _ = similarity_matrices(speech * factor, text)
    torch.testing.assert_close(louder, plain, rtol=0, atol=1e-6)


# Few different values make ties; sums of tenths tie only after rounding.
costs = st.one_of(
    hnp.arrays(
        np.float32,
        st.tuples(*[st.integers(1, 9)] * 2),
        elements=st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.7, 1.0]),
    ),
    hnp.arrays(np.float64, st.tuples(*[st.integers(1, 9)] * 2), elements=st.floats(-2, 1e6)),
    hnp.arrays(np.int64, st.tuples(*[st.integers(1, 9)] * 2), elements=st.integers(0, 2)),
)


@settings(max_examples=150, deadline=None)
@given(cost=costs, data=st.data())
def test_paths_are_librosas_monotone_complete_and_shortest(cost, data):
    (path,) = dtw_paths(cost[None])
    total, want = librosa_path(cost)
    np.testing.assert_array_equal(path, want)
    n, m = cost.shape
    assert is_monotone_and_complete(path, n, m)
    assert np.add.accumulate(cost[tuple(path.T)].astype(float))[-1] == total
    i = j = 0
    length = float(cost[0, 0])
    while (i, j) != (n - 1, m - 1):
        moves = [(a, b) for a, b in ((1, 1), (0, 1), (1, 0)) if i + a < n and j + b < m]
        a, b = data.draw(st.sampled_from(moves))
        i, j = i + a, j + b
        length += float(cost[i, j])
    assert total <= length + 1e-9 * max(1, abs(length))


def test_paths_of_many_larger_matrices_are_librosas():
    rng = np.random.default_rng(0)
    for n, m in ((120, 35), (35, 120), (64, 64)):
        cost = rng.random((3, n, m), np.float32)
        cost[1] = np.round(cost[1], 1)  # ties
        cost[2] = 1 - cost[2]
        traced = dtw.trace((cost, False))[0]
        for k, path in enumerate(dtw_paths(torch.from_numpy(cost))):
            total, want = librosa_path(cost[k])
            np.testing.assert_array_equal(path, want)
            assert traced.totals[k] == total


# --- ties, pairs, monotonicity ----------------------------------------------------------------


def test_ties_go_to_the_earliest_position():
    flat = np.ones((1, 4, 3), np.float32)
    a = align(flat, flat)
    assert a.argmax_cos.tolist() == a.argmin_euc.tolist() == [[0, 0, 0]]
    assert a.monotonicity_reason_cos == (ALL_EQUAL,)
    assert np.isnan(a.monotonicity_euc[0])
    np.testing.assert_array_equal(a.dtw_cos[0], librosa_path(1 - flat[0])[1])
    first = [a.dtw_cos[0][a.dtw_cos[0][:, 1] == j, 0].min() for j in range(3)]
    assert a.dtw_pair_cos[0].tolist() == a.dtw_pair_euc[0].tolist() == first
    assert argmax_path(-flat).tolist() == argmax_path(flat, lowest=True).tolist() == [[0, 0, 0]]


def test_path_pairs_for_a_path_of_ones_own():
    matrix = np.array([[0.1, 0.5], [0.4, 0.5], [0.4, 0.2]])
    path = np.array([[0, 0], [1, 0], [2, 0], [2, 1]])
    assert path_pairs(path, matrix).tolist() == [1, 2]
    assert path_pairs(path, matrix, lowest=True).tolist() == [0, 2]
    assert path_pairs(path, torch.from_numpy(matrix)).tolist() == [1, 2]
    for bad, words in (
        (path[:3], "every text token"),
        (path + 1, "inside"),
        (-path, "inside"),
        (path[:, 0], "inside"),
        (path[:0], "inside"),
    ):
        with pytest.raises(ModgapError, match=words):
            path_pairs(bad, matrix)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.int32, st.tuples(st.integers(1, 4), st.integers(2, 12)), elements=st.integers(0, 6)
    )
)
def test_monotonicity_is_spearmans_rho(i_star):
    rho, reasons = monotonicity(i_star)
    for row, value, reason in zip(i_star, rho, reasons, strict=True):
        if len(set(row)) == 1:
            assert np.isnan(value)
            assert reason == ALL_EQUAL
        else:
            want = spearmanr(np.arange(len(row)), row).statistic
            assert value == pytest.approx(want, abs=1e-12)
            assert reason is None


def test_monotonicity_refuses_other_shapes():
    for bad in (np.arange(3), np.zeros((0, 3), int), np.zeros((2, 2))):
        with pytest.raises(ModgapError, match="positions"):
            monotonicity(bad)


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_nonfinite_states_are_refused(value):
    speech, text = states(12, 3, 5, 4, 6)
    speech[2, 1, 1] = value
    with pytest.raises(ModgapError, match=r"1 of 3 layers.*bfloat16"):
        measure(speech, text)
    with pytest.raises(ModgapError, match="NaN"):
        similarity_matrices(speech.double(), text.double())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nonfinite_matrices_are_refused(value):
    fine = np.ones((2, 3, 3), np.float32)
    bad = fine.copy()
    bad[1, 2, 0] = value
    for call in (lambda: align(bad, fine), lambda: align(fine, bad), lambda: dtw_paths(bad)):
        with pytest.raises(ModgapError, match="NaN or infinite"):
            call()


def test_shapes_that_do_not_fit_are_refused():
    metrics = PairMetrics()
    with pytest.raises(ModgapError, match="choose at least one"):
        metrics.finish()
    metrics.add(0, torch.ones(3, 4), torch.ones(2, 4))
    with pytest.raises(ModgapError, match="already"):
        metrics.add(0, torch.ones(3, 4), torch.ones(2, 4))
    with pytest.raises(ModgapError, match="same positions"):
        metrics.add(1, torch.ones(4, 4), torch.ones(2, 4))
    with pytest.raises(ModgapError, match="speech positions"):
        metrics.add(1, torch.ones(0, 4), torch.ones(2, 4))
    with pytest.raises(ModgapError, match="transcript"):
        metrics.add(1, torch.ones(3, 4), torch.ones(0, 4))
    assert metrics.layers == [0]
    assert metrics.finish()[1].similarity.shape == (1, 3, 2)
    with pytest.raises(ModgapError, match="one shape"):
        align(np.ones((1, 3, 2)), np.ones((1, 2, 3)))
    for shape in ((3, 2), (1, 0, 2), (0, 3, 2)):
        with pytest.raises(ModgapError, match="T_s, T_t"):
            dtw_paths(np.ones(shape))


def test_kernels_work_where_nothing_can_be_cached():
    # Source without a file: numba has no place to keep the machine code and refuses to try.
    scope: dict = {}
    exec("def twice(x):\n    return 2 * x", scope)
    assert kernels.compiled()(scope["twice"])(21) == 42


def test_the_most_monotone_layer() -> None:
    rho = np.array([1.0, 0.2, 0.7, np.nan, 0.7])
    assert most_monotone(rho, range(5)) == 2, "level 0 aside; of equals the lowest"
    assert most_monotone(rho[[1, 4]], [0, 30]) == 30
    assert most_monotone(np.full(3, np.nan), range(3)) is None
    assert most_monotone(rho[:1], [0]) is None
