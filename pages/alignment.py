"""Token by token: which part of the sound is most similar to each text token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from modgap.ui import as_code, deferred, guards, recognition, widgets
from modgap.ui.alignment import scores
from modgap.ui.session import link, result_shown
from modgap.ui.session.state import AlignmentPlace, visit

if TYPE_CHECKING:
    import pandas as pd

    from modgap.analysis.result import Analysis
    from modgap.analysis.word_hits import WordHits
    from modgap.figures.heatmap import AlignmentMap
    from modgap.figures.scores import Panels
    from modgap.figures.words import WordCurves
    from modgap.speech.words import WordTimes
    from modgap.ui.alignment.component import AlignEvent

HEIGHT = 400  # of the chart and of the table, in pixels
COLUMNS = {
    "cosine": {
        "j": "text token", "piece": "piece", "i_cos": "speech token", "start": "start (s)",
        "end": "end (s)", "cos": "cosine", "i_dtw_cos": "speech token, DTW",
        "dtw_cos": "cosine, DTW",
    },
    "euclidean": {
        "j": "text token", "piece": "piece", "i_euc": "speech token", "euc": "distance",
        "i_dtw_euc": "speech token, DTW", "dtw_euc": "distance, DTW",
    },
}  # fmt: skip


def component(analysis: Analysis) -> tuple[AlignEvent, WordTimes | None, bool]:
    """The matrix of all layers, the words on it, and whether these are still to come.

    It opens where the session or the address left it.
    """
    from modgap.ui.alignment.component import align_view, paths_now

    here, opened = visit().alignment, visit().link
    cell = opened.get("cell") if here.place is None else None
    last = here.place or AlignmentPlace(
        opened.get("layer"), opened.get("measure", "cosine"), opened.get("paths", link.PATHS)
    )
    words, to_come, rows = None, False, []
    if "words" in paths_now("align", last.paths):
        words, to_come = recognition.word_times(analysis)
    if words is not None:
        from modgap.analysis.word_hits import word_rows

        rows = word_rows(words, analysis.spans)
    event = align_view(
        analysis,
        key="align",
        layer=last.layer,
        measure=last.measure,
        paths=last.paths,
        cell=cell,
        words=rows,
        scores=False,
    )
    here.place = AlignmentPlace(event.layer, event.measure, event.paths)
    if event.cell is not None:
        here.cell = (analysis.key, event.cell.i, event.cell.j)
    elif (
        cell is not None and len(analysis.speech_times) > cell[0] and len(analysis.pieces) > cell[1]
    ):
        here.cell = (analysis.key, *cell)
    wanted = "words" in event.paths
    return event, words if wanted else None, to_come and wanted


def opening(analysis: Analysis) -> None:
    """Which layer the page opens at, and why."""
    from modgap.measures.monotone import most_monotone

    layer = most_monotone(analysis.alignment.monotonicity_cos, analysis.layer_ids)
    if layer is not None:
        rho = analysis.layers.set_index("layer").monotonicity[layer]
        st.caption(
            f"The argmax path is most monotone in layer {layer} (ρ = {widgets.number(rho)}): the "
            "page opens there."
        )


def chosen_cell(analysis: Analysis, event: AlignEvent) -> None:
    """The pair that was clicked, in words and numbers."""
    run, i, j = visit().alignment.cell or ("", 0, 0)
    if run != analysis.key:
        return  # the component says what to do
    k = analysis.row(event.layer)
    start, end = analysis.speech_times[i]
    similarity = float(analysis.alignment.similarity[k, i, j])
    distance = float(analysis.alignment.distance[k, i, j])
    from modgap.figures.text import visible

    with st.container(horizontal=True, key="cell", vertical_alignment="center"):
        st.caption("Selected pair", width="content")
        st.text(
            f"text token {j} “{visible(analysis.pieces[j])}”  ·  speech token {i} "
            f"({start:.2f}–{end:.2f} s)  ·  cosine {widgets.number(similarity, 4)}  ·  "
            f"distance {widgets.number(distance, 3)}"
        )


def below(
    analysis: Analysis,
    event: AlignEvent,
    words: WordTimes | None,
    hits: WordHits | None,
    to_come: bool,
    panels: Panels,
    support: pd.DataFrame,
    drawn: bool,
) -> None:
    """Scores over layers, the layer's tokens, downloads; the first two once the map is painted."""
    left, right = st.columns([1, 1], gap="medium")
    with left:
        st.subheader("Scores by layer", anchor=False)
        if drawn:
            widgets.chart(
                panels.figure(current=event.layer, dark=widgets.dark(), height=HEIGHT),
                key="path_scores",
                name=f"{widgets.file_stem(analysis)}-{event.measure}-scores",
                alt="Alignment Path Score and monotonicity over layers",
            )
        else:
            deferred.place(HEIGHT)
    with right:
        st.subheader(f"Text tokens in layer {event.layer}", anchor=False)
        if drawn:
            rows = analysis.tokens[analysis.tokens["layer"] == event.layer]
            names = COLUMNS[event.measure]
            widgets.table(rows[list(names)].rename(columns=names), key="token_table", height=HEIGHT)
        else:
            deferred.place(widgets.table_height(len(analysis.pieces), HEIGHT))
        st.caption(
            f"{len(analysis.pieces)} text tokens and {len(analysis.speech_times)} speech tokens"
        )
    if hits is not None or to_come:
        landing(hits, event, drawn)
    files(analysis, event, words, hits, panels, support)


def landing(hits: WordHits | None, event: AlignEvent, drawn: bool) -> None:
    """How often the paths land in the word, over layers; its place, while the words are to come."""
    st.subheader("Word accuracy of the path", anchor=False)
    if not drawn or hits is None:
        deferred.place(HEIGHT)
    else:
        widgets.chart(
            word_curves(hits, event).figure(
                current=event.layer, dark=widgets.dark(), height=HEIGHT
            ),
            key="word_curves",
            name=f"words-{event.measure}",
            alt="Share of text tokens whose path lands in their word, and how far the others are "
            "off",
        )
    # As many lines before the words are there as afterwards.
    count, source = ("…", "a recogniser") if hits is None else (len(hits.tokens), hits.source)
    st.caption(
        f"{count} text tokens are part of a word whose time is known, by {widgets.plain(source)} "
        "and not by the model. A token is within its word if its speech token and the word overlap "
        "in time. Horizontal lines: chance (a random speech token), and the diagonal from the "
        "first to the last token."
    )


def word_curves(hits: WordHits, event: AlignEvent) -> WordCurves:
    """The share of tokens in their word over layers."""
    from modgap.figures.words import WordCurves

    return WordCurves.of(hits, event.measure)


def matrix(analysis: Analysis, event: AlignEvent, words: WordTimes | None) -> AlignmentMap:
    """The layer's matrix as a figure to keep."""
    from modgap.figures.heatmap import AlignmentMap

    return AlignmentMap.of(analysis, event.layer, event.measure, words=words)


def files(
    analysis: Analysis,
    event: AlignEvent,
    words: WordTimes | None,
    hits: WordHits | None,
    panels: Panels,
    support: pd.DataFrame,
) -> None:
    """What can be downloaded; each file is made when it is asked for."""
    name = widgets.file_stem(analysis)
    at = f"{name}-layer{event.layer}-{event.measure}"
    file = widgets.Download
    of = widgets.subject(analysis)
    here = widgets.subject(analysis, f"layer {event.layer}", event.measure)
    more = []
    if words is not None and hits is not None:
        more = [
            file.figure(
                "Word accuracy", f"{name}-{event.measure}-words",
                lambda: word_curves(hits, event).figure(), of=of,
            ),
            file.table(
                "Word accuracy", f"{name}-{event.measure}-words",
                lambda: word_curves(hits, event).table(),
            ),
            file.table("Word times", f"{name}-word-times", words.table),
        ]  # fmt: skip
    widgets.downloads(
        [
            file.figure(
                "Matrix", f"{at}-matrix", lambda: matrix(analysis, event, words).figure(), of=here
            ),
            file.figure("Scores", f"{name}-{event.measure}-scores", lambda: panels.figure(), of=of),
            file.table("Matrix", f"{at}-matrix", lambda: matrix(analysis, event, words).table()),
            file.table("Tokens, all layers", f"{name}-tokens", lambda: analysis.tokens),
            file.table("Layers", f"{name}-layers", lambda: analysis.layers),
            file.table("Score support", f"{name}-score-support", lambda: support),
            *more,
            file.settings(name, lambda: widgets.provenance(analysis)),
        ],
        key="alignment",
        code=code(event, words is not None),
    )


def code(event: AlignEvent, words: bool) -> as_code.Code | None:
    """The layer's matrix, of the clip in use."""
    request = result_shown.usable_request() if result_shown.is_current() else None
    if request is None:
        return None
    timed = ", words=session.words" if words else ""
    return as_code.of_figure(
        request, "from modgap.figures import AlignmentMap",
        f"AlignmentMap.of(session.analyze(), {event.layer}, {event.measure!r}{timed})", "analyze",
    )  # fmt: skip


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Alignment",
        "Each cell compares one speech token (column, by its time) with one text token (row) in "
        "the chosen layer. An aligned clip shows a band from the top left to the bottom right. The "
        "**argmax path** takes for each text token the speech token most like it, wherever that "
        "is; the **DTW path** is the best path that never goes back in time. The Alignment Path "
        "Score (APS) is the mean along the argmax path; **monotonicity** says whether that path "
        "follows the order of speech, though nothing makes it.",
        r"\begin{gathered} S_{ij} = \cos(H_s[l]_i, H_t[l]_j), \qquad i^*(j) = \arg\max_i S_{ij} \\"
        r"\mathrm{APS}_{\cos} = \frac{1}{T_t}\sum_j S_{i^*(j),\,j}, \qquad "
        r"\rho = \mathrm{Spearman}\bigl(j,\, i^*(j)\bigr) \end{gathered}",
        "For Euclidean distance the smallest value counts: "
        r"$D_{ij} = \lVert H_s[l]_i - H_t[l]_j\rVert$, $i^*(j) = \arg\min_i D_{ij}$. The colour "
        "scale is the same in all layers.\n\n**Words** draws when each word is said, found by "
        "the attention of a recogniser (Whisper tiny.en) and not by the model: an external "
        "reference. A path may be similar and monotone and still lie in the wrong word, or on one "
        "speech token that is near every text token: so beside the score stand the **distinct "
        "speech tokens** on its path, the share **within its word** with chance, and the scores of "
        "**mismatched pairs** (this speech, other texts).",
    )
    here = visit()
    analysis = guards.analysis(
        "**The clip in use has no result yet.** Analyse it on the Clip page, or load an example "
        "here."
        if here.clip is not None
        else "**Nothing to align yet.** Load an example here, or choose a clip of your own on the "
        "Clip page.",
        key="empty_alignment",
    )
    if analysis is None:
        return
    guards.stale()
    from modgap.analysis.score_support import score_support
    from modgap.figures.scores import path_scores

    event, words, to_come = component(analysis)
    hits = None
    if words is not None:
        from modgap.analysis.word_hits import word_hits

        hits = word_hits(analysis, words)
    opening(analysis)
    chosen_cell(analysis, event)
    filtered = scores.filtered_toggle()
    place = st.container()
    drawn = deferred.may_draw(event.painted)
    with st.container():  # what is said of the wait comes and goes; nothing below it is made anew
        others = scores.others(analysis, drawn)
    support = score_support(analysis, words=words, others=others)
    with place:
        scores.metrics(analysis, event, support, filtered, words_to_come=to_come)
    panels = path_scores(analysis, event.measure, support, filtered=filtered)
    run, *cell = here.alignment.cell or ("",)
    here.view = {
        "layer": event.layer,
        "measure": event.measure if event.measure != "cosine" else None,
        "paths": event.paths if set(event.paths) != set(link.PATHS) else (),
        "filtered": "1" if filtered else None,
        "cell": tuple(cell) if run == analysis.key else None,
    }
    below(analysis, event, words, hits, to_come, panels, support, drawn)


page()
