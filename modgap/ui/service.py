"""What all sessions share: the worker, its models, the results, and the decoded clips.

Sessions hold keys only. Everything here is read-only once it is made, so two browsers may read
the same result while the worker makes the next one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import streamlit as st

from modgap.audio import Clip, load_clip
from modgap.ui.jobs import Jobs, JobView, Progress
from modgap.ui.models import ModelChoice, ModelPool

if TYPE_CHECKING:
    import numpy as np

    from modgap.analysis import Analysis
    from modgap.figures.sound import SoundPicture

log = logging.getLogger("modgap.ui")

RESULT_BYTES = 512 << 20
CLIP_BYTES = 256 << 20

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shelf(Generic[K, V]):
    """A mapping of bounded size that drops what was used longest ago; safe to share."""

    def __init__(self, limit: int, size: Callable[[V], int] = lambda value: 1) -> None:
        self._limit, self._size = limit, size
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key][0]

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._total -= self._items.pop(key, (value, 0))[1]
            size = self._size(value)
            self._items[key] = (value, size)
            self._total += size
            while self._total > self._limit and len(self._items) > 1:
                self._total -= self._items.popitem(last=False)[1][1]

    def __len__(self) -> int:
        return len(self._items)


@dataclass(frozen=True)
class Request:
    """An analysis that a page asks for: everything that decides its numbers."""

    choice: ModelChoice
    clip: Clip
    transcript: str
    instruction: str = ""
    markers: str = "keep"

    @property
    def signature(self) -> str:
        """Equal for equal requests; known before the model is loaded, unlike the result's key."""
        parts = [
            asdict(self.choice),
            self.clip.sha256,
            self.transcript,
            self.instruction,
            self.markers,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def title(self) -> str:
        return f"{self.clip.name}, {self.choice.name}"


@dataclass(frozen=True)
class Outcome:
    """What a finished job leaves: the key of its result, and whether the cache had it already."""

    key: str
    cached: bool


class Service:
    """One per server process; see `service`."""

    def __init__(self, pool: ModelPool | None = None, **job_options: Any) -> None:
        self.pool = pool or ModelPool()
        self.jobs = Jobs(alive=_session_is_open, **job_options)
        self._results: Shelf[str, Analysis] = Shelf(RESULT_BYTES, _analysis_bytes)
        self._keys: Shelf[str, str] = Shelf(4096)  # signature -> key
        self._clips: Shelf[tuple, Clip] = Shelf(CLIP_BYTES, lambda clip: clip.samples.nbytes)
        self._pictures: Shelf[str, SoundPicture] = Shelf(256)
        threading.Thread(target=_import_heavy, name="modgap-import", daemon=True).start()

    def clip(self, data: bytes, name: str, part: tuple[float, float] | None = None) -> Clip:
        """Decode a file's bytes, or the `part` from start to end (s), once for all sessions.

        Raises
        ------
        AudioError
            When it cannot be used; the message says why.
        """
        # Keyed by the content and the name that is shown; never by Streamlit's sampled hash.
        key = (hashlib.sha256(data).hexdigest(), name, part)
        clip = self._clips.get(key)
        if clip is None:
            clip = load_clip(data, name=name) if part is None else self.clip(data, name).trim(*part)
            self._clips.put(key, clip)
        return clip

    def sound(self, clip: Clip) -> SoundPicture:
        """Waveform and spectrogram of a clip, made once."""
        return self._picture(clip.sha256, lambda: clip, None)

    def picture(self, analysis: Analysis) -> SoundPicture:
        """The same of what the model heard in a result, with the ruler of its speech tokens."""
        return self._picture(
            analysis.key,
            lambda: load_clip(analysis.audio, rate=analysis.audio_rate),
            analysis.speech_times,
        )

    def _picture(
        self, key: str, clip: Callable[[], Clip], times: np.ndarray | None
    ) -> SoundPicture:
        from modgap.figures.sound import SoundPicture

        picture = self._pictures.get(key)
        if picture is None:
            picture = SoundPicture.of(clip(), times)
            self._pictures.put(key, picture)
        return picture

    def submit(self, request: Request, session: str) -> str | JobView:
        """The result's key if the result is here already, else the job that will make it.

        Raises
        ------
        BusyError
            When the queue is full.
        """
        key = self.known(request)
        if key is not None:
            return key
        return self.jobs.submit(
            request.signature,
            lambda progress: self._analyze(request, progress),
            session,
            title=request.title,
        )

    def known(self, request: Request) -> str | None:
        """The key of the request's result if it was made before and can still be read."""
        key = self._keys.get(request.signature)
        return key if key is not None and self.has(key) else None

    def has(self, key: str) -> bool:
        """Whether a result can be had without a model."""
        from modgap.store import default_store

        return self._results.get(key) is not None or default_store().has(key)

    def result(self, key: str) -> Analysis | None:
        """The analysis of this key, from memory or from the cache folder."""
        found = self._results.get(key)
        if found is not None:
            return found
        from modgap.store import default_store

        if not default_store().has(key):
            return None
        from modgap.analysis import cached_analysis

        found = cached_analysis(key, default_store())
        if found is None:
            return None
        self._results.put(key, found)
        return found

    def close(self) -> None:
        self.jobs.close()

    def _analyze(self, request: Request, progress: Progress) -> Outcome:
        from modgap.analysis import AnalysisSettings, analyze
        from modgap.store import default_store

        progress(0.02, f"Loading the model {request.choice.name}")
        model = self.pool.get(request.choice)
        markers: Any = request.markers
        settings = AnalysisSettings(instruction=request.instruction, markers=markers)
        analysis = analyze(
            model,
            request.clip,
            request.transcript,
            settings,
            store=default_store(),
            progress=lambda fraction, note: progress(0.1 + 0.9 * fraction, note),
        )
        self._results.put(analysis.key, analysis)
        self._keys.put(request.signature, analysis.key)
        return Outcome(analysis.key, cached=analysis.from_cache)


@st.cache_resource(show_spinner=False, on_release=Service.close)
def service() -> Service:
    """The service of this server process."""
    return Service()


@dataclass(frozen=True)
class ModelOption:
    """A model that the sidebar offers."""

    name: str
    label: str
    description: str


def model_options() -> tuple[ModelOption, ...]:
    """The embedded family, then what the operator named in ``MODGAP_MODELS`` (a JSON list).

    A browser chooses from these and can name no other.
    """
    return (*_embedded(), *_operators(os.environ.get("MODGAP_MODELS", "")))


@lru_cache(maxsize=1)
def _embedded() -> tuple[ModelOption, ...]:
    if importlib.util.find_spec("modgap.demo.family") is None:
        return ()
    family = importlib.import_module("modgap.demo.family")
    try:
        return tuple(ModelOption(n, n, _description(family.describe(n))) for n in family.names())
    except (OSError, ValueError, KeyError) as problem:
        log.warning("The embedded models cannot be listed: %s", problem)
        return ()


def _description(about: Mapping[str, Any]) -> str:
    """One line about a member of the family: how it was tuned, how far, how well it does."""
    how = {"lora": "LoRA", "full": "Full fine-tuning"}.get(about["strategy"], about["strategy"])
    text = f"{how}, step {about['step']} of {about['steps']}"
    shares = [f"{name} {100 * share:.0f} %" for name, share in _shares(about.get("accuracies"))]
    return ". ".join([text, *([", ".join(shares)] if shares else [])])


def _shares(accuracies: Any) -> list[tuple[str, float]]:
    found = accuracies.items() if isinstance(accuracies, Mapping) else ()
    return [(str(k), float(v)) for k, v in found if isinstance(v, int | float)][:3]


@lru_cache(maxsize=4)
def _operators(value: str) -> tuple[ModelOption, ...]:
    if not value:
        return ()
    try:
        names = json.loads(value)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        log.error("MODGAP_MODELS must be a JSON list of names, such as '[\"org/model\"]'.")
        return ()
    return tuple(
        ModelOption(name, _short(name), f"Named by the operator: {name}")
        for name in dict.fromkeys(names)
    )


def _short(name: str) -> str:
    """A folder by its last part, a hub id whole."""
    return name.rstrip("/").rsplit("/", 1)[-1] if name.startswith(("/", ".", "~")) else name


def _session_is_open(session: str) -> bool:
    from streamlit import runtime

    return runtime.exists() and runtime.get_instance().is_active_session(session)


def _import_heavy() -> None:
    """Import what the first job needs while the first page is being read."""
    try:
        import librosa.feature.spectral  # noqa: F401, the package loads its parts when touched

        import modgap.analysis
        import modgap.models  # noqa: F401
    except Exception:  # the job will say it again, to a user
        log.exception("The models cannot be imported")


def _analysis_bytes(analysis: Analysis) -> int:
    arrays = [
        *vars(analysis.alignment).values(),
        analysis.pooled_speech,
        analysis.pooled_text,
        analysis.audio,
    ]
    return 1_000_000 + sum(getattr(a, "nbytes", 0) for a in arrays)
