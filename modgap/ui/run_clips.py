"""The clips of a run as a table: which were lost, what was said, and a way to open each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.core.names import seen
from modgap.ui import PAGES, runs, widgets
from modgap.ui.session import clip_in_use, inputs, result_shown
from modgap.ui.session.inputs import CHANGE, SORT, SUBJECT, TABLE_PAGE
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import pandas as pd

    from modgap.gap.run_data import Run

__all__ = ["show"]

PAGE_ROWS = 50
CHANGES = {
    "ALL": "all",
    "LOST": "text right, speech wrong",
    "FIXED": "text wrong, speech right",
    "BOTH": "both right",
    "NEITHER": "both wrong",
    "UNPARSED": "no answer found",
}
SORT_NAMES = {
    "question": "name",
    "seconds": "length",
    "wer": "word error rate",
    "kl": "KL from the text",
    "cosine": "cosine",
    "euclidean": "distance",
    "aps_cos": "APS cosine",
    "aps_euc": "APS Euclidean",
    "monotonicity": "monotonicity",
}


def show(run: Run, models: list[str], where: dict[str, list[str]]) -> dict[str, Any]:
    """The table of clips; returns what the address says of it."""
    from modgap.gap import run_table

    st.subheader("Clips", anchor=False)
    here, opened = visit().runs, visit().link
    first = not SUBJECT.is_set
    if SUBJECT.get("") not in run.models:
        wanted = opened.get("subject") if first else None
        SUBJECT.value = str(wanted) if wanted in run.models else models[0]
    known = [change.name for change in run_table.changes(run)]
    if first:
        CHANGE.value = opened.get("become", "LOST")
        SORT.value = opened["sort"] if opened.get("sort") in SORT_NAMES else "question"
    if CHANGE.get("") not in known:
        CHANGE.value = "LOST" if "LOST" in known else "ALL"
    with st.container(horizontal=True, vertical_alignment="bottom", key="clips_controls"):
        model = st.selectbox(
            "Checkpoint",
            run.models,
            key=SUBJECT.key,
            width=190,
            format_func=seen,
            persist_state="session",
        )
        change = st.selectbox(
            "Clips",
            known,
            key=CHANGE.key,
            width=190,
            format_func=CHANGES.__getitem__,
            persist_state="session",
        )
        sort = st.selectbox(
            "Sort by",
            list(SORT_NAMES),
            key=SORT.key,
            width=170,
            format_func=SORT_NAMES.__getitem__,
            persist_state="session",
        )
        down = st.toggle("Descending", key="clips_down", persist_state="session")
        words = st.text_input("Transcript contains", key="clips_words", width=170, max_chars=200)
        kind = run_table.Change[change]
        count = runs.ask(run, "count", run_table.count_clips, model, kind, where, words=words)
        pages = max(1, -(-count // PAGE_ROWS))
    if TABLE_PAGE.get(1) > pages:
        TABLE_PAGE.value = 1
    if not count:
        st.caption("No such clip.")
        return {"subject": model, "become": change, "sort": sort}
    # The pager stands below: above, the table's own toolbar would lie over it.
    place = st.container()
    with st.container(horizontal=True, vertical_alignment="center", key="clips_pager"):
        page = st.number_input(
            f"Page of {pages}", 1, pages, key=TABLE_PAGE.key, width=120, disabled=pages == 1
        )
        st.caption(
            f"{count:,} clips. A click on a row opens its clip: here, and on the Clip, Layers and "
            "Alignment pages."
        )
    rows = runs.ask(
        run,
        "clips",
        run_table.clip_rows,
        model,
        kind,
        where,
        words=words,
        sort=sort,
        descending=down,
        start=PAGE_ROWS * (page - 1),
        limit=PAGE_ROWS,
        tolerance=float(inputs.TOLERANCE.get(0.0)),
    )
    with place:
        chosen = _table(rows, run)
    if chosen is not None:
        row = rows.iloc[chosen]
        mark = (run.name, model, row["question"])
        if here.opened is None or here.opened[0] != mark:
            there = runs.open_clip(run, str(row["question"]), model)
            here.opened, here.submit = (mark, there), there
            st.rerun()  # the sidebar takes the checkpoint over before its clip is analysed
        if here.submit:
            here.submit = False
            result_shown.submit()
        _details(row, model, here.opened[1])
    widgets.downloads(
        [
            widgets.Download.table(
                f"These {len(rows)} clips",
                runs.stem(run, model, change.lower(), f"page{page}", "clips", where=where),
                lambda: rows,
            ),
            widgets.Download.table(
                f"All {count:,} clips",
                runs.stem(run, model, change.lower(), "clips", where=where),
                lambda: run_table.clip_rows(
                    run, model, kind, where, words=words, sort=sort, descending=down, limit=count
                ),
            ),
        ],
        key="clips",
    )
    return {
        "subject": model if model != models[0] else None,
        "become": change if change != "LOST" else None,
        "sort": sort if sort != "question" else None,
    }


def _table(rows: pd.DataFrame, run: Run) -> int | None:
    """Draw the rows; the one that is chosen."""
    import pandas as pd

    inputs = [k for k in ("text", "speech", "pipeline", "base") if k in run.inputs]
    inputs += [k for k in run.inputs if k not in inputs]
    marks = {True: "✓ ", False: "✗ "}
    shown = pd.DataFrame({"transcript": rows["transcript"], "reference answer": rows["reference"]})
    for kind in inputs:
        right = rows[f"{kind} right"]
        shown[kind] = [
            None
            if said is None or said != said
            else f"{'' if r is pd.NA else marks[bool(r)]}{said}"
            for said, r in zip(rows[kind], right, strict=True)
        ]
    for name, title in (
        ("heard", "heard"),
        ("reason", "why"),
        ("wer", "WER"),
        ("kl", "KL"),
        ("seconds", "length (s)"),
    ):
        if rows[name].notna().any():
            shown[title] = rows[name]
    for measure in ("cosine", "euclidean", "aps_cos", "aps_euc", "monotonicity"):
        if measure in rows:
            shown[SORT_NAMES[measure]] = rows[measure]
    for facet in runs.facets(run):
        shown[facet] = rows[facet]
    config = {
        str(c): st.column_config.NumberColumn(format="%.2f" if "(s)" in str(c) else "%.3f")
        for c in shown.columns
        if shown[c].dtype.kind == "f"
    }
    event: Any = st.dataframe(
        widgets.readable(shown),
        key="clips_table",
        hide_index=True,
        column_config=config,
        on_select="rerun",
        selection_mode="single-cell",
        height=widgets.table_height(len(shown), 390),
    )
    cells = event["selection"]["cells"]
    return int(cells[0][0]) if cells and cells[0][0] < len(rows) else None


def _details(row: pd.Series, model: str, opened: bool) -> None:
    """The chosen clip: its sound, what was answered, and where to look further."""
    with st.container(border=True, key="clip_details"):
        here = visit().runs
        problem, here.clip_problem = here.clip_problem, None
        if problem is not None or not opened:
            widgets.error(problem or "The clip is not here; choose it again to try once more.")
        st.text(row["transcript"])
        if opened:
            from modgap.ui.server.service import service

            clip = clip_in_use.clip()
            if clip is not None:
                st.audio(service().wav(clip), format="audio/wav")
        with st.container(horizontal=True, vertical_alignment="center", key="clip_goto"):
            st.caption(f"With {widgets.plain(model)}:", width="content")
            for name, page in (
                ("Clip", "clip"),
                ("Layers", "layers"),
                ("Alignment", "alignment"),
                ("Interventions", "interventions"),
            ):
                if st.button(f"Open on {name}", key=f"goto_{page}", disabled=not opened):
                    st.switch_page(PAGES / f"{page}.py")
