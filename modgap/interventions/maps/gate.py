"""How a map does on pairs that it was not fitted on, and where it should be left alone.

A state's benefit is how much nearer the map brings it to its text token,

    b = (|h - y|^2 - |M(h) - y|^2) / (|h - y|^2 + |M(h) - y|^2), from -1 to 1.

The gate is the least-squares regression of b on what is known of a state without its text
(`FEATURES`), and lets the map act where it predicts more than 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from modgap.core.errors import SettingsError
from modgap.interventions.maps.affine import FEATURES, FittedMap, gate_features

__all__ = ["GateFit", "HeldOut"]


@dataclass(eq=False)
class GateFit:
    """Normal equations of the benefit on `FEATURES`, added up clip by clip.

    Attributes
    ----------
    count : int
        Pairs.
    gram : Tensor float64 (4, 4)
    product : Tensor float64 (4,)
    """

    count: int = 0
    gram: Tensor = field(
        default_factory=lambda: torch.zeros(len(FEATURES), len(FEATURES), dtype=torch.float64)
    )
    product: Tensor = field(default_factory=lambda: torch.zeros(len(FEATURES), dtype=torch.float64))

    def add(self, fitted: FittedMap, x: Tensor, y: Tensor) -> None:
        """Count pairs (n, d) in."""
        mapped = fitted.mapped(x)
        seen = gate_features(x, mapped).cpu()
        before, after = _squares(x, y), _squares(mapped, y)
        benefit = ((before - after) / (before + after).clamp_min(1e-300)).cpu()
        self.gram += seen.T @ seen
        self.product += seen.T @ benefit
        self.count += len(x)

    def weights(self) -> Tensor:
        """Of `FEATURES`, float64 (4,); the smallest where several are as good.

        Raises
        ------
        SettingsError
            There were no pairs.
        """
        if not self.count:
            raise SettingsError("There are no pairs to fit a gate on: give more clips.")
        return torch.linalg.pinv(self.gram, hermitian=True) @ self.product


@dataclass(eq=False)
class HeldOut:
    """Squared errors and cosines of a map on pairs that it has not seen, added up clip by clip."""

    count: int = 0
    opened: int = 0
    mean: Tensor | None = None
    total: float = 0.0
    plain: float = 0.0
    mapped: float = 0.0
    cosine_plain: float = 0.0
    cosine_mapped: float = 0.0

    def add(self, fitted: FittedMap, x: Tensor, y: Tensor) -> None:
        """Count pairs (n, d) in; with the map's gate, where it has one."""
        n = len(x)
        if n == 0:
            return
        new = fitted.apply(x.float())
        y64 = y.to("cpu", torch.float64)
        middle = y64.mean(0)
        mean = torch.zeros_like(middle) if self.mean is None else self.mean
        step, both = middle - mean, self.count + n
        self.total += float((y64 - middle).square().sum())
        self.total += float(step.square().sum()) * self.count * n / both
        self.mean = mean + step * (n / both)
        self.count = both
        self.opened += int(fitted.opens(x).sum())
        self.plain += float(_squares(x, y).sum())
        self.mapped += float(_squares(new, y).sum())
        self.cosine_plain += float(_cosines(x, y).sum())
        self.cosine_mapped += float(_cosines(new, y).sum())

    def to_dict(self) -> dict[str, Any]:
        """For a card; what is undefined is None.

        ``pairs``; ``explained``: 1 - sum |M(x) - y|^2 / sum |y - mean y|^2, the explained variance
        (R^2 over all dimensions together); ``explained_plain``: the same of leaving x as it is;
        ``cosine`` and ``cosine_plain``: mean cosine similarity to y; ``opened``: the share of
        states that the gate lets change.
        """
        n = self.count

        def share(error: float) -> float | None:
            return 1 - error / self.total if self.total > 0 else None

        return {
            "pairs": n,
            "explained": share(self.mapped),
            "explained_plain": share(self.plain),
            "cosine": self.cosine_mapped / n if n else None,
            "cosine_plain": self.cosine_plain / n if n else None,
            "opened": self.opened / n if n else None,
        }


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances row by row, float64 (n,)."""
    return (_double(a) - _double(b)).square().sum(-1)


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(_double(a), _double(b), dim=-1)


def _double(h: Tensor) -> Tensor:
    return h.to("cpu" if h.device.type == "mps" else h.device, torch.float64)
