"""Tables, curves and figures of results: those of the pages, and safe to show."""

from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import modgap
from modgap.core.errors import ModgapError, SettingsError
from modgap.core.folders import shipped_runs_folder
from modgap.figures import AlignmentMap, LayerCurve, LayerCurves, norms, path_scores
from modgap.figures.interventions import ChangeMap, before_after
from modgap.figures.lens_grid import LensGrid
from modgap.figures.palette import palette
from modgap.gap import open_run
from modgap.gap.run_data import finals
from modgap.notebook.analysis import opening_layer
from modgap.notebook.markup import Curve, curves, number, said, table
from tests.even_words import even_words

HOSTILE = "<img src=x onerror=alert(1)> \u202etxet \x1b[31m"
WORDS = "what is two plus three"
#: What a piece of HTML may hold: no script, no picture from elsewhere, no link.
TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td", "span", "code", "svg", "path",
        "polyline", "text"}  # fmt: skip


class Seen(HTMLParser):
    """The tags and texts of a piece of HTML; refuses what is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.points: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        assert set(self.tags) <= TAGS

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert "url(" not in (value or "")
            if name == "points":
                self.points.append(value)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def same(shown: Any, page: Any, dark: bool = False) -> None:
    """A notebook's figure is the page's, on the ground of its theme."""
    assert shown.layout.paper_bgcolor == shown.layout.plot_bgcolor == palette(dark).page
    page.update_layout(paper_bgcolor=palette(dark).page, plot_bgcolor=palette(dark).page)
    assert shown.to_json() == page.to_json()


@pytest.fixture(scope="module")
def analysis(tiny_model, clip):
    return modgap.analyze(tiny_model, clip, WORDS, max_new_tokens=4)


@pytest.fixture(scope="module")
def session(tiny_model, clip):
    return modgap.Session(tiny_model, clip, WORDS, max_new_tokens=4)


@pytest.fixture(scope="module")
def comparison(session):
    return session.compare(modgap.Intervention(rule="angle", tokens="all"))


@pytest.fixture(scope="module")
def sweep(session):
    return session.sweep(layers=[0, 1], tokens=["all"], strengths=[0.5, 1.0])


@pytest.fixture(scope="module")
def patched(session):
    return session.patching(where="segment", layers=[0, 1])


@pytest.fixture(scope="module")
def run():
    return open_run(shipped_runs_folder() / "demo")


def test_an_analysis_has_the_pages_figures(analysis):
    plot, layer = analysis.plot, opening_layer(analysis)
    name = analysis.clip["name"]
    for dark in (False, True):
        for key in ("cosine", "euclidean", "monotonicity"):
            page = LayerCurves(key, (LayerCurve.of(analysis, key, name),))
            same(plot.layers(key, dark=dark), page.figure(dark=dark), dark)
        for measure in ("cosine", "euclidean"):
            page = AlignmentMap.of(analysis, layer, measure).figure(dark=dark)
            same(plot.alignment(measure=measure, dark=dark), page, dark)
            same(plot.scores(measure, dark=dark), path_scores(analysis, measure).figure(dark=dark),
                 dark)  # fmt: skip
    same(plot.alignment(0), AlignmentMap.of(analysis, 0).figure())
    same(plot.norms(current=1), norms(analysis).figure(current=1))
    assert len(plot.answer("text").data) == 1
    with pytest.raises(ModgapError, match="Layer 99"):
        plot.alignment(99)
    with pytest.raises(SettingsError, match="Unknown measure"):
        plot.layers("boom")
    with pytest.raises(SettingsError, match="no such answer"):
        plot.answer("song")
    with pytest.raises(SettingsError, match="score_support"):
        plot.scores(filtered=True)


def test_an_analysis_opens_at_its_most_monotone_layer(analysis):
    rho = analysis.layers.set_index("layer")["monotonicity"].iloc[1:]
    assert opening_layer(analysis) == rho.idxmax()
    flat = np.full_like(analysis.alignment.monotonicity_cos, np.nan)
    blank = dataclasses.replace(analysis.alignment, monotonicity_cos=flat)
    none = dataclasses.replace(analysis, alignment=blank)
    assert opening_layer(none) == analysis.layer_ids[len(analysis.layer_ids) // 2]


def test_what_an_analysis_shows_is_what_it_holds(analysis):
    seen = Seen(analysis._repr_html_())
    assert WORDS in seen.text
    for answer in analysis.answers.values():
        assert said(answer.text) in analysis._repr_html_()
    row = analysis.layers.set_index("layer").loc[opening_layer(analysis)]
    assert number(row["cosine"]) in seen.text
    assert number(row["euclidean"], 2) in seen.text
    (cosine, *_) = seen.points
    assert len(cosine.split()) == len(analysis.layers)


def test_nothing_of_a_clip_becomes_markup(analysis):
    bad = dataclasses.replace(
        analysis, transcript=HOSTILE, clip={**analysis.clip, "name": HOSTILE}, notes=(HOSTILE,)
    )
    seen = Seen(bad._repr_html_())
    assert "onerror=alert(1)" in seen.text
    for sign in ("\u202e", "\x1b"):
        assert sign not in bad._repr_html_()
        assert sign not in bad.plot.line()


def test_a_comparison_shows_answers_and_a_curve(comparison):
    same(comparison.plot.layers(), before_after(comparison.layers).figure())
    same(comparison.plot.layers("cosine"), before_after(comparison.layers, "cosine").figure())
    seen = Seen(comparison._repr_html_())
    assert number(comparison.kl_before) in seen.text
    assert number(comparison.kl_after) in seen.text
    assert len(seen.points) == 2
    assert len(comparison.plot.first_tokens().data) == 3
    with pytest.raises(SettingsError, match="no multiple choice"):
        comparison.plot.options()


def test_a_comparison_without_a_transcript_has_no_curve(comparison):
    bare = dataclasses.replace(
        comparison, transcript="", text=None, layers=comparison.layers.iloc[:0],
        pairs=comparison.pairs.iloc[:0], kl_before=math.nan, kl_after=math.nan,
    )  # fmt: skip
    assert Seen(bare._repr_html_()).points == []
    with pytest.raises(SettingsError, match="transcript"):
        bare.plot.layers()


def test_sweeps_and_patchings_show_their_best_and_a_curve(sweep, patched):
    same(sweep.plot.change(), ChangeMap.of_sweep(sweep).figure())
    seen = Seen(sweep._repr_html_())
    assert number(sweep.table["change"].max()) in seen.text
    for shown in ("patch", "random", "difference"):
        same(patched.plot.change(shown), ChangeMap.of_patching(patched, shown).figure())
    seen = Seen(patched._repr_html_())
    assert number(float(np.nanmax(patched.change))) in seen.text
    assert len(seen.points) == 2
    with pytest.raises(SettingsError, match="shown is one of"):
        patched.plot.change("all")


def test_a_patching_of_no_word_has_no_curve(patched):
    nothing = np.full_like(patched.change, np.nan)
    assert Seen(
        dataclasses.replace(patched, change=nothing, control=nothing)._repr_html_()
    ).points == []  # fmt: skip


def test_lenses_show_tokens_and_a_curve(session):
    lens = session.lens()
    same(lens.plot.speech(), LensGrid.of_speech(lens).figure())
    same(lens.plot.text(), LensGrid.of_text(lens).figure())
    assert len(Seen(lens._repr_html_()).points) == 1
    answer = session.answer_lens()
    seen = Seen(answer._repr_html_())
    assert number(float(answer.probability[0, -1]), 4) in seen.text
    assert len(answer.plot.layers().data) == len(seen.points) == 2


def test_words_and_models_have_a_view(analysis):
    words = even_words(WORDS, float(analysis.speech_times[-1, 1]))
    hits = modgap.word_hits(analysis, words)
    seen = Seen(hits._repr_html_())
    assert number(float(hits.chance.mean()), 2) in seen.text
    assert analysis.plot.words(words).to_json() == hits.plot.layers().to_json()
    both = modgap.ModelComparison(("one", HOSTILE), (analysis, analysis))
    seen = Seen(both._repr_html_())
    assert len(seen.points) == 2
    assert len(both.plot.layers("aps_cos").data) == 2
    both.plot.alignment(0.5)


def test_a_run_shows_its_gap(run):
    from modgap.gap import gap_table

    seen = Seen(run._repr_html_())
    found = gap_table(run, finals(run.models)[:1]).set_index("quantity")["value"]
    for quantity in ("text", "speech", "gap"):
        assert number(100 * float(found[quantity]), 1) in seen.text
    assert f"{run.questions:,} questions" in seen.text
    for figure in (run.plot.gap(), run.plot.breakdown(), run.plot.reasons(), run.plot.layers(),
                   run.plot.similarity()):  # fmt: skip
        assert figure.data
    with pytest.raises(SettingsError, match="no model"):
        run.plot.gap(["boom"])


def test_a_view_names_its_figures(analysis, run):
    assert ".alignment(), .answer(), .layers()" in repr(analysis.plot)
    assert ".gap()" in repr(run.plot)
    assert analysis.plot.names() == (
        "alignment", "answer", "layers", "norms", "scores", "words",
    )  # fmt: skip


def test_a_chart_of_nothing_is_nothing():
    assert curves([]) == ""
    assert curves([Curve("a", [0, 1], [math.nan, math.nan])]) == ""


@pytest.mark.parametrize(
    ("values", "runs"),
    [
        ([0, 1, 2], [3]),
        ([0, math.nan, 2], [2, 2]),
        ([math.nan, 1, math.inf], [2]),
        ([5, 5, 5], [3]),
        ([1e-12, 2e-12, 0], [3]),
        ([-1e9, 0, 1e9], [3]),
    ],
)
def test_a_curve_has_its_gaps_and_stays_in_its_frame(values, runs):
    seen = Seen(curves([Curve("a", range(3), values)]))
    assert [len(p.split()) for p in seen.points] == runs
    for dot in " ".join(seen.points).split():
        x, y = map(float, dot.split(","))
        assert 0 <= x <= 420
        assert 0 <= y <= 120


def test_a_rising_curve_rises():
    (points,) = Seen(curves([Curve("a", [0, 4, 8], [0.1, 0.2, 0.9])])).points
    places = [tuple(map(float, p.split(","))) for p in points.split()]
    assert sorted(places) == places
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)
    # 4 is half way along x, 0.2 an eighth of the way up.
    assert places[1][0] == pytest.approx((places[0][0] + places[2][0]) / 2, abs=0.1)
    up = (places[0][1] - places[1][1]) / (places[0][1] - places[2][1])
    assert up == pytest.approx(1 / 8, abs=0.002)


def test_tables_and_texts():
    assert re.sub(r' style="[^"]*"', "", table([["a", "b"]])) == (
        "<table><tbody><tr><th>a</th><td>b</td></tr></tbody></table>"
    )
    assert said("a" * 500).endswith("…")
    assert number(None) == "–"
    assert said("x & <y>") == "x &amp; &lt;y&gt;"


def test_every_figure_takes_the_dark_page():
    import inspect

    from modgap.core.views import registered_views

    for view in registered_views().values():
        module, _, name = view.rpartition(".")
        cls = getattr(__import__(module, fromlist=[name]), name)
        for figure in cls.names():
            assert "dark" in inspect.signature(getattr(cls, figure)).parameters, (name, figure)
