"""The same words in two clips, in the sidebar's model: answers, curves, maps and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.audio.clip import Clip, load_clip
from modgap.audio.formats import SUFFIXES
from modgap.core.errors import AudioError, ModgapError
from modgap.ui import as_code, guards, widgets
from modgap.ui.server.service import service
from modgap.ui.server.shared_cache import SharedCache
from modgap.ui.session import asking, clip_in_use, inputs, link, result_shown
from modgap.ui.session.state import ClipRef, visit

if TYPE_CHECKING:
    from modgap.analysis.clip_comparison import ClipComparison
    from modgap.analysis.result import Analysis
    from modgap.figures.clip_difference import TokenDifference
    from modgap.figures.curves import LayerCurves
    from modgap.figures.relative_depth import SideBySide

SOURCES = ("Condition", "Upload", "Microphone")
_SAID = (
    "noise, 5 dB",
    "noise, 15 dB",
    "a room, 0.5 s of reverberation",
    "telephone band, 300 to 3400 Hz",
    "GSM coding",
    "Opus coding, 12 kbit/s",
)
CONDITIONS = dict(zip(link.CONDITIONS, _SAID, strict=True))


def show(measure: str) -> None:
    """Draw the view; `measure` is "cosine" or "euclidean"."""
    choose()
    here = visit()
    try:
        first, second = clip_in_use.clip(), _second()
    except ModgapError as problem:
        widgets.error(str(problem))
        return
    if first is None or second is None:
        st.caption("Choose a second clip that says the same words.")
        return
    if guards.no_transcript():
        return
    for place, name, clip in zip(st.columns(2, gap="small"), "AB", (first, second), strict=True):
        with place:
            st.caption(f"{name}: {widgets.plain(clip.name)}, {widgets.seconds(clip.seconds)}")
            st.audio(service().wav(clip), format="audio/wav", alt=f"Clip {name}")
    found = _found(first, second)
    if found is None:
        return
    answers(found)
    layer = _layer(found)
    here.view["layer"] = layer
    alike = curves(found, layer, measure)
    both = maps(found, layer, measure)
    each = tokens(found, layer, measure)
    code = _code(first, layer, measure)
    files(found, alike, both, each, f"layer{layer}-{measure}", code)


# ---- the second clip ----------------------------------------------------------------------------


def choose() -> None:
    """Where the second clip comes from."""
    opened = visit().link
    if inputs.SECOND.get("") not in SOURCES:
        inputs.SECOND.value = SOURCES[0]
    if inputs.CONDITION.get("") not in CONDITIONS:
        inputs.CONDITION.value = opened.get("condition", link.CONDITIONS[0])
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    source = left.segmented_control(
        "Second clip, of the same words", SOURCES, key=inputs.SECOND.key, required=True,
        persist_state="session",
        help="The clip in use under a condition, or another recording of the same sentence.",
    )  # fmt: skip
    with right:
        if source == "Upload":
            st.file_uploader(
                "Sound file", type=list(SUFFIXES), key=inputs.SECOND_UPLOAD.key,
                on_change=_adopt, args=("upload",),
            )  # fmt: skip
        elif source == "Microphone":
            st.audio_input(
                "Say the same sentence", key=inputs.SECOND_RECORD.key,
                on_change=_adopt, args=("record",),
            )  # fmt: skip
        else:
            st.selectbox(
                "Condition of the clip in use", list(CONDITIONS), key=inputs.CONDITION.key,
                format_func=CONDITIONS.__getitem__, persist_state="session",
            )  # fmt: skip
            visit().view["condition"] = inputs.CONDITION.value


def _adopt(kind: Any) -> None:
    """Take over the bytes at once: the widget forgets its file when the page changes."""
    upload = kind == "upload"
    file = (inputs.SECOND_UPLOAD if upload else inputs.SECOND_RECORD).get(None)
    here = visit()
    here.compare.second = None
    if file is None:
        return
    name = file.name if upload else "second recording.wav"
    try:
        service().clip(file.getvalue(), name)
    except AudioError as problem:
        here.error = f"{name}: {problem}"
        return
    here.compare.second = ClipRef(kind, "", name, file.getvalue())


def _second() -> Clip | None:
    source = inputs.SECOND.value
    if source == "Condition":
        clip = clip_in_use.clip()
        return None if clip is None else _under(clip, inputs.CONDITION.value)
    ref = visit().compare.second
    wanted = "upload" if source == "Upload" else "record"
    if ref is None or ref.source != wanted:
        return None
    return service().clip(ref.data, ref.name)


def _under(clip: Clip, condition: str) -> Clip:
    """A clip under a condition, made once."""
    from modgap.audio.conditions import RATE
    from modgap.audio.perturbations import Perturbation, perturb

    def make() -> Clip:
        samples = perturb(clip.resample(RATE), Perturbation.parse(condition))
        return load_clip(samples, rate=RATE, name=f"{clip.name}, {CONDITIONS[condition]}")

    return _conditions().once(f"{clip.sha256} {clip.name} {condition}", make)


@st.cache_resource(show_spinner=False)
def _conditions() -> SharedCache[str, Clip]:
    return SharedCache(32)


# ---- what is shown ------------------------------------------------------------------------------


def _found(first: Clip, second: Clip) -> ClipComparison | None:
    """The comparison; None after a word on why it is not there (yet)."""
    words, instruction = clip_in_use.transcript(), clip_in_use.instruction()
    made: list[Analysis] = []
    waiting = []
    try:
        for name, clip in zip("AB", (first, second), strict=True):
            wanted = result_shown.request_of(clip, words, instruction)
            analysis, reason = result_shown.at_hand(wanted), asking.failure(wanted)
            if analysis is not None:
                made.append(analysis)
            elif reason is not None:
                widgets.error(f"Clip {name}: {reason}")
                guards.try_again(wanted, key=f"ab_again_{name}")
                return None
            else:
                asking.ask(wanted)
                waiting.append(name)
        if waiting:
            st.caption(f"Being analysed: {' and '.join(waiting)}.")
            return None
        from modgap.analysis.clip_comparison import ClipComparison

        return ClipComparison((f"A: {first.name}", f"B: {second.name}"), (made[0], made[1]))
    except ModgapError as problem:
        widgets.notice(str(problem))
        return None


def answers(found: ClipComparison) -> None:
    """The answer to the text, and to either clip."""
    known = clip_in_use.reference()
    rows = found.answers(known).to_dict("records")
    titles = ["To the text", *(f"To {name}" for name in found.names)]
    with st.container(key="ab_answers"):
        for place, title, row in zip(st.columns(3, gap="small"), titles, rows, strict=True):
            if row["answer"] is None:
                continue
            with place, st.container(border=True, height="stretch"):
                with st.container(horizontal=True, horizontal_alignment="distribute"):
                    st.caption(widgets.plain(title))
                    widgets.verdict(row.get("verdict"), known)
                st.text(row["answer"] if row["answer"].strip() else "(an empty answer)")
    if known is not None:
        st.caption(f"Reference answer: {widgets.plain(known)}")


def _layer(found: ClipComparison) -> int:
    layers = found.analyses[0].layer_ids.tolist()
    wanted = inputs.AB_LAYER.get(visit().link.get("layer", layers[len(layers) // 2]))
    inputs.AB_LAYER.value = min(layers, key=lambda layer: abs(layer - wanted))
    if len(layers) > 1:
        st.select_slider("Layer", layers, key=inputs.AB_LAYER.key, persist_state="session")
    return inputs.AB_LAYER.value


def curves(found: ClipComparison, layer: int, measure: str) -> LayerCurves:
    """Of each measure both clips, and their difference; then the two clips against each other."""
    from modgap.figures.clip_difference import ClipDifference, between_curves, both_curves

    keys = ("cosine", "aps_cos") if measure == "cosine" else ("euclidean", "aps_euc")
    dark = widgets.dark()
    st.subheader("Over layers", anchor=False)
    with st.container(key="ab_curves"):
        for key in keys:
            both, apart = both_curves(found, key), ClipDifference.of(found, key)
            left, right = st.columns(2, gap="medium")
            with left:
                widgets.chart(
                    both.figure(current=layer, dark=dark, height=290), key=f"ab_{key}",
                    name=f"clips-{key}", alt=f"{both.measure.label} of both clips over layers",
                )  # fmt: skip
            with right:
                widgets.chart(
                    apart.figure(current=layer, dark=dark, height=290), key=f"ab_{key}_apart",
                    name=f"difference-{key}", alt=f"{both.measure.label}, B less A, over layers",
                )  # fmt: skip
        alike = between_curves(found, measure)
        widgets.chart(
            alike.figure(current=layer, dark=dark, height=270), key="ab_between",
            name=f"between-{measure}", alt="How alike the speech of the two clips is over layers",
        )  # fmt: skip
        st.caption(
            "The last one compares the speech of A with the speech of B (means over positions), "
            "not with the text: where they come together, the model leaves behind what the clips "
            "differ in."
        )
    return alike


def maps(found: ClipComparison, layer: int, measure: str) -> SideBySide:
    """Both alignment maps of a layer, in the same colours."""
    from modgap.figures.relative_depth import SideBySide

    both = SideBySide.of(found.names, found.analyses, (layer, layer), measure)
    st.subheader(f"Alignment in layer {layer}", anchor=False)
    panels = both.panels(dark=widgets.dark())
    with st.container(key="ab_maps"):
        for n, (place, panel) in enumerate(zip(st.columns(2, gap="small"), panels, strict=True)):
            with place:
                st.caption(widgets.plain(found.names[n]))
                widgets.chart(
                    panel, key=f"ab_map_{n}", name=f"map-{'ab'[n]}-{measure}",
                    alt=f"Alignment map of clip {'AB'[n]} in layer {layer}",
                )  # fmt: skip
    return both


def tokens(found: ClipComparison, layer: int, measure: str) -> TokenDifference:
    """Token by token, how far the clips are apart."""
    from modgap.figures.clip_difference import TokenDifference

    made = TokenDifference.of(found, layer, measure)
    st.subheader(f"Text tokens in layer {layer}", anchor=False)
    widgets.chart(
        made.figure(dark=widgets.dark()), key="ab_tokens", name=f"tokens-{measure}",
        alt="Each text token's value on the argmax path of either clip",
    )  # fmt: skip
    return made


def _code(first: Clip, layer: int, measure: str) -> as_code.Code:
    """The maps, as they are made elsewhere; a recording is named as it is to be saved."""
    wanted = result_shown.request_of(first, clip_in_use.transcript(), clip_in_use.instruction())
    if inputs.SECOND.value == "Condition":
        return as_code.of_clips(wanted, layer, measure, condition=inputs.CONDITION.value)
    ref = visit().compare.second
    assert ref is not None
    return as_code.of_clips(wanted, layer, measure, file=ref.name)


def files(
    found: ClipComparison, alike: LayerCurves, both: SideBySide, each: TokenDifference, at: str,
    code: as_code.Code,
) -> None:  # fmt: skip
    """What can be downloaded; each file is made when it is asked for."""
    file, name = widgets.Download, "modgap-clips"
    of = " · ".join((*found.names, str(found.analyses[0].model["name"]), at))
    widgets.downloads(
        [
            file.figure("Maps", f"{name}-{at}-maps", both.figure, of=of),
            file.figure("Tokens", f"{name}-{at}-tokens", each.figure, of=of),
            file.table("Differences", f"{name}-differences", lambda: found.differences),
            file.table("A against B", f"{name}-between", alike.table),
            file.table("Tokens", f"{name}-{at}-tokens", each.table),
            file.settings(
                name,
                lambda: {
                    n: widgets.provenance(a)
                    for n, a in zip(found.names, found.analyses, strict=True)
                },
            ),
        ],
        key="clips_ab",
        code=code,
    )
