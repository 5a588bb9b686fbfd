"""What all sessions share: the worker, its models, the results, and the decoded clips.

Sessions hold keys only. Everything here is read-only once it is made, so two browsers may read
the same result while the worker makes the next one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import ModelError, ModgapError
from modgap.core.progress import Progress
from modgap.ui.server.jobs import Jobs, JobView
from modgap.ui.server.models import ModelChoice, ModelPool
from modgap.ui.server.preload import import_heavy
from modgap.ui.server.recognizers import RecognizerPool
from modgap.ui.server.shared_cache import Shelf

if TYPE_CHECKING:
    import numpy as np

    from modgap.analysis.analyze import Analysis
    from modgap.figures.sound import SoundPicture

log = logging.getLogger("modgap.ui")

RESULT_BYTES = 512 << 20
CLIP_BYTES = 256 << 20
WAV_BYTES = 64 << 20


@dataclass(frozen=True)
class Request:
    """An analysis that a page asks for; `label` is the model's, the rest decides the numbers."""

    choice: ModelChoice
    label: str
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
        return f"{self.clip.name}, {self.label}"


@dataclass(frozen=True)
class Outcome:
    """What a finished job leaves: the key of its result, and whether the cache had it already."""

    key: str
    cached: bool


class Service:
    """One per server process; see `service`."""

    def __init__(self, pool: ModelPool | None = None, **job_options: Any) -> None:
        self.pool = pool or ModelPool()
        self.recognizers = RecognizerPool()
        self.pool.share(self.recognizers.held, self.recognizers.drop)
        self.jobs = Jobs(alive=_session_is_open, **job_options)
        self._results: Shelf[str, Analysis] = Shelf(RESULT_BYTES, _analysis_bytes)
        self._keys: Shelf[str, str] = Shelf(4096)  # signature -> key
        self._refused: Shelf[str, str] = Shelf(4096)  # signature -> why, of analyses among many
        self._clips: Shelf[tuple, Clip] = Shelf(CLIP_BYTES, lambda clip: clip.samples.nbytes)
        self._wavs: Shelf[str, bytes] = Shelf(WAV_BYTES, len)
        self._pictures: Shelf[str, SoundPicture] = Shelf(256)
        threading.Thread(target=import_heavy, name="modgap-import", daemon=True).start()

    def clip(
        self,
        data: bytes,
        name: str,
        part: tuple[float, float] | None = None,
        channel: int | None = None,
    ) -> Clip:
        """Decode a file's bytes, or the `part` from start to end (s), once for all sessions.

        Parameters
        ----------
        channel : int, optional
            One channel, counted from 1, instead of the mean of all.

        Raises
        ------
        AudioError
            When it cannot be used; the message says why.
        """
        # Keyed by the content and the name that is shown; never by Streamlit's sampled hash.
        key = (hashlib.sha256(data).hexdigest(), name, part, channel)
        clip = self._clips.get(key)
        if clip is None:
            if part is None:
                clip = load_clip(data, name=name, channel=channel)
            else:
                clip = self.clip(data, name, channel=channel).trim(*part)
            self._clips.put(key, clip)
        return clip

    def wav(self, clip: Clip) -> bytes:
        """The clip for a player."""
        wav = self._wavs.get(clip.sha256)
        if wav is None:
            wav = clip.wav_bytes()
            self._wavs.put(clip.sha256, wav)
        return wav

    def sound(self, clip: Clip) -> SoundPicture:
        """Waveform and spectrogram of a clip, made once."""
        return self._picture(clip.sha256, lambda: clip, None)

    def has_sound(self, clip: Clip) -> bool:
        """Whether `sound` has it ready."""
        return self._pictures.get(clip.sha256) is not None

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
            lambda progress: self._run(request, progress),
            session,
            title=request.title,
            subject=request.label,
        )

    def submit_many(self, requests: Sequence[Request], session: str, title: str) -> JobView:
        """One job that makes all these analyses, model by model; `known` finds them afterwards.

        A clip that cannot be analysed does not stop it: `refused` says why. What was done before
        the job was cancelled stays done.

        Raises
        ------
        BusyError
            When the queue is full.
        """
        ordered = sorted(requests, key=lambda r: (r.label, r.signature))
        signature = hashlib.sha256(json.dumps([r.signature for r in ordered]).encode()).hexdigest()
        return self.jobs.submit(
            signature, lambda progress: self._run_many(ordered, progress), session, title=title
        )

    def refused(self, request: Request) -> str | None:
        """Why a request among many could not be met, if it could not."""
        return self._refused.get(request.signature)

    def known(self, request: Request) -> str | None:
        """The key of the request's result if it was made before and can still be read."""
        key = self._keys.get(request.signature)
        return key if key is not None and self.has(key) else None

    def has(self, key: str) -> bool:
        """Whether a result can be had without a model."""
        from modgap.store.cache import default_store

        return self._results.get(key) is not None or default_store().has(key)

    def result(self, key: str) -> Analysis | None:
        """The analysis of this key, from memory or from the cache folder."""
        found = self._results.get(key)
        if found is not None:
            return found
        from modgap.store.cache import default_store

        if not default_store().has(key):
            return None
        from modgap.analysis.analyze import cached_analysis

        found = cached_analysis(key, default_store())
        if found is None:
            return None
        self._results.put(key, found)
        return found

    def close(self) -> None:
        self.jobs.close()

    def _run(self, request: Request, progress: Progress) -> Outcome:
        try:
            return self._analyze(request, progress)
        except ModgapError as problem:
            # The name may be a folder of the server; the visitor chose it by its label.
            said = str(problem).replace(request.choice.name, request.label)
            raise type(problem)(said) from problem

    def _run_many(self, requests: Sequence[Request], progress: Progress) -> None:
        for n, request in enumerate(requests):
            if self.known(request) is not None:
                continue

            def part(fraction: float, note: str, n: int = n) -> None:
                progress((n + fraction) / len(requests), f"{n + 1} of {len(requests)}: {note}")

            try:
                self._run(request, part)
            except ModelError:  # no other clip would do better
                raise
            except ModgapError as problem:
                self._refused.put(request.signature, str(problem))

    def _analyze(self, request: Request, progress: Progress) -> Outcome:
        progress(0.01, "Loading the libraries")
        import_heavy()
        from modgap.analysis.analyze import AnalysisSettings, analyze
        from modgap.store.cache import default_store

        progress(0.02, f"Loading the model {request.label}")
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


def _session_is_open(session: str) -> bool:
    from streamlit import runtime

    return runtime.exists() and runtime.get_instance().is_active_session(session)


def _analysis_bytes(analysis: Analysis) -> int:
    arrays = [
        *vars(analysis.alignment).values(),
        analysis.pooled_speech,
        analysis.pooled_text,
        analysis.audio,
    ]
    return 1_000_000 + sum(getattr(a, "nbytes", 0) for a in arrays)
