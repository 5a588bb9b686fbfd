"""modgap: why does a speech language model understand words worse said than typed?

>>> import modgap
>>> model = modgap.load_model("demo")                                        # doctest: +SKIP
>>> clip = modgap.load_clip("clip.wav")                                      # doctest: +SKIP
>>> modgap.analyze(model, clip, "what is said in it").layers                 # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modgap.core.lazy_imports import attach
from modgap.core.views import register_views

if TYPE_CHECKING:
    from modgap.analysis.clip_comparison import ClipComparison, compare_clips
    from modgap.analysis.clip_part import ClipPart, cut_clip
    from modgap.analysis.comparison import Comparison, compare_variants
    from modgap.analysis.consistency import consistency, consistency_table
    from modgap.analysis.fidelity_report import CheckReport, check_model
    from modgap.analysis.functions import (
        analyze,
        answer_lens,
        compare,
        logit_lens,
        mismatched_aps,
        patching,
        prompt_tokens,
        sweep,
    )
    from modgap.analysis.heard import heard
    from modgap.analysis.measure import cached_analysis
    from modgap.analysis.model_comparison import ModelComparison, curve_table
    from modgap.analysis.pipeline import Cascade, pipeline
    from modgap.analysis.result import Analysis
    from modgap.analysis.score_support import score_support
    from modgap.analysis.session import Session
    from modgap.analysis.several_models import clip_curves, compare_models
    from modgap.analysis.sweeps import with_target
    from modgap.analysis.word_hits import WordHits, hits_summary, word_hits
    from modgap.audio.clip import Clip, load_clip
    from modgap.core.errors import (
        AudioError,
        Cancelled,
        ModelError,
        ModgapError,
        SettingsError,
        StoreError,
    )
    from modgap.core.settings import AnalysisSettings
    from modgap.evaluation.data.datasets import read_questions
    from modgap.evaluation.interventions.fit_settings import FitSettings
    from modgap.evaluation.interventions.fitting import Fits, fit_maps
    from modgap.evaluation.runs.word_hits import spoken_words, word_hits_over
    from modgap.interventions.intervention import Intervention
    from modgap.interventions.maps.affine import FittedMap
    from modgap.interventions.maps.files import load_map, save_map
    from modgap.interventions.prefill import Prefill
    from modgap.models.base import SpeechLM
    from modgap.models.bases.fetching import Fetched, fetch
    from modgap.models.loading.load import list_models, load_model
    from modgap.models.loading.memory import estimate_memory
    from modgap.models.prompt import AudioInput
    from modgap.notebook.widget import widget
    from modgap.scoring.answers import answer
    from modgap.scoring.scorers import score
    from modgap.speech.recognizers import load_recognizer
    from modgap.speech.word_times import WordTimes, word_times
    from modgap.store.cache import Store, default_store

from modgap.core.version import __version__

__all__ = [
    "Analysis",
    "AnalysisSettings",
    "AudioError",
    "AudioInput",
    "Cancelled",
    "Cascade",
    "CheckReport",
    "Clip",
    "ClipComparison",
    "ClipPart",
    "Comparison",
    "Fetched",
    "FitSettings",
    "Fits",
    "FittedMap",
    "Intervention",
    "ModelComparison",
    "ModelError",
    "ModgapError",
    "Prefill",
    "Session",
    "SettingsError",
    "SpeechLM",
    "Store",
    "StoreError",
    "WordHits",
    "WordTimes",
    "__version__",
    "analyze",
    "answer",
    "answer_lens",
    "cached_analysis",
    "check_model",
    "clip_curves",
    "compare",
    "compare_clips",
    "compare_models",
    "compare_variants",
    "consistency",
    "consistency_table",
    "curve_table",
    "cut_clip",
    "default_store",
    "estimate_memory",
    "fetch",
    "fit_maps",
    "heard",
    "hits_summary",
    "list_models",
    "load_clip",
    "load_map",
    "load_model",
    "load_recognizer",
    "logit_lens",
    "mismatched_aps",
    "patching",
    "pipeline",
    "prompt_tokens",
    "read_questions",
    "save_map",
    "score",
    "score_support",
    "spoken_words",
    "sweep",
    "widget",
    "with_target",
    "word_hits",
    "word_hits_over",
    "word_times",
]

# `import modgap` must not wait for torch.
__getattr__, __dir__ = attach(
    __name__,
    {
        "analysis.model_comparison": ("ModelComparison", "curve_table"),
        "analysis.functions": (
            "analyze",
            "answer_lens",
            "compare",
            "logit_lens",
            "mismatched_aps",
            "patching",
            "prompt_tokens",
            "sweep",
        ),
        "analysis.score_support": ("score_support",),
        "analysis.clip_comparison": ("ClipComparison", "compare_clips"),
        "analysis.clip_part": ("ClipPart", "cut_clip"),
        "analysis.heard": ("heard",),
        "analysis.measure": ("cached_analysis",),
        "analysis.result": ("Analysis",),
        "analysis.session": ("Session",),
        "scoring.answers": ("answer",),
        "scoring.scorers": ("score",),
        "audio.clip": ("Clip", "load_clip"),
        "analysis.pipeline": ("Cascade", "pipeline"),
        "analysis.fidelity_report": ("CheckReport", "check_model"),
        "analysis.comparison": ("Comparison", "compare_variants"),
        "core.errors": (
            "AudioError",
            "Cancelled",
            "ModelError",
            "ModgapError",
            "SettingsError",
            "StoreError",
        ),
        "speech.word_times": ("WordTimes", "word_times"),
        "interventions.intervention": ("Intervention",),
        "interventions.maps.affine": ("FittedMap",),
        "interventions.maps.files": ("load_map", "save_map"),
        "evaluation.interventions.fit_settings": ("FitSettings",),
        "evaluation.interventions.fitting": ("Fits", "fit_maps"),
        "analysis.several_models": ("clip_curves", "compare_models"),
        "models.bases.fetching": ("Fetched", "fetch"),
        "models.base": ("SpeechLM",),
        "models.prompt": ("AudioInput",),
        "models.loading.load": ("list_models", "load_model"),
        "models.loading.memory": ("estimate_memory",),
        "interventions.prefill": ("Prefill",),
        "notebook.widget": ("widget",),
        "speech.recognizers": ("load_recognizer",),
        "core.settings": ("AnalysisSettings",),
        "analysis.consistency": ("consistency", "consistency_table"),
        "store.cache": ("Store", "default_store"),
        "analysis.sweeps": ("with_target",),
        "analysis.word_hits": ("WordHits", "hits_summary", "word_hits"),
        "evaluation.data.datasets": ("read_questions",),
        "evaluation.runs.word_hits": ("spoken_words", "word_hits_over"),
    },
)

# What shows a result in a notebook; a result knows no figure, and this module knows all floors.
register_views(
    {
        f"modgap.{result}": f"modgap.notebook.{view}"
        for result, view in {
            "analysis.answer_lens.AnswerLens": "edits.AnswerLensPlots",
            "analysis.comparison.Comparison": "edits.ComparisonPlots",
            "analysis.lens.Lens": "edits.LensPlots",
            "analysis.model_comparison.ModelComparison": "analysis.ModelComparisonPlots",
            "analysis.patching.Patching": "edits.PatchingPlots",
            "analysis.result.Analysis": "analysis.AnalysisPlots",
            "analysis.sweeps.Sweep": "edits.SweepPlots",
            "analysis.word_hits.WordHits": "analysis.WordHitsPlots",
            "gap.run_data.Run": "run.RunPlots",
        }.items()
    }
)
