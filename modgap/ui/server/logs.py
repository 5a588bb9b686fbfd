"""The server's log: what a browser sends ends in one line of it, whatever its length.

A page's widgets are only as honest as the browser. A forged value makes Streamlit, or a page, raise
an error that quotes it, and Streamlit logs that with all frames: some megabytes a request, as often
as somebody likes.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import streamlit as st

from modgap.core.folders import PACKAGE, explorer_folder

__all__ = ["OneLine", "bound_logs"]

#: Streamlit's loggers that tell of exceptions.
LOGGERS = (
    "streamlit.error_util",
    "streamlit.runtime.app_session",
    "streamlit.runtime.scriptrunner.script_runner",
    "streamlit.web.server.starlette.starlette_websocket",
)
MOST = 300  # characters of what an exception says
FRAMES = 12  # of a failure of modgap's own, which somebody will have to find
_OWN = (PACKAGE, explorer_folder() / "pages")
_STREAMLIT = Path(st.__file__).parent


class OneLine(logging.Filter):
    """Cuts what records say; of an exception out of Streamlit's own code only one line stays.

    That is what forged values of widgets end in: Streamlit reads and refuses them. The last frames
    of modgap's own failures stay.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record; it is always logged."""
        said = _short(record.getMessage())
        problem = record.exc_info[1] if record.exc_info else None
        if problem is not None:
            frames = traceback.extract_tb(problem.__traceback__)
            kind, text = type(problem).__name__, _short(str(problem))
            said += f": {kind}: {text}" if text else f": {kind}"
            own = [f for f in frames if _is_in(f, *_OWN)]
            if own:
                said += f" ({Path(own[-1].filename).name}, line {own[-1].lineno})"
            # Below Streamlit's last frame may be Python's own, such as a JSON reader's.
            if [f for f in frames if _is_in(f, _STREAMLIT, *_OWN)][-1:] == own[-1:]:
                lines = traceback.format_list(frames[-FRAMES:])
                said += "\n" + "".join(_line(line) for line in lines).rstrip()
        record.msg, record.args = said, ()
        record.exc_info = record.exc_text = None
        return True


def bound_logs() -> None:
    """Have Streamlit's loggers of exceptions write bounded records; safe to be called again."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, OneLine) for one in logger.filters):
            logger.addFilter(OneLine())


def _is_in(frame: traceback.FrameSummary, *folders: Path) -> bool:
    return any(Path(frame.filename).is_relative_to(folder) for folder in folders)


def _line(text: str) -> str:
    return text if len(text) <= MOST else text[:MOST] + " ...\n"


def _short(text: str) -> str:
    """On one line, without control characters, and not longer than `MOST`."""
    line = " ".join(text[: 2 * MOST].split())[:MOST]
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(text) <= MOST else f"{line} ... ({len(text):,} characters)"
