"""What every fit needs of its pairs: counts, means and scatter matrices, added up clip by clip.

No state is kept, so memory does not grow with the clips. Means and centred sums are updated in the
way of Chan, Golub and LeVeque (1979), whose rounding does not grow with the size of the means.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modgap.core.errors import SettingsError

__all__ = ["Moments"]


@dataclass(eq=False)
class Moments:
    """Sufficient statistics of pairs (x, y) of states, float64.

    Attributes
    ----------
    count : int
        Pairs, n.
    mean_x, mean_y : Tensor (d,)
    xx : Tensor (d, d)
        Sum over pairs of (x - mean_x)(x - mean_x)^T.
    xy : Tensor (d, d)
        Sum of (x - mean_x)(y - mean_y)^T.
    yy : Tensor (d,)
        Sum of (y - mean_y)^2, dimension by dimension.
    """

    count: int
    mean_x: Tensor
    mean_y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor

    @classmethod
    def empty(cls, width: int, device: torch.device | str = "cpu") -> Moments:
        """Of no pairs.

        Parameters
        ----------
        width : int
            d.
        device : torch.device or str
            Where it is added up; one without float64 (MPS) is replaced by the CPU.
        """
        where = torch.device(device)
        where = torch.device("cpu") if where.type == "mps" else where

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device=where)

        return cls(0, zeros(width), zeros(width), zeros(width, width), zeros(width, width),
                   zeros(width))  # fmt: skip

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> Moments:
        """Of pairs in rows, both (n, d)."""
        made = cls.empty(x.shape[-1], x.device)
        made.add(x, y)
        return made

    @property
    def width(self) -> int:
        """d."""
        return len(self.mean_x)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Count pairs in.

        Parameters
        ----------
        x, y : Tensor (n, d)
            Of any dtype and device; row by row a pair.

        Raises
        ------
        SettingsError
            The shapes do not fit, or a number is not finite.
        """
        if x.shape != y.shape or x.dim() != 2 or x.shape[1] != self.width:
            raise SettingsError(
                f"Pairs are two tensors of shape (n, {self.width}), not {tuple(x.shape)} and "
                f"{tuple(y.shape)}."
            )
        n = len(x)
        if n == 0:
            return
        x, y = (t.to(self.xx.device, torch.float64) for t in (x, y))
        if not bool(torch.isfinite(x).all() & torch.isfinite(y).all()):
            raise SettingsError(
                "The states hold numbers that are not finite, and a fit would, too: load the model "
                "with another --dtype."
            )
        middle_x, middle_y = x.mean(0), y.mean(0)
        self._take(n, middle_x, middle_y, x - middle_x, y - middle_y)

    def merged(self, other: Moments) -> Moments:
        """Those of the pairs of both; neither is changed.

        Raises
        ------
        SettingsError
            They are of states of different width.
        """
        if other.width != self.width:
            raise SettingsError(
                f"Statistics of states of {self.width} and of {other.width} numbers cannot be "
                "added up."
            )
        made = Moments(self.count, *(t.clone() for t in (
            self.mean_x, self.mean_y, self.xx, self.xy, self.yy)))  # fmt: skip
        if other.count:
            none = made.xx.new_zeros(0, made.width)
            where = made.xx.device
            made._take(other.count, other.mean_x.to(where), other.mean_y.to(where), none, none)
            made.xx += other.xx.to(where)
            made.xy += other.xy.to(where)
            made.yy += other.yy.to(where)
        return made

    def __add__(self, other: Moments) -> Moments:
        return self.merged(other)

    def around(self, mean_x: Tensor, mean_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`xx`, `xy` and `yy` about other means than their own."""
        x, y = self.mean_x - mean_x, self.mean_y - mean_y
        return (
            self.xx + self.count * torch.outer(x, x),
            self.xy + self.count * torch.outer(x, y),
            self.yy + self.count * y**2,
        )

    def _take(self, n: int, middle_x: Tensor, middle_y: Tensor, x: Tensor, y: Tensor) -> None:
        """Count in n pairs: their means, and their rows about these, if they are to be added."""
        step_x, step_y = middle_x - self.mean_x, middle_y - self.mean_y
        total = self.count + n
        # The step between both means is one more row, so that a matrix is read and written once.
        weight = (self.count * n / total) ** 0.5
        x = torch.cat([x, weight * step_x[None]])
        y = torch.cat([y, weight * step_y[None]])
        self.xx.addmm_(x.T, x)
        self.xy.addmm_(x.T, y)
        self.yy += (y**2).sum(0)
        self.mean_x = self.mean_x + step_x * (n / total)
        self.mean_y = self.mean_y + step_y * (n / total)
        self.count = total
