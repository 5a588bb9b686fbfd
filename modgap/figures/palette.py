"""Colours shared by the figures and the alignment component, for light and dark pages.

Series colours are Okabe-Ito's, each kept only where it reaches a contrast of 3 to 1 against its
page; a series is told apart by its dash as well, never by colour alone. Similarity is signed, so
its map diverges at 0; distance is one-signed and gets cividis. Both maps are even in lightness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x")

_RD_BU = (
    "#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7",
    "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f",
)  # fmt: skip
# The same hues with a dark middle, so that values near 0 sink into a dark page.
_RD_BU_DARK = (
    "#b4dcff", "#79b5ef", "#4a8fd3", "#2f6aa8", "#224a76", "#1b2531",
    "#6b3325", "#a04a30", "#d0683f", "#f0946a", "#ffccab",
)  # fmt: skip

# Plotly's own, written down: the alignment component has no need to wait for Plotly.
_CIVIDIS = (
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173",
    "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838",
)  # fmt: skip


@dataclass(frozen=True)
class Palette:
    """The colours of one page theme, as CSS hex strings."""

    text: str
    muted: str
    page: str
    grid: str
    axis: str
    missing: str
    primary: str
    series: tuple[str, ...]
    diverging: tuple[str, ...]
    sequential: tuple[str, ...] = _CIVIDIS


LIGHT = Palette(
    text="#1b2430",
    muted="#5b6673",
    page="#ffffff",
    grid="#e6e9ee",
    axis="#aab3bf",
    missing="#c3c9d1",
    primary="#0b5cad",
    series=("#0072b2", "#d55e00", "#009e73", "#a8457d", "#7a6a00", "#4b5563"),
    diverging=_RD_BU,
)
DARK = Palette(
    text="#e3e8ee",
    muted="#98a4b3",
    page="#11161d",
    grid="#252d38",
    axis="#4a5563",
    missing="#4a5563",
    primary="#6cb0f5",
    series=("#56b4e9", "#e69f00", "#2fc798", "#e091bf", "#f0e442", "#c3ccd6"),
    diverging=_RD_BU_DARK,
)


def palette(dark: bool = False) -> Palette:
    """The palette of the dark or the light page."""
    return DARK if dark else LIGHT


def rgb(colour: str) -> tuple[int, int, int]:
    """The channels of ``#rrggbb``, each 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def rgba(colour: str, alpha: float) -> str:
    """``#rrggbb`` with an opacity, as CSS ``rgba()``."""
    r, g, b = rgb(colour)
    return f"rgba({r},{g},{b},{alpha:g})"


def lookup_table(anchors: tuple[str, ...], n: int = 255) -> np.ndarray:
    """`n` colours, uint8 (n, 3), linear between equally spaced anchors."""
    channels = np.array([rgb(a) for a in anchors], dtype=float)
    at = np.linspace(0, len(anchors) - 1, n)
    columns = [np.interp(at, np.arange(len(anchors)), channels[:, c]) for c in range(3)]
    return np.rint(np.stack(columns, axis=1)).astype(np.uint8)


def colorscale(anchors: tuple[str, ...]) -> list[list[float | str]]:
    """The same anchors in Plotly's form, ``[[0, colour], ..., [1, colour]]``."""
    return [[i / (len(anchors) - 1), a] for i, a in enumerate(anchors)]
