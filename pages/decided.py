"""Where the gap is decided: patching, sweeps, and what each layer would say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from modgap.ui import edits, state, widgets

if TYPE_CHECKING:
    import pandas as pd

    from modgap.analysis import Analysis
    from modgap.figures.edits import ChangeMap
    from modgap.lens import Lens
    from modgap.ui.service import Request

S = st.session_state
VIEWS = {
    "patching": "Patching: layer × word",
    "sweep": "Sweep: layer × intervention",
    "lens": "Logit lens",
}
RULES = ("angle", "length", "both", "patch", "mean", "random")


def ask(request: Request, kind: str, options: dict[str, Any]) -> Any | None:
    """A result of the kept runs, or why there is none."""
    wanted = edits.EditRequest(request, kind, (), json.dumps(options, sort_keys=True))
    found = edits.ask(wanted, f"{request.title}: {VIEWS[kind].lower()}")
    problem = edits.failure(wanted)
    if found is None and problem is not None:
        widgets.error(problem)
        st.button("Try again", on_click=edits.forget_failure, args=(wanted,), key="wd_again")
    elif found is None:
        st.caption("Being computed: the progress is above.")
    return found


def target_box() -> str | None:
    """The wanted answer."""
    text = st.text_input(
        "Wanted answer", key="wd_target", width=260, max_chars=200,
        placeholder="the answer to the text",
        help="Whose log-probability the maps show. Empty: what the model answers to the text.",
    )  # fmt: skip
    return text.strip() or None


def said(made: Any) -> None:
    """The two ends that every change lies between."""
    with st.container(horizontal=True, key="wd_ends"):
        st.caption(
            f"Log-probability of “{widgets.plain(made.target)}”: "
            f"**{widgets.number(made.plain, 2)}** from the speech, "
            f"**{widgets.number(made.text, 2)}** from the text (nats). Warm colours: an edit makes "
            "it likelier, cold ones: less likely."
        )


def chart(figure_of: ChangeMap, key: str, alt: str, current: tuple[int, int] | None = None) -> None:
    """A map of changes with its files."""
    widgets.chart(
        figure_of.figure(dark=widgets.dark(), current=current), key=key, name=key, alt=alt
    )


def go_to(analysis: Analysis, layer: int, j: int, *, intervene: bool = False) -> None:
    """Open a layer and token on another page."""
    k = [int(n) for n in analysis.layer_ids].index(layer)
    i = int(analysis.alignment.argmax_cos[k][j])
    S["alignment"] = {"layer": layer, "measure": "cosine", "paths": ("argmax", "dtw")}
    S["cell"] = (analysis.key, i, j)
    if intervene:
        S["iv_pairs"], S["iv_new_tokens"], S["iv_layer"] = {j: i}, "chosen", layer
        S["iv_rule"] = "patch"


def where_next(analysis: Analysis, layers: tuple[int, ...]) -> tuple[int, int]:
    """Choose a layer and a word, and go there."""
    from modgap.figures.text import visible

    with st.container(horizontal=True, vertical_alignment="bottom", key="wd_next"):
        layer = st.selectbox("Layer", layers, key="wd_layer", width=110)
        j = st.selectbox(
            "Text token", range(len(analysis.pieces)), key="wd_token", width=220,
            format_func=lambda n: f"{n}: {widgets.plain(visible(analysis.pieces[n]))}",
        )  # fmt: skip
        if st.button("Show on the Alignment page", key="wd_align"):
            go_to(analysis, layer, j)
            st.switch_page("../../pages/alignment.py")
        if st.button("Patch it on the Interventions page", key="wd_edit"):
            go_to(analysis, layer, j, intervene=True)
            st.switch_page("../../pages/interventions.py")
    return j, layer


def files(name: str, map_: ChangeMap, table: pd.DataFrame) -> None:
    """Downloads of a map."""
    file = widgets.Download
    widgets.downloads(
        [
            file.figure("Map", f"modgap-{name}", lambda: map_.figure()),
            file.table("Map", f"modgap-{name}-map", map_.table),
            file.table("All numbers", f"modgap-{name}", lambda: table),
        ],
        key=f"wd_{name}",
    )


def patching(request: Request, analysis: Analysis) -> None:
    """Text into speech, one layer and word at a time."""
    from modgap.figures.edits import ChangeMap

    with st.container(horizontal=True, vertical_alignment="bottom", key="wd_controls"):
        where = st.segmented_control(
            "What is replaced", ("segment", "pair"), default="segment", key="wd_where",
            required=True,
            format_func={"segment": "the word's stretch", "pair": "its best position"}.__getitem__,
        )  # fmt: skip
        target = target_box()
    made = ask(request, "patching", {"where": where, "target": target})
    if made is None:
        return
    said(made)
    map_ = ChangeMap.of_patching(made)
    place = st.container()
    current = where_next(analysis, made.layers)
    with place:
        chart(
            map_, "patching", "Change of the answer's log-probability by patched layer and word",
            (current[0], current[1]),
        )  # fmt: skip
    files("patching", map_, made.table())


def sweep(request: Request) -> None:
    """Interventions over layers."""
    from modgap.figures.edits import ChangeMap

    with st.container(horizontal=True, vertical_alignment="bottom", key="wd_controls"):
        rules = st.pills(
            "Rules", RULES, selection_mode="multi", default=["angle", "length"], key="wd_rules"
        )
        tokens = st.pills(
            "Critical tokens", ("bottom-3", "all", "top-3", "random-3"), selection_mode="multi",
            default=["bottom-3", "all"], key="wd_tokens",
        )  # fmt: skip
        target = target_box()
    if not rules or not tokens:
        st.caption("Choose at least one rule and one set of tokens.")
        return
    made = ask(request, "sweep", {"rules": rules, "tokens": tokens, "target": target})
    if made is None:
        return
    said(made)
    map_ = ChangeMap.of_sweep(made)
    chart(map_, "sweep", "Change of the answer's log-probability by layer and intervention")
    files("sweep", map_, made.table)


def lens(request: Request, analysis: Analysis) -> None:
    """What positions read as."""
    from modgap.figures.edits import LensGrid

    made: Lens | None = ask(request, "lens", {})
    if made is None:
        return
    speech = LensGrid(
        made.speech.tokens[..., 0], made.speech.probabilities[..., 0],
        tuple(f"{t:.2f}" for t in made.times[:, 0]), "speech time (s)",
        right_cells(made),
    )  # fmt: skip
    text = LensGrid(
        made.text.tokens[..., 0], made.text.probabilities[..., 0], made.pieces, "text tokens"
    )
    st.subheader("Speech positions", anchor=False)
    widgets.chart(
        speech.figure(dark=widgets.dark()), key="lens_speech", name="lens-speech",
        alt="The likeliest token at every speech position in every layer",
    )  # fmt: skip
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("The transcript itself", anchor=False)
        widgets.chart(
            text.figure(dark=widgets.dark()), key="lens_text", name="lens-text",
            alt="The likeliest token at every text position in every layer",
        )  # fmt: skip
    with right:
        st.subheader("First layer in which the word is on top", anchor=False)
        widgets.table(first_layers(made), key="lens_first", height=340)
        st.caption("A word's stretch of speech: the monotone path of layer "
                   f"{made.path_layer}.")  # fmt: skip
    file = widgets.Download
    widgets.downloads(
        [
            file.figure("Speech", "modgap-lens-speech", lambda: speech.figure()),
            file.figure("Text", "modgap-lens-text", lambda: text.figure()),
            file.table("Speech, all alternatives", "modgap-lens", made.table),
        ],
        key="wd_lens",
    )


def right_cells(made: Lens) -> np.ndarray:
    """Cells of the speech grid in which a word stands that belongs there."""
    cells = np.zeros(made.speech.tokens.shape[:2], dtype=bool)
    for j, rows in enumerate(made.segments):
        word = made.pieces[j].strip().casefold()
        for i in rows:
            cells[:, i] |= [t.strip().casefold() == word for t in made.speech.tokens[:, i, 0]]
    return cells


def first_layers(made: Lens) -> pd.DataFrame:
    """The layer per word, in the speech and in the text run."""
    import pandas as pd

    def shown(values: np.ndarray) -> list[str]:
        return [widgets.NO_VALUE if v < 0 else str(int(v)) for v in values]

    return pd.DataFrame(
        {
            "text": range(len(made.pieces)),
            "piece": list(made.pieces),
            "from speech": shown(made.first_layer),
            "from text": shown(made.first_layer_text),
        }
    )


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Where is the gap decided?",
        "**Patching** puts the text's state of one word into the stretch of speech that says it, "
        "in one layer, and asks how much likelier the wanted answer becomes. A **sweep** does the "
        "same with whole interventions. The **logit lens** reads every layer's state as if the "
        "model ended there.",
        r"\Delta = \log p(\text{answer} \mid \text{speech, edited}) - "
        r"\log p(\text{answer} \mid \text{speech})",
        "Patch: $h_s[l]_i \\leftarrow h_t[l]_j$ for the positions i of word j. Lens: "
        "softmax(W · norm($h[l]$)).",
    )
    analysis = state.shown()
    if analysis is None:
        if not S.get("jobs"):
            widgets.empty(
                "**Nothing to look into yet.** Load an example here, or analyse a clip of your own "
                "on the Clip page.",
                key="empty_decided",
            )
        return
    request = state.current_request()
    if request is None or not state.is_current():
        st.caption("The inputs have changed since this result: analyse again on the Clip page.")
        return
    opened = S.get("link", {}).get("show")
    S.setdefault("wd_view", opened if opened in VIEWS else "patching")
    view = st.segmented_control(
        "View", list(VIEWS), key="wd_view", format_func=VIEWS.__getitem__, required=True,
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    S["view"] = {"show": view if view != "patching" else None}
    if view == "patching":
        patching(request, analysis)
    elif view == "sweep":
        sweep(request)
    else:
        lens(request, analysis)


page()
