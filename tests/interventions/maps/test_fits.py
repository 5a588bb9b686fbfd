"""Moments and fits against numpy, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from modgap.core.errors import SettingsError
from modgap.interventions.maps.affine import KINDS, FittedMap, gate_features
from modgap.interventions.maps.fits import PENALTIES, choose, fit, solve
from modgap.interventions.maps.gate import GateFit, HeldOut
from modgap.interventions.maps.moments import Moments

RNG = np.random.default_rng(3)
X = RNG.standard_normal((60, 5)) * [1, 2, 0.5, 3, 1] + [4, -2, 0, 30, 1]
Y = X @ RNG.standard_normal((5, 5)) + 0.3 * RNG.standard_normal((60, 5)) + 2
NEW = RNG.standard_normal((7, 5)) * 2 + [4, -2, 0, 30, 1]


def tensor(a: np.ndarray) -> torch.Tensor:
    return torch.tensor(a)


MOMENTS = Moments.of(tensor(X), tensor(Y))


def on_new(fitted: FittedMap) -> np.ndarray:
    return fitted.mapped(tensor(NEW)).double().numpy()


def near(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)  # maps are kept in float32


def test_moments_are_numpys() -> None:
    assert MOMENTS.mean_x.numpy() == pytest.approx(X.mean(0))
    assert MOMENTS.mean_y.numpy() == pytest.approx(Y.mean(0))
    both = np.cov(X.T, Y.T, ddof=0) * len(X)
    assert MOMENTS.xx.numpy() == pytest.approx(both[:5, :5])
    assert MOMENTS.xy.numpy() == pytest.approx(both[:5, 5:])
    assert MOMENTS.yy.numpy() == pytest.approx(np.diag(both)[5:])
    xx, xy, yy = MOMENTS.around(torch.ones(5).double(), torch.zeros(5).double())
    assert xx.numpy() == pytest.approx((X - 1).T @ (X - 1))
    assert xy.numpy() == pytest.approx((X - 1).T @ Y)
    assert yy.numpy() == pytest.approx((Y**2).sum(0))


def equal(a: Moments, b: Moments, tolerance: float) -> None:
    assert a.count == b.count
    for name in ("mean_x", "mean_y", "xx", "xy", "yy"):
        ours, theirs = getattr(a, name).numpy(), getattr(b, name).numpy()
        assert ours == pytest.approx(theirs, rel=1e-9, abs=tolerance), name


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=8),
    st.integers(1, 6),
    st.floats(-1e4, 1e4),
    st.integers(0, 2**31 - 1),
)
def test_streaming_and_merging_equal_one_batch(
    sizes: list[int], width: int, offset: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = [(rng.standard_normal((n, width)) + offset, rng.standard_normal((n, width)))
             for n in sizes]  # fmt: skip
    whole = Moments.empty(width)
    whole.add(*(tensor(np.concatenate(side)) for side in zip(*parts, strict=True)))
    streamed, merged = Moments.empty(width), Moments.empty(width)
    for x, y in parts:
        streamed.add(tensor(x), tensor(y))
    for x, y in reversed(parts):
        merged = merged + Moments.of(tensor(x), tensor(y))
    tolerance = 1e-9 * max(1.0, abs(offset))
    equal(streamed, whole, tolerance)
    equal(merged, whole, tolerance)


def test_merging_leaves_both_as_they_were() -> None:
    a, b = Moments.of(tensor(X), tensor(Y)), Moments.of(tensor(NEW), tensor(NEW))
    before = [t.clone() for m in (a, b) for t in (m.mean_x, m.xx, m.yy)]
    assert (a + b).count == 67
    after = [t for m in (a, b) for t in (m.mean_x, m.xx, m.yy)]
    assert all(map(torch.equal, before, after))
    equal(a + Moments.empty(5), a, 0)
    equal(Moments.empty(5) + a, a, 1e-9)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((2, 4)), np.ones((2, 4)), "two tensors of shape"),
        (np.ones((2, 5)), np.ones((3, 5)), "two tensors of shape"),
        (np.ones((2, 5)), np.full((2, 5), np.nan), "not finite"),
    ],
)
def test_pairs_that_are_none(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Moments.empty(5).add(tensor(x), tensor(y))
    with pytest.raises(SettingsError, match="cannot be added up"):
        Moments.empty(5).merged(Moments.empty(4))


def test_shift_and_scale() -> None:
    near(on_new(fit("shift", MOMENTS)), NEW - X.mean(0) + Y.mean(0))
    theirs = [LinearRegression().fit(X[:, [k]], Y[:, k]).predict(NEW[:, [k]]) for k in range(5)]
    near(on_new(fit("scale", MOMENTS)), np.stack(theirs, 1))
    still = X.copy()
    still[:, 2] = 7.0
    flat = fit("scale", Moments.of(tensor(still), tensor(Y)))
    assert float(flat.diagonal[2]) == 0


def test_procrustes_is_scipys() -> None:
    x, y = X - X.mean(0), Y - Y.mean(0)
    rotation, trace = orthogonal_procrustes(x, y)
    scale = trace / (x**2).sum()
    fitted = fit("procrustes", MOMENTS)
    near(on_new(fitted), scale * (NEW - X.mean(0)) @ rotation + Y.mean(0))
    again = fitted.left.double() / scale
    assert (again @ again.T).numpy() == pytest.approx(np.eye(5), abs=1e-5)


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 250.0])
def test_ridge_and_residual_are_scikit_learns(penalty: float) -> None:
    ridge = fit("ridge", MOMENTS, penalty=penalty, rank=5)
    near(on_new(ridge), Ridge(alpha=penalty).fit(X, Y).predict(NEW))
    residual = fit("residual", MOMENTS, penalty=penalty, rank=5)
    near(on_new(residual), NEW + Ridge(alpha=penalty).fit(X, Y - X).predict(NEW))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_a_lower_rank_is_that_of_the_augmented_problem(rank: int, residual: bool) -> None:
    """Mukherjee and Zhu: right singular vectors of the fit to [Y; 0] by [X; sqrt(penalty) I]."""
    penalty = 3.0
    x, y = X - X.mean(0), Y - Y.mean(0)
    y = y - x if residual else y
    more = np.concatenate([x, np.sqrt(penalty) * np.eye(5)])
    target = np.concatenate([y, np.zeros((5, 5))])
    w, *_ = np.linalg.lstsq(more, target, rcond=None)
    _, _, v = np.linalg.svd(more @ w)
    expected = w @ v[:rank].T @ v[:rank]
    left, right = solve(MOMENTS, penalty, rank, residual=residual)
    assert left.shape == (5, rank)
    assert (left @ right).numpy() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("residual", [False, True])
def test_cross_validation_is_what_scikit_learn_would_compute(residual: bool) -> None:
    splits = list(KFold(4, shuffle=True, random_state=0).split(X))
    folds = [Moments.of(tensor(X[held]), tensor(Y[held])) for _, held in splits]
    target = Y - X if residual else Y
    expected = []
    for share in PENALTIES:
        total = 0.0
        for train, held in splits:
            size = ((X[train] - X[train].mean(0)) ** 2).sum() / 5
            model = Ridge(alpha=share * size).fit(X[train], target[train])
            total += ((model.predict(X[held]) - target[held]) ** 2).sum()
        expected.append(total)
    found = choose(folds, residual=residual)
    assert found.errors == pytest.approx(expected, rel=1e-6)
    assert found.penalty == PENALTIES[int(np.argmin(expected))]
    by_rank = np.zeros(5)
    for train, held in splits:
        part = Moments.of(tensor(X[train]), tensor(Y[train]))
        size = float(part.xx.trace()) / 5
        middle = (X[train].mean(0), target[train].mean(0))
        for rank in range(1, 6):
            left, right = solve(part, found.penalty * size, rank, residual=residual)
            w = (left if right is None else left @ right).numpy()
            said = (X[held] - middle[0]) @ w + middle[1]
            by_rank[rank - 1] += ((said - target[held]) ** 2).sum()
    highest = max(1, 5 // 4) if residual else 5
    assert found.rank == int(np.argmin(by_rank[:highest])) + 1


def test_a_low_rank_is_found() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 12))
    low = rng.standard_normal((12, 2)) @ rng.standard_normal((2, 12))
    y = x + x @ low + 0.5 * rng.standard_normal((4000, 12))
    folds = [Moments.of(tensor(x[k::4]), tensor(y[k::4])) for k in range(4)]
    fitted = fit("residual", sum(folds[1:], folds[0]), folds=folds)
    assert fitted.rank == 2
    assert fitted.card["rank"] == 2
    assert (fitted.left @ fitted.right).numpy() == pytest.approx(low, abs=0.1)
    assert fitted.mapped(tensor(x)).numpy() == pytest.approx(x + x @ low, abs=0.6)


def test_what_cannot_be_fitted() -> None:
    for call, message in (
        (lambda: fit("spline", MOMENTS), "Maps are shift"),
        (lambda: fit("shift", Moments.of(tensor(X[:1]), tensor(Y[:1]))), "at least 2 pairs"),
        (lambda: fit("ridge", MOMENTS), "nothing to choose"),
        (lambda: fit("ridge", MOMENTS, penalty=0.0, rank=1), "above 0"),
        (lambda: fit("ridge", MOMENTS, penalty=1.0, rank=6), "from 1 to 5"),
    ):
        with pytest.raises(SettingsError, match=message):
            call()


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_do_not_vary_give_finite_maps(kind: str) -> None:
    flat = Moments.of(torch.ones(4, 3), torch.full((4, 3), 2.0))
    fitted = fit(kind, flat, penalty=1.0, rank=2)
    assert fitted.mapped(torch.ones(1, 3))[0].tolist() == pytest.approx([2.0, 2.0, 2.0])


@pytest.mark.parametrize("kind", KINDS)
def test_strength_length_and_rotation(kind: str) -> None:
    fitted = fit(kind, MOMENTS, penalty=1.0, rank=2)
    h = tensor(NEW).float()
    full = fitted.mapped(h)
    assert fitted.apply(h, 0.25).numpy() == pytest.approx(
        (0.75 * h + 0.25 * full).numpy(), abs=1e-4
    )
    kept = fitted.apply(h, keep_length=True)
    assert kept.norm(dim=-1).numpy() == pytest.approx(h.norm(dim=-1).numpy(), rel=1e-5)
    assert torch.nn.functional.cosine_similarity(kept, full).numpy() == pytest.approx(1, abs=1e-5)
    turned = fitted.rotated(seed=1)
    change, other = full - h, turned.mapped(h) - h
    assert other.norm(dim=-1).numpy() == pytest.approx(change.norm(dim=-1).numpy(), rel=1e-3)
    assert not torch.allclose(other, change, atol=1e-2)
    # One orthogonal matrix for all: angles between changes stay.
    assert (other @ other.T).numpy() == pytest.approx(
        (change @ change.T).numpy(), rel=1e-3, abs=0.05
    )
    assert turned.identity != fitted.identity != fitted.rotated(seed=2).identity
    assert turned.identity == fitted.rotated(seed=1).identity
    assert fitted.apply(h.bfloat16()).dtype == torch.bfloat16


def test_a_gate_lets_the_map_act_where_it_helps() -> None:
    """Long states belong to the map's relation, short ones are right as they are."""
    rng = np.random.default_rng(1)
    directions = rng.standard_normal((600, 6))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    long = rng.random(600) < 0.5
    x = directions * np.where(long, 10.0, 1.0)[:, None]
    y = np.where(long[:, None], -x, x)
    fitted = fit("ridge", Moments.of(tensor(x[long]), tensor(y[long])), penalty=1e-3, rank=6)
    gate, plain, gated = GateFit(), HeldOut(), HeldOut()
    for part in range(0, 300, 20):
        gate.add(fitted, tensor(x[part : part + 20]), tensor(y[part : part + 20]))
    seen = gate_features(tensor(x[:300]), fitted.mapped(tensor(x[:300]))).numpy()
    new = fitted.mapped(tensor(x[:300])).double().numpy()
    before, after = ((x[:300] - y[:300]) ** 2).sum(1), ((new - y[:300]) ** 2).sum(1)
    expected, *_ = np.linalg.lstsq(seen, (before - after) / (before + after), rcond=1e-9)
    assert seen @ gate.weights().numpy() == pytest.approx(seen @ expected, abs=1e-4)
    from dataclasses import replace

    with_gate = replace(fitted, gate=gate.weights())
    assert with_gate.opens(tensor(x[300:])).tolist() == long[300:].tolist()
    held = tensor(x[300:]).float()
    changed = with_gate.apply(held)
    assert torch.equal(changed[~torch.tensor(long[300:])], held[~torch.tensor(long[300:])])
    for at in range(300, 600, 50):
        for found, made in ((plain, fitted), (gated, with_gate)):
            found.add(made, tensor(x[at : at + 50]), tensor(y[at : at + 50]))
    assert gated.to_dict()["explained"] > 0.99 > plain.to_dict()["explained"]
    assert gated.to_dict()["opened"] == pytest.approx(long[300:].mean())
    with pytest.raises(SettingsError, match="no pairs"):
        GateFit().weights()


def test_explained_variance_is_scikit_learns() -> None:
    fitted, held = fit("ridge", MOMENTS, penalty=1.0, rank=3), HeldOut()
    other = NEW + RNG.standard_normal(NEW.shape)
    for at in (0, 2, 3):
        end = {0: 2, 2: 3, 3: 7}[at]
        held.add(fitted, tensor(NEW[at:end]), tensor(other[at:end]))
    found = held.to_dict()
    how = {"multioutput": "variance_weighted"}
    assert found["explained"] == pytest.approx(r2_score(other, on_new(fitted), **how), rel=1e-4)
    assert found["explained_plain"] == pytest.approx(r2_score(other, NEW, **how), rel=1e-4)
    assert found["pairs"] == 7
    assert HeldOut().to_dict()["explained"] is None
