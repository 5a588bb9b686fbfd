"""What families there are, for a list."""

from __future__ import annotations

from dataclasses import dataclass

from modgap.models.loading.registry import family_module, installed, known_types


@dataclass(frozen=True)
class Family:
    """A family of speech language models.

    Attributes
    ----------
    model_type : str
        As in a checkpoint's config.json; also the name of the module.
    title : str
        What it is made of, in a line.
    state : str
        What it was tested with.
    checkpoints : tuple of str
        Hub ids of released checkpoints.
    """

    model_type: str
    title: str
    state: str
    checkpoints: tuple[str, ...]


def list_families() -> list[Family]:
    """List every family that `load_model` knows; text models, which have many types, come last.

    Of families that other packages installed only the name is told: their code is not run for it.
    """
    found = []
    for model_type in (*known_types(), "text_only"):
        module = family_module(model_type)
        adapter = module.ADAPTER
        title = str(module.__doc__).splitlines()[0].rstrip(".")
        found.append(Family(model_type, title, adapter.tested, tuple(adapter.checkpoints)))
    for name, point in installed().items():
        package = point.dist.name if point.dist is not None else point.value
        found.append(Family(name, f"installed by {package}", "its package says", ()))
    return found
