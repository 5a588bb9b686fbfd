"""The alignment map as a notebook's widget: the app's own script, with sound and clicks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modgap.core.errors import ModgapError
from modgap.figures.alignment.payload import OPEN
from modgap.figures.alignment.view import AlignmentView

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis
    from modgap.notebook.alignment import AlignmentWidget
    from modgap.speech.words import WordTimes

__all__ = ["widget"]

MISSING = "The widget needs anywidget: pip install 'modgap[notebook]', then restart the kernel."


def widget(
    analysis: Analysis,
    *,
    layer: int | None = None,
    measure: str = "cosine",
    paths: Sequence[str] | None = None,
    cell: tuple[int, int] | None = None,
    words: WordTimes | None = None,
    marks: Sequence[tuple[int, int]] = (),
) -> AlignmentWidget:
    """The alignment map of all layers, as on the page Alignment; for JupyterLab and its like.

    Parameters
    ----------
    analysis : Analysis
    layer : int, optional
        Where it opens; by default at the layer whose argmax path is most monotone.
    measure : "cosine" or "euclidean"
    paths : sequence of str, optional
        Of ``"argmax"``, ``"dtw"`` and ``"words"``; by default all that there are.
    cell : (i, j), optional
        The chosen pair: speech position and text position.
    words : WordTimes, optional
        When each word is said, such as `modgap.word_times` gives.
    marks : sequence of (i, j)
        Cells that stand out in every layer.

    Returns
    -------
    AlignmentWidget
        Its ``layer``, ``measure``, ``paths`` and ``cell`` follow what is shown, and it follows
        them; ``on_cell`` tells of clicks.

    Raises
    ------
    ModgapError
        The package anywidget is missing, or the words are those of another transcript.

    Examples
    --------
    >>> shown = modgap.widget(analysis)                                         # doctest: +SKIP
    >>> shown.on_cell(print)                                                    # doctest: +SKIP
    >>> shown.layer = 4                                                         # doctest: +SKIP
    """
    try:
        import anywidget  # noqa: F401
    except ImportError as problem:
        raise ModgapError(MISSING) from problem
    from modgap.notebook.alignment import AlignmentWidget

    rows = None
    if words is not None:
        from modgap.analysis.word_hits import word_rows

        if words.transcript != analysis.transcript:
            raise ModgapError("The word times are those of another transcript than the analysis.")
        rows = word_rows(words, analysis.spans)
    shown = (*OPEN, *(("words",) if rows else ())) if paths is None else tuple(paths)
    view = AlignmentView.from_analysis(analysis)
    return AlignmentWidget(
        view, layer=layer, measure=measure, paths=shown, cell=cell, words=rows, marks=marks
    )
