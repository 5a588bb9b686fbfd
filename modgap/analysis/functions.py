"""What is asked of a clip in one call: each makes a `Session` and asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modgap.analysis import sweeps
from modgap.analysis.answer_lens import AnswerLens
from modgap.analysis.answer_lens import answer_lens as answer_lens_of
from modgap.analysis.lens import Lens
from modgap.analysis.lens import logit_lens as lens_of
from modgap.analysis.patching import patching as patching_of
from modgap.analysis.prompt_tokens import PromptTokens
from modgap.analysis.session import Session
from modgap.interventions.prefill import Prefill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modgap.analysis.comparison import Comparison
    from modgap.analysis.mismatched import Mismatched
    from modgap.analysis.patching import Patching
    from modgap.analysis.result import Analysis
    from modgap.analysis.sweeps import Sweep
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.core.settings import AnalysisSettings
    from modgap.interventions.intervention import Intervention
    from modgap.models.base import SpeechLM
    from modgap.store.cache import Store

__all__ = [
    "analyze", "answer_lens", "compare", "logit_lens", "mismatched_aps", "patching",
    "prompt_tokens", "sweep",
]  # fmt: skip


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
    session = Session(model, clip, transcript, settings, store=store, **overrides)
    return session.analyze(progress=progress)


def compare(
    model: SpeechLM,
    clip: Clip,
    transcript: str | None,
    interventions: Intervention | Sequence[Intervention],
    settings: AnalysisSettings | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> Comparison:
    """Answer a clip before and after interventions, and its transcript where one is known.

    Without a transcript (None) there is no text side; the rule ``"map"`` needs none. Of the
    settings, those of the prompt and of decoding count. `interventions` as in `Session.compare`,
    the rest as in `analyze`.

    Examples
    --------
    >>> modgap.compare(model, clip, "what is two plus two",
    ...                modgap.Intervention(rule="angle", tokens="all")).after.text  # doctest: +SKIP
    """
    session = Session(model, clip, transcript, settings, store=store, **overrides)
    return session.compare(interventions, progress=progress)


def sweep(
    model: SpeechLM | Prefill,
    clip: Clip | str = "",
    transcript: str = "",
    settings: AnalysisSettings | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Sweep:
    """How much likelier a grid of interventions makes the target answer.

    ``target`` and the grid as in `Session.sweep`, the rest as in `analyze`. Plain runs of one's own
    (`with_target`) go in the place of the model, with the target's name behind them; nothing is
    looked up or kept then.

    Examples
    --------
    >>> modgap.sweep(model, clip, "what is two plus two", rules=["angle"]).table  # doctest: +SKIP
    """
    if isinstance(model, Prefill):
        return sweeps.sweep(model, clip, progress=progress, **options)  # type: ignore[arg-type]
    session = Session(model, clip, transcript, settings, store=store)  # type: ignore[arg-type]
    return session.sweep(progress=progress, **options)


def patching(
    model: SpeechLM | Prefill,
    clip: Clip | str = "",
    transcript: str = "",
    settings: AnalysisSettings | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Patching:
    """Replace speech positions by the text's states, layer by layer.

    ``target`` and the options as in `Session.patching`, the rest as in `sweep`; plain runs of one's
    own need ``words`` (or another ``where``).

    Examples
    --------
    >>> modgap.patching(model, clip, "what is two plus two").change.shape       # doctest: +SKIP
    """
    if isinstance(model, Prefill):
        return patching_of(model, clip, progress=progress, **options)  # type: ignore[arg-type]
    session = Session(model, clip, transcript, settings, store=store)  # type: ignore[arg-type]
    return session.patching(progress=progress, **options)


def logit_lens(
    model: SpeechLM | Prefill,
    clip: Clip | None = None,
    transcript: str = "",
    settings: AnalysisSettings | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Lens:
    """Read every level's states as tokens.

    ``top`` and ``path_layer`` as in `Session.lens`, the rest as in `analyze`; plain runs of one's
    own (`Prefill`) go in the place of the model.

    Examples
    --------
    >>> modgap.logit_lens(model, clip, "what is two plus two").table()          # doctest: +SKIP
    """
    if isinstance(model, Prefill):
        return lens_of(model, progress=progress, **options)
    session = Session(model, clip, transcript, settings, store=store)  # type: ignore[arg-type]
    return session.lens(progress=progress, **options)


def answer_lens(
    model: SpeechLM | Prefill,
    clip: Clip | str = "",
    transcript: str = "",
    settings: AnalysisSettings | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> AnswerLens:
    """How likely every level makes the answer at the last token of the prompt.

    ``target`` as in `Session.answer_lens`, the rest as in `sweep`.

    Examples
    --------
    >>> modgap.answer_lens(model, clip, "what is two plus two").table()         # doctest: +SKIP
    """
    if isinstance(model, Prefill):
        return answer_lens_of(model, clip, progress=progress, **options)  # type: ignore[arg-type]
    session = Session(model, clip, transcript, settings, store=store)  # type: ignore[arg-type]
    return session.answer_lens(progress=progress, **options)


def mismatched_aps(
    model: SpeechLM,
    clip: Clip,
    transcript: str,
    settings: AnalysisSettings | None = None,
    *,
    texts: Sequence[str] | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> Mismatched:
    """The path scores of the clip's speech against other texts.

    ``texts`` as in `Session.mismatched`, the rest as in `analyze`.

    Examples
    --------
    >>> modgap.mismatched_aps(model, clip, "what is two plus two").band()       # doctest: +SKIP
    """
    session = Session(model, clip, transcript, settings, store=store, **overrides)
    return session.mismatched(texts=texts, progress=progress)


def prompt_tokens(
    model: SpeechLM,
    clip: Clip,
    transcript: str,
    settings: AnalysisSettings | None = None,
    **overrides: Any,
) -> PromptTokens:
    """Both prompts of a clip token by token, special tokens in view; nothing is run.

    Parameters
    ----------
    model, clip, transcript, settings, **overrides
        As in `analyze`.

    Raises
    ------
    ModelError
        The model's prompts are no sequences of tokens.

    Examples
    --------
    >>> prompts = modgap.prompt_tokens(model, clip, "what is two plus two")     # doctest: +SKIP
    >>> [(t.text, t.count) for t in prompts.speech]                             # doctest: +SKIP
    """
    return Session(model, clip, transcript, settings, **overrides).prompts()
