"""What all sessions share: the worker, its models, the results, and the decoded clips.

Sessions hold keys only. Everything here is read-only once it is made, so two browsers may read
the same result while the worker makes the next one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import ModgapError
from modgap.core.progress import Progress
from modgap.models.bases.first_use import reporting
from modgap.store.cache import default_store
from modgap.store.write_behind import WriteBehindStore
from modgap.ui.server.jobs import Jobs, JobView
from modgap.ui.server.models import ModelPool
from modgap.ui.server.preload import import_libraries
from modgap.ui.server.recognizers import RecognizerPool
from modgap.ui.server.requests import AnalysisRequest, Request
from modgap.ui.server.shared_cache import SharedCache

if TYPE_CHECKING:
    import numpy as np

    from modgap.analysis.result import Analysis
    from modgap.analysis.session import Session
    from modgap.figures.waveform import SoundPicture
    from modgap.models.base import SpeechLM


RESULT_BYTES = 512 << 20
CLIP_BYTES = 256 << 20
WAV_BYTES = 64 << 20
SESSION_BYTES = 1 << 30
PROMPT_BYTES = 4 << 20  # about, of both prompts of a clip


class Service:
    """One per server process; see `service`."""

    def __init__(self, pool: ModelPool | None = None, **job_options: Any) -> None:
        self.pool = pool or ModelPool()
        self.store = WriteBehindStore(default_store().root)  # nobody waits for the disk here
        self.recognizers = RecognizerPool()
        self.pool.share(self.recognizers.held, self.recognizers.drop)
        self.jobs = Jobs(alive=_session_is_open, **job_options)
        self._results: SharedCache[str, Analysis] = SharedCache(RESULT_BYTES, _analysis_bytes)
        # By a request's signature: the key of an analysis, why one among many was refused, and the
        # result of every other.
        self._keys: SharedCache[str, str] = SharedCache(4096)
        self._refused: SharedCache[str, str] = SharedCache(4096)
        self._made: SharedCache[str, Any] = SharedCache(512)
        self._sessions: SharedCache[str, Session] = SharedCache(SESSION_BYTES, _session_bytes)
        self.pool.on_drop(self._forget)
        self._clips: SharedCache[tuple, Clip] = SharedCache(
            CLIP_BYTES, lambda clip: clip.samples.nbytes
        )
        self._wavs: SharedCache[str, bytes] = SharedCache(WAV_BYTES, len)
        self._pictures: SharedCache[str, SoundPicture] = SharedCache(256)
        threading.Thread(target=import_libraries, name="modgap-import", daemon=True).start()

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
        if part is None:
            return self._clips.once(key, lambda: load_clip(data, name=name, channel=channel))
        return self._clips.once(key, lambda: self.clip(data, name, channel=channel).trim(*part))

    def wav(self, clip: Clip) -> bytes:
        """The clip for a player."""
        return self._wavs.once(clip.sha256, clip.wav_bytes)

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
        from modgap.figures.waveform import SoundPicture

        return self._pictures.once(key, lambda: SoundPicture.of(clip(), times))

    def submit(self, request: Request, session: str) -> JobView:
        """The job that makes what is asked for, begun or joined.

        Raises
        ------
        BusyError
            When the queue is full.
        """
        return self.jobs.submit(
            request.signature,
            lambda progress: self.make(request, progress),
            session,
            title=request.title,
            subject=request.label,
        )

    def make(self, request: Request, progress: Progress) -> bool:
        """In the worker: make what is asked for and keep it; whether the cache had it."""
        progress(0.01, "Loading the libraries")
        import_libraries()  # before anything below resolves the same names beside another thread
        try:
            with reporting(progress):  # of what has to be fetched first
                made = request.make(self, progress)
        except ModgapError as problem:
            said = str(problem)
            for name, known_by in request.hidden.items():
                said = said.replace(name, known_by)
            raise type(problem)(said) from problem
        if isinstance(request, AnalysisRequest):
            self._results.put(made.key, made)
            self._keys.put(request.signature, made.key)
        elif made is not None:
            self._made.put(request.signature, made)
        return bool(getattr(made, "from_cache", False))

    @contextmanager
    def session(self, request: AnalysisRequest, progress: Progress) -> Iterator[Session]:
        """The one session of a model, a clip and its words, in the worker.

        Its model is loaded if it is not; what it has made is kept with it.
        """
        from modgap.analysis.session import Session

        progress(0.02, f"Loading the model {request.label}")
        model, clip = self.pool.get(request.choice), request.clip
        found = self._sessions.get(request.signature)
        if found is None or found.model is not model or found.clip.name != clip.name:
            found = Session(model, clip, request.transcript, request.settings, store=self.store)
        try:
            yield found
        finally:
            self._sessions.put(request.signature, found)  # its runs count for the memory now

    def found(self, request: Request) -> Any | None:
        """The result of a request, if it is here already."""
        if isinstance(request, AnalysisRequest):
            key = self.known(request)
            return None if key is None else self.result(key)
        return self._made.get(request.signature)

    def refuse(self, request: AnalysisRequest, reason: str) -> None:
        """Remember why a request among many could not be met."""
        self._refused.put(request.signature, reason)

    def refused(self, request: AnalysisRequest) -> str | None:
        """Why a request among many could not be met, if it could not."""
        return self._refused.get(request.signature)

    def known(self, request: AnalysisRequest) -> str | None:
        """The key of the request's result if it was made before and can still be read."""
        key = self.key(request.signature)
        return key if key is not None and self.has(key) else None

    def key(self, signature: str) -> str | None:
        """The key of the result of an analysis that was made here."""
        return self._keys.get(signature)

    def has(self, key: str) -> bool:
        """Whether a result can be had without a model."""
        return self._results.get(key) is not None or self.store.has(key)

    def result(self, key: str) -> Analysis | None:
        """The analysis of this key, from memory or from the cache folder."""
        found = self._results.get(key)
        if found is None and self.store.has(key):
            from modgap.analysis.measure import cached_analysis

            found = cached_analysis(key, self.store)
            if found is not None:
                self._results.put(key, found)
        return found

    def _forget(self, model: SpeechLM) -> None:
        """Let go of the sessions of a model that leaves the memory."""
        self._sessions.drop(lambda session: session.model is model)

    def close(self) -> None:
        self.jobs.close()
        self.store.flush(10.0)


@st.cache_resource(show_spinner=False, on_release=Service.close)
def service() -> Service:
    """The service of this server process."""
    return Service()


def _session_is_open(session: str) -> bool:
    from streamlit import runtime

    return runtime.exists() and runtime.get_instance().is_active_session(session)


def _session_bytes(session: Session) -> int:
    return PROMPT_BYTES + session.clip.samples.nbytes + session.nbytes


def _analysis_bytes(analysis: Analysis) -> int:
    arrays = [
        *vars(analysis.alignment).values(),
        analysis.pooled_speech,
        analysis.pooled_text,
        analysis.audio,
    ]
    return 1_000_000 + sum(getattr(a, "nbytes", 0) for a in arrays)
