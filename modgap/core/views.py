"""How results are shown in a notebook: a result says that it can be, a floor above says how.

The floors forbid a result to import its figures. So it inherits `Viewed`, and whoever has a view of
it registers the view's name: the package's root for modgap's own results, since it alone knows all
floors. The view is imported when it is first looked at.

>>> from modgap.core.views import register_views
>>> register_views({"mine.results.Found": "mine.plots.FoundPlots"})             # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from modgap.core.errors import ModgapError

__all__ = ["View", "Viewed", "register_views", "registered_views", "view_of"]

_views: dict[str, str] = {}


class View(Protocol):
    """What a registered class gives, made of the result alone."""

    def __init__(self, result: Any) -> None: ...

    def html(self) -> str:
        """The result as a piece of HTML."""

    def line(self) -> str:
        """The result in one line of text."""


def register_views(views: Mapping[str, str]) -> None:
    """Say what shows the results of a class.

    Parameters
    ----------
    views : mapping of str to str
        ``"package.module.Class"`` of a result to that of its view: a class that is made of the
        result and has what `View` has; its further methods are the result's figures. The last one
        registered counts.
    """
    _views.update(views)


def registered_views() -> dict[str, str]:
    """What is registered, as `register_views` was told it."""
    return dict(_views)


def view_of(result: Any) -> Any:
    """The view of a result.

    Raises
    ------
    ModgapError
        None is registered for its class or a class above it.
    """
    for cls in type(result).__mro__:
        name = _views.get(f"{cls.__module__}.{cls.__qualname__}")
        if name is not None:
            module, _, attribute = name.rpartition(".")
            return getattr(import_module(module), attribute)(result)
    raise ModgapError(
        f"There is no view of {type(result).__name__}: register one by "
        "modgap.core.views.register_views."
    )


class Viewed:
    """A result that a notebook shows by its registered view; dataclasses with ``repr=False``."""

    __slots__ = ()

    @property
    def plot(self) -> Any:
        """The figures: ``result.plot.layers()``; ``result.plot`` names them all."""
        return view_of(self)

    def _repr_html_(self) -> str:
        return view_of(self).html()

    def __repr__(self) -> str:
        # A dataclass's own would print all its arrays, and a notebook keeps it beside the HTML.
        return view_of(self).line()
