"""The widget's module: the map's script with its markup and style in it, so it loads no file."""

from __future__ import annotations

import json
from pathlib import Path

from modgap.figures.alignment import source

__all__ = ["MOUNT", "module"]

MOUNT = Path(__file__).parent / "static" / "widget_mount.js"


def module() -> str:
    """The text of the ES module."""
    texts = {"MARKUP": source.markup(), "STYLE": source.style()}
    named = "\n".join(f"const {name} = {json.dumps(text)};" for name, text in texts.items())
    return f"{source.script(MOUNT)}\n{named}\n"
