"""The way from a result to its view."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import modgap  # noqa: F401, registers modgap's own
from modgap.core import views
from modgap.core.errors import ModgapError


class Found(views.Viewed):
    """A result of someone else's."""


class Narrower(Found):
    """One that has no view of its own."""


class FoundPlots:
    """Its view."""

    def __init__(self, result: Found) -> None:
        self.result = result

    def html(self) -> str:
        return "<b>found</b>"

    def line(self) -> str:
        return "found"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_views", dict(views._views))
    views.register_views({f"{__name__}.Found": f"{__name__}.FoundPlots"})


@pytest.mark.usefixtures("registered")
def test_a_registered_view_shows_the_result_and_those_below_its_class():
    for result in (Found(), Narrower()):
        assert isinstance(result.plot, FoundPlots)
        assert result.plot.result is result
        assert result._repr_html_() == "<b>found</b>"
        assert repr(result) == "found"


def test_a_result_without_a_view_says_what_to_do():
    with pytest.raises(ModgapError, match="Found: register one by"):
        _ = Found().plot


@pytest.mark.parametrize(("result", "view"), views.registered_views().items())
def test_modgaps_own_results_and_views_are_where_they_are_said_to_be(result: str, view: str):
    module, _, name = result.rpartition(".")
    cls = getattr(import_module(module), name)
    assert cls.__repr__ is views.Viewed.__repr__, "no dataclass's, which prints all arrays"
    module, _, name = view.rpartition(".")
    shown = getattr(import_module(module), name)
    assert shown.names(), "a view has figures"
    for method in ("html", "line"):
        assert method in vars(shown)


def test_no_view_is_imported_before_it_is_looked_at():
    code = (
        "import sys, modgap, modgap.analysis.result, modgap.gap.run_data;"
        "sys.exit(', '.join(m for m in sys.modules if m.startswith(('modgap.notebook',"
        " 'modgap.figures', 'anywidget', 'ipywidgets'))) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
