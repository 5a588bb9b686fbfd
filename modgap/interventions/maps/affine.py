"""A fitted map: what it does to states, what it is known by, and the controls made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from modgap.core.errors import SettingsError

__all__ = ["FEATURES", "KINDS", "FittedMap", "gate_features"]

#: What can be fitted, in the order of what each is free to do.
KINDS = ("shift", "scale", "procrustes", "ridge", "residual")
#: What a gate looks at: a state's length, how much the map would change it, and which way.
FEATURES = ("one", "log length", "log relative change", "cosine of state and change")


@dataclass(frozen=True, eq=False)
class FittedMap:
    """h -> mean_y + diagonal * (h - mean_x) + (h - mean_x) left right, all in float32.

    Attributes
    ----------
    kind : str
        One of `KINDS`, with ``", rotated"`` or ``", shuffled"`` behind it where it is a control.
    layer : int
        The level whose states it was fitted on.
    mean_x, mean_y : Tensor (d,)
        Of the speech and of the text states of the pairs.
    diagonal : Tensor (d,) or None
        None is 0.
    left, right : Tensor (d, r), Tensor (r, d), or None
        Their product; without `right`, r = d and `left` is the whole of it.
    gate : Tensor float64 (4,) or None
        Weights of `FEATURES`: a state is changed only where their sum is above 0.
    card : dict
        What it was fitted on and how it does on pairs that it has not seen, in JSON's terms.

    Raises
    ------
    SettingsError
        The shapes do not fit, or a number is not finite.
    """

    kind: str
    layer: int
    mean_x: Tensor
    mean_y: Tensor
    diagonal: Tensor | None = None
    left: Tensor | None = None
    right: Tensor | None = None
    gate: Tensor | None = None
    card: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, tensor in self.tensors.items():
            if name == "gate":  # four numbers, and not every device has float64
                kept = tensor.detach().to("cpu", torch.float64)
            else:
                kept = tensor.detach().to(self.mean_x.device, torch.float32)
            object.__setattr__(self, name, kept.contiguous())
        d = self.mean_x.shape[0] if self.mean_x.dim() == 1 else -1
        r = d if self.right is None else int(self.right.shape[0])
        shapes = {"mean_x": (d,), "mean_y": (d,), "diagonal": (d,), "left": (d, r),
                  "right": (r, d), "gate": (len(FEATURES),)}  # fmt: skip
        for name, tensor in self.tensors.items():
            if tuple(tensor.shape) != shapes[name] or (name == "right" and self.left is None):
                raise SettingsError(f"This is no map: its {name} has shape {tuple(tensor.shape)}.")
            if not bool(torch.isfinite(tensor).all()):
                raise SettingsError(
                    f"This is no map: its {name} holds numbers that are not finite."
                )

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that decides its numbers, by name."""
        names = ("mean_x", "mean_y", "diagonal", "left", "right", "gate")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def width(self) -> int:
        """d, the size of the states that it takes."""
        return len(self.mean_x)

    @property
    def rank(self) -> int | None:
        """Of its matrix; None where it has none."""
        if self.left is None:
            return None
        return int(self.left.shape[1])

    @cached_property
    def identity(self) -> str:
        """SHA-256 of its numbers, whatever it is called and wherever it lies."""
        found = hashlib.sha256(b"modgap map 1")
        for name, tensor in sorted(self.tensors.items()):
            found.update(f"|{name}|{tuple(tensor.shape)}|".encode())
            found.update(tensor.cpu().numpy().tobytes())
        return found.hexdigest()

    def to(self, device: torch.device | str) -> FittedMap:
        """The same on a device; that of the last call is kept."""
        where = torch.device(device)
        if self.mean_x.device == where:
            return self
        last = self.__dict__.get("_there")
        if last is None or last.mean_x.device != where:
            last = replace(self, mean_x=self.mean_x.to(where))  # the others follow it
            object.__setattr__(self, "_there", last)
        return last

    def check(self, width: int) -> None:
        """Refuse states of another size.

        Raises
        ------
        SettingsError
        """
        if width != self.width:
            raise SettingsError(
                f"This map takes states of {self.width} numbers, and the model's have {width}: fit "
                "one for this model with `modgap fit`."
            )

    def mapped(self, h: Tensor) -> Tensor:
        """What the map alone makes of states (n, d), float32: no gate, no strength."""
        here = self.to(h.device)
        h = h.float()
        x = h - here.mean_x
        out = here.mean_y.expand_as(x)
        if here.diagonal is not None:
            out = out + here.diagonal * x
        if here.left is not None:
            low = x @ here.left
            out = out + (low if here.right is None else low @ here.right)
        return out

    def apply(self, h: Tensor, strength: float = 1.0, keep_length: bool = False) -> Tensor:
        """New states in the place of `h`.

        Parameters
        ----------
        h : Tensor (n, d)
        strength : float
            alpha in [0, 1], linear in the state.
        keep_length : bool
            Whether each keeps its own length, so that only its direction changes.

        Returns
        -------
        Tensor (n, d)
            In h's dtype; a state that the gate leaves out is what it was, bit by bit.
        """
        old = h.float()
        full = self.mapped(old)
        new = full if strength == 1 else torch.lerp(old, full, strength)
        if keep_length:
            own, its = old.norm(dim=-1, keepdim=True), new.norm(dim=-1, keepdim=True)
            new = torch.where(its > 0, own * new / its.clamp_min(1e-30), old)
        if self.gate is not None:
            new = torch.where(self.opens(old, full)[:, None], new, old)
        return new.to(h.dtype)

    def opens(self, h: Tensor, mapped: Tensor | None = None) -> Tensor:
        """Which states (n, d) the gate lets change, bool (n,); without a gate all."""
        if self.gate is None:
            return torch.ones(len(h), dtype=torch.bool, device=h.device)
        looked = gate_features(h, self.mapped(h) if mapped is None else mapped).cpu()
        return (looked @ self.gate > 0).to(h.device)

    def rotated(self, seed: int = 0) -> FittedMap:
        """The control: each state is changed by as much, in a direction of no meaning.

        The change that the map makes, M(h) - h, is turned by one random orthogonal matrix, drawn
        uniformly (QR of a Gaussian matrix, signs mended; Mezzadri 2007). It has no gate.
        """
        d = self.width
        noise = torch.Generator().manual_seed(seed)
        q, r = torch.linalg.qr(torch.randn(d, d, generator=noise, dtype=torch.float64))
        q = q * torch.diagonal(r).sign()
        x, y = self.mean_x.double().cpu(), self.mean_y.double().cpu()
        # M(h) - h = (mean_y - mean_x) + (h - mean_x) A, with A = diagonal - 1 + left right.
        a = torch.zeros(d, d, dtype=torch.float64)
        if self.left is not None:
            a = self.left.double().cpu()
            a = a.clone() if self.right is None else a @ self.right.double().cpu()
        own = torch.zeros(d) if self.diagonal is None else self.diagonal.cpu()
        a += torch.diag(own.double() - 1)
        still = self.left is None and bool((own == 1).all())
        return FittedMap(
            f"{self.kind}, rotated", self.layer, x, x + (y - x) @ q, torch.ones(d),
            None if still else a @ q,
            card={**self.card, "control": "rotated", "seed": seed, "of": self.identity},
        )  # fmt: skip

    def without_gate(self) -> FittedMap:
        """The same map, applied to every state."""
        return self if self.gate is None else replace(self, gate=None)


def gate_features(h: Tensor, mapped: Tensor) -> Tensor:
    """`FEATURES` of states and of what a map makes of them, both (n, d): float64 (n, 4)."""
    device = "cpu" if h.device.type == "mps" else h.device
    h, change = h.to(device, torch.float64), mapped.to(device, torch.float64)
    change = change - h
    own, moved = h.norm(dim=-1), change.norm(dim=-1)
    tiny = 1e-30
    return torch.stack(
        [
            torch.ones_like(own),
            own.clamp_min(tiny).log(),
            (moved.clamp_min(tiny) / own.clamp_min(tiny)).log(),
            (h * change).sum(-1) / (own * moved).clamp_min(tiny),
        ],
        dim=-1,
    )


def kinds_of(names: Iterable[str]) -> tuple[str, ...]:
    """Kinds of maps, each once, in the order of `KINDS`.

    Raises
    ------
    SettingsError
        One is unknown, or there is none.
    """
    wanted = tuple(names)
    unknown = [name for name in wanted if name not in KINDS]
    if unknown or not wanted:
        said = repr(unknown[0]) if unknown else "nothing"
        raise SettingsError(f"Maps are {', '.join(KINDS)}, not {said}.")
    return tuple(kind for kind in KINDS if kind in wanted)
