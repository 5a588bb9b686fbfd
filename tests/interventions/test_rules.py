"""The rules against formulas worked by hand, and against properties that they must have."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modgap.core.errors import SettingsError
from modgap.interventions.intervention import Intervention
from modgap.interventions.rules import SourcePath, angle, apply_edit, plan_edit, rotate, source_path

MATRIX = np.array(
    [[0.9, 0.1, 0.2, 0.0], [0.3, 0.8, 0.7, 0.1], [0.0, 0.2, 0.1, 0.4]], dtype=np.float32
)
PATH = SourcePath(
    np.array([0, 1, 1, 2]),
    np.array([0.9, 0.8, 0.7, 0.4]),
    np.array([0.9, 0.8, 0.7, 0.4]),
    MATRIX,
)


def one(rule: str, h_s: list[float], h_t: list[float], strength: float = 1.0, **more) -> list:
    """Edit a single position that goes with a single token."""
    H_s, H_t = torch.tensor([h_s]), torch.tensor([h_t])
    path = source_path(H_s, H_t, "argmax", "cosine")
    it = Intervention(rule=rule, tokens="all", strength=strength, **more)
    return apply_edit(plan_edit(it, path), 0, H_s, H_t)[0].tolist()


@pytest.mark.parametrize(
    ("rule", "strength", "expected"),
    [
        # h_s = (3, 4) has length 5, h_t = (0, 2) length 2 and direction (0, 1).
        ("angle", 1.0, (0.0, 5.0)),
        ("length", 1.0, (1.2, 1.6)),
        ("both", 1.0, (0.0, 2.0)),
        ("patch", 1.0, (0.0, 2.0)),
        ("length", 0.5, (2.1, 2.8)),  # length 3.5
        ("patch", 0.5, (1.5, 3.0)),
        # The angle of h_s is acos(3/5) from the first axis, h_t stands at 90 degrees.
        (
            "angle",
            0.5,
            tuple(5 * f((math.acos(0.6) + math.pi / 2) / 2) for f in (math.cos, math.sin)),
        ),
        (
            "both",
            0.5,
            tuple(3.5 * f((math.acos(0.6) + math.pi / 2) / 2) for f in (math.cos, math.sin)),
        ),
        ("mean", 1.0, (0.0, 2.0)),  # one position each: its own mean
    ],
)
def test_rules_by_hand(rule: str, strength: float, expected: tuple[float, float]) -> None:
    assert one(rule, [3.0, 4.0], [0.0, 2.0], strength) == pytest.approx(expected, abs=1e-6)


def test_mean_shift_moves_all_by_the_difference_of_means() -> None:
    H_s = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    H_t = torch.tensor([[10.0, 10.0], [20.0, 30.0], [30.0, 50.0]])
    path = source_path(H_s, H_t, "argmax", "cosine")
    it = Intervention(rule="mean", tokens="given", pairs=((0, 0), (1, 1)), strength=0.5)
    # means (2, 1) and (20, 30): half of the difference is (9, 14.5)
    new = apply_edit(plan_edit(it, path), 0, H_s, H_t)
    assert new.tolist() == [[10.0, 14.5], [12.0, 16.5]]


vectors = st.lists(st.floats(-5, 5, width=32), min_size=6, max_size=6)


@settings(deadline=None)
@given(vectors, vectors, st.floats(0.05, 1))
def test_angles_turn_by_their_share_and_keep_the_length(a, b, alpha) -> None:
    h_s, h_t = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    if min(h_s.norm(), h_t.norm()) < 1e-2:
        return
    u, v = h_s / h_s.norm(), h_t / h_t.norm()
    whole = math.acos(float((u @ v).clamp(-1, 1)))
    new = torch.tensor(one("angle", a, b, alpha), dtype=torch.float64)
    assert float(new.norm()) == pytest.approx(float(h_s.norm()), rel=1e-5)
    turned = float(angle(u[None], (new / new.norm())[None]))
    if whole < math.pi - 1e-3:
        assert turned == pytest.approx(alpha * whole, abs=2e-3)
    random = torch.tensor(one("random", a, b, alpha, seed=3), dtype=torch.float64)
    assert float(random.norm()) == pytest.approx(float(h_s.norm()), rel=1e-5)
    assert float(angle(u[None], (random / random.norm())[None])) == pytest.approx(
        alpha * whole, abs=2e-3
    )


def test_opposite_and_missing_directions() -> None:
    u = torch.tensor([[1.0, 0.0, 0.0]])
    half = rotate(u, -u, 0.5)
    assert float((half * u).sum()) == pytest.approx(0, abs=1e-6)
    assert float(half.norm()) == pytest.approx(1)
    assert rotate(u, -u, 1.0).equal(-u)
    assert one("angle", [0.0, 0.0], [1.0, 1.0]) == [0.0, 0.0]
    assert one("length", [2.0, 1.0], [0.0, 0.0]) == [2.0, 1.0]
    assert one("patch", [2.0, 1.0], [0.0, 0.0]) == [0.0, 0.0]


def test_a_seed_means_the_same_direction_anywhere() -> None:
    H_s, H_t = torch.randn(5, 8), torch.randn(2, 8)
    path = source_path(H_s, H_t, "argmax", "cosine")

    def edit(seed: int, *rows: int) -> torch.Tensor:
        it = Intervention(
            rule="random", tokens="given", pairs=tuple((i, 0) for i in rows), seed=seed
        )
        return apply_edit(plan_edit(it, path), 2, H_s, H_t)

    assert edit(1, 1, 3)[1].equal(edit(1, 3)[0])
    assert not edit(1, 3).allclose(edit(2, 3))


@pytest.mark.parametrize(
    ("tokens", "chosen"),
    [
        ("bottom-1", [(2, 3)]),
        ("bottom-2", [(1, 2), (2, 3)]),
        ("top-2", [(0, 0), (1, 1)]),
        ("all", [(0, 0), (1, 1), (1, 2), (2, 3)]),
        ("bottom-99", [(0, 0), (1, 1), (1, 2), (2, 3)]),
    ],
)
def test_which_pairs_are_critical(tokens: str, chosen: list) -> None:
    edit = plan_edit(Intervention(tokens=tokens), PATH)
    assert list(map(tuple, edit.pairs.tolist())) == chosen


def test_a_shared_position_goes_with_its_nearest_token() -> None:
    edit = plan_edit(Intervention(tokens="all"), PATH)
    assert edit.rows.tolist() == [0, 1, 2]
    assert edit.columns.tolist() == [0, 1, 3]  # position 1: token 1 (0.8) rather than 2 (0.7)
    distances = SourcePath(PATH.i, PATH.value, -PATH.value, MATRIX)
    far = plan_edit(Intervention(tokens="all", measure="euclidean"), distances)
    assert far.columns.tolist() == [0, 2, 3]  # as distances, 0.7 is nearer


def test_random_tokens_are_seeded_and_pairs_of_the_path() -> None:
    first = plan_edit(Intervention(tokens="random-2", seed=5), PATH)
    again = plan_edit(Intervention(tokens="random-2", seed=5), PATH)
    assert first.pairs.tolist() == again.pairs.tolist()
    seen = {
        tuple(map(tuple, plan_edit(Intervention(tokens="random-2", seed=s), PATH).pairs.tolist()))
        for s in range(40)
    }
    assert len(seen) == 6  # all pairs out of four
    assert all(tuple(PATH.i[[j for _, j in p]]) == tuple(i for i, _ in p) for p in seen)


def test_given_pairs_lie_inside() -> None:
    edit = plan_edit(Intervention(tokens="given", pairs=((2, 0), (1, 0), (1, 3))), PATH)
    assert edit.pairs.tolist() == [[1, 0], [2, 0], [1, 3]]
    assert dict(zip(edit.rows.tolist(), edit.columns.tolist(), strict=True)) == {1: 0, 2: 0}
    for pair in ((3, 0), (0, 4)):
        with pytest.raises(SettingsError, match="lies outside the clip"):
            plan_edit(Intervention(tokens="given", pairs=(pair,)), PATH)
    assert plan_edit(Intervention(tokens="given"), PATH).idle
    assert plan_edit(Intervention(strength=0), PATH).idle


@pytest.mark.parametrize("measure", ["cosine", "euclidean"])
@pytest.mark.parametrize("path", ["argmax", "dtw"])
def test_the_path_is_that_of_the_alignment(path: str, measure: str) -> None:
    from modgap.measures.alignment import align, similarity_matrices

    H_s, H_t = torch.randn(9, 16), torch.randn(4, 16)
    S, D = similarity_matrices(H_s[None], H_t[None])
    known = align(S, D)
    name = {
        "argmax": {"cosine": "argmax_cos", "euclidean": "argmin_euc"},
        "dtw": {"cosine": "dtw_pair_cos", "euclidean": "dtw_pair_euc"},
    }
    got = source_path(H_s, H_t, path, measure)
    assert got.i.tolist() == getattr(known, name[path][measure])[0].tolist()
