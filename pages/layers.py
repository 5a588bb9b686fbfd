"""One number per layer: direction and length of the mean speech and text states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from modgap.core.errors import ModgapError
from modgap.core.names import unused_name
from modgap.ui import widgets
from modgap.ui.examples import example, examples
from modgap.ui.server.offered import model_options
from modgap.ui.server.service import Request, service
from modgap.ui.session import link, state

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis

S = st.session_state
CURRENT = link.CURRENT_CLIP
MAX_RUNS = 12
NORMS = ("speech_norm", "text_norm", "norm_ratio")


@dataclass(frozen=True)
class Run:
    """A curve: its name, and the result if it is here."""

    name: str
    request: Request | None
    key: str | None


def pick() -> tuple[list[str], list[str]]:
    """Which clips and which models to lay over each other."""
    models = list(model_options())
    titles = [e.title for e in examples()]
    clips = {  # a list of choices tells its entries apart by what it shows
        e.id: e.title if titles.count(e.title) == 1 else f"{e.title}: {e.id}" for e in examples()
    }
    ref: state.ClipRef | None = S.get("clip")
    if ref is not None:
        if ref.source == "example":
            clips.pop(ref.id, None)
        clips = {CURRENT: f"In use: {ref.name}", **clips}
    chosen = state.option()
    opened = S.get("link", {})
    if "compare_clips" not in S:
        S["compare_clips"] = list(opened.get("clips", ())) or ([CURRENT] if ref else [])
    if "compare_models" not in S:
        S["compare_models"] = list(opened.get("models", ())) or ([chosen.id] if chosen else [])
    follow(chosen.id if chosen else None)
    S["compare_clips"] = [c for c in S["compare_clips"] if c in clips]
    S["compare_models"] = [m for m in S["compare_models"] if m in models]
    left, right = st.columns(2)
    left.multiselect(
        "Clips",
        list(clips),
        key="compare_clips",
        format_func=clips.__getitem__,
        max_selections=link.MAX_PICKS,
        placeholder="Choose clips",
        persist_state="session",
    )
    right.multiselect(
        "Models and checkpoints",
        models,
        key="compare_models",
        max_selections=link.MAX_PICKS,
        placeholder="Choose models",
        persist_state="session",
    )
    return S["compare_clips"], S["compare_models"]


def follow(model: str | None) -> None:
    """While one model is drawn and it is the sidebar's, let it change with the sidebar."""
    before = S.get("compare_with", model)
    if model is not None and S["compare_models"] == [before]:
        S["compare_models"] = [model]
    S["compare_with"] = model


def runs(clips: list[str], models: list[str]) -> list[Run]:
    """The chosen runs, each named apart from the others."""
    found: list[Run] = []
    for clip in clips:
        for model in models:
            found_example = example(clip)
            title = found_example.title if found_example else S["clip"].name
            parts = [title] * (len(clips) > 1 or len(models) == 1) + [model] * (len(models) > 1)
            request = asked(clip, model)
            if request is not None and request.signature == S.get("signature"):
                key = S.get("run")
            else:
                key = service().known(request) if request is not None else None
            name = unused_name(", ".join(parts), [r.name for r in found])
            found.append(Run(name, request, key))
    return found


def asked(clip: str, model: str) -> Request | None:
    """The request of one curve; None while the clip in use has no transcript."""
    found = example(clip)
    try:
        if found is None:
            sound = state.current_clip()
            words = S.get("transcript") or ""
            if sound is None or not words.strip():
                return None
            return state.request_of(sound, words, S.get("instruction") or "", model)
        sound = service().clip(found.path.read_bytes(), found.path.name)
        return state.request_of(sound, found.transcript, found.instruction, model)
    except (ModgapError, OSError) as problem:
        widgets.error(str(problem))
        return None


def compute(missing: list[Run]) -> None:
    """Begin what is not here yet, and say what could not be made."""
    failed: dict[str, str] = S.get("failed", {})
    wanted = [r for r in missing if r.request is not None]
    begin = [r for r in wanted if r.request and r.request.signature not in failed]
    try:
        for run in begin:
            assert run.request is not None
            state.ask(run.request)
    except ModgapError as problem:
        widgets.notice(str(problem))
    lost = [r for r in wanted if r not in begin]
    if lost:
        reasons = {failed[r.request.signature] for r in lost if r.request}
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                widgets.plain(f"Not drawn: {', '.join(r.name for r in lost)}. ")
                + widgets.plain(" ".join(sorted(reasons)))
            )
            st.button("Try again", on_click=S.pop, args=("failed", None))
    without = [r for r in missing if r.request is None]
    if without:
        st.caption("The clip in use has no transcript yet: type it on the Clip page.")


def curves(shown: list[tuple[Run, Analysis]]) -> None:
    """The figures."""
    from modgap.figures.curves import LayerCurve, LayerCurves
    from modgap.figures.measures import MEASURES

    band = st.toggle(
        "Spread over tokens (quartiles)", value=len(shown) < 3, key="spread",
        persist_state="session",
    )  # fmt: skip

    def one(key: str, place: str) -> LayerCurves:
        made = LayerCurves(
            key, tuple(LayerCurve.of(a.layers, key, r.name, band=band) for r, a in shown)
        )
        figure = made.figure(dark=widgets.dark(), height=300)
        if len(shown) == 1:  # no legend, so no room for one
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
        st.subheader("Direction: cosine similarity", anchor=False)
        figures["cosine"] = one("cosine", "cosine")
    with right:
        st.subheader("Distance: Euclidean", anchor=False)
        figures["euclidean"] = one("euclidean", "euclidean")
    left, right = st.columns(2, gap="medium")
    with left:
        norm = heading("Length: norms", list(NORMS), "norm")
        figures["norm"] = one(norm, "norm")
    with right:
        others = [k for k in MEASURES if k not in ("cosine", "euclidean", *NORMS)]
        other = heading("Token by token", others, "other")
        figures["other"] = one(other, "other")
    table(shown, figures)


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


def table(shown: list[tuple[Run, Analysis]], figures: dict) -> None:
    """The numbers behind the curves, and the downloads."""
    parts = [a.layers.assign(run=r.name, model=a.model["name"]) for r, a in shown]
    every = pd.concat(parts, ignore_index=True)
    every = every[["run", "model", *[c for c in every.columns if c not in ("run", "model")]]]
    with st.expander("Table of the numbers"):
        widgets.table(every, key="layer_table")
    name = widgets.file_stem(shown[0][1]) if len(shown) == 1 else "modgap-comparison"
    widgets.downloads(
        [
            *[
                widgets.Download.figure(f.measure.short, f"{name}-{f.key}", f.figure)
                for f in figures.values()
            ],
            widgets.Download.table("All numbers", f"{name}-layers", lambda: every),
            widgets.Download.settings(
                name, lambda: {r.name: widgets.provenance(a) for r, a in shown}
            ),
        ],
        key="layers",
    )


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Layers",
        "The mean of the states over the speech tokens and the mean over the text tokens give one "
        "vector each per layer. **Cosine similarity** compares their directions, **Euclidean "
        "distance** their places, the **norms** their lengths. The shaded band holds the middle "
        "half of the tokens: each speech token's own state against the text mean, each token's own "
        "length.",
        r"\begin{gathered} \cos(s_l, t_l) ="
        r"\frac{s_l \cdot t_l}{\lVert s_l\rVert\,\lVert t_l\rVert}, \quad \lVert s_l - t_l\rVert \\"
        r"s_l = \frac{1}{T_s}\sum_i H_s[l]_i,\quad "
        r"t_l = \frac{1}{T_t}\sum_j H_t[l]_j \end{gathered}",
        "Layer 0 is what enters the first decoder layer; the last one is taken after the final "
        "norm. The published finding (arXiv 2510.12116): cosine rises with depth while the "
        "distance rises too, so direction converges and magnitude diverges.",
    )
    if not S.get("clip") and not S.get("link", {}).get("clips") and not S.get("compare_clips"):
        widgets.empty(
            "**Nothing to draw yet.** Load an example here, or choose a clip of your own on the "
            "Clip page.",
            key="empty_layers",
        )
        return
    clips, models = pick()
    S["view"] = {
        "clips": tuple(clips) if clips != [CURRENT] else (),
        "models": tuple(models) if models != [S.get("model")] else (),
    }
    found = runs(clips, models)
    if len(found) > MAX_RUNS:
        st.caption(f"The first {MAX_RUNS} of {len(found)} runs are drawn.")
        found = found[:MAX_RUNS]
    shown = [(r, a) for r in found if r.key and (a := service().result(r.key)) is not None]
    here = {r.name for r, _ in shown}
    compute([r for r in found if r.name not in here])
    if shown:
        curves(shown)
    elif not found:
        st.caption("Choose at least one clip and one model.")
    elif not S.get("jobs"):
        st.caption("No result yet: analyse the clip on the Clip page.")


page()
