"""Change the critical speech tokens and see, at once, what the model says now."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.ui import edits, link, state, widgets

if TYPE_CHECKING:
    from modgap.analysis import Analysis
    from modgap.comparison import Comparison
    from modgap.interventions import Intervention

S = st.session_state
RULES = {
    "angle": "Angle projection",
    "length": "Length normalization",
    "both": "Both",
    "patch": "Patch",
    "mean": "Mean shift",
    "random": "Random direction",
}
SAME = -1  # pairs come from the layer that is edited
TOKENS = ("bottom-3", "all", "top-3", "random-3", "chosen")
NAMES = {"bottom-3": "bottom 3", "top-3": "top 3", "random-3": "random 3"}
DEFAULTS = {
    "iv_rule": "angle", "iv_tokens": "bottom-3", "iv_layer": 0, "iv_strength": 1.0,
    "iv_path": "argmax", "iv_measure": "cosine", "iv_source": SAME,
}  # fmt: skip


def restore(n_layers: int, editable: int) -> None:
    """Controls as the address, the session or the source has them."""
    opened = S.get("link", {}).get("edit") if "iv_rule" not in S else None
    values = dict(DEFAULTS)
    if opened is not None:
        values |= {
            "iv_rule": opened.rule, "iv_layer": opened.layers[0], "iv_strength": opened.strength,
            "iv_path": opened.path, "iv_measure": opened.measure,
            "iv_source": SAME if opened.path_layer is None else opened.path_layer,
            "iv_tokens": "chosen" if opened.tokens == "given" else opened.tokens,
        }  # fmt: skip
        S["iv_pairs"] = {j: i for i, j in opened.pairs}
    for name, value in values.items():
        S.setdefault(name, value)
    for name, value in S.pop("iv_open", {}).items():  # a variant that was clicked on a sweep
        S[f"iv_{name}"] = value
    S.setdefault("iv_pairs", {})
    S["iv_layer"] = min(S["iv_layer"], editable - 1)
    if S["iv_tokens"] not in TOKENS:
        S["iv_tokens"] = DEFAULTS["iv_tokens"]
    if S["iv_source"] > n_layers:
        S["iv_source"] = SAME


def controls(n_layers: int, editable: int) -> None:
    """Rule, tokens, layer, strength; every change is a new answer."""
    keep: Any = {"persist_state": "session"}
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls"):
        st.segmented_control(
            "Rule", list(RULES), key="iv_rule", format_func=RULES.__getitem__, required=True, **keep
        )
        st.segmented_control(
            "Critical tokens", TOKENS, key="iv_tokens", required=True,
            format_func=lambda name: NAMES.get(name, name), **keep,
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls_2"):
        st.select_slider(
            "Layer (0: speech token embeddings)", list(range(editable)), key="iv_layer",
            width=330, **keep,
        )  # fmt: skip
        st.slider("Strength", 0.0, 1.0, step=0.05, key="iv_strength", width=230, **keep)
        st.selectbox(
            "Pairs from layer", [SAME, *range(n_layers + 1)], key="iv_source", width=170,
            format_func=lambda k: "the same layer" if k == SAME else str(k), **keep,
        )  # fmt: skip
        st.segmented_control(
            "Path", link.PATHS, key="iv_path", required=True,
            format_func=lambda p: {"dtw": "DTW"}.get(p, p), **keep,
        )  # fmt: skip
        st.segmented_control("Measure", link.MEASURES, key="iv_measure", required=True, **keep)


def intervention(pairs: dict[int, int] | None = None) -> Intervention:
    """What the controls say."""
    from modgap.interventions import Intervention

    chosen = S["iv_tokens"] == "chosen"
    given = S["iv_pairs"] if pairs is None else pairs
    return Intervention(
        rule=S["iv_rule"],
        layers=(S["iv_layer"],),
        tokens="given" if chosen else S["iv_tokens"],
        pairs=tuple((i, j) for j, i in given.items()) if chosen else (),
        path=S["iv_path"],
        measure=S["iv_measure"],
        path_layer=None if S["iv_source"] == SAME else S["iv_source"],
        strength=S["iv_strength"],
    )


def toggle(analysis: Analysis, j: int, i: int | None, marked: dict[int, int]) -> None:
    """Take a token in or out; what was marked until now stays as it is."""
    pairs = dict(marked)
    if j in pairs and (i is None or pairs[j] == i):
        del pairs[j]
    else:
        pairs[j] = path_position(analysis, j) if i is None else i
    S["iv_pairs"], S["iv_new_tokens"] = pairs, "chosen"


def path_position(analysis: Analysis, j: int) -> int:
    """The speech token that the chosen path gives a text token."""
    layer = S["iv_layer"] if S["iv_source"] == SAME else S["iv_source"]
    k = [int(n) for n in analysis.layer_ids].index(layer)
    a, cosine = analysis.alignment, S["iv_measure"] == "cosine"
    if S["iv_path"] == "dtw":
        return int((a.dtw_pair_cos if cosine else a.dtw_pair_euc)[k][j])
    return int((a.argmax_cos if cosine else a.argmin_euc)[k][j])


def answers(found: Comparison | None, analysis: Analysis) -> None:
    """Text, before and after, side by side."""
    from modgap.answers import verdict

    known = state.reference()
    plain = analysis.answers or {}
    given = {
        "Answer to the text": found.text if found else plain.get("text"),
        "Speech, before": found.before if found else plain.get("speech"),
        "Speech, after": found.after if found else None,
    }
    for place, (title, answer) in zip(st.columns(3, gap="small"), given.items(), strict=True):
        with place, st.container(border=True, height="stretch", key=f"iv_{title.split()[-1]}"):
            with st.container(horizontal=True, horizontal_alignment="distribute"):
                st.caption(title)
                if answer is not None:
                    widgets.verdict(verdict(answer.text, known), known)
            if answer is None:
                st.text("…")
            elif title == "Speech, after" and found is not None:
                st.markdown(highlighted(found.before.text, answer.text))
            else:
                st.text(answer.text.strip() or "(an empty answer)")
            if found is not None and title != "Answer to the text":
                kl = found.kl_before if title == "Speech, before" else found.kl_after
                st.caption(f"KL from the text's first token: {widgets.number(kl)} nats")
    if known is not None:
        st.caption(f"Right would be: {widgets.plain(known)}")


def highlighted(before: str, after: str) -> str:
    """The answer with the words that changed set off; its own signs are shown as they are."""
    old, new = before.split(), after.split()
    if not new:
        return "(an empty answer)"
    out = []
    for kind, _, _, a, b in difflib.SequenceMatcher(None, old, new).get_opcodes():
        words = widgets.plain(" ".join(new[a:b]))
        if words:
            out.append(words if kind == "equal" else f":orange-background[{words}]")
    return " ".join(out)


def word_row(analysis: Analysis, marked: dict[int, int]) -> None:
    """The transcript, every token a toggle."""
    from modgap.ui.tokens import token_choice

    st.caption("Critical tokens: click a word, or a cell of the map, to take it in or out")
    clicked = token_choice(
        analysis.pieces, set(marked), label="Text tokens that are changed", key="iv_words"
    )
    if clicked is not None:
        toggle(analysis, clicked, None, marked)
        st.rerun()


def heatmap(analysis: Analysis, marked: dict[int, int]) -> None:
    """The alignment of all layers with the changed pairs ringed."""
    from modgap.ui.align import align_view

    event = align_view(
        analysis,
        key="iv_align",
        layer=S["iv_layer"],
        measure=S["iv_measure"],
        paths=("argmax",),
        marks=[(i, j) for j, i in marked.items()],
    )
    if event.cell is not None:
        toggle(analysis, event.cell.j, event.cell.i, marked)
        st.rerun()


def effects(found: Comparison) -> None:
    """Probabilities and curves."""
    from modgap.figures.edits import RunProbabilities, before_after

    left, right = st.columns(2, gap="medium")
    with left:
        first, options = RunProbabilities.of_first_tokens(found), RunProbabilities.of_options(found)
        with st.container(horizontal=True, horizontal_alignment="distribute", key="iv_bars"):
            st.subheader("First token" if options is None else "Probabilities", anchor=False)
            view = options and st.segmented_control(
                "Bars of", ("options", "first token"), default="options", key="iv_bars_of",
                required=True, label_visibility="collapsed",
            )  # fmt: skip
        shown = options if options is not None and view == "options" else first
        widgets.chart(
            shown.figure(dark=widgets.dark(), height=300), key="iv_first", name="probabilities",
            alt="Probabilities of the options or of the likeliest first tokens in the three runs",
        )  # fmt: skip
    with right:
        st.subheader("Downstream: does it hold?", anchor=False)
        key = "aps_cos" if S["iv_measure"] == "cosine" else "aps_euc"
        curves = before_after(found.layers, key)
        widgets.chart(
            curves.figure(current=S["iv_layer"], dark=widgets.dark(), height=300),
            key="iv_curves", name=f"downstream-{key}",
            alt="Alignment Path Score over layers, before and after the intervention",
        )  # fmt: skip
    file = widgets.Download
    widgets.downloads(
        [
            file.figure("Bars", "modgap-probabilities", lambda: shown.figure()),
            file.table("Bars", "modgap-probabilities", shown.table),
            file.figure("Curves", f"modgap-downstream-{key}", lambda: curves.figure()),
            file.table("Pairs", "modgap-pairs", lambda: found.pairs),
            file.table("Layers", "modgap-layers-before-after", lambda: found.layers),
            file.settings("modgap-intervention", found.to_dict),
        ],
        key="interventions",
    )


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Interventions",
        "Critical tokens are the pairs of the alignment path that match worst. Their speech states "
        "are changed while the question is read, at one layer; then the model answers as always. "
        "**Angle projection** gives a speech token the direction of its text token, **length "
        "normalization** only its length. Patching, mean shift and a random direction of the same "
        "angle are controls.",
        r"\text{angle: } h_s \leftarrow \lVert h_s\rVert \frac{h_t}{\lVert h_t\rVert}"
        r"\qquad \text{length: } h_s \leftarrow \lVert h_t\rVert \frac{h_s}{\lVert h_s\rVert}",
        "Strength turns along the arc between both directions, and changes lengths linearly.",
    )
    opened = edits.opened("change", key="empty_interventions")
    if opened is None:
        return
    analysis, request = opened
    n_layers = int(analysis.model["n_layers"])
    if "iv_new_tokens" in S:
        S["iv_tokens"] = S.pop("iv_new_tokens")
    editable = int(analysis.model.get("editable_layers", n_layers))
    restore(n_layers, editable)
    controls(n_layers, editable)
    if editable < n_layers:
        why = analysis.model["unsupported"]["edit_every_level"]
        st.caption(f"Layers from {editable} on are not offered: {widgets.plain(why)}")
    it = intervention()
    S["view"] = {"edit": it.to_text()}
    wanted = edits.EditRequest(request, "compare", (it,))
    found = edits.ask(wanted, f"{request.title}: intervention")
    problem = edits.failure(wanted)
    if found is None and problem is not None:
        widgets.error(problem)
        st.button("Try again", on_click=edits.forget_failure, args=(wanted,), key="iv_again")
    if found is not None:
        S["iv_marked"] = (
            analysis.key, {int(p.j): int(p.i) for p in found.pairs.itertuples() if p.used}
        )  # fmt: skip
    run, marked = S.get("iv_marked", (None, {}))
    marked = marked if run == analysis.key else {}
    answers(found, analysis)
    word_row(analysis, marked)
    if found is not None:
        effects(found)
    heatmap(analysis, marked)


page()
