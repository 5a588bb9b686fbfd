"""Where the gap is decided: patching, sweeps, and what each layer would say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from modgap.ui import edits, widgets

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
    """The layer and the word that were clicked or are chosen here, and ways to go there."""
    from modgap.figures.text import visible

    for name, value in S.pop("wd_next_cell", {}).items():
        S[name] = value
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


def choose(analysis: Analysis, layer: int, j: int) -> None:
    """Take a clicked cell up: here, and on the other pages."""
    S["wd_next_cell"] = {"wd_layer": layer, "wd_token": j}
    go_to(analysis, layer, j)
    st.rerun()


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
        clicked = widgets.clickable(
            map_.figure(dark=widgets.dark(), current=current), key="patching", name="patching",
            alt="Change of the answer's log-probability by patched layer and word",
        )  # fmt: skip
        st.caption("A click on a cell chooses its layer and word, here and on the other pages.")
    if clicked is not None and (clicked[0], clicked[1]) != current:
        choose(analysis, clicked[1], clicked[0])
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
    clicked = widgets.clickable(
        map_.figure(dark=widgets.dark()), key="sweep", name="sweep",
        alt="Change of the answer's log-probability by layer and intervention",
    )  # fmt: skip
    st.caption("A click on a cell opens its intervention on the Interventions page.")
    if clicked is not None:
        row, layer = clicked
        S["iv_open"] = dict(zip(("rule", "tokens", "strength"), map_.variants[row], strict=True))
        S["iv_open"]["layer"] = layer
        st.switch_page("../../pages/interventions.py")
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
    heard = widgets.clickable(
        speech.figure(dark=widgets.dark()), key="lens_speech", name="lens-speech",
        alt="The likeliest token at every speech position in every layer",
    )  # fmt: skip
    details = st.container()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("The transcript itself", anchor=False)
        read = widgets.clickable(
            text.figure(dark=widgets.dark()), key="lens_text", name="lens-text",
            alt="The likeliest token at every text position in every layer",
        )  # fmt: skip
    with right:
        st.subheader("First layer in which the word is on top", anchor=False)
        widgets.table(first_layers(made), key="lens_first", height=340)
        st.caption("A word's stretch of speech: the monotone path of layer "
                   f"{made.path_layer}.")  # fmt: skip
    if heard is not None:
        S["wd_lens_cell"] = (heard[0], heard[1], word_at(made, heard[1]))
    elif read is not None:
        S["wd_lens_cell"] = (read[0], made.segments[read[1]][0], read[1])
    with details:
        alternatives(made, analysis, *S.get("wd_lens_cell", (0, 0, word_at(made, 0))))
    file = widgets.Download
    widgets.downloads(
        [
            file.figure("Speech", "modgap-lens-speech", lambda: speech.figure()),
            file.figure("Text", "modgap-lens-text", lambda: text.figure()),
            file.table("Speech, all alternatives", "modgap-lens", made.table),
        ],
        key="wd_lens",
    )


def word_at(made: Lens, i: int) -> int:
    """The text token whose stretch of speech holds position `i`."""
    return next((j for j, rows in enumerate(made.segments) if i in rows), 0)


def alternatives(made: Lens, analysis: Analysis, level: int, i: int, j: int) -> None:
    """What one position could be read as, beside the word's own place in the transcript."""
    from modgap.figures.text import visible

    level, i = min(level, len(made.speech.tokens) - 1), min(i, len(made.times) - 1)
    j = min(j, len(made.pieces) - 1)
    start, end = made.times[i]
    st.caption(
        f"Layer {level}: the speech from {start:.2f} to {end:.2f} s, and the text token {j}, "
        f"“{widgets.plain(visible(made.pieces[j]))}”, whose stretch it is in. A click on a cell "
        "chooses another."
    )
    left, right = st.columns(2, gap="medium")
    with left:
        widgets.table(made.speech.alternatives(level, i), key="lens_alternatives")
    with right:
        widgets.table(made.text.alternatives(level, j), key="lens_alternatives_text")
    if level < int(analysis.model["n_layers"]) and st.button(
        "Show on the Alignment page", key="wd_lens_align"
    ):
        go_to(analysis, level, j)
        st.switch_page("../../pages/alignment.py")


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
    subject = edits.opened("look into", key="empty_decided")
    if subject is None:
        return
    analysis, request = subject
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
