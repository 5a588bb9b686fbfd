"""The controls of the Interventions page: from an `Intervention` to the session, and back.

The session holds all that an intervention says, so that a link, a cell of a map and the page's own
address mean the same. What the controls do not offer by themselves (several layers, the five worst
pairs) is one more option of theirs once it was opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.interventions.intervention import MEASURES, PATHS, Intervention

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis

S = st.session_state
RULES = {
    "angle": "Angle projection",
    "length": "Length normalization",
    "both": "Both",
    "patch": "Patch",
    "mean": "Mean shift",
    "random": "Random direction",
}
SAME = -1  # pairs come from the (first) layer that is edited
CHOSEN = "chosen"
TOKENS = ("bottom-3", "all", "top-3", "random-3")
Pairs = frozenset[tuple[int, int]]  # (i, j): a word may have several speech positions


def show_next(analysis: Analysis, it: Intervention) -> None:
    """Let the Interventions page open with `it`, whatever its controls said before."""
    S["iv_open"] = (analysis.key, it)


def restore(analysis: Analysis, n_layers: int, editable: int) -> None:
    """The controls as another page, the address or the session has them, as far as they fit."""
    if "iv_open" in S:
        _take_over(*S.pop("iv_open"))
    elif "iv_rule" not in S:  # a link's pairs are those of the first result that is shown
        _take_over(analysis.key, S.get("link", {}).get("edit") or Intervention())
    key, pairs = S["iv_pairs"]
    if key != analysis.key:  # positions of another clip mean nothing here
        pairs = frozenset()
        S["iv_tokens"] = TOKENS[0] if S["iv_tokens"] == CHOSEN else S["iv_tokens"]
    n, m = len(analysis.speech_times), len(analysis.pieces)
    S["iv_pairs"] = (analysis.key, frozenset((i, j) for i, j in pairs if i < n and j < m))
    S["iv_layer"] = _option([k for k in layers() if k < editable] or [editable - 1])
    if S["iv_source"] > n_layers:
        S["iv_source"] = SAME


def _take_over(key: str, it: Intervention) -> None:
    S["iv_pairs"] = (key, frozenset(it.pairs))
    values = {
        "rule": it.rule, "strength": it.strength, "path": it.path, "measure": it.measure,
        "seed": it.seed, "layer": _option(it.layers),
        "source": SAME if it.path_layer is None else it.path_layer,
        "tokens": CHOSEN if it.tokens == "given" else it.tokens,
    }  # fmt: skip
    for name, value in values.items():
        S[f"iv_{name}"] = value


def _option(layers: Any) -> int | str:
    """Several layers are one option: "0+2"."""
    return layers[0] if len(layers) == 1 else "+".join(map(str, layers))


def layers() -> tuple[int, ...]:
    """The layers that are edited."""
    return tuple(int(part) for part in str(S["iv_layer"]).split("+"))


def source_layer() -> int:
    """The layer that pairs come from."""
    return layers()[0] if S["iv_source"] == SAME else int(S["iv_source"])


def _offered(name: str, options: tuple[Any, ...]) -> tuple[Any, ...]:
    """`options`, and what else was opened in this session."""
    value = S[f"iv_{name}"]
    if value not in (*options, CHOSEN):
        S[f"iv_more_{name}"] = value
    more = S.get(f"iv_more_{name}")
    return options if more is None else (*options, more)


def controls(n_layers: int, editable: int) -> None:
    """Rule, tokens, layer, strength and so on; every change is a new answer."""
    keep: Any = {"persist_state": "session"}
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls"):
        st.segmented_control(
            "Rule", list(RULES), key="iv_rule", format_func=RULES.__getitem__, required=True, **keep
        )
        st.segmented_control(
            "Critical tokens", (*_offered("tokens", TOKENS), CHOSEN), key="iv_tokens",
            required=True, format_func=lambda name: name.replace("-", " "), **keep,
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls_2"):
        st.select_slider(
            "Layer (0: speech token embeddings)", _offered("layer", tuple(range(editable))),
            key="iv_layer", width=270, format_func=lambda k: str(k).replace("+", " + "), **keep,
        )  # fmt: skip
        st.slider("Strength", 0.0, 1.0, step=0.05, key="iv_strength", width=200, **keep)
        st.selectbox(
            "Pairs from layer", [SAME, *range(n_layers + 1)], key="iv_source", width=170,
            format_func=lambda k: "the same layer" if k == SAME else str(k), **keep,
        )  # fmt: skip
        st.segmented_control(
            "Path", PATHS, key="iv_path", required=True,
            format_func=lambda p: {"dtw": "DTW"}.get(p, p), **keep,
        )  # fmt: skip
        st.segmented_control("Measure", MEASURES, key="iv_measure", required=True, **keep)
        if _needs_seed():
            st.number_input("Seed", 0, 2**31 - 1, key="iv_seed", width=110, **keep)


def _needs_seed() -> bool:
    return S["iv_rule"] == "random" or str(S["iv_tokens"]).startswith("random")


def intervention() -> Intervention:
    """What the controls say."""
    own = chosen()
    return Intervention(
        rule=S["iv_rule"],
        layers=layers(),
        tokens=S["iv_tokens"] if own is None else "given",
        pairs=tuple(own or ()),
        path=S["iv_path"],
        measure=S["iv_measure"],
        path_layer=None if S["iv_source"] == SAME else S["iv_source"],
        strength=S["iv_strength"],
        seed=S["iv_seed"] if _needs_seed() else 0,
    )


# ---- the user's own pairs -----------------------------------------------------------------------


def chosen() -> Pairs | None:
    """The pairs that the user has put together; None where a rule of choice finds them."""
    return S["iv_pairs"][1] if S["iv_tokens"] == CHOSEN else None


def toggle(analysis: Analysis, drawn: Pairs, j: int, i: int | None = None) -> None:
    """Take a word, or one of its pairs, in or out; call it before a run, from a widget.

    The user's own set counts, whether or not there is an answer to it yet; `drawn`, what was marked
    at the click, is only where it begins.
    """
    own = chosen()
    pairs = drawn if own is None else own
    if i is not None:
        pairs = pairs ^ {(i, j)}
    elif of_word := {pair for pair in pairs if pair[1] == j}:
        pairs = pairs - of_word
    else:
        pairs = pairs | {(_on_path(analysis, j), j)}
    S["iv_pairs"], S["iv_tokens"] = (analysis.key, pairs), CHOSEN


def _on_path(analysis: Analysis, j: int) -> int:
    """The speech position that the path of the controls gives a word."""
    k = [int(n) for n in analysis.layer_ids].index(source_layer())
    a, cosine = analysis.alignment, S["iv_measure"] == "cosine"
    if S["iv_path"] == "dtw":
        return int((a.dtw_pair_cos if cosine else a.dtw_pair_euc)[k][j])
    return int((a.argmax_cos if cosine else a.argmin_euc)[k][j])


def patch_of(analysis: Analysis, layer: int, j: int, where: str) -> Intervention:
    """What a cell of the patching map stands for (`sweeps.patching`).

    `where` is "segment", all that the monotone path gives the word, or "pair".
    """
    k = [int(n) for n in analysis.layer_ids].index(layer)
    if where == "segment":
        path = analysis.alignment.dtw_cos[k]
        rows = path[path[:, 1] == j, 0].tolist()
    else:
        rows = [int(analysis.alignment.argmax_cos[k][j])]
    return Intervention(
        rule="patch", layers=(layer,), tokens="given", pairs=tuple((i, j) for i in rows)
    )
