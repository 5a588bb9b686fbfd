"""The models that the worker keeps in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modgap.core.errors import ModelError
from modgap.core.memory import free_memory
from modgap.ui.server.operator_models import families
from modgap.ui.server.preload import import_libraries

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM
    from modgap.models.loading.memory import MemoryEstimate

Loader = Callable[..., "SpeechLM"]
SPREAD = "spread"  # as a device: over all of them, by a device map


@dataclass(frozen=True)
class ModelChoice:
    """What the sidebar selects: a model's name and how to hold it."""

    name: str
    dtype: str = "auto"
    device: str = "auto"
    quantize: str = "none"

    @property
    def options(self) -> dict[str, Any]:
        """What `load_model` takes beside the name; the operator's families are part of it."""
        options: dict[str, Any] = {"dtype": self.dtype, "device": self.device}
        if self.device == SPREAD:
            options |= {"device": "auto", "device_map": "auto"}
        if self.quantize != "none":
            options["quantize"] = self.quantize
        if families():
            options["family"] = families()
        return options

    @property
    def device_map(self) -> str | None:
        return self.options.get("device_map")


class ModelPool:
    """Loads models on demand and keeps the last used ones, up to `max_bytes` of weights.

    A model of more than half of that is the only one. `get` is called from the worker thread and
    holds a lock, so that one model at a time is loaded; the rest may be called from any thread.

    Parameters
    ----------
    max_bytes : int
        Weights kept at once. The model in use is kept whatever its size.
    loader : callable, optional
        `loader(name, dtype=..., device=..., ...)`; `load_model` by default.
    estimate : callable, optional
        `estimate(name, dtype=..., device=..., ...)`, asked before a model in memory has to go for
        another one; `modgap.models.loading.memory.estimate_memory` beside the default loader.
    """

    def __init__(
        self,
        max_bytes: int = 2 << 30,
        *,
        loader: Loader | None = None,
        estimate: Callable[..., MemoryEstimate] | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._loader, self._estimate = loader, estimate
        self._models: OrderedDict[ModelChoice, SpeechLM] = OrderedDict()
        self._info: dict[ModelChoice, dict[str, Any]] = {}
        self._bytes: dict[ModelChoice, int] = {}
        self._loading: ModelChoice | None = None
        self._forget: list[Callable[[SpeechLM], None]] = []
        self._others: list[tuple[Callable[[], int], Callable[[], None]]] = []
        self._use, self._lock = threading.RLock(), threading.Lock()

    def get(self, choice: ModelChoice) -> SpeechLM:
        """The model, loaded if it is not here.

        Raises
        ------
        ModelError
            When it cannot be loaded. What can be told from the config alone (no such model, no
            access, far too large) is told while the models that are here stay; a model that had to
            go for one that then failed is loaded again when it is next used.
        """
        with self._use:
            if choice in self._models:
                self._models.move_to_end(choice)
                return self._models[choice]
            self._loading = choice
            try:
                if self.held() > self._max_bytes // 2:
                    self._check(choice)
                # Make room first: two large models at once may be more than the machine holds.
                self._trim(self._max_bytes // 2)
                model = self._load()(choice.name, **choice.options)
            except BaseException:
                free_memory()  # what was read of it so far
                raise
            finally:
                self._loading = None
            size = weight_bytes(model)
            with self._lock:
                self._models[choice], self._bytes[choice] = model, size
                self._info[choice] = model.info()
            self._trim(self._max_bytes, keep=choice)
            return model

    def info(self, choice: ModelChoice) -> dict[str, Any] | None:
        """What is known of a model that was loaded before, else None."""
        with self._lock:
            return self._info.get(choice)

    def loaded(self) -> tuple[ModelChoice, ...]:
        """The models in memory, the last used one last."""
        with self._lock:
            return tuple(self._models)

    def loading(self) -> ModelChoice | None:
        """The model that is being loaded now."""
        return self._loading

    def held(self) -> int:
        """Bytes of the weights in memory; a model that is loaded next may have them."""
        with self._lock:
            return sum(self._bytes.values()) + sum(held() for held, _ in self._others)

    def on_drop(self, forget: Callable[[SpeechLM], None]) -> None:
        """Have `forget` called with every model that goes: what holds on to it keeps its memory."""
        self._forget.append(forget)

    def share(self, held: Callable[[], int], drop: Callable[[], None]) -> None:
        """Count `held` bytes of something else among the weights; `drop` gives them back."""
        self._others.append((held, drop))

    def _check(self, choice: ModelChoice) -> None:
        if self._estimate is not None:
            found = self._estimate(choice.name, **choice.options)
        elif self._loader is None:
            from modgap.models.loading.memory import estimate_memory

            found = estimate_memory(choice.name, **choice.options)
        else:
            return
        from modgap.models.loading.memory import Machine

        machine = Machine.here().with_more(self.held())
        fit = found.fit(machine, choice.options["device"], choice.device_map)
        if fit.verdict == "too large":
            raise ModelError(f"{choice.name} does not fit. {fit.sentence}")

    def _load(self) -> Loader:
        if self._loader is not None:
            return self._loader
        import_libraries()
        from modgap.models.loading.load import load_model

        return load_model

    def _trim(self, limit: int, keep: ModelChoice | None = None) -> None:
        dropped = False
        if self.held() > limit:  # a recogniser is quicker to have again than a model
            for _, drop in self._others:
                drop()
        for choice in list(self._models):
            if sum(self._bytes.values()) <= limit:
                break
            if choice != keep:
                with self._lock:
                    model = self._models.pop(choice)
                    del self._bytes[choice]
                for forget in self._forget:
                    forget(model)
                del model
                dropped = True
        if dropped:
            free_memory()


def weight_bytes(model: Any) -> int:
    """Of a speech model or a recogniser that wraps a model of transformers."""
    return sum(p.numel() * p.element_size() for p in model.hf.parameters())
