"""The logit lens on the page Localize: what each layer would say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from modgap.ui import PAGES, as_code, localize, widgets
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import pandas as pd

    from modgap.analysis.lens import Lens
    from modgap.analysis.result import Analysis
    from modgap.ui.server.requests import AnalysisRequest


def lens(request: AnalysisRequest, analysis: Analysis) -> None:
    """What positions read as."""
    from modgap.figures.lens_grid import LensGrid

    made: Lens | None = localize.ask(request, "lens", {})
    if made is None:
        return
    speech, text = LensGrid.of_speech(made), LensGrid.of_text(made)
    st.subheader("Speech positions", anchor=False)
    heard = widgets.clickable(
        speech.figure(dark=widgets.dark()), key="lens_speech", name="lens-speech",
        alt="The likeliest token at every speech position in every layer",
    )  # fmt: skip
    details = st.container()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("Text positions", anchor=False)
        read = widgets.clickable(
            text.figure(dark=widgets.dark()), key="lens_text", name="lens-text",
            alt="The likeliest token at every text position in every layer",
        )  # fmt: skip
    with right:
        st.subheader("First layer with the token at rank 1", anchor=False)
        widgets.table(first_layers(made), key="lens_first", height=340)
        st.caption("A token's speech: its segment on the DTW path of layer "
                   f"{made.path_layer}.")  # fmt: skip
    here = visit().decided
    if heard is not None:
        here.lens_cell = (analysis.key, heard[0], heard[1], made.word_at(heard[1]))
    elif read is not None:
        here.lens_cell = (analysis.key, read[0], made.segments[read[1]][0], read[1])
    key, *cell = here.lens_cell or ("",)
    with details:
        alternatives(made, analysis, *(cell if key == analysis.key else (0, 0, made.word_at(0))))
    file, stem = widgets.Download, f"{widgets.file_stem(analysis)}-lens"
    of = widgets.subject(analysis, "logit lens")
    widgets.downloads(
        [
            file.figure("Speech", f"{stem}-speech", lambda: speech.figure(), of=of),
            file.figure("Text", f"{stem}-text", lambda: text.figure(), of=of),
            file.table("Speech, all alternatives", stem, made.table),
            localize.settings_file(request, analysis, "lens", {}),
        ],
        key="wd_lens",
        code=as_code.of_figure(
            request,
            "from modgap.figures.lens_grid import LensGrid",
            "LensGrid.of_speech(session.lens())",
        ),
    )


def alternatives(made: Lens, analysis: Analysis, level: int, i: int, j: int) -> None:
    """What one position could be read as, beside the word's own place in the transcript."""
    from modgap.figures.text import visible

    start, end = made.times[i]
    st.caption(
        f"Layer {level}: the speech from {start:.2f} to {end:.2f} s, and the text token {j}, "
        f"“{widgets.plain(visible(made.pieces[j]))}”, whose DTW segment it is in. A click on a "
        "cell chooses another."
    )
    left, right = st.columns(2, gap="medium")
    with left:
        widgets.table(made.speech.alternatives(level, i), key="lens_alternatives")
    with right:
        widgets.table(made.text.alternatives(level, j), key="lens_alternatives_text")
    if level < int(analysis.model["n_layers"]) and st.button(
        "Show on the Alignment page", key="wd_lens_align"
    ):
        localize.show_on_alignment(analysis, level, j)
        st.switch_page(PAGES / "alignment.py")


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
