"""Sound, heat map, answer tokens, export, palette."""

from __future__ import annotations

import re

import numpy as np
import pytest

from modgap.audio.clip import load_clip
from modgap.core.errors import ModgapError
from modgap.figures import (
    AlignmentMap,
    AnswerTokens,
    SoundPicture,
    file_name,
    plot_config,
    speech_tokens,
    standalone_html,
    text_tokens,
)
from modgap.figures.base import seconds_ticks
from modgap.figures.palette import DARK, LIGHT, lookup_table, rgb

TIMES = np.stack([np.arange(50) * 0.04, np.arange(1, 51) * 0.04], axis=1)


def lightness(colours: np.ndarray) -> np.ndarray:
    """CIE L* (0 black, 100 white) of sRGB uint8 colours, shape (..., 3) -> (...)."""
    c = np.asarray(colours, dtype=float) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)


def contrast(a: str, b: str) -> float:
    """WCAG contrast ratio of two colours, 1 to 21."""

    def luminance(colour: str) -> float:
        star = float(lightness(np.array(rgb(colour))))
        return ((star + 16) / 116) ** 3 if star > 8 else star * 27 / 24389

    hi, lo = sorted((luminance(a), luminance(b)), reverse=True)
    return (hi + 0.05) / (lo + 0.05)


def tone(hz: float, rate: int = 22050, seconds: float = 2.0):
    t = np.arange(int(rate * seconds)) / rate
    return load_clip((0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32), rate=rate, name="tone")


@pytest.fixture(scope="module")
def picture():
    return SoundPicture.of(tone(1000), TIMES)


def test_a_tone_shows_at_its_frequency_and_height(picture):
    assert picture.seconds == pytest.approx(2.0, abs=1e-3)
    loudest = picture.frequencies[picture.mel[:, 20:-20].mean(axis=1).argmax()]
    assert loudest == pytest.approx(1000, rel=0.06)
    assert picture.high.max() == pytest.approx(0.5, abs=0.02)
    assert picture.low.min() == pytest.approx(-0.5, abs=0.02)
    assert picture.mel.max() == 0
    assert picture.mel.min() >= -80


def test_sound_figure_is_small_and_on_one_time_axis(picture):
    fig = picture.figure()
    wave, mel, ruler = fig.data
    assert len(wave.x) <= 2000
    assert mel.z.shape[1] <= 1201
    assert mel.x0 + mel.dx * (mel.z.shape[1] - 1) == pytest.approx(picture.seconds)
    assert len(ruler.x) == len(TIMES) + 1
    assert ruler.x == pytest.approx(np.append(TIMES[:, 0], 2.0))
    assert fig.layout.xaxis3.range == (0, picture.seconds)
    assert len(SoundPicture.of(tone(300)).figure(dark=True).data) == 2


def test_a_long_clip_stays_small():
    noise = np.random.default_rng(0).normal(0, 0.1, 16000 * 60).astype(np.float32)
    p = SoundPicture.of(load_clip(noise, rate=16000))
    assert p.mel.shape[1] <= 1201
    assert len(p.low) == 1000
    assert len(p.table()) == 1000


def sample_map(measure: str = "cosine") -> AlignmentMap:
    rng = np.random.default_rng(1)
    values = rng.uniform(-1, 1, (50, 6)).astype(np.float32)
    best = values.argmax(axis=0)
    if measure == "euclidean":
        values = values + 1
        best = values.argmin(axis=0)
    path = np.stack([np.arange(50), np.arange(50) * 6 // 50], axis=1)
    pieces = ("what", " <s>", "<b>", "$x$", "\n", " a" + "b" * 40)
    return AlignmentMap(values, measure, 3, TIMES, pieces, best, path, scale=2.0)


def test_heat_map_shows_the_matrix_speech_right_and_text_down():
    m = sample_map()
    fig = m.figure()
    heat = fig.data[0]
    assert (np.asarray(heat.z) == m.values.T).all()
    assert (heat.zmin, heat.zmax) == (-1, 1)
    assert fig.layout.yaxis.range == (5.5, -0.5)
    assert list(fig.layout.yaxis.ticktext[:5]) == [
        "what",
        "&lt;s&gt;",
        "&lt;b&gt;",
        "&#36;x&#36;",
        "⏎",
    ]
    assert len(fig.layout.yaxis.ticktext[5]) <= 18
    assert heat.text[1][0] == "“ &lt;s&gt;” (token 1)"
    dots = fig.data[-1]
    assert (np.asarray(dots.x) == m.best).all()
    assert (np.asarray(fig.data[1].x) == m.dtw[:, 0]).all()


def test_distance_has_one_scale_for_all_layers():
    heat = sample_map("euclidean").figure(dark=True).data[0]
    assert (heat.zmin, heat.zmax) == (0, 2.0)


def test_heat_map_table_holds_every_cell():
    m = sample_map()
    t = m.table()
    assert len(t) == 300
    assert t.best.sum() == 6
    assert t.dtw.sum() == 50
    row = t[(t.i == 20) & (t.j == 3)].iloc[0]
    assert row.similarity == m.values[20, 3]
    assert row.piece == "$x$"
    assert row.start == pytest.approx(0.8)


def test_heat_map_refuses_what_does_not_fit():
    m = sample_map()
    for change in ({"measure": "<b>"}, {"pieces": ("a",)}, {"times": TIMES[:3]}):
        with pytest.raises(ModgapError):
            AlignmentMap(**{**m.__dict__, **change})


@pytest.mark.parametrize("seconds", [0.3, 1.0, 4.7, 30.0, 599.0])
def test_second_ticks_stand_at_their_time(seconds):
    n = round(seconds / 0.04)
    times = np.stack([np.arange(n), np.arange(1, n + 1)], axis=1) * 0.04
    where, said = seconds_ticks(times)
    assert 3 <= len(where) <= 12
    assert len(set(said)) == len(said)
    assert not any(s.startswith("-") for s in said)
    for x, text in zip(where, said, strict=True):
        assert (x + 0.5) * 0.04 == pytest.approx(float(text), abs=1e-6)


def test_answer_bars_are_probabilities_and_tokens_are_text():
    a = AnswerTokens("speech", ("<s>", " $", "\n"), (0.0, -0.5, -2.0))
    bars = a.figure().data[0]
    assert np.asarray(bars.y) == pytest.approx(np.exp([0.0, -0.5, -2.0]))
    assert list(a.figure().layout.xaxis.ticktext) == ["&lt;s&gt;", "&#36;", "⏎"]
    assert a.table().token.tolist() == ["<s>", " $", "\n"]
    assert len(AnswerTokens("none", (), ()).figure().data) == 1
    for wrong in ((("a",), ()), (("a",), (0.5,))):
        with pytest.raises(ModgapError):
            AnswerTokens("x", *wrong)


def test_token_tables():
    assert speech_tokens(TIMES).iloc[7].tolist() == pytest.approx([7, 0.28, 0.32])
    t = text_tokens((" a", "\n"), np.array([[0, 2], [2, 3]]))
    assert t.piece.tolist() == [" a", "\n"]
    assert t.shown.tolist() == ["a", "⏎"]
    assert t.span_end.tolist() == [2, 3]


def test_standalone_html_needs_no_network():
    page = standalone_html(sample_map().figure(), title="<s> & $x$").decode()
    assert "<script src" not in page
    assert "cdn.plot.ly" not in re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.S)
    assert "&lt;s" in page or "\\u0026lt;s" in page
    assert "<title>&lt;s&gt; &amp; &#36;x&#36;</title>" in page


def test_export_names_are_files_not_paths():
    assert file_name("../../etc/pass wd<b>.wav") == "etc_pass_wd_b_.wav"
    assert file_name("///") == "modgap"
    options = plot_config("a/b")["toImageButtonOptions"]
    assert options == {"format": "svg", "filename": "a_b"}


@pytest.mark.parametrize("p", [LIGHT, DARK])
def test_palette_is_readable(p):
    assert contrast("#000000", "#ffffff") == pytest.approx(21, abs=0.05)
    assert contrast(p.text, p.page) >= 7
    assert contrast(p.muted, p.page) >= 4.5
    for colour in (*p.series, p.primary):
        assert contrast(colour, p.page) >= 3


@pytest.mark.parametrize("p", [LIGHT, DARK])
def test_maps_are_even_in_lightness(p):
    star = lightness(lookup_table(p.diverging))
    half = np.diff(star[:128])
    assert (half > 0).all() or (half < 0).all(), "lightness must go one way to the middle"
    other = np.diff(star[127:])
    assert (other > 0).all() or (other < 0).all()
    assert np.abs(star - star[::-1]).max() < 8, "both signs must weigh the same"
    steps = np.abs(np.concatenate([half, other]))
    assert steps.max() < 4.5 * np.median(steps)
    cividis = lightness(lookup_table(p.sequential))
    assert (np.diff(cividis) > -0.2).all(), "rounding to 8 bits may step back, no more"
    assert (np.diff(cividis[::8]) > 0).all()
    assert lightness(np.array(rgb("#ffffff"))) == pytest.approx(100)
