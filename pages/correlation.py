"""Does similarity explain the gap? One point per checkpoint, and per question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from modgap.core.names import seen
from modgap.ui import PAGES, as_code, run_baselines, runs, widgets
from modgap.ui.session.inputs import ASKED, LAYER, SCALE, SIMILARITY, SPLIT
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from modgap.gap.run_data import Run

MEAN = -1
NAMES = {
    "cosine": "cosine", "euclidean": "Euclidean", "aps_cos": "APS cosine",
    "aps_euc": "APS Euclidean", "monotonicity": "monotonicity",
}  # fmt: skip
SCALES = {"relative": "relative to A_b", "points": "in points"}
NO_SPLIT = "none"


def controls(run: Run, row: DeltaGenerator) -> dict[str, Any]:
    """Measure, layer, scale, split, filters."""
    here, opened = visit().runs, visit().link
    keep: Any = {"persist_state": "session"}
    if not SIMILARITY.is_set:
        similarity, scale = opened.get("similarity"), opened.get("scale")
        SIMILARITY.value = similarity if similarity in NAMES else "aps_cos"
        LAYER.value = opened.get("layer", MEAN)
        SCALE.value = scale if scale in SCALES else "relative"
        SPLIT.value = opened.get("by", NO_SPLIT)
    if here.next_layer is not None:
        LAYER.value, here.next_layer = here.next_layer, None
    layers = [MEAN, *run.layers]
    if LAYER.value not in layers:
        LAYER.value = MEAN
    splits = [NO_SPLIT, *runs.facets(run)]
    if SPLIT.value not in splits:
        SPLIT.value = NO_SPLIT
    with row:
        st.selectbox(
            "Similarity", list(NAMES), key=SIMILARITY.key, format_func=NAMES.__getitem__,
            width=160, **keep,
        )  # fmt: skip
        st.selectbox(
            "Layer", layers, key=LAYER.key, width=165,
            format_func=lambda k: "mean over layers" if k == MEAN else str(k), **keep,
        )  # fmt: skip
        if "base" in run.inputs:
            st.segmented_control(
                "Gap", list(SCALES), key=SCALE.key, format_func=SCALES.__getitem__,
                required=True, **keep,
            )  # fmt: skip
        st.selectbox(
            "One point per", splits, key=SPLIT.key, width=150,
            format_func=lambda s: "checkpoint" if s == NO_SPLIT else f"checkpoint and {seen(s)}",
            **keep,
        )  # fmt: skip
        where = runs.filters(run)
    return {
        "measure": SIMILARITY.value,
        "layer": None if LAYER.value == MEAN else LAYER.value,
        "relative": SCALE.value == "relative" and "base" in run.inputs,
        "split": None if SPLIT.value == NO_SPLIT else SPLIT.value,
        "where": where,
    }


def checkpoints(run: Run, chosen: dict[str, Any]) -> None:
    """The scatter, the layers' curve, and the numbers of the lines."""
    from modgap.figures.correlation import PUBLISHED, GapScatter, LayerR2
    from modgap.figures.measures import measure as about
    from modgap.gap import correlation

    here = visit().runs
    name, layer, split, where = (chosen[k] for k in ("measure", "layer", "split", "where"))
    at_layer = "mean over layers" if layer is None else f"layer {layer}"
    by_layer = runs.stem(run, name, where=where)
    stem = runs.stem(run, name, at_layer, where=where)
    of = runs.subject(run, where=where)
    means = runs.ask(run, "means", correlation.layer_means, name, chosen["where"], split)
    gap = runs.ask(
        run, "gaps", correlation.gaps, chosen["where"], split, relative=chosen["relative"]
    )
    points = correlation.points(means, gap, layer)
    if points.empty:
        st.caption(
            "No checkpoint has answers to text and speech, and similarities, for these questions."
        )
        return
    lines = correlation.fits(points)
    curve = runs.ask(
        run, f"curve|{name}|{split}|{chosen['relative']}|{chosen['where']}",
        lambda _: correlation.layer_curve(means, gap),
    )  # fmt: skip
    scatter, layers = GapScatter(points, lines, name, layer), LayerR2(curve, name)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader(f"{NAMES[name]} against the gap", anchor=False)
        clicked = widgets.clickable(
            scatter.figure(dark=widgets.dark(), chosen=here.point), key="co_scatter",
            name=stem, alt="One point a checkpoint: similarity and modality gap",
        )  # fmt: skip
    with right:
        st.subheader(f"R² by layer, n = {len(points)} points", anchor=False)
        at = widgets.clickable(
            layers.figure(dark=widgets.dark(), current=layer), key="co_curve",
            name=f"{by_layer}-r2", alt="R squared of similarity against the gap in every layer",
        )  # fmt: skip
    if at is not None and at[0] != layer:
        here.next_layer = at[0]
        st.rerun()
    if clicked is not None:
        here.point = clicked[0]
        runs.use_model(str(points.loc[clicked[0], "model"]))
        st.rerun()
    st.caption("A click on a point opens its checkpoint, one on the curve its layer.")
    if here.point in points.index:
        point(points.loc[here.point], name)
    published = PUBLISHED.get(name)
    said = "; ".join(f"{whose}: {value:.2f}" for whose, value in published or ())
    st.caption(
        f"Published R² of this measure (arXiv 2510.12116): {said}."
        if said
        else f"No R² is published for {about(name).label}."
    )
    table_of_lines(lines)
    influence(lines)
    file = widgets.Download
    widgets.downloads(
        [
            file.figure(
                "Scatter", stem, lambda: scatter.figure(),
                of=f"{of} · {about(name).label} · {at_layer}",
            ),
            file.table("Points", f"{stem}-points", scatter.table),
            file.figure(
                "R² by layer", f"{by_layer}-r2", lambda: layers.figure(),
                of=f"{of} · {about(name).label}",
            ),
            file.table("R² by layer", f"{by_layer}-r2", layers.table),
            file.table(
                "Lines", f"{stem}-lines", lambda: pd.DataFrame([f.row() for f in lines])
            ),
            file.settings(stem, lambda: {"run": run.protocol, "view": chosen}),
        ],
        key="correlation",
        code=as_code.of_run(
            run.name, "from modgap.gap import fits, gaps, layer_means, points; "
            "from modgap.figures.correlation import GapScatter",
            f"GapScatter(at := points(layer_means(run, {name!r}, {where!r}, {split!r}), "
            f"gaps(run, {where!r}, {split!r}, relative={chosen['relative']}), {layer!r}), "
            f"fits(at), {name!r}, {layer!r})",
            where=where,
        ),
    )  # fmt: skip


def point(row: pd.Series, name: str) -> None:
    """The checkpoint that was clicked."""
    from modgap.ui.server.operator_models import model_options

    model = str(row["model"])
    with st.container(border=True, key="co_checkpoint"):
        title = model + (f", {row['part']}" if row["part"] else "")
        st.text(
            f"{title}: gap {100 * row['gap']:.1f} ({100 * row['gap_low']:.1f} to "
            f"{100 * row['gap_high']:.1f}) %, {NAMES[name]} {row['x']:.4f}, n = {row['n']:,}"
        )
        if model not in model_options():
            st.caption("This server does not have the checkpoint; its answers are in the run.")
        with st.container(horizontal=True, key="co_goto"):
            if st.button("Its clips on the Modality gap page", key="co_clips"):
                runs.show_clips_of(model)
                st.switch_page(PAGES / "gap.py")
            for title, page in (("Clip", "clip"), ("Layers", "layers"), ("Alignment", "alignment")):
                if model in model_options() and st.button(f"Open on {title}", key=f"co_{page}"):
                    st.switch_page(PAGES / f"{page}.py")


def table_of_lines(lines: list[Any]) -> None:
    """A row a group."""
    rows = [
        {
            "group": f.group,
            "points": f.n,
            "R²": f.r2,
            "slope": f.slope,
            "slope 95 %": f"{widgets.number(f.slope_low)} to {widgets.number(f.slope_high)}"
            if f.reason is None
            else widgets.NO_VALUE,
            "p": widgets.p_value(f.slope_p),
            "Pearson r": f.pearson,
            "r 95 %": f"{widgets.number(f.pearson_low)} to {widgets.number(f.pearson_high)}"
            if f.reason is None
            else widgets.NO_VALUE,
            "Spearman ρ": f.spearman,
            "note": f.reason or "",
        }
        for f in lines
    ]
    widgets.table(pd.DataFrame(rows), key="co_lines")


def influence(lines: list[Any]) -> None:
    """How much one checkpoint carries."""
    parts = [f.influence.assign(group=f.group) for f in lines if f.influence is not None]
    if not parts:
        return
    with st.expander("Leave-one-out influence"):
        table = pd.concat(parts, ignore_index=True)
        if not table["part"].any():
            table = table.drop(columns="part")
        table = table.rename(
            columns={"slope": "slope without it", "r2": "R² without it", "cook": "Cook's distance"}
        )
        widgets.table(table[["group", *[c for c in table if c != "group"]]], key="co_influence",
                      height=420)  # fmt: skip


def questions(run: Run, chosen: dict[str, Any]) -> None:
    """Whether a clip's own similarity tells that its answer fails."""
    from modgap.gap import per_question
    from modgap.gap.reading import reading

    st.subheader("Per question: does low similarity predict failure?", anchor=False)
    name, layer = chosen["measure"], chosen["layer"]
    at_layer = "mean over layers" if layer is None else f"layer {layer}"
    spoken = [m for m in run.models if {"text", "speech"} <= set(run.inputs_of(m))]
    if not spoken or not run.layers:
        st.caption("The run has no checkpoint with answers to both text and speech and layers.")
        return
    if ASKED.get("") not in spoken:
        ASKED.value = runs.finals(run, spoken)[0]
    model = st.selectbox(
        "Checkpoint", spoken, key=ASKED.key, width=230, format_func=seen, persist_state="session"
    )
    rows = runs.ask(
        run, "questions", per_question.question_rows, model, name, layer, chosen["where"]
    )
    asked, far = f"{model}|{name}|{layer}|{chosen['where']}", name in ("euclidean", "aps_euc")
    area = runs.ask(
        run, f"auc|{asked}",
        lambda _: per_question.auc(rows, higher_fails=far),
    )  # fmt: skip
    left, right = st.columns([2, 3], gap="medium")
    with left:
        value = widgets.number(area.value, 3)
        st.metric(
            "AUC: low similarity (high distance) predicts failure", value,
            help="The probability that a question that fails as speech is less similar than one "
            "that does not; 0.5 is chance. Only questions answered correctly as text.",
        )  # fmt: skip
        if area.reason:
            st.caption(f"Undefined: {area.reason}.")
        else:
            st.caption(
                f"95 % {widgets.number(area.low)} to {widgets.number(area.high)} "
                f"({area.method}); "
                f"{area.failed:,} failed, {area.kept:,} did not."
            )
        if run.has_items:
            every = runs.ask(
                run, "questions", per_question.question_rows, model, name, layer,
                chosen["where"], text_right=False,
            )  # fmt: skip
            within = runs.ask(run, f"within|{asked}", lambda _: per_question.within_items(every))
            st.caption("**Within items** (the same question in several voices, item effects "
                       "removed):")  # fmt: skip
            if within.reason:
                st.caption(f"None: {within.reason}.")
            else:
                st.caption(
                    f"{100 * within.slope:+.1f} points of failure per standard deviation (95 % "
                    f"{100 * within.low:+.1f} to {100 * within.high:+.1f}, p = {within.p:.2g}), "
                    f"R² within {within.r2:.3f}; {within.items:,} items, "
                    f"{within.questions:,} clips."
                )
    with right:
        made = runs.ask(run, f"logistic|{asked}", lambda _: per_question.logistic(rows))
        if made.reason:
            st.caption(f"No logistic regression: {made.reason}.")
        else:
            shown = made.table.assign(p=[widgets.p_value(p) for p in made.table["p"]]).rename(
                columns={"odds_ratio": "odds ratio per SD", "low": "95 % from", "high": "to"}
            )
            widgets.table(shown, key="co_logistic")
            dropped = f" Not in it: {', '.join(made.dropped)}." if made.dropped else ""
            st.caption(
                f"Logistic regression of failure as speech, n = {made.n:,}, McFadden's R² "
                f"{made.pseudo_r2:.3f}.{dropped}"
            )
            said = reading(area, made, higher_fails=far)
            if said:
                st.markdown(widgets.plain(said))
    widgets.downloads(
        [
            widgets.Download.table(
                "Questions",
                runs.stem(run, model, name, at_layer, "questions", where=chosen["where"]),
                lambda: questions_table(rows, model, name, at_layer),
            )
        ],
        key="questions",
    )


def questions_table(rows: pd.DataFrame, model: str, measure: str, layer: str) -> pd.DataFrame:
    """A row a question, as it is saved: its id, the measure by its own name, and where it is of."""
    named = rows.rename(columns={"measure": measure}).assign(checkpoint=model, layer=layer)
    first = ["checkpoint", "question", "item", "failed", measure, "layer"]
    return named[[*first, *(c for c in named if c not in first)]]


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Similarity vs gap",
        "Each point is a checkpoint: to the right, how similar its speech and text states are, "
        "averaged over clips and layers (or in one layer); upwards, its modality gap with a 95 % "
        "bootstrap interval. The line is ordinary least squares with the 95 % band of its mean, "
        "one a group (what stands before the @). Fewer than 3 points have no line. A line that "
        "falls says that more similar checkpoints have the smaller gap (for a distance, one that "
        "rises).",
        r"R^2 = 1 - \frac{\sum (y - \hat y)^2}{\sum (y - \bar y)^2}, \qquad "
        r"y = \frac{A_t - A_s}{A_b}",
        "The published finding (arXiv 2510.12116): over checkpoints tuned with LoRA, mean cosine "
        "explains the gap with R² = 0.75, the Alignment Path Score with 0.81. A handful of "
        "checkpoints of one training is a trend along that training, not a law: look at the "
        "influence of each point.",
    )
    row = st.container(horizontal=True, vertical_alignment="bottom", key="co_controls")
    run = runs.choose("compare", row)
    if run is None:
        return
    chosen = controls(run, row)
    visit().view = runs.link_of(run, chosen["where"]) | {
        "similarity": chosen["measure"] if chosen["measure"] != "aps_cos" else None,
        "layer": chosen["layer"],
        "scale": "points" if SCALE.value == "points" else None,
        "by": chosen["split"],
    }
    if not run.layers:
        st.caption("This run has no similarities: its table of layers is empty.")
        return
    checkpoints(run, chosen)
    questions(run, chosen)
    run_baselines.show(run, euclidean=chosen["measure"] in ("euclidean", "aps_euc"))


page()
