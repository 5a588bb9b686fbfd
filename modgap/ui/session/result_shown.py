"""The analysis that the inputs ask for, and the result on display."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modgap.analysis.examples import Example
from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import ModgapError
from modgap.ui.server.operator_models import model_options
from modgap.ui.server.requests import AnalysisRequest
from modgap.ui.server.service import service
from modgap.ui.session import asking, clip_in_use, inputs, model_in_use
from modgap.ui.session.state import ClipRef, Shown, visit

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis


def request_of(
    clip: Clip, transcript: str, instruction: str, model: str | None = None
) -> AnalysisRequest:
    """The analysis of a clip with the sidebar's model (or another of its list) and settings."""
    chosen = model_options().get(model) if model else model_in_use.option()
    held = model_in_use.choice(chosen)
    if chosen is None or held is None:
        raise ModgapError("There is no model here. Start the app with `modgap app --model NAME`.")
    markers = inputs.MARKERS.get("") or "keep"
    too_long = inputs.TOO_LONG.get("") or "fail"
    return AnalysisRequest(held, chosen.id, clip, transcript, instruction, markers, too_long)


def current_request(model: str | None = None) -> AnalysisRequest | None:
    """The analysis that the inputs ask for, of the sidebar's model or of another.

    None while clip or transcript are missing.

    Raises
    ------
    ModgapError
        When the chosen part of the clip cannot be used, or there is no model.
    """
    clip, words = clip_in_use.clip(), clip_in_use.transcript()
    if clip is None or not words:
        return None
    return request_of(clip, words, clip_in_use.instruction(), model)


def example_request(example: Example, model: str | None = None) -> AnalysisRequest:
    """The analysis of a shipped clip.

    Raises
    ------
    ModgapError, OSError
        When it cannot be read.
    """
    clip = service().clip(example.path.read_bytes(), example.path.name)
    return request_of(clip, example.transcript, example.instruction, model)


def submit() -> None:
    """Ask for the analysis of the inputs; its result becomes the one shown."""
    here = visit()
    here.forget_remarks()
    try:
        request = current_request()
        if request is None:
            here.notice = "Type what is said in the clip, then analyse it."
            return
        asking.cancel(main_only=True)
        asking.forget_failure(request)
        found = asking.ask(request, main=True)
    except ModgapError as problem:
        here.error = str(problem)
        return
    if found is not None:
        _show(Shown(found.key, request.signature, cached=True))


def load_example(chosen: Example) -> None:
    """Make a shipped clip the one in use and analyse it."""
    clip_in_use.use_example(chosen)
    submit()


def collect() -> None:
    """Take over what jobs have finished since the last run; called before any widget is made."""
    for job, main in asking.ended():
        if main and job.state == "failed":
            visit().error = job.error
            _back_to_usable_model()
        key = service().key(job.key) if main and job.state == "done" else None
        if key is not None:
            _show(Shown(key, job.key, cached=job.result, seconds=job.seconds))


def shown() -> Analysis | None:
    """The result on display."""
    on_display = visit().shown
    return service().result(on_display.key) if on_display else None


def at_hand(request: AnalysisRequest) -> Analysis | None:
    """The result of a request, if it is on display or was made before."""
    on_display = visit().shown
    if on_display is not None and on_display.signature == request.signature:
        return service().result(on_display.key)
    return service().found(request)


def usable_request() -> AnalysisRequest | None:
    """The analysis that the inputs ask for, None also where the part of the clip is no use."""
    try:
        return current_request()
    except ModgapError:
        return None


def is_current() -> bool:
    """Whether the result on display is that of the inputs as they stand."""
    request, on_display = usable_request(), visit().shown
    if request is None or on_display is None:
        return False
    return request.signature == on_display.signature


def _show(result: Shown) -> None:
    here = visit()
    here.shown = result
    here.usable = {
        name: widget.value
        for name, widget in (("model", inputs.MODEL), *inputs.HELD.items())
        if widget.is_set
    }


def _back_to_usable_model() -> None:
    """A model that could not be loaded is not left selected when another one has worked."""
    chosen = model_in_use.choice()
    if chosen and service().pool.info(chosen) is None:
        for name, value in visit().usable.items():
            (inputs.MODEL if name == "model" else inputs.HELD[name]).value = value


def open_run(key: str) -> bool:
    """Show a cached result, with the inputs that it was made from; False if it is not here."""
    analysis = service().result(key)
    if analysis is None:
        return False
    try:
        clip = clip_in_use.clip()
    except ModgapError:  # the chosen part cannot be used
        clip = None
    if clip is None or clip.sha256 != analysis.clip["sha256"]:
        name = str(analysis.clip["name"])
        try:
            heard = load_clip(analysis.audio, rate=analysis.audio_rate, name=name)
            clip_in_use.use_clip(ClipRef("run", key, name, heard.wav_bytes(analysis.audio_rate)))
            if analysis.settings.too_long == "cut":  # it is of the whole clip
                inputs.TRIM.value = 0.0, clip_in_use.whole_seconds()
        except ModgapError as problem:
            visit().error = str(problem)
    inputs.TRANSCRIPT.value = analysis.transcript
    inputs.INSTRUCTION.value = analysis.settings.instruction
    inputs.MARKERS.value = analysis.settings.markers
    inputs.TOO_LONG.value = analysis.settings.too_long
    if analysis.model["name"] in model_options() and "model" not in visit().link:
        inputs.MODEL.value = analysis.model["name"]
    request = usable_request()
    _show(Shown(key, request.signature if request else "", cached=True))
    return True
