"""Change the critical speech tokens and see, at once, what the model says now."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import streamlit as st

from modgap.interventions.intervention import Intervention
from modgap.interventions.maps.names import bare_name
from modgap.ui import as_code, guards, intervention_inputs, widgets
from modgap.ui.server.requests import EditRequest
from modgap.ui.session import asking, clip_in_use, link
from modgap.ui.session.inputs import EDIT
from modgap.ui.session.state import Pairs, visit

if TYPE_CHECKING:
    from modgap.analysis.comparison import Comparison
    from modgap.analysis.result import Analysis
    from modgap.interventions.maps.affine import FittedMap

TOLD = "Angle projection (needs the transcript)"


def answers(found: Comparison | None, analysis: Analysis, told: Comparison | None = None) -> None:
    """Text, before and after, side by side; `told` is a rule that knows the words, beside a map."""
    from modgap.scoring.answers import verdict

    known = clip_in_use.reference()
    plain = analysis.answers or {}
    given = {
        "Answer to the text": found.text if found else plain.get("text"),
        "Speech, before": found.before if found else plain.get("speech"),
        "Speech, after": found.after if found else None,
    }
    if told is not None:
        given[TOLD] = told.after
    places = st.columns(len(given), gap="small")
    for place, (title, answer) in zip(places, given.items(), strict=True):
        key = "iv_told" if title == TOLD else f"iv_{title.split()[-1]}"
        with place, st.container(border=True, height="stretch", key=key):
            with st.container(horizontal=True, horizontal_alignment="distribute"):
                st.caption(title)
                if answer is not None:
                    widgets.verdict(verdict(answer.text, known), known)
            if answer is None:
                st.text("…")
            elif title in ("Speech, after", TOLD) and found is not None:
                st.markdown(highlighted(found.before.text, answer.text))
            else:
                st.text(answer.text.strip() or "(an empty answer)")
            if found is not None and title != "Answer to the text":
                kl = found.kl_before if title == "Speech, before" else found.kl_after
                if title == TOLD and told is not None:
                    kl = told.kl_after
                st.caption(f"KL from the text run, first token: {widgets.number(kl)} nats")
    if known is not None:
        st.caption(f"Reference answer: {widgets.plain(known)}")


def map_card(fitted: FittedMap, layer: int) -> None:
    """What a map was fitted on, and how it does on pairs that it has not seen."""
    from modgap.interventions.maps.card import read_card

    card = read_card(fitted)
    held = card.held
    parts = [
        f"**{widgets.plain(fitted.kind)}** of layer {fitted.layer}",
        f"fitted on {widgets.plain(card.model)}, {widgets.plain(card.data)} "
        f"({card.clips} clips, {card.pairs} pairs)",
    ]
    if held.explained is not None:
        parts.append(
            f"explained variance on {held.pairs} held-out pairs: "
            f"{widgets.number(held.explained_plain)} before, "
            f"**{widgets.number(held.explained)}** after"
        )
    if fitted.gate is not None and held.opened is not None:
        parts.append(f"its gate lets {100 * held.opened:.0f} % of the states change")
    st.caption("Fitted map, needs no transcript: " + "; ".join(parts) + ".")
    if layer != fitted.layer:
        st.caption(f"It acts on layer {layer} here, but was fitted on layer {fitted.layer}.")


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


def word_row(analysis: Analysis, marked: Pairs) -> None:
    """The transcript, every token a toggle."""
    from modgap.ui.token_row import token_choice

    st.caption("Critical tokens: click a word, or a cell of the map, to add or remove it")
    token_choice(
        analysis.pieces, {j for _, j in marked}, label="Text tokens that are changed",
        key="iv_words", on_toggle=lambda j: intervention_inputs.toggle(analysis, marked, j),
    )  # fmt: skip


def unchanged(found: Comparison, analysis: Analysis) -> None:
    """Name the words that are chosen, but whose speech position goes to another one."""
    from modgap.figures.text import visible

    if found.pairs.empty:
        return
    used = found.pairs.groupby("j")["used"].any()
    idle = [visible(analysis.pieces[int(j)]) for j in used.index[~used]]
    if idle:
        names = widgets.plain(", ".join(f"“{word}”" for word in idle))
        st.caption(
            f"Selected, but without effect: {names}. A more similar word takes the same position."
        )


def heatmap(analysis: Analysis, marked: Pairs) -> None:
    """The alignment of all layers with the changed pairs ringed."""
    from modgap.ui.alignment.component import align_view

    align_view(
        analysis,
        key="iv_align",
        layer=intervention_inputs.layers()[0],
        measure=EDIT["measure"].value,
        paths=("argmax",),
        marks=sorted(marked),
        on_cell=lambda cell: intervention_inputs.toggle(analysis, marked, cell.j, cell.i),
    )


def effects(found: Comparison, analysis: Analysis, wanted: EditRequest) -> None:
    """Probabilities and curves."""
    from modgap.figures.interventions import RunProbabilities, before_after

    (it,) = wanted.stack
    at = f"layer {'+'.join(map(str, it.layers))}"
    name = f"{widgets.file_stem(analysis)}-{at.replace(' ', '')}-{it.rule}-{it.tokens}"
    of = widgets.subject(analysis, at, f"{it.rule}, {it.tokens}")
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
            shown.figure(dark=widgets.dark(), height=300), key="iv_first",
            name=f"{name}-probabilities",
            alt="Probabilities of the options or of the likeliest first tokens in the three runs",
        )  # fmt: skip
    with right:
        st.subheader("Effect on later layers", anchor=False)
        key = "aps_cos" if EDIT["measure"].value == "cosine" else "aps_euc"
        curves = before_after(found.layers, key)
        widgets.chart(
            curves.figure(current=intervention_inputs.layers()[0], dark=widgets.dark(), height=300),
            key="iv_curves", name=f"{name}-{key}",
            alt="Alignment Path Score over layers, before and after the intervention",
        )  # fmt: skip
    file = widgets.Download
    widgets.downloads(
        [
            file.figure("Bars", f"{name}-probabilities", lambda: shown.figure(), of=of),
            file.table("Bars", f"{name}-probabilities", shown.table),
            file.figure("Curves", f"{name}-{key}", lambda: curves.figure(), of=of),
            file.table("Pairs", f"{name}-pairs", lambda: found.pairs),
            file.table("Layers", f"{name}-layers", lambda: found.layers),
            file.settings(name, lambda: {**found.to_dict(), "of": widgets.provenance(analysis)}),
        ],
        key="interventions",
        code=as_code.of_figure(
            wanted.of,
            "from modgap.figures.interventions import RunProbabilities",
            f"RunProbabilities.{'of_first_tokens' if shown is first else 'of_options'}"
            f"(session.compare({as_code.stack_of(it)}))",
            "intervene",
            "--interventions",
            it.to_text(),
        ),
    )


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Interventions",
        "Critical tokens are the pairs of the alignment path that match worst. Their speech states "
        "are changed while the question is read, at one layer; then the model answers as always. "
        "**Angle projection** gives a speech token the direction of its text token, **length "
        "normalization** only its length. Patching, mean shift and a random direction of the same "
        "angle are controls. A **fitted map** (`modgap fit`) needs no transcript. Compare the two "
        "speech answers (changed words are set off) and their KL divergence from the text run: a "
        "repair brings it down, and more than a random direction does.",
        r"\text{angle: } h_s \leftarrow \lVert h_s\rVert \frac{h_t}{\lVert h_t\rVert}"
        r"\qquad \text{length: } h_s \leftarrow \lVert h_t\rVert \frac{h_s}{\lVert h_s\rVert}",
        "Strength turns along the arc between both directions, and changes lengths linearly.",
    )
    opened = guards.subject("change", key="empty_interventions")
    if opened is None:
        return
    analysis, request = opened
    n_layers = int(analysis.model["n_layers"])
    editable = int(analysis.model.get("editable_layers", n_layers))
    intervention_inputs.restore(analysis, n_layers, editable)
    maps = intervention_inputs.offered_maps(analysis)
    intervention_inputs.controls(n_layers, editable, maps)
    if editable < n_layers:
        why = analysis.model["unsupported"]["edit_every_level"]
        st.caption(f"Layers from {editable} on are not offered: {widgets.plain(why)}")
    it = intervention_inputs.intervention()
    if it.rule == "map":
        map_card(maps[bare_name(it.map)], it.layers[0])
    here = visit()
    text = it.to_text()
    if len(text) <= link.MAX_EDIT:
        here.view = {"edit": text}
    else:
        st.caption("So many pairs have no room in a link: the settings below hold them.")
    top, words, middle, bottom = (st.container() for _ in range(4))

    def draw(marked: Pairs) -> None:
        marked = frozenset((i, j) for i, j in marked if j != intervention_inputs.NO_WORD)
        with words:
            word_row(analysis, marked)
        with bottom:
            heatmap(analysis, marked)

    own = intervention_inputs.chosen()
    if own is not None:
        draw(own)  # a click is seen at once, not with the answer to it
    wanted = EditRequest(request, "compare", (it,))
    found: Comparison | None = asking.ask(wanted)
    told: Comparison | None = None
    if found is not None:
        here.interventions.marked = (analysis.key, pairs_of(found))
        if it.rule == "map":
            oracle = Intervention(layers=it.layers, tokens="all", strength=it.strength)
            told = asking.ask(EditRequest(request, "beside", (oracle,)))
    if own is None:
        key, marked = here.interventions.marked
        draw(marked if key == analysis.key else frozenset())
    with top:
        if found is None:
            guards.failed(wanted, key="iv_again")
        answers(found, analysis, told)
    if found is not None:
        with words:
            unchanged(found, analysis)
        with middle:
            effects(found, analysis, wanted)


def pairs_of(found: Comparison) -> Pairs:
    """All pairs of an intervention, with those that another one has replaced."""
    return frozenset((int(i), int(j)) for i, j in zip(found.pairs.i, found.pairs.j, strict=True))


page()
