"""The alignment component: what it packs and what it believes."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from streamlit.testing.v1 import AppTest

from modgap.analysis.functions import analyze
from modgap.core.errors import ModgapError
from modgap.figures import AlignmentMap, LayerCurve, path_scores
from modgap.figures.alignment import source
from modgap.figures.alignment.events import AlignEvent, Cell, checked_event
from modgap.figures.alignment.payload import pack
from modgap.figures.alignment.view import AlignmentView, envelope, quantise
from modgap.figures.palette import DARK, LIGHT
from modgap.notebook.script import MOUNT as NOTEBOOK
from modgap.ui.alignment.component import MOUNT as PAGE
from tests.app.align_sample import sample_view


def unpack(payload: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The payload read by its description alone."""
    (n,) = struct.unpack_from("<I", payload)
    head = json.loads(payload[4 : 4 + n])
    rest = payload[4 + n :]
    return head, {name: rest[a : a + size] for name, (a, size) in head["sections"].items()}


@pytest.fixture(scope="module")
def view():
    return sample_view(5, 40, 12)


@pytest.fixture(scope="module")
def read(view):
    return unpack(pack(view, layer=3, measure="euclidean", paths=("dtw",), cell=(7, 2)))


def test_both_matrices_come_back_within_half_a_step(view, read):
    head, parts = read
    assert (head["K"], head["S"], head["T"]) == view.shape
    q = np.frombuffer(parts["cosine"], np.int8).reshape(view.shape).astype(float)
    assert np.abs(q / 127 - view.similarity).max() <= 1 / 254 + 1e-7
    q = np.frombuffer(parts["euclidean"], np.int8).reshape(view.shape).astype(float)
    assert q.min() >= -127
    assert (
        np.abs((q + 127) / 254 * head["scale"] - view.distance).max() <= head["scale"] / 508 * 1.001
    )
    assert head["scale"] == float(view.distance.max())


def test_values_of_the_paths_pairs_are_exact(view, read):
    _, parts = read
    for measure in ("cosine", "euclidean"):
        for kind, at in (("argmax", view.argmax), ("pair", view.dtw_pair)):
            i = np.frombuffer(parts[f"{kind}_{measure}"], "<i4").reshape(5, 12)
            assert (i == at[measure]).all()
            for sign, matrix in (("S", view.similarity), ("D", view.distance)):
                exact = np.frombuffer(parts[f"{kind}_{measure}_{sign}"], "<f4").reshape(5, 12)
                for k, j in np.ndindex(5, 12):
                    assert exact[k, j] == matrix[k, i[k, j], j]


def test_dtw_paths_and_times_come_back(view, read):
    _, parts = read
    flat = np.frombuffer(parts["dtw_cosine"], "<i4").reshape(-1, 2)
    ends = np.frombuffer(parts["dtw_ends_cosine"], "<i4")
    for got, want in zip(np.split(flat, ends[:-1]), view.dtw["cosine"], strict=True):
        assert (got == want).all()
    times = np.frombuffer(parts["times"], "<f4").reshape(-1, 2)
    assert times == pytest.approx(view.times, abs=1e-6)


def test_head_opens_where_asked_and_keeps_tokens_as_they_are(view, read):
    head, _ = read
    assert head["start"] == {"layer": 3, "measure": "euclidean", "paths": ["dtw"], "cell": [7, 2],
                             "marks": [], "scores": True, "words": None}  # fmt: skip
    assert head["pieces"] == list(view.pieces)
    assert {"<s>", "$"} <= set(head["labels"])
    assert head["scores"]["monotonicity"]["cosine"][0] is None


def test_unknown_openings_fall_back(view):
    head, _ = unpack(pack(view, layer=999, measure="<b>", paths=("x",), cell=(40, 0)))
    opening = 1 + int(np.nanargmax(view.scores["monotonicity"]["cosine"][1:]))
    assert head["start"] == {"layer": opening, "measure": "cosine", "paths": [], "cell": None,
                             "marks": [], "scores": True, "words": None}  # fmt: skip


def test_sound_travels_as_wav_with_its_envelope(view, read):
    head, parts = read
    x, rate = sf.read(io.BytesIO(parts["audio"]), dtype="int16")
    assert rate == 16000
    assert (x == view.audio).all()
    assert head["seconds"] == pytest.approx(len(view.audio) / 16000)
    low, high = np.frombuffer(parts["envelope"], np.int8).reshape(-1, 2).T
    assert (low <= high).all()
    assert max(-int(low.min()), int(high.max())) == 127


def test_a_run_without_sound_has_neither():
    head, parts = unpack(pack(sample_view(2, 20, 5, audio=False)))
    assert "audio" not in parts
    assert "envelope" not in parts
    assert head["seconds"] == pytest.approx(0.8)


@pytest.mark.parametrize("samples", [1, 2, 3999, 4001])
def test_envelope_of_any_length_bounds_the_sound(samples):
    x = np.random.default_rng(samples).integers(-30000, 30000, samples).astype(np.int16)
    e = envelope(x)
    assert len(e) == min(samples, 4000)
    assert e.min() >= -127


def test_colour_tables_are_the_palettes(read):
    _, parts = read
    luts = np.frombuffer(parts["luts"], np.uint8).reshape(3, 255, 3)
    for lut, anchors in zip(luts, (LIGHT.diverging, DARK.diverging, LIGHT.sequential), strict=True):
        for end, anchor in ((lut[0], anchors[0]), (lut[-1], anchors[-1])):
            assert "#{:02x}{:02x}{:02x}".format(*end) == anchor.lower()


def test_extreme_values_do_not_wrap(view):
    S = view.similarity.copy()
    S[:, 0, 0], S[:, 1, 0] = 1.00005, -1.00005
    s, d = quantise(dataclasses.replace(view, similarity=S))
    assert s[0, 0, 0] == 127
    assert s[0, 1, 0] == -127
    assert d.max() == 127
    flat = dataclasses.replace(view, distance=np.zeros_like(view.distance))
    assert (quantise(flat)[1] == -127).all()


@pytest.mark.parametrize(
    "change",
    [
        {"layers": (0, 1, 2, 4, 3)},
        {"layers": (0, 1)},
        {"pieces": ("a",)},
        {"times": np.zeros((3, 2))},
        {"similarity": np.full((5, 40, 12), 1.5, np.float32)},
        {"similarity": np.full((5, 40, 12), np.nan, np.float32)},
        {"distance": np.full((5, 40, 12), -1, np.float32)},
        {"distance": np.zeros((5, 12, 40), np.float32)},
        {"argmax": {k: np.full((5, 12), 40) for k in ("cosine", "euclidean")}},
        {"dtw": {"cosine": (), "euclidean": ()}},
    ],
)
def test_a_view_refuses_what_does_not_fit(view, change):
    with pytest.raises(ModgapError):
        dataclasses.replace(view, **change)


def test_equal_openings_pack_to_equal_bytes(view):
    assert pack(view, layer=1) == pack(view, layer=1)
    assert unpack(pack(view, layer=1))[1] == unpack(pack(view, layer=2))[1]


@pytest.mark.parametrize(
    ("state", "changed"),
    [
        ({}, {}),
        (
            {"layer": 4, "measure": "euclidean", "paths": ["dtw", "x", {}]},
            {"layer": 4, "measure": "euclidean", "paths": ("dtw",)},
        ),
        ({"layer": 99, "measure": "<script>", "paths": "dtw"}, {}),
        ({"layer": True, "measure": ["cosine"]}, {}),
        ({"cell": {"layer": 1, "i": 39, "j": 11}}, {"cell": Cell(1, 39, 11)}),
        ({"cell": {"layer": 1, "i": 40, "j": 0}}, {}),
        ({"cell": {"layer": 1, "i": -1, "j": 0}}, {}),
        ({"cell": {"layer": float("inf"), "i": 1, "j": 1}}, {}),
        ({"cell": "boom", "paths": []}, {"paths": ()}),
        ({"painted": True}, {"painted": True}),
        ({"painted": 1}, {}),
    ],
)
def test_what_the_browser_sends_is_checked(view, state, changed):
    opening = AlignEvent(2, "cosine", ("argmax", "dtw"), None)
    got = checked_event(view, state, (2, "cosine", ("argmax", "dtw"), None))
    assert got == dataclasses.replace(opening, **changed)


def test_the_component_waits_for_no_heavy_library():
    """Streamlit brings plotly itself; pandas, torch and what draws charts can come later."""
    code = (
        "import sys, modgap.ui.alignment.component, modgap.ui.widgets;"
        "heavy = {'pandas', 'torch', 'librosa', 'modgap.figures.base', 'plotly.express'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("mount", [PAGE, NOTEBOOK])
def test_script_never_writes_markup(mount):
    script = source.script(mount)
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http"):
        assert word not in script


def payload_of(at: AppTest) -> bytes:
    assert not at.exception
    return at.get("bidi_component")[0].proto.bytes


def test_the_payload_stays_the_same_while_the_component_is_shown():
    at = AppTest.from_file(str(Path(__file__).parent / "align_app.py"), default_timeout=60)
    at.query_params["layer"] = "2"
    first = payload_of(at.run())
    assert unpack(first)[0]["start"]["layer"] == 2
    assert any("layer=2 measure=cosine" in t.value for t in at.text)
    at.query_params["layer"] = "7"  # a page that writes the layer back must not send all again
    assert payload_of(at.run()) == first
    at.query_params["size"] = "9x60x12"
    head, _ = unpack(payload_of(at.run()))
    assert (head["S"], head["T"]) == (60, 12)
    assert head["start"]["layer"] == 2, "other data open where the view stands"


def test_an_analysis_is_a_view(tiny_model, clip):
    analysis = analyze(tiny_model, clip, "one <s> two", answers=False)
    view = AlignmentView.from_analysis(analysis)
    a = analysis.alignment
    head, parts = unpack(pack(view))
    assert head["layers"] == list(range(tiny_model.n_layers + 1))
    assert "".join(head["pieces"]) == "one <s> two"
    exact = np.frombuffer(parts["argmax_cosine_S"], "<f4").reshape(a.argmax_cos.shape)
    assert exact.mean(axis=1) == pytest.approx(a.aps_cos, abs=1e-5)
    assert head["scores"]["aps"]["cosine"] == pytest.approx(a.aps_cos.tolist())
    x, rate = sf.read(io.BytesIO(parts["audio"]), dtype="int16")
    assert rate == analysis.audio_rate
    assert (x == analysis.audio).all()
    curve = LayerCurve.of(analysis, "cosine", "run")
    assert (curve.values == analysis.layers["cosine"].to_numpy()).all()
    assert curve.low is not None
    assert len(path_scores(analysis).figure(current=1).data) >= 3
    heat = AlignmentMap.of(analysis, 2, "euclidean").figure().data[0]
    assert (np.asarray(heat.z) == a.distance[2].T).all()
    with pytest.raises(ModgapError, match="Layer 99"):
        AlignmentMap.of(analysis, 99)


def test_words_travel_with_the_opening_and_are_checked(view):
    rows = [(0.1, 0.3, 0, 1), (0.3, 0.4, 2, 2), (0.5, 0.4, 3, 3), (0.5, 0.6, 3, 12), (0.1, np.inf,
            0, 0), (0.2, 0.3, 4, 3)]  # fmt: skip
    head, _ = unpack(pack(view, paths=("dtw", "words"), words=rows))
    assert head["start"]["words"] == [[0.1, 0.3, 0, 1], [0.3, 0.4, 2, 2]]
    assert head["start"]["paths"] == ["dtw", "words"]
    head, _ = unpack(pack(view, words=[]))
    assert head["start"]["words"] == []
