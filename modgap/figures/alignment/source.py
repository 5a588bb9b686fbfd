"""The script, the markup and the style of the map, the same wherever it is mounted."""

from __future__ import annotations

from pathlib import Path

__all__ = ["markup", "script", "style"]

STATIC = Path(__file__).parent / "static"
PARTS = ("decode", "format", "geometry", "paint", "player", "thumbs", "pointer", "align")


def script(mount: Path) -> str:
    """The map's script as one module; `mount` is the file that exports what its place calls."""
    files = (*(STATIC / f"{part}.js" for part in PARTS), mount)
    return "\n".join(file.read_text("utf-8") for file in files)


def markup() -> str:
    """What a root holds before a view is made in it."""
    return (STATIC / "align.html").read_text("utf-8")


def style() -> str:
    """The style sheet; colours and font are Streamlit's variables ``--st-*``."""
    return (STATIC / "align.css").read_text("utf-8")
