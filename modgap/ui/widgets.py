"""Pieces that the pages share: safe text, numbers, downloads, explanations, verdicts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.core.names import turned_off
from modgap.ui.session import clip_in_use
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from modgap.analysis.result import Analysis
    from modgap.ui.as_code import Code

NO_VALUE = "–"
ROW_HEIGHT = 2.1875 * 15  # of Streamlit's tables, in pixels: rem times the theme's base font
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Links, emoji codes, arrows and dashes are found in the text after Markdown has been parsed, so a
# backslash does not stop them; an invisible word joiner in their middle does.
_LATE = re.compile(r"(?<=[:@<>=~-])|(?<=www)", re.IGNORECASE)
_JOINER = "\u2060"


def plain(text: str) -> str:
    """Text that labels and messages, which are Markdown, show literally, on one line.

    What would turn the letters behind it around (U+202E) becomes a sign.

    >>> plain("<b> $x$")
    '\\\\<\\u2060b\\\\>\\u2060 \\\\$x\\\\$'
    """
    joined = _LATE.sub(_JOINER, " ".join(turned_off(text).split()))
    return _PUNCTUATION.sub(r"\\\1", joined)


def number(value: float | None, digits: int = 3) -> str:
    """A number with fixed decimals; large ones without, none as a dash."""
    if value is None or not math.isfinite(value):
        return NO_VALUE
    if abs(value) >= 1000:
        digits = 0
    elif abs(value) >= 100:
        digits = min(digits, 1)
    return f"{value:,.{digits}f}".replace("-", "−")


def p_value(value: float | None) -> str:
    """A p value with two digits, however small.

    >>> p_value(0.0271), p_value(3.2e-9), p_value(None)
    ('0.027', '3.2e-09', '–')
    """
    if value is None or not math.isfinite(value):
        return NO_VALUE
    return f"{value:.2g}"


def share(value: float, n: int) -> str:
    """A share in percent, with as many digits as so many cases carry.

    >>> share(619 / 640, 640), share(0.5, 40), share(float("nan"), 0)
    ('96.7 %', '50 %', '–')
    """
    if not math.isfinite(value):
        return NO_VALUE
    return f"{100 * value:.{1 if n >= 100 else 0}f} %"


def seconds(value: float) -> str:
    """A duration, such as ``3.42 s``."""
    return f"{value:.2f} s"


def error(message: str) -> None:
    """An error that may hold names or words of the user."""
    st.error(plain(message))


def notice(message: str) -> None:
    """A remark that may hold names or words of the user."""
    st.info(plain(message))


def title(name: str, body: str, formula: str, more: str) -> None:
    """The page's name, and beside it how its figures are read; our texts, so Markdown.

    What is opened pushes the page down: nothing is covered by its own explanation.
    """
    with st.container(horizontal=True, vertical_alignment="top", key="page_title"):
        st.header(name, anchor=False, width="content")
        with st.expander("How to read this page", key="page_help", type="compact"):
            st.markdown(body)
            st.latex(formula)
            st.markdown(more)


def verdict(value: str | None, reference: str | None) -> None:
    """Whether an answer is right, in words and colour."""
    if value == "right":
        st.badge("right", color="green")
    elif value == "wrong":
        st.badge("wrong", color="red")
    elif reference is None:
        st.badge("no reference answer", color="gray")
    else:
        st.badge("cannot be judged", color="gray")


def dark() -> bool:
    """Whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"


def chart(figure: go.Figure, *, key: str, name: str, alt: str) -> None:
    """A figure as wide as its place; the mode bar's camera saves it as SVG."""
    from modgap.figures.base import plot_config

    st.plotly_chart(figure, key=key, theme=None, config=plot_config(name), alt=alt)


def clickable(figure: go.Figure, *, key: str, name: str, alt: str) -> tuple[int, ...] | None:
    """The same, with the ``customdata`` of the point that was clicked in this run."""
    from modgap.figures.base import plot_config

    event: Any = st.plotly_chart(
        figure, key=key, theme=None, config=plot_config(name), alt=alt,
        on_select="rerun", selection_mode="points",
    )  # fmt: skip
    points = event["selection"]["points"]
    cell = tuple(int(v) for v in points[0]["customdata"]) if points else None
    # The browser says the same again in every run; only a change is a click.
    clicked = visit().clicked
    if clicked.get(key) == cell:
        return None
    clicked[key] = cell
    return cell


@dataclass(frozen=True)
class Download:
    """A file that is made when it is asked for, not before."""

    label: str
    file: str
    mime: str
    make: Callable[[], bytes]

    @classmethod
    def figure(
        cls, label: str, file: str, make: Callable[[], go.Figure], *, of: str = ""
    ) -> Download:
        """A figure as a web page of its own, which needs no network; its title says what it is
        `of`: clip, model, layer, run."""

        def page() -> bytes:
            from modgap.figures.base import standalone_html

            return standalone_html(make(), title=f"{label} · {of}" if of else label)

        return cls(f"{label} (HTML)", f"{file}.html", "text/html", page)

    @classmethod
    def table(cls, label: str, file: str, make: Callable[[], pd.DataFrame]) -> Download:
        """A table as comma-separated values (RFC 4180), words exactly as they are."""
        return cls(
            f"{label} (CSV)",
            f"{file}.csv",
            "text/csv",
            # With this line end, cells that hold a carriage return are quoted, too.
            lambda: make().to_csv(index=False, lineterminator="\r\n").encode(),
        )

    @classmethod
    def settings(cls, file: str, make: Callable[[], Mapping[str, Any]]) -> Download:
        """What was run, with which versions."""
        said = make()  # now: when the file is asked for, there may be no session to ask
        return cls(
            "Settings (JSON)",
            f"{file}-settings.json",
            "application/json",
            lambda: json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False).encode(),
        )


def table(frame: pd.DataFrame, *, key: str, height: int | None = None) -> None:
    """A table with the same decimals in a column; text in it is shown as it is."""
    config = {
        str(name): st.column_config.NumberColumn(format="%.2f" if "(s)" in str(name) else "%.4f")
        for name in frame.columns
        if frame[name].dtype.kind == "f"
    }
    shown: Any = "auto" if height is None else table_height(len(frame), height)
    st.dataframe(readable(frame), key=key, hide_index=True, column_config=config, height=shown)


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts turn no letters of others around."""
    shown = frame.copy(deep=False)
    for name in frame.columns:
        texts = [v for v in frame[name] if isinstance(v, str)]
        if turned_off("".join(texts)) != "".join(texts):  # else the column is as it was
            shown[name] = [turned_off(v) if isinstance(v, str) else v for v in frame[name]]
    return shown


def table_height(rows: int, most: int) -> int:
    """Pixels that a table of so many rows has: as many as it needs, but not more than `most`."""
    return min(most, math.ceil(ROW_HEIGHT * (rows + 1)) + 2)


def file_stem(analysis: Analysis) -> str:
    """The beginning of the names of files saved from a result."""
    from modgap.figures.text import file_name

    clip, model = str(analysis.clip["name"]).rsplit(".", 1)[0], str(analysis.model["name"])
    return f"modgap-{file_name(clip)}-{file_name(model)}"


def subject(analysis: Analysis, *more: str) -> str:
    """What files of a result are of, for their titles."""
    return " · ".join((str(analysis.clip["name"]), str(analysis.model["name"]), *more))


def provenance(analysis: Analysis) -> dict[str, Any]:
    """What made a result, enough to make it again; `source` is the file, where it is in use."""
    draft = visit().draft
    unchecked = draft is not None and draft.text == analysis.transcript
    return {
        "key": analysis.key,
        "model": analysis.model,
        "clip": analysis.clip,
        "source": clip_in_use.source_of(analysis.clip["sha256"]),
        "transcript": analysis.transcript,
        **({"transcript_by": f"{draft.by}, unchecked"} if draft and unchecked else {}),
        "settings": analysis.settings.to_dict(),
        "created": analysis.created,
        "versions": analysis.versions,
    }


def downloads(files: Sequence[Download], *, key: str, code: Code | None = None) -> None:
    """A row of download buttons, and the page's first figure as `code`."""
    with st.container(horizontal=True, key=f"downloads_{key}", vertical_alignment="center"):
        st.caption("Download", width="content")
        for n, file in enumerate(files):
            st.download_button(
                file.label,
                file.make,
                file.file,
                file.mime,
                key=f"download_{key}_{n}",
                on_click="ignore",
                type="tertiary",
            )
        if code is not None:
            with st.popover("Copy as code", type="tertiary", key=f"code_{key}"):
                st.caption("As Python, with the cache that this page has:")
                st.code(code.python, language="python", wrap_lines=True)
                if code.command:
                    st.caption("As a command:")
                    st.code(code.command, language="bash", wrap_lines=True)
