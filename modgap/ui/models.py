"""The models that the worker keeps in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

Loader = Callable[..., "SpeechLM"]


@dataclass(frozen=True)
class ModelChoice:
    """What the sidebar selects: a model's name and how to hold it."""

    name: str
    dtype: str = "auto"
    device: str = "auto"


class ModelPool:
    """Loads models on demand and keeps the last used ones, up to `max_bytes` of weights.

    `get` is called from the worker thread only; `info` from any thread.

    Parameters
    ----------
    max_bytes : int
        Weights kept at once. The model in use is kept whatever its size.
    loader : callable, optional
        `loader(name, dtype=..., device=...)`; `modgap.models.load_model` by default.
    """

    def __init__(self, max_bytes: int = 2 << 30, *, loader: Loader | None = None) -> None:
        self._max_bytes = max_bytes
        self._loader = loader
        self._models: OrderedDict[ModelChoice, SpeechLM] = OrderedDict()
        self._info: dict[ModelChoice, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def get(self, choice: ModelChoice) -> SpeechLM:
        """The model, loaded if it is not here.

        Raises
        ------
        ModelError
            When it cannot be loaded; the models that are here stay.
        """
        if choice in self._models:
            self._models.move_to_end(choice)
            return self._models[choice]
        # Make room first: two large models at once may be more than the machine holds.
        self._trim(self._max_bytes // 2)
        model = self._load()(choice.name, dtype=choice.dtype, device=choice.device)
        self._models[choice] = model
        self._trim(self._max_bytes, keep=choice)
        with self._lock:
            self._info[choice] = model.info()
        return model

    def info(self, choice: ModelChoice) -> dict[str, Any] | None:
        """What is known of a model that was loaded before, else None."""
        with self._lock:
            return self._info.get(choice)

    def loaded(self) -> tuple[ModelChoice, ...]:
        """The models in memory, the last used one last."""
        return tuple(self._models)

    def _load(self) -> Loader:
        if self._loader is not None:
            return self._loader
        from modgap.models import load_model  # torch and transformers: seconds, so only here

        return load_model

    def _trim(self, limit: int, keep: ModelChoice | None = None) -> None:
        sizes = {choice: _weight_bytes(model) for choice, model in self._models.items()}
        for choice in list(self._models):
            if sum(sizes.values()) <= limit:
                break
            if choice != keep:
                del self._models[choice], sizes[choice]


def _weight_bytes(model: SpeechLM) -> int:
    return sum(p.numel() * p.element_size() for p in model.hf.parameters())
