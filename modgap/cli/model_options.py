"""The options that say which model, and how it is held: the same for every command that loads one.

A command decorated with `with_model` takes a `ModelOptions` named ``how``; in its place stand the
options themselves, in the help and on the command line.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.options import Device, Dtype, Families, Model, family_paths
from modgap.core.errors import SettingsError

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

_HELD: dict[str, Any] = {
    "dtype": Dtype,
    "device": Device,
    "device_map": Annotated[
        str | None,
        typer.Option(help="auto spreads the model over all GPUs and the CPU, instead of --device."),
    ],
    "quantize": Annotated[
        str | None, typer.Option(help="Hold the weights in 8bit or 4bit (bitsandbytes).")
    ],
    "adapter": Annotated[
        Path | None, typer.Option(help="Folder of a PEFT adapter to put on the model.")
    ],
    "revision": Annotated[
        str | None, typer.Option(help="Of a model from the hub; the same as org/name@revision.")
    ],
    "family": Families,
}


@dataclass(frozen=True)
class ModelOptions:
    """A model's name and how to hold it, as typed."""

    model: str = "demo"
    dtype: str = "auto"
    device: str = "auto"
    device_map: str | None = None
    quantize: str | None = None
    adapter: Path | None = None
    revision: str | None = None
    family: list[str] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What `load_model` and `estimate_memory` take beside the name, where it is set.

        A family goes to those of the models that it takes; see `only` for a single model.
        """
        values = {name: getattr(self, name) for name in _HELD}
        values["family"] = family_paths(self.family) if self.family else None
        return {name: value for name, value in values.items() if value is not None}

    @property
    def only(self) -> dict[str, Any]:
        """The same for a command with one model: a family that is named has to take it."""
        options = self.options
        if len(options.get("family", ())) == 1:
            options["family"] = options["family"][0]
        return options

    @property
    def shared(self) -> dict[str, Any]:
        """What another model of the same command takes: how it is held, not what it is."""
        from modgap.models.loading.load import ONE_MODELS

        return {k: v for k, v in self.options.items() if k not in ONE_MODELS}

    def check(self, names: Sequence[str]) -> None:
        """Refuse options that say which model is meant, where several are.

        Raises
        ------
        SettingsError
        """
        if len(set(names)) < 2:
            return
        if self.revision is not None:
            raise SettingsError(
                "--revision goes with one model: name each with its own, as in org/name@revision."
            )
        if self.adapter is not None:
            raise SettingsError(
                "--adapter goes with one model: name the adapter's folder itself as a model; its "
                "base is found by its config."
            )

    def load(self, name: str | None = None) -> SpeechLM:
        """The model, or the one that a command names itself; see `check` where it has several."""
        from modgap.models.loading import load as loading

        options = self.only if name is None else self.options
        return loading.load_quietly(name or self.model, **options)

    def load_beside(self, name: str) -> SpeechLM:
        """Another model than the one that ``--revision`` and ``--adapter`` are of."""
        from modgap.models.loading import load as loading

        return loading.load_quietly(name, **self.shared)


def with_model(*, named: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put the options in the place of a command's parameter ``how``.

    Parameters
    ----------
    named : bool
        Whether ``--model`` is among them; without it, the command names its models itself.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        options = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=getattr(ModelOptions, name),
                annotation=annotation,
            )
            for name, annotation in (({"model": Model} if named else {}) | _HELD).items()
        ]
        hints = typing.get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command).parameters.items():
            if name == "how":
                parameters += options
                continue
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[name], kind=kind))

        @functools.wraps(command)
        def wrapped(**values: Any) -> None:
            chosen = {option.name: values.pop(option.name) for option in options}
            command(how=ModelOptions(**chosen), **values)

        # What typer reads: the signature for order and defaults, the annotations for types.
        wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
        del wrapped.__wrapped__
        return wrapped

    return decorate
