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
    from .across import ModelComparison, curve_table
    from .analysis import Analysis, analyze, cached_analysis
    from .answers import answer
    from .audio import Clip, load_clip
    from .cascade import Cascade, pipeline
    from .check import CheckReport, check_model
    from .comparison import Comparison, compare, compare_variants
    from .errors import AudioError, Cancelled, ModelError, ModgapError, SettingsError, StoreError
    from .forced import WordTimes, word_times
    from .hits import WordHits, hits_summary, word_hits
    from .interventions import Intervention
    from .lens import logit_lens
    from .model_runs import clip_curves, compare_models
    from .models import list_models, load_model
    from .models.memory import estimate_memory
    from .prefill import Prefill
    from .recognition import load_recognizer
    from .settings import AnalysisSettings
    from .spread import consistency, consistency_table
    from .store import Store, default_store
    from .sweeps import patching, sweep, with_target

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "AnalysisSettings",
    "AudioError",
    "Cancelled",
    "Cascade",
    "CheckReport",
    "Clip",
    "Comparison",
    "Intervention",
    "ModelComparison",
    "ModelError",
    "ModgapError",
    "Prefill",
    "SettingsError",
    "Store",
    "StoreError",
    "WordHits",
    "WordTimes",
    "__version__",
    "analyze",
    "answer",
    "cached_analysis",
    "check_model",
    "clip_curves",
    "compare",
    "compare_models",
    "compare_variants",
    "consistency",
    "consistency_table",
    "curve_table",
    "default_store",
    "estimate_memory",
    "hits_summary",
    "list_models",
    "load_clip",
    "load_model",
    "load_recognizer",
    "logit_lens",
    "patching",
    "pipeline",
    "sweep",
    "with_target",
    "word_hits",
    "word_times",
]

# `import modgap` must not wait for torch.
__getattr__, __dir__ = attach(
    __name__,
    {
        "across": ("ModelComparison", "curve_table"),
        "analysis": ("Analysis", "analyze", "cached_analysis"),
        "answers": ("answer",),
        "audio": ("Clip", "load_clip"),
        "cascade": ("Cascade", "pipeline"),
        "check": ("CheckReport", "check_model"),
        "comparison": ("Comparison", "compare", "compare_variants"),
        "errors": (
            "AudioError",
            "Cancelled",
            "ModelError",
            "ModgapError",
            "SettingsError",
            "StoreError",
        ),
        "forced": ("WordTimes", "word_times"),
        "interventions": ("Intervention",),
        "lens": ("logit_lens",),
        "model_runs": ("clip_curves", "compare_models"),
        "models": ("list_models", "load_model"),
        "models.memory": ("estimate_memory",),
        "prefill": ("Prefill",),
        "recognition": ("load_recognizer",),
        "settings": ("AnalysisSettings",),
        "spread": ("consistency", "consistency_table"),
        "store": ("Store", "default_store"),
        "sweeps": ("patching", "sweep", "with_target"),
        "hits": ("WordHits", "hits_summary", "word_hits"),
    },
)
