"""Weights in few bits: how near they come back, and what is told when they don't."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modgap.core.errors import ModelError
from modgap.demo.compact import read_compact, write_compact


@given(
    bits=st.sampled_from([4, 8]),
    rows=st.integers(1, 5),
    columns=st.integers(1, 9),
    size=st.sampled_from([1e-4, 1.0, 300.0]),
    seed=st.integers(0, 1000),
    apart=st.booleans(),
)
def test_every_number_is_within_half_a_step(
    tmp_path_factory: pytest.TempPathFactory, bits, rows, columns, size, seed, apart
) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = size * torch.randn(rows, columns, 2, generator=generator)
    vector = torch.randn(columns, generator=generator)
    told = {"m": matrix, "v": vector}
    near = {k: v + 0.01 * size * torch.randn(v.shape, generator=generator) for k, v in told.items()}
    file = tmp_path_factory.mktemp("compact") / "w.safetensors"
    write_compact(file, told, bits, near if apart else None)
    back = read_compact(file, near if apart else None)
    away = matrix - near["m"] if apart else matrix
    step = away.flatten(1).abs().amax(1)[:, None, None] / (2 ** (bits - 1) - 1)
    assert bool(((back["m"] - matrix).abs() <= 0.5 * step + 1e-5 * size).all())
    torch.testing.assert_close(back["v"], vector, rtol=1e-3, atol=1e-2 * size)
    assert back["m"].shape == matrix.shape


def test_a_row_of_nothing_stays_nothing(tmp_path: Path) -> None:
    write_compact(tmp_path / "w.safetensors", {"m": torch.zeros(2, 3)}, 4)
    assert torch.equal(read_compact(tmp_path / "w.safetensors")["m"], torch.zeros(2, 3))


def test_what_is_lacking_is_told(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    with pytest.raises(ModelError, match="reinstall modgap"):
        read_compact(file)
    file.write_bytes(b"\x10\0\0\0\0\0\0\0not a header....")
    with pytest.raises(ModelError, match="reinstall modgap"):
        read_compact(file)
    write_compact(file, {"m": torch.ones(2, 2)}, 4, {"m": torch.zeros(2, 2)})
    with pytest.raises(ModelError, match="difference"):
        read_compact(file)
