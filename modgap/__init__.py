"""modgap: why does a speech language model understand words worse said than typed?

>>> import modgap
>>> model = modgap.load_model("demo")                                        # doctest: +SKIP
>>> clip = modgap.load_clip("clip.wav")                                      # doctest: +SKIP
>>> modgap.analyze(model, clip, "what is said in it").layers                 # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analysis import Analysis, analyze, cached_analysis
    from .audio import Clip, load_clip
    from .errors import AudioError, Cancelled, ModelError, ModgapError, SettingsError, StoreError
    from .models import list_models, load_model
    from .settings import AnalysisSettings
    from .store import Store, default_store

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "AnalysisSettings",
    "AudioError",
    "Cancelled",
    "Clip",
    "ModelError",
    "ModgapError",
    "SettingsError",
    "Store",
    "StoreError",
    "__version__",
    "analyze",
    "cached_analysis",
    "default_store",
    "list_models",
    "load_clip",
    "load_model",
]

# Resolved at first use (PEP 562): `import modgap` must not wait for torch.
_WHERE = {
    name: module
    for module, names in {
        "analysis": ("Analysis", "analyze", "cached_analysis"),
        "audio": ("Clip", "load_clip"),
        "errors": (
            "AudioError",
            "Cancelled",
            "ModelError",
            "ModgapError",
            "SettingsError",
            "StoreError",
        ),
        "models": ("list_models", "load_model"),
        "settings": ("AnalysisSettings",),
        "store": ("Store", "default_store"),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_WHERE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
