"""The frame's style sheet, held against the themes that it is seen in."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import modgap.ui

ROOT = Path(__file__).parents[2]
THEMES = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
BACKGROUNDS = [
    place[name]
    for theme in ("light", "dark")
    for place in (THEMES[theme], THEMES[theme]["sidebar"])
    for name in ("backgroundColor", "secondaryBackgroundColor")
]


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_the_focus_is_seen_on_every_background() -> None:
    """Non-text contrast of at least 3 (WCAG 2.2, 1.4.11), for all that can be reached by Tab."""
    style = re.sub(r"/\*.*?\*/", "", main_style(), flags=re.DOTALL)
    (selectors, ring), *more = re.findall(r"([^{}]*:focus-visible[^{}]*)\{([^}]*)\}", style)
    assert not more
    for reached in ("a", "button", "summary", '[role="tab"]', '[role="slider"]', '[tabindex="0"]'):
        assert re.search(rf"[(,]\s*{re.escape(reached)}\s*[,)]", selectors), reached
    assert "[data-focus-visible]" in selectors, "Streamlit's radio buttons, boxes and switches"
    found = re.search(r"outline: (\d)px solid (#[0-9a-f]{6})", ring)
    assert found is not None
    assert int(found[1]) >= 2
    assert min(contrast(found[2], b) for b in BACKGROUNDS) >= 3


def main_style() -> str:
    return Path(modgap.ui.__file__).with_name("static").joinpath("page.css").read_text("utf-8")
