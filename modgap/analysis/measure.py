"""One clip measured: both passes through the model, the measures, both answers."""

from __future__ import annotations

import io
import wave
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.analysis.result import Analysis, states_from_record, states_record
from modgap.core.errors import SettingsError, StoreError
from modgap.core.names import short_name
from modgap.core.progress import Steps
from modgap.core.settings import METHOD_VERSION, AnalysisSettings, digest
from modgap.core.version import __version__
from modgap.measures.pair_metrics import PairMetrics
from modgap.measures.tables import layer_table, token_table
from modgap.models.capture import capture_pair, check_layers, stream_pair
from modgap.scoring.answers import answer
from modgap.store.lookup import keep, look_up

if TYPE_CHECKING:
    from modgap.analysis.session import Session
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.models.base import SpeechLM
    from modgap.models.prompt import PromptPair
    from modgap.store.cache import Store
    from modgap.store.record import Record

__all__ = [
    "analysis_of", "cached_analysis", "clip_info", "heard_audio", "measure", "model_info",
    "versions",
]  # fmt: skip

#: What a result says of its model, out of `SpeechLM.info`.
_MODEL = (
    "name", "identity", "dtype", "quantization", "adapter", "revision", "model_type", "n_layers",
    "hidden_size", "editable_layers", "unsupported",
)  # fmt: skip


def analysis_of(session: Session, progress: Progress | None = None) -> Analysis:
    """The analysis of a session's clip, from its cache or made; see `modgap.analyze`.

    Raises
    ------
    SettingsError
        A layer does not exist.
    """
    model, settings, store = session.model, session.settings, session.store
    about = model_info(model)
    if settings.layers is not None and settings.layers[-1] > model.n_layers:
        raise SettingsError(
            f"Layer {settings.layers[-1]} does not exist: this model has layers 0 to "
            f"{model.n_layers}, where 0 is what enters the first decoder layer."
        )
    key = session.key("analysis")
    states_key = digest("states", key)
    steps = Steps(progress)
    steps(0.0, "looking in the cache" if store is not None else "preparing")
    found = None if store is None else cached_analysis(key, store)
    if found is None:
        found = measure(model, session.clip, session.pair, settings, key, steps)
        keep(store, key, found.record)
    states = None
    if settings.states:
        states = look_up(store, states_key, states_from_record)
        if states is None:
            captured = capture_pair(
                model,
                session.pair,
                layers=settings.layers,
                final_norm=settings.final_norm,
                progress=steps.part(steps.done, 1.0, "states"),
            )
            states = replace(captured, speech=captured.speech.cpu(), text=captured.text.cpu())
            keep(store, states_key, lambda: states_record(states))
    steps(1.0, "done")
    # What does not enter the key is this call's, not that of the call that filled the cache.
    return replace(
        found,
        model=about,
        clip=clip_info(session.clip),
        settings=settings,
        states=states,
        notes=tuple(dict.fromkeys((*session.notes, *found.notes))),
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


def measure(
    model: SpeechLM,
    clip: Clip,
    pair: PromptPair,
    settings: AnalysisSettings,
    key: str,
    steps: Steps,
) -> Analysis:
    """Run a pair of prompts through a model and measure how they line up; without states.

    Parameters
    ----------
    model : SpeechLM
    clip : Clip
        What the speech prompt of `pair` was made of.
    pair : PromptPair
    settings : AnalysisSettings
    key : str
        Of the result; see `analysis_key`.
    steps : Steps
        Told how far it is.
    """
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
                **settings.decoding,
                progress=steps.part(start, stop, f"answering the {prompt.kind}"),
            )
    arrays = [times, spans, layer_ids, pooled_speech, pooled_text, heard_audio(clip, model)]
    for array in (*arrays, *(a for a in vars(alignment).values() if isinstance(a, np.ndarray))):
        array.setflags(write=False)
    return Analysis(
        key=key,
        model=model_info(model),
        clip=clip_info(clip),
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


def model_info(model: SpeechLM) -> dict[str, Any]:
    """What a result says of its model."""
    info = model.info()
    about = {name: info[name] for name in _MODEL}
    if info["family"] is not None:
        about["family"] = info["family"]
    return about | {"name": short_name(about["name"]), "device": model.device.type}


def clip_info(clip: Clip) -> dict[str, Any]:
    """What a result says of its clip."""
    name = clip.name.encode(errors="replace").decode()
    return {
        "sha256": clip.sha256,
        "seconds": clip.seconds,
        "name": PureWindowsPath(name).name or "clip",
        "rate": clip.rate,
    }


def heard_audio(clip: Clip, model: SpeechLM) -> np.ndarray:
    """The clip as the model hears it: int16 at the model's rate."""
    with wave.open(io.BytesIO(clip.wav_bytes(model.sampling_rate))) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def versions() -> dict[str, str]:
    """Of modgap, its method, and the libraries that decide numbers."""
    return {"modgap": __version__, "method": str(METHOD_VERSION)} | _library_versions()


@cache
def _library_versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("torch", "transformers", "numpy")}
