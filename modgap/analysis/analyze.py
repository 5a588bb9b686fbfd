"""One clip, analysed: the call that the app, the command line, batches and scripts share."""

from __future__ import annotations

import io
import wave
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.analysis.record import states_from_record, states_record
from modgap.analysis.result import Analysis
from modgap.audio.clip import Clip
from modgap.core.errors import SettingsError, StoreError
from modgap.core.progress import Progress, Steps
from modgap.core.settings import METHOD_VERSION, AnalysisSettings, analysis_key, check_text, digest
from modgap.measures.pair_metrics import PairMetrics
from modgap.measures.tables import layer_table, token_table
from modgap.models.base import PromptPair, SpeechLM
from modgap.models.capture import capture_pair, check_layers, stream_pair
from modgap.scoring.answers import answer
from modgap.store.kept import keep, look_up

if TYPE_CHECKING:
    from modgap.store.cache import Record, Store

__all__ = [
    "METHOD_VERSION",
    "Analysis",
    "AnalysisSettings",
    "analysis_key",
    "analyze",
    "cached_analysis",
]

_MODEL = (
    *(
        "name",
        "identity",
        "dtype",
        "quantization",
        "adapter",
        "revision",
        "model_type",
        "editable_layers",
        "unsupported",
    ),
    *("n_layers", "hidden_size", "editable_layers", "unsupported"),
)


def analyze(
    model: SpeechLM,
    clip: Clip,
    transcript: str,
    settings: AnalysisSettings | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> Analysis:
    """Run a clip and its transcript through a model and measure how they line up.

    Parameters
    ----------
    model : SpeechLM
        From `load_model`.
    clip : Clip
        From `load_clip`.
    transcript : str
        What is said in the clip.
    settings : AnalysisSettings, optional
    store : Store, optional
        A cache to look in first and to keep the result in. If it cannot be written, a warning is
        logged and the result returned all the same. Without one, nothing is kept.
    progress : callable (fraction: float, note: str), optional
        Called often, with fractions that rise from 0 to 1. It may raise `Cancelled`.
    **overrides
        Single settings, by name.

    Returns
    -------
    Analysis

    Raises
    ------
    SettingsError
        A setting, the layers or the transcript do not fit.
    AudioError
        The clip is longer than the model takes.
    ModgapError
        The model's states cannot be measured.

    Examples
    --------
    >>> model = modgap.load_model("demo")                                       # doctest: +SKIP
    >>> result = modgap.analyze(model, modgap.load_clip("a.wav"), "what she said")  # doctest: +SKIP
    >>> result.layers[["layer", "cosine", "aps_cos"]]                           # doctest: +SKIP
    """
    try:
        settings = replace(settings or AnalysisSettings(), **overrides)
    except TypeError:
        unknown = sorted(set(overrides) - set(AnalysisSettings.__dataclass_fields__))
        raise SettingsError(f"Unknown setting {', '.join(unknown)!r}.") from None
    check_text("transcript", transcript)
    if settings.layers is not None and settings.layers[-1] > model.n_layers:
        raise SettingsError(
            f"Layer {settings.layers[-1]} does not exist: this model has layers 0 to "
            f"{model.n_layers}, where 0 is what enters the first decoder layer."
        )
    if not isinstance(clip, Clip):
        raise SettingsError("The clip must be a Clip: make one with modgap.load_clip(...).")
    about = model_info(model)
    key = analysis_key(
        model.identity,
        about["dtype"],
        clip.sha256,
        transcript,
        settings,
        device=model.device.type,
    )
    steps = Steps(progress)
    steps(0.0, "looking in the cache" if store is not None else "preparing")
    found = None if store is None else cached_analysis(key, store)
    states = look_up(store, _states_key(key), states_from_record) if settings.states else None
    pair = None
    if found is None or (settings.states and states is None):
        pair = model.prepare(
            clip,
            transcript,
            instruction=settings.instruction,
            system=settings.system,
            markers=settings.markers,
        )
    if found is None and pair is not None:
        found = _compute(model, clip, settings, pair, key, about, steps)
        keep(store, key, found.record)
    assert found is not None
    if settings.states and states is None and pair is not None:
        captured = capture_pair(
            model,
            pair,
            layers=settings.layers,
            final_norm=settings.final_norm,
            progress=steps.part(steps.done, 1.0, "states"),
        )
        states = replace(captured, speech=captured.speech.cpu(), text=captured.text.cpu())
        keep(store, _states_key(key), lambda: states_record(states))
    steps(1.0, "done")
    # What does not enter the key is this call's, not that of the call that filled the cache.
    notes = tuple(dict.fromkeys((*clip.notes, *found.notes)))
    return replace(
        found, model=about, clip=_clip_info(clip), settings=settings, states=states, notes=notes
    )


def cached_analysis(key: str, store: Store) -> Analysis | None:
    """The analysis of a key, without hidden states, if the cache has it.

    Raises
    ------
    StoreError
        The key is not one.
    """

    def parse(record: Record) -> Analysis:
        found = Analysis.from_record(record)
        if found.key != key:
            raise StoreError("it is of another key")
        return found

    return look_up(store, key, parse)


def _compute(
    model: SpeechLM,
    clip: Clip,
    settings: AnalysisSettings,
    pair: PromptPair,
    key: str,
    about: dict[str, Any],
    steps: Steps,
) -> Analysis:
    metrics = PairMetrics(len(check_layers(model, settings.layers)))
    share = (0.4 if settings.answers else 0.9) * (0.7 if settings.states else 1.0)
    stream_pair(
        model,
        pair,
        metrics.add,
        layers=settings.layers,
        final_norm=settings.final_norm,
        progress=steps.part(0.0, share, "measuring"),
    )
    steps(share, "paths")
    coarse, alignment, pooled_speech, pooled_text = metrics.finish()
    layer_ids = np.array(metrics.layers, dtype=np.int64)
    times, spans, pieces = pair.speech.times, pair.text.spans, pair.text.pieces
    assert times is not None
    assert spans is not None
    assert pieces is not None
    answers = None
    if settings.answers:
        answers = {}
        end = 0.7 if settings.states else 1.0
        middle = (share + end) / 2
        for prompt, start, stop in ((pair.text, share, middle), (pair.speech, middle, end)):
            answers[str(prompt.kind)] = answer(
                model,
                prompt,
                max_new_tokens=settings.max_new_tokens,
                temperature=settings.temperature,
                seed=settings.seed,
                progress=steps.part(start, stop, f"answering the {prompt.kind}"),
            )
    arrays = [times, spans, layer_ids, pooled_speech, pooled_text, _audio(clip, model)]
    for array in (*arrays, *(a for a in vars(alignment).values() if isinstance(a, np.ndarray))):
        array.setflags(write=False)
    return Analysis(
        key=key,
        model=about,
        clip=_clip_info(clip),
        transcript=pair.transcript,
        settings=settings,
        speech_times=times,
        pieces=tuple(pieces),
        spans=spans,
        layer_ids=layer_ids,
        layers=layer_table(layer_ids, coarse, alignment),
        tokens=token_table(layer_ids, alignment, times, pieces, spans),
        alignment=alignment,
        pooled_speech=pooled_speech,
        pooled_text=pooled_text,
        audio=arrays[-1],
        audio_rate=model.sampling_rate,
        answers=answers,
        states=None,
        from_cache=False,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        notes=tuple(dict.fromkeys((*pair.speech.notes, *pair.text.notes))),
    )


def _states_key(key: str) -> str:
    return digest("states", key)


def model_info(model: SpeechLM) -> dict[str, Any]:
    """What a result says of its model."""
    info = model.info()
    about = {name: info[name] for name in _MODEL}
    return about | {"name": _short(about["name"]), "device": model.device.type}


def _clip_info(clip: Clip) -> dict[str, Any]:
    name = clip.name.encode(errors="replace").decode()
    return {
        "sha256": clip.sha256,
        "seconds": clip.seconds,
        "name": PureWindowsPath(name).name or "clip",
        "rate": clip.rate,
    }


def _short(name: str) -> str:
    """The name of a hub model as it is, of a folder only its last part: results travel."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.is_absolute() or name.startswith((".", "~")):
        return windows.name or posix.name or "model"
    return name


def _audio(clip: Clip, model: SpeechLM) -> np.ndarray:
    with wave.open(io.BytesIO(clip.wav_bytes(model.sampling_rate))) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def versions() -> dict[str, str]:
    """Of modgap, its method, and the libraries that decide numbers."""
    from modgap.core.version import __version__

    return {"modgap": __version__, "method": str(METHOD_VERSION)} | _library_versions()


@cache
def _library_versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("torch", "transformers", "numpy")}
