"""The controls of a run on a page: mismatched pairs, centred cosine, CKA between layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from modgap.core.errors import ModgapError
from modgap.core.names import seen
from modgap.ui import runs, widgets
from modgap.ui.session.inputs import CONTROLLED

if TYPE_CHECKING:
    from modgap.gap.run_data import Run

KEYS = {"cosine": "cosine", "euclidean": "Euclidean"}


def show(run: Run, *, euclidean: bool) -> None:
    """The section; a word on how to make controls where the run has none.

    Parameters
    ----------
    run : Run
    euclidean : bool
        Begin with distances instead of cosines.
    """
    from modgap.figures.controls import CkaHeat, OwnAgainstOthers, against_controls
    from modgap.gap.controls import RECORD, kept_controls, made_again, read_controls

    st.subheader("Baselines and controls", anchor=False)
    kept = kept_controls(run.path, run.models)
    if not kept:
        st.caption(
            "This run has no controls (speech of one clip against the text of another, cosine "
            "after each modality's mean is removed, CKA between layers). Make them with "
            f"`modgap controls --run {run.name}`."
        )
        return
    if CONTROLLED.get("") not in kept:
        CONTROLLED.value = runs.finals(run, list(kept))[0]
    with st.container(horizontal=True, vertical_alignment="bottom", key="co_controlled_row"):
        model = st.selectbox(
            "Checkpoint",
            list(kept),
            key=CONTROLLED.key,
            width=230,
            format_func=seen,
            persist_state="session",
        )
        key = st.segmented_control(
            "Measure", list(KEYS), key=f"co_against_{euclidean}", format_func=KEYS.__getitem__,
            default="euclidean" if euclidean else "cosine", required=True,
        )  # fmt: skip
    folder = kept[model]
    try:
        written = (folder / RECORD).stat().st_mtime_ns
        _, data, made = runs.ask(
            run, "controls", lambda _, model, written: read_controls(folder), model, written
        )
    except (ModgapError, OSError) as problem:
        widgets.error(str(problem))
        return
    curves, heat = against_controls(made, key), CkaHeat(made.cka)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        widgets.chart(
            curves.figure(dark=widgets.dark()), key="co_against",
            name=f"{run.name}-controls-{key}",
            alt=f"{KEYS[key]} of matched and mismatched pairs in every layer",
        )  # fmt: skip
        st.caption(
            "**mismatched**: the speech of one clip against the text of another, with the band of "
            "its middle 90 %: it shows how a single clip compares. **mean-centred**: after each "
            "modality's mean over the clips is removed. Whether the mean over clips differs is "
            "told by the difference below, not by the band."
        )
        own = OwnAgainstOthers(made, key) if made.paired else None
        if own is None:
            st.caption(made_again(run.name))
        else:
            widgets.chart(
                own.figure(dark=widgets.dark()), key="co_own", name=f"{run.name}-own-{key}",
                alt=f"{KEYS[key]} of a clip with its own text less that with others, every layer",
            )  # fmt: skip
            st.caption(
                "A clip's own text minus the mean of the others', mean over clips with its 95 % "
                "interval (bootstrap over clips, layer by layer): where it leaves out 0, "
                "similarity tells a clip's own text from others, by its words or by what goes "
                "with them, such as length. **AUC**: the share of the other texts that are less "
                "similar than a clip's own; 0.5 is chance."
            )
    with right:
        widgets.chart(
            heat.figure(dark=widgets.dark(), height=380), key="co_cka", name=f"{run.name}-cka",
            alt="Linear CKA of every speech layer with every text layer",
        )  # fmt: skip
        st.caption(
            f"Linear CKA over {made.cka.pairs:,} aligned tokens ({made.pairing}); "
            f"{made.clips:,} clips of `{data}`, {made.left_out} left out."
        )
    file, name, of = widgets.Download, runs.stem(run, model), runs.subject(run, model)
    widgets.downloads(
        [
            file.figure("Controls", f"{name}-controls-{key}", lambda: curves.figure(), of=of),
            file.table("Controls", f"{name}-controls", lambda: made.layers),
            *(
                [
                    file.figure(
                        "Own against others", f"{name}-own-{key}", lambda: own.figure(), of=of
                    )
                ]
                if own
                else []
            ),
            file.figure("CKA", f"{name}-cka", lambda: heat.figure(), of=of),
            file.table("CKA", f"{name}-cka", made.cka.table),
        ],
        key="controls",
    )
