"""The same clip through several models: answers, alignment maps, curves, consistency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from modgap.analysis.examples import examples
from modgap.core.errors import ModgapError
from modgap.figures.text import file_name
from modgap.ui import as_code, compare, guards, two_clips, widgets
from modgap.ui.server.operator_models import model_options
from modgap.ui.session import clip_in_use, result_shown
from modgap.ui.session.inputs import COMPARED, COMPARED_BY, COMPARED_WHAT, DEPTH
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from modgap.analysis.model_comparison import ModelComparison
    from modgap.figures.relative_depth import DepthCurves, SideBySide

MEASURES = {"cosine": "Cosine", "euclidean": "Euclidean"}
WHAT = {"models": "Models", "clips": "Two clips"}
SHOWN = ("over_layers", "over_clips", "agreement")  # of the consistency, as figures


def controls() -> list[str]:
    """Which models."""
    options = list(model_options())
    opened = visit().link
    if not COMPARED.is_set:
        COMPARED.value = list(opened.get("models", ())) or compare.default_models()
    COMPARED.value = [m for m in COMPARED.value if m in options][: compare.MOST]
    st.multiselect(
        "Models and checkpoints, two to four",
        options,
        key=COMPARED.key,
        max_selections=compare.MOST,
        placeholder="Choose models",
        persist_state="session",
    )
    return COMPARED.value


def what() -> tuple[str, str]:
    """What is compared, and by which measure."""
    opened = visit().link
    if COMPARED_WHAT.get("") not in WHAT:
        COMPARED_WHAT.value = opened.get("what", "models")
    if COMPARED_BY.get("") not in MEASURES:
        COMPARED_BY.value = opened.get("measure", "cosine")
    with st.container(horizontal=True, horizontal_alignment="distribute", key="cm_what_row"):
        for label, widget, options in (
            ("Compare", COMPARED_WHAT, WHAT), ("Measure", COMPARED_BY, MEASURES),
        ):  # fmt: skip
            st.segmented_control(
                label, list(options), key=widget.key, format_func=options.__getitem__,
                required=True, persist_state="session", width="content",
            )  # fmt: skip
    return COMPARED_WHAT.value, COMPARED_BY.value


def missing(found: compare.Found) -> None:
    """Which models have no result, and why."""
    for name, reason in found.failed.items():
        st.caption(f"Not compared: {widgets.plain(name)}. {widgets.plain(reason)}")
    if found.failed:
        st.button(
            "Try again", on_click=compare.try_again, args=(tuple(found.failed),), key="cm_again"
        )
    if found.waiting:
        st.caption(f"Being analysed: {widgets.plain(', '.join(found.waiting))}.")


def answers(found: ModelComparison, count: int) -> None:
    """Each model's answers to the text and to the speech, in `count` places."""
    known = clip_in_use.reference()
    rows = found.answers(known).to_dict("records")
    with st.container(key="cm_answers"):
        for place, row in zip(st.columns(count, gap="small"), rows, strict=False):
            with place, st.container(border=True, height="stretch"):
                st.markdown(f"**{widgets.plain(row['model'])}**")
                for kind in ("text", "speech"):
                    if row[kind] is None:
                        continue
                    with st.container(horizontal=True, vertical_alignment="center"):
                        st.caption(kind.capitalize(), width=76)
                        st.text(row[kind] if row[kind].strip() else "(an empty answer)")
                        widgets.verdict(row.get(f"{kind}_verdict"), known)
    if known is not None:
        st.caption(f"Reference answer: {widgets.plain(known)}")
    for name, analysis in zip(found.names, found.analyses, strict=True):
        guards.part_heard(analysis, name)
    for group in found.same_weights:
        st.caption(f"{widgets.plain(' and '.join(group))} are one model: the weights are the same.")


def depth_slider(found: ModelComparison) -> float:
    """One depth for all models; its steps are the depths at which one of them has a layer."""
    stops = found.stops()
    wanted = DEPTH.get(visit().link.get("depth", 0.5))
    DEPTH.value = min(stops, key=lambda stop: abs(stop - wanted))
    if len(stops) > 1:
        st.select_slider(
            "Relative depth (layer / L)",
            stops,
            key=DEPTH.key,
            format_func=lambda stop: f"{100 * stop:.1f} %",
            persist_state="session",
        )
    return DEPTH.value


def maps(found: ModelComparison, count: int, depth: float, measure: str) -> SideBySide:
    """The alignment map of each model in its own layer, in the same colours."""
    from modgap.figures.relative_depth import SideBySide

    layers = found.layers_at(depth)
    both = SideBySide.of(found.names, found.analyses, layers, measure)
    panels = both.panels(dark=widgets.dark())
    with st.container(key="cm_maps"):
        places = st.columns(count, gap="small")
        for n, (place, panel) in enumerate(zip(places, panels, strict=False)):
            total = found.analyses[n].model["n_layers"]
            with place:
                st.markdown(
                    f"**{widgets.plain(found.names[n])}**, layer {layers[n]} of {total} "
                    f"({layers[n] / total:.0%})"
                )
                widgets.chart(
                    panel, key=f"cm_map_{n}", name=f"map-{n}-{measure}",
                    alt=f"Alignment map of {found.names[n]} in layer {layers[n]} of {total}",
                )  # fmt: skip
    path = "argmax" if measure == "cosine" else "argmin"
    st.caption(f"Dots: the {path} path. Line: the DTW path. The colours mean the same in all maps.")
    return both


def curves(found: ModelComparison, depth: float, measure: str) -> list[DepthCurves]:
    """Similarity, path score and monotonicity over relative depth."""
    from modgap.figures.relative_depth import DepthCurves

    st.subheader("Scores by relative depth", anchor=False)
    made = [DepthCurves.of(found.curves, key) for key in compare.CURVES[measure]]
    with st.container(key="cm_curves"):
        for place, one in zip(st.columns(3, gap="small"), made, strict=True):
            with place:
                widgets.chart(
                    one.figure(depth=depth, dark=widgets.dark()),
                    key=f"cm_curve_{one.key}", name=f"depth-{one.key}",
                    alt=f"{one.measure.label} over relative depth, one curve per model",
                )  # fmt: skip
    return made


def files(
    found: ModelComparison, both: SideBySide, drawn: list[DepthCurves], depth: float,
    measure: str, models: list[str],
) -> None:  # fmt: skip
    """What can be downloaded; each file is made when it is asked for."""
    file = widgets.Download
    clip = str(found.analyses[0].clip["name"])
    name = "-".join((widgets.file_stem(found.analyses[0]), *map(file_name, found.names[1:])))
    of = " · ".join((clip, " / ".join(found.names)))
    request, known = result_shown.usable_request(), clip_in_use.reference()
    at = f"{name}-depth{100 * depth:.0f}-{measure}"
    widgets.downloads(
        [
            *(file.figure(c.measure.short, f"{name}-{c.key}", c.figure, of=of) for c in drawn),
            file.figure(
                "Maps", f"{at}-maps", both.figure, of=f"{of} · depth {depth:.0%} · {measure}"
            ),
            file.table("Curves", f"{name}-curves", lambda: found.curves),
            file.table("Maps", f"{at}-maps", both.table),
            file.table("Answers", f"{name}-answers", lambda: found.answers(known)),
            file.settings(
                name,
                lambda: {
                    n: widgets.provenance(a)
                    for n, a in zip(found.names, found.analyses, strict=True)
                },
            ),
        ],
        key="compare",
        code=None if request is None else as_code.of_models(request, models, depth, measure),
    )


def consistency(models: list[str], measure: str) -> None:
    """How alike the patterns are over layers and over the examples, per model."""
    count = len(examples())
    if not count:
        return
    st.subheader(f"Consistency of patterns over the {count} examples", anchor=False)
    with st.expander("How consistency is measured", type="compact"):
        st.markdown(
            "X is a score of clip c in layer k of one model. **Spread over layers**: standard "
            "deviation over layers of the mean over clips. **Spread over clips**: standard "
            "deviation over clips, mean over layers. **Agreement**: the mean correlation, over "
            "layers, of each clip's curve with the mean curve of the other clips; 1 means that "
            "every clip goes through the layers in the same way. Lines are 95 % bootstrap "
            "intervals over clips. Undefined values are left out. The examples were chosen to "
            "show different things and are no random sample: for a measurement, use "
            "`modgap compare-models --data`."
        )
        st.latex(
            r"\sigma_{\text{layers}} = \operatorname{std}_k \bar X_{\cdot k}, \qquad "
            r"\sigma_{\text{clips}} = \operatorname{mean}_k \operatorname{std}_c X_{ck}"
        )
    made = compare.patterns(models, measure)
    if made is None:
        reason = None if compare.running() else compare.problem()
        if reason is not None:
            widgets.error(reason)
        st.button(
            f"Measure {count} examples in {len(models)} models",
            on_click=compare.measure_examples, args=(models,), key="cm_measure_examples",
            disabled=compare.running(),
        )  # fmt: skip
        return
    from modgap.figures.consistency import ConsistencyPoints, consistency_panels

    drawn: list[ConsistencyPoints] = []
    for key in compare.CURVES[measure][1:]:
        with st.container(key=f"cm_points_{key}"):
            for place, statistic in zip(st.columns(3, gap="small"), SHOWN, strict=True):
                points = ConsistencyPoints.of(made.consistency[key], statistic)
                drawn.append(points)
                figure: go.Figure = points.figure(dark=widgets.dark())
                with place:
                    st.markdown(f"**{points.measure.short}**, {points.title}")
                    widgets.chart(
                        figure, key=f"cm_point_{key}_{statistic}", name=f"{key}-{statistic}",
                        alt=f"{points.measure.label}: {points.title}, one point per model",
                    )  # fmt: skip
    for line in made.refused:
        st.caption(f"Left out: {widgets.plain(line)}")
    with st.expander("Table of the numbers"):
        widgets.table(made.table, key="cm_table")
    file = widgets.Download
    widgets.downloads(
        [
            file.figure(
                "Consistency",
                "modgap-consistency",
                lambda: consistency_panels(drawn),
                of=", ".join(models),
            ),
            file.table("Statistics", "modgap-consistency", lambda: made.table),
            file.table("All curves", "modgap-consistency-curves", lambda: made.curves),
        ],
        key="consistency",
    )


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Compare",
        "**Models**: the same clip and transcript through several of them. **Two clips** of the "
        "same words in one model: two voices, two rooms, a clip and its coded copy. Models have "
        "different numbers of layers, so layer k of a model with L layers stands at its **relative "
        "depth** k / L, as measured; nothing is interpolated. The slider takes one depth for all: "
        "each map shows the layer of its model that is nearest (of two as near, the lower).",
        r"\text{depth} = \frac{k}{L}, \qquad k = 0 \text{ (embeddings)}, \dots, L",
        "Hidden states of different models lie in different spaces: a cosine or a distance "
        "is comparable within a model, across models only as a pattern. The paper (arXiv "
        "2510.12116) remarks that models trained in several stages show more consistent patterns.",
    )
    here = visit()
    if here.clip is None:
        guards.empty(
            "**Nothing to compare yet.** Load an example here, or choose a clip of your own on the "
            "Clip page.",
            key="empty_compare",
        )
        return
    which, measure = what()
    if which == "clips":
        here.view = {"what": which, "measure": measure if measure != "cosine" else None}
        two_clips.show(measure)
        return
    models = controls()
    here.view = {
        "models": tuple(models),
        "measure": measure if measure != "cosine" else None,
        "depth": DEPTH.value if DEPTH.is_set else here.link.get("depth"),
    }
    if len(models) < 2:
        st.caption("Choose at least two models.")
        return
    if guards.no_transcript():
        return
    try:
        found = compare.find(models)
    except ModgapError as problem:
        widgets.notice(str(problem))
        return
    missing(found)
    if found.comparison is not None:
        count = len(found.comparison.names) + len(found.waiting)  # places are kept for the rest
        answers(found.comparison, count)
        depth = depth_slider(found.comparison)
        here.view["depth"] = depth
        both = maps(found.comparison, count, depth, measure)
        drawn = curves(found.comparison, depth, measure)
        files(found.comparison, both, drawn, depth, measure, models)
    consistency(models, measure)


page()
