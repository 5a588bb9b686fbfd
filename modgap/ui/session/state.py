"""What one browser session holds: keys, widget values, and the bytes of the one clip in use.

Widgets keep their values under their own keys in ``st.session_state``: ``model``, ``device``,
``dtype``, ``quantize``, ``transcript``, ``instruction``, ``markers``, ``trim``, ``channel`` (from
1; 0 is the mean). Beside them: ``seconds`` and ``channels`` of the whole clip,
``clip``, ``run`` (the key of the shown result), ``jobs``, ``error`` and ``notice``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import AudioError, ModgapError
from modgap.ui.examples import Example, example
from modgap.ui.server.jobs import JobView
from modgap.ui.server.models import ModelChoice
from modgap.ui.server.offered import ModelOption, model_options
from modgap.ui.server.service import Request, service

if TYPE_CHECKING:
    from modgap.analysis.analyze import Analysis

T = TypeVar("T")
HELD = ("device", "dtype", "quantize")  # how a model is held, by the names of the widgets
MAX_TRANSCRIPT = 4000
MAX_INSTRUCTION = 1000
MAX_FAILED = 64


@dataclass(frozen=True)
class ClipRef:
    """The clip in use: a file's bytes and where they came from.

    `id` is the example's id, the key of the result for a clip taken from a result, or the id of a
    data set's question; the last has its `reference` and the `instruction` that it is asked with.
    """

    source: Literal["example", "upload", "record", "run", "question"]
    id: str
    name: str
    data: bytes
    reference: str | None = None
    instruction: str = ""


def session_id() -> str:
    """The id of this browser session."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


# ---- the clip in use -----------------------------------------------------------------------------


def use_clip(ref: ClipRef, transcript: str = "", instruction: str = "") -> None:
    """Make a clip the one in use, with its words; the result shown before goes.

    Where the mean of its channels cannot be used (they cancel each other) the first one is taken.

    Raises
    ------
    AudioError
        When it cannot be decoded; the session is unchanged then.
    """
    S = st.session_state
    channel, notice = 0, ""
    try:
        clip = service().clip(ref.data, ref.name)
    except AudioError as problem:
        clip = service().clip(ref.data, ref.name, channel=1)
        if clip.channels == 1:
            raise
        channel, notice = 1, f"{problem} Channel 1 is taken here; choose beside the part to use."
    drop_clip()
    S["clip"], S["trim"] = ref, (0.0, min(_whole(clip), longest_clip()))
    S["channel"], S["channels"], S["seconds"] = channel, clip.channels, _whole(clip)
    if notice:
        S["notice"] = notice
    S["transcript"], S["instruction"] = transcript[:MAX_TRANSCRIPT], instruction[:MAX_INSTRUCTION]


def use_example(chosen: Example) -> None:
    """Make a shipped clip the one in use."""
    try:
        ref = ClipRef("example", chosen.id, chosen.path.name, chosen.path.read_bytes())
        use_clip(ref, chosen.transcript, chosen.instruction)
    except (ModgapError, OSError) as problem:
        st.session_state["error"] = f"The example {chosen.title} cannot be read: {problem}"


def load_example(chosen: Example) -> None:
    """Make a shipped clip the one in use and analyse it."""
    use_example(chosen)
    submit()


def drop_clip() -> None:
    """Back to the empty page; what was being computed for the clip stops."""
    cancel(main_only=True)
    for name in (
        "clip",
        "trim",
        "channel",
        "channels",
        "seconds",
        "run",
        "signature",
        "error",
        "notice",
    ):
        st.session_state.pop(name, None)


def clip_seconds() -> float:
    """Length of the whole clip in use."""
    return float(st.session_state["seconds"])


def current_clip() -> Clip | None:
    """The chosen part of the clip in use.

    Raises
    ------
    AudioError
        When that part cannot be used: too short, or silent.
    """
    S = st.session_state
    ref: ClipRef | None = S.get("clip")
    if ref is None:
        return None
    start, end = S.get("trim") or (0.0, math.inf)
    whole = (start, end) == (0.0, clip_seconds()) or math.isinf(end)
    part = None if whole else (start, end)
    return service().clip(ref.data, ref.name, part, S.get("channel") or None)


def reference() -> str | None:
    """The right answer, where it is known: for an example or a question with its own words."""
    S = st.session_state
    ref: ClipRef | None = S.get("clip")
    if ref is not None and ref.source == "question":
        return ref.reference if S.get("instruction", "") == ref.instruction else None
    found = example(ref.id) if ref and ref.source == "example" else None
    if found is None or S.get("instruction", "") != found.instruction:
        return None
    return found.reference


def _whole(clip: Clip) -> float:
    """Length in hundredths of a second: the steps of the slider."""
    return round(clip.seconds, 2)


# ---- what is asked for, and its result -----------------------------------------------------------


def option() -> ModelOption | None:
    """The model that the sidebar selects; None when there is none at all."""
    options = model_options()
    return options.get(st.session_state.get("model", "")) or next(iter(options.values()), None)


def choice(chosen: ModelOption | None = None) -> ModelChoice | None:
    """A model, else the sidebar's, held as the sidebar says."""
    S = st.session_state
    chosen = chosen or option()
    if chosen is None:
        return None
    return ModelChoice(
        chosen.name,
        S.get("dtype") or "auto",
        S.get("device") or "auto",
        S.get("quantize") or "none",
    )


def longest_clip() -> float:
    """Seconds that the model takes at most, infinite while that is not known."""
    chosen = choice()
    info = service().pool.info(chosen) if chosen else None
    return float((info or {}).get("max_seconds") or math.inf)


def request_of(clip: Clip, transcript: str, instruction: str, model: str | None = None) -> Request:
    """The analysis of a clip with the sidebar's model (or another of its list) and settings."""
    chosen = model_options().get(model) if model else option()
    held = choice(chosen)
    if chosen is None or held is None:
        raise ModgapError("There is no model here. Start the app with `modgap app --model NAME`.")
    markers = st.session_state.get("markers") or "keep"
    return Request(held, chosen.id, clip, transcript, instruction, markers)


def current_request() -> Request | None:
    """The analysis that the inputs ask for; None while clip or transcript are missing.

    Raises
    ------
    ModgapError
        When the chosen part of the clip cannot be used, or there is no model.
    """
    S = st.session_state
    clip = current_clip()
    if clip is None or not (S.get("transcript") or "").strip():
        return None
    return request_of(clip, S["transcript"], S.get("instruction") or "")


def submit() -> None:
    """Ask for the analysis of the inputs; its result becomes the one shown."""
    S = st.session_state
    for name in ("error", "notice"):
        S.pop(name, None)
    try:
        request = current_request()
        if request is None:
            S["notice"] = "Type what is said in the clip, then analyse it."
            return
        cancel(main_only=True)
        S.get("failed", {}).pop(request.signature, None)
        key = ask(request, main=True)
    except ModgapError as problem:
        S["error"] = str(problem)
        return
    if key is not None:
        _show(key, request.signature, cached=True)


def ask(request: Request, *, main: bool = False) -> str | None:
    """The key of the result if it is here already; else a job is begun and None returned."""
    outcome = service().submit(request, session_id())
    if isinstance(outcome, str):
        return outcome
    jobs: dict[str, bool] = st.session_state.setdefault("jobs", {})
    jobs[outcome.id] = main or jobs.get(outcome.id, False)
    return None


def collect() -> None:
    """Take over what jobs have finished since the last run; called before any widget is made."""
    S = st.session_state
    for job_id, main in list(S.get("jobs", {}).items()):
        job = service().jobs.get(job_id, session_id())
        if job is not None and job.active:
            continue
        del S["jobs"][job_id]
        if job is None:
            continue
        if job.state == "failed":
            remember_failure(job.key, job.error)
            if main:
                S["error"] = job.error
                _back_to_usable_model()
        elif job.state == "done" and main:
            _show(job.result.key, job.key, cached=job.result.cached, seconds=job.seconds)


def active_jobs() -> list[JobView]:
    """This session's jobs that wait or run; polls them, which keeps them alive."""
    jobs = st.session_state.get("jobs", {})
    views = [service().jobs.get(job_id, session_id()) for job_id in jobs]
    return [view for view in views if view is not None and view.active]


def cancel(*, main_only: bool = False) -> None:
    """This session no longer wants its jobs."""
    S = st.session_state
    for job_id, main in list(S.get("jobs", {}).items()):
        if main or not main_only:
            job = service().jobs.get(job_id, session_id())
            service().jobs.cancel(job_id, session_id())
            del S["jobs"][job_id]
            if job is not None:
                remember_failure(job.key, "Cancelled.")
    if not main_only:
        S["notice"] = "Cancelled."


def shown() -> Analysis | None:
    """The result on display."""
    key = st.session_state.get("run")
    return service().result(key) if key else None


def is_current() -> bool:
    """Whether the result on display is that of the inputs as they stand."""
    request = _usable(current_request)
    return request is not None and request.signature == st.session_state.get("signature")


def _usable(made: Callable[[], T | None]) -> T | None:
    """What `made` gives, or None where the chosen part of the clip cannot be used."""
    try:
        return made()
    except ModgapError:
        return None


def _show(key: str, signature: str, *, cached: bool, seconds: float | None = None) -> None:
    S = st.session_state
    S["run"], S["signature"] = key, signature
    S["origin"] = {"cached": cached, "seconds": seconds}
    S["usable"] = {name: S.get(name) for name in ("model", *HELD)}


def remember_failure(signature: str, reason: str) -> None:
    """Why something is missing, so that a page does not ask for it again by itself."""
    failed: dict[str, str] = st.session_state.setdefault("failed", {})
    failed[signature] = reason
    while len(failed) > MAX_FAILED:
        del failed[next(iter(failed))]


def _back_to_usable_model() -> None:
    """A model that could not be loaded is not left selected when another one has worked."""
    S = st.session_state
    chosen = choice()
    if chosen and service().pool.info(chosen) is None and S.get("usable"):
        S.update({name: value for name, value in S["usable"].items() if value is not None})


def open_run(key: str) -> bool:
    """Show a cached result, with the inputs that it was made from; False if it is not here."""
    S = st.session_state
    analysis = service().result(key)
    if analysis is None:
        return False
    clip = _usable(current_clip)
    if clip is None or clip.sha256 != analysis.clip["sha256"]:
        name = str(analysis.clip["name"])
        try:
            heard = load_clip(analysis.audio, rate=analysis.audio_rate, name=name)
            use_clip(ClipRef("run", key, name, heard.wav_bytes(analysis.audio_rate)))
        except ModgapError as problem:
            S["error"] = str(problem)
    S["transcript"], S["instruction"] = analysis.transcript, analysis.settings.instruction
    S["markers"] = analysis.settings.markers
    if analysis.model["name"] in model_options() and "model" not in S.get("link", {}):
        S["model"] = analysis.model["name"]
    request = _usable(current_request)
    _show(key, request.signature if request else "", cached=True)
    return True
