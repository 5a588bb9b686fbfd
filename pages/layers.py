"""One number per layer: direction and length of the mean speech and text states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from modgap.analysis.examples import example, examples
from modgap.core.errors import ModgapError
from modgap.core.names import seen, unused_name
from modgap.ui import as_code, guards, widgets
from modgap.ui.server.operator_models import model_options
from modgap.ui.server.requests import AnalysisRequest
from modgap.ui.session import asking, link, model_in_use, result_shown
from modgap.ui.session.inputs import CLIPS, MODEL, MODELS
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis
    from modgap.figures.curves import LayerCurves

CURRENT = link.CURRENT_CLIP
AXES = {"whole": "−1 to 1", "upper": "0 to 1"}
MAX_RUNS = 12
NORMS = ("speech_norm", "text_norm", "norm_ratio")


@dataclass(frozen=True)
class Run:
    """A curve: its name, its clip, and the result if it is here."""

    name: str
    clip: str
    request: AnalysisRequest | None
    analysis: Analysis | None


def pick() -> tuple[list[str], list[str]]:
    """Which clips and which models to lay over each other."""
    models = list(model_options())
    titles = [e.title for e in examples()]
    clips = {  # a list of choices tells its entries apart by what it shows
        e.id: e.title if titles.count(e.title) == 1 else f"{e.title}: {e.id}" for e in examples()
    }
    here = visit()
    ref, opened = here.clip, here.link
    if ref is not None:
        if ref.source == "example":
            clips.pop(ref.id, None)
        clips = {CURRENT: f"In use: {seen(ref.name)}", **clips}
    chosen = model_in_use.option()
    if not CLIPS.is_set:
        CLIPS.value = list(opened.get("clips", ())) or ([CURRENT] if ref else [])
    if not MODELS.is_set:
        MODELS.value = list(opened.get("models", ())) or ([chosen.id] if chosen else [])
    follow(chosen.id if chosen else None)
    CLIPS.value = [c for c in CLIPS.value if c in clips]
    MODELS.value = [m for m in MODELS.value if m in models]
    left, right = st.columns(2, gap="medium")
    left.multiselect(
        "Clips",
        list(clips),
        key=CLIPS.key,
        format_func=clips.__getitem__,
        max_selections=link.MAX_PICKS,
        placeholder="Choose clips",
        persist_state="session",
    )
    right.multiselect(
        "Models and checkpoints",
        models,
        key=MODELS.key,
        max_selections=link.MAX_PICKS,
        placeholder="Choose models",
        persist_state="session",
    )
    return CLIPS.value, MODELS.value


def follow(model: str | None) -> None:
    """While one model is drawn and it is the sidebar's, let it change with the sidebar."""
    here = visit().layers
    if model is not None and MODELS.value == [here.model or model]:
        MODELS.value = [model]
    here.model = model


def runs(clips: list[str], models: list[str]) -> list[Run]:
    """The chosen runs, each named apart from the others."""
    found: list[Run] = []
    for clip in clips:
        for model in models:
            found_example = example(clip)
            in_use = visit().clip
            title = found_example.title if found_example else in_use.name if in_use else ""
            parts = [title] * (len(clips) > 1 or len(models) == 1) + [model] * (len(models) > 1)
            request = asked(clip, model)
            analysis = result_shown.at_hand(request) if request is not None else None
            name = unused_name(", ".join(parts), [r.name for r in found])
            found.append(Run(name, clip, request, analysis))
    return found


def asked(clip: str, model: str) -> AnalysisRequest | None:
    """The request of one curve; None while the clip in use has no transcript."""
    found = example(clip)
    try:
        if found is None:
            return result_shown.current_request(model)
        return result_shown.example_request(found, model)
    except (ModgapError, OSError) as problem:
        widgets.error(str(problem))
        return None


def compute(missing: list[Run]) -> None:
    """Begin what is not here yet, and say what could not be made."""
    wanted = [(r.name, r.request) for r in missing if r.request is not None]
    lost = {name: why for name, r in wanted if (why := asking.failure(r)) is not None}
    try:
        for _, request in wanted:
            asking.ask(request)
    except ModgapError as problem:
        widgets.notice(str(problem))
    if lost:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                widgets.plain(f"Not drawn: {', '.join(lost)}. ")
                + widgets.plain(" ".join(sorted(set(lost.values()))))
            )
            st.button("Try again", on_click=visit().failed.clear)
    if len(wanted) < len(missing):
        guards.no_transcript()


def curves(shown: list[tuple[Run, Analysis]]) -> None:
    """The figures."""
    from modgap.figures.curves import LayerCurve, LayerCurves
    from modgap.figures.measures import MEASURES

    with st.container(horizontal=True, vertical_alignment="bottom", key="layers_controls"):
        band = st.toggle(
            "Token median and quartiles", value=len(shown) < 3, key="spread",
            persist_state="session",
        )  # fmt: skip
        upper = st.segmented_control(
            "y-axis of cosine and scores", list(AXES), key="layers_axis", default="whole",
            required=True, format_func=AXES.__getitem__, persist_state="session",
        ) == "upper"  # fmt: skip

    def one(key: str, place: str) -> LayerCurves:
        made = LayerCurves(
            key, tuple(LayerCurve.of(a.layers, key, r.name, band=band) for r, a in shown)
        )
        figure = made.figure(dark=widgets.dark(), height=300, upper=upper)
        if not figure.layout.showlegend:  # so no room for one
            figure.update_layout(margin_t=8)
        widgets.chart(
            figure,
            key=f"curve_{place}",
            name=key,
            alt=f"{made.measure.label} over layers",
        )
        return made

    figures: dict[str, LayerCurves] = {}
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Cosine similarity", anchor=False)
        figures["cosine"] = one("cosine", "cosine")
    with right:
        st.subheader("Euclidean distance", anchor=False)
        figures["euclidean"] = one("euclidean", "euclidean")
    left, right = st.columns(2, gap="medium")
    with left:
        norm = heading("Norms", list(NORMS), "norm")
        figures["norm"] = one(norm, "norm")
    with right:
        others = [k for k in MEASURES if k not in ("cosine", "euclidean", *NORMS)]
        other = heading("Token-level scores", others, "other")
        figures["other"] = one(other, "other")
    table(shown, figures, band)


def heading(text: str, keys: list[str], key: str) -> str:
    """A heading with the choice of a measure at its end."""
    from modgap.figures.measures import MEASURES

    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.subheader(text, anchor=False, width="content")
        return st.selectbox(
            "Measure",
            keys,
            format_func=lambda k: MEASURES[k].short,
            key=key,
            label_visibility="collapsed",
            persist_state="session",
            width=170,
        )


def table(shown: list[tuple[Run, Analysis]], figures: dict[str, LayerCurves], band: bool) -> None:
    """The numbers behind the curves, and the downloads."""
    parts = [a.layers.assign(run=r.name, model=a.model["name"]) for r, a in shown]
    every = pd.concat(parts, ignore_index=True)
    every = every[["run", "model", *[c for c in every.columns if c not in ("run", "model")]]]
    with st.expander("Table of the numbers"):
        widgets.table(every, key="layer_table")
    alone = len(shown) == 1
    name = widgets.file_stem(shown[0][1]) if alone else f"modgap-{len(shown)}-runs"
    of = widgets.subject(shown[0][1]) if alone else ", ".join(r.name for r, _ in shown)
    named = [
        (r.name, r.request, "" if r.clip == CURRENT else r.clip)
        for r, _ in shown
        if r.request is not None
    ]
    widgets.downloads(
        [
            *[
                widgets.Download.figure(f.measure.short, f"{name}-{f.key}", f.figure, of=of)
                for f in figures.values()
            ],
            widgets.Download.table("All numbers", f"{name}-layers", lambda: every),
            widgets.Download.settings(
                name, lambda: {r.name: widgets.provenance(a) for r, a in shown}
            ),
        ],
        key="layers",
        code=as_code.of_curves(named, "cosine", band),
    )


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Layers",
        "The mean of the states over the speech tokens and the mean over the text tokens give one "
        "vector each per layer. **Cosine similarity** compares their directions, **Euclidean "
        "distance** their places, the **norms** their lengths. The line with marks is the "
        "**median over tokens** (each speech token's own state against the text mean, each token's "
        "own length), its band their middle half; the dotted line is **pooled**, the measure of "
        "the two mean vectors. A mean is shorter than its parts, so the two may lie apart. Read "
        "from left to right: a cosine that rises says that the directions of both modalities "
        "converge with depth, a distance that rises that their states move apart.",
        r"\begin{gathered} \cos(s_l, t_l) ="
        r"\frac{s_l \cdot t_l}{\lVert s_l\rVert\,\lVert t_l\rVert}, \quad \lVert s_l - t_l\rVert \\"
        r"s_l = \frac{1}{T_s}\sum_i H_s[l]_i,\quad "
        r"t_l = \frac{1}{T_t}\sum_j H_t[l]_j \end{gathered}",
        "Layer 0 is what enters the first decoder layer; the last one is taken after the final "
        "norm. The published finding (arXiv 2510.12116): cosine rises with depth while the "
        "distance rises too, so direction converges and magnitude diverges.",
    )
    here = visit()
    if here.clip is None and not here.link.get("clips") and not CLIPS.get([]):
        guards.empty(
            "**Nothing to draw yet.** Load an example here, or choose a clip of your own on the "
            "Clip page.",
            key="empty_layers",
        )
        return
    clips, models = pick()
    here.view = {
        "clips": tuple(clips) if clips != [CURRENT] else (),
        "models": tuple(models) if models != [MODEL.get("")] else (),
    }
    found = runs(clips, models)
    if len(found) > MAX_RUNS:
        st.caption(f"The first {MAX_RUNS} of {len(found)} runs are drawn.")
        found = found[:MAX_RUNS]
    shown = [(r, r.analysis) for r in found if r.analysis is not None]
    compute([r for r in found if r.analysis is None])
    if shown:
        curves(shown)
    elif not found:
        st.caption("Choose at least one clip and one model.")
    elif not here.jobs:
        st.caption("No result yet: analyse the clip on the Clip page.")


page()
