"""modgap: why does a speech language model understand words worse said than typed?

>>> import modgap
>>> model = modgap.load_model("demo")                                        # doctest: +SKIP
>>> clip = modgap.load_clip("clip.wav")                                      # doctest: +SKIP
>>> modgap.analyze(model, clip, "what is said in it").layers                 # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import attach

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

# `import modgap` must not wait for torch.
__getattr__, __dir__ = attach(
    __name__,
    {
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
    },
)
