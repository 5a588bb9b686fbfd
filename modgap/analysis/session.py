"""One question, asked of one clip, in one model: what app, library and command line share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from modgap.analysis import asked, records
from modgap.analysis.answer_lens import AnswerLens
from modgap.analysis.asked import KINDS
from modgap.analysis.clip_runs import ClipRuns
from modgap.analysis.comparison import Comparison, compare_variants
from modgap.analysis.estimate import Estimate, work_of
from modgap.analysis.lens import Lens, logit_lens
from modgap.analysis.measure import analysis_of, heard_audio
from modgap.analysis.mismatched import Mismatched, mismatched_aps
from modgap.analysis.patching import Patching, patching
from modgap.analysis.prompt_tokens import PromptTokens
from modgap.core.errors import SettingsError
from modgap.core.progress import Steps
from modgap.interventions.intervention import Intervention
from modgap.measures.sinks import silent
from modgap.speech.word_times import word_times
from modgap.store.lookup import kept

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis
    from modgap.analysis.sweeps import Sweep
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.core.settings import AnalysisSettings
    from modgap.models.base import SpeechLM
    from modgap.speech.words import WordTimes
    from modgap.store.cache import Store

__all__ = ["KINDS", "Session"]


class Session(ClipRuns):
    """A clip and its transcript in a model: prompts and plain runs are made once, and kept.

    Everything that is asked of it has a key (`key`): the page, the command and the library find
    each other's results in the cache, since all of them ask a session.

    Parameters
    ----------
    model : SpeechLM
        From `load_model`.
    clip : Clip
        From `load_clip`.
    transcript : str or None
        What is said in the clip. None: nobody knows, and only `compare` can be asked, of
        interventions that need no words (the rule ``"map"``).
    settings : AnalysisSettings, optional
        How both prompts are made and answered, and what of them is measured.
    store : Store, optional
        A cache to look in first and to keep results in. One that cannot be written is warned of,
        no more. Without one, nothing is kept.
    **overrides
        Single settings, by name.

    Raises
    ------
    SettingsError
        A setting, the transcript or the clip does not fit.

    Examples
    --------
    >>> session = modgap.Session(model, clip, "what is two plus two")           # doctest: +SKIP
    >>> session.analyze().layers[["layer", "cosine", "aps_cos"]]                # doctest: +SKIP
    >>> session.compare(modgap.Intervention(tokens="all")).after.text           # doctest: +SKIP
    """

    def __init__(
        self,
        model: SpeechLM,
        clip: Clip,
        transcript: str | None,
        settings: AnalysisSettings | None = None,
        *,
        store: Store | None = None,
        **overrides: Any,
    ) -> None:
        super().__init__(model, clip, transcript, settings, **overrides)
        self.store = store

    @cached_property
    def words(self) -> WordTimes:
        """When each word is said, by the aligner that `modgap.word_times` takes.

        Raises
        ------
        ModgapError
            The words cannot be found in the clip.
        """
        return word_times(self.clip, self.words_said, store=self.store)

    # ---- what is asked ---------------------------------------------------------------------------

    def analyze(self, *, progress: Progress | None = None) -> Analysis:
        """Measure how the clip and its transcript line up; see `modgap.analyze`."""
        return analysis_of(self, progress)

    def compare(
        self,
        interventions: Intervention | Sequence[Intervention] = (),
        *,
        progress: Progress | None = None,
    ) -> Comparison:
        """Answer the clip before and after interventions, and its transcript.

        Parameters
        ----------
        interventions : Intervention or a sequence of them
            Applied one after the other. An empty sequence changes nothing.
        progress : callable (fraction, note), optional
            May raise `Cancelled`; nothing is left behind.

        Raises
        ------
        SettingsError
            An intervention does not fit the model or the clip.
        AudioError
            The clip is longer than the model takes.
        """
        stack = asked.stack_of(interventions)
        steps = Steps(progress)

        def make() -> Comparison:
            plain = self.runs(steps.part(0.0, 0.4, "plain runs"))
            return compare_variants(
                plain, [stack], self.settings, progress=steps.part(0.4, 1.0, "edited")
            )[0]

        return self._kept("compare", make, interventions=stack)

    def sweep(
        self,
        *,
        target: str | None = None,
        progress: Progress | None = None,
        **grid: Any,
    ) -> Sweep:
        """How much likelier a grid of interventions makes the target answer.

        Parameters
        ----------
        target : str, optional
            The answer that is scored; by default the model's own answer to the text.
        progress : callable (fraction, note), optional
        **grid
            ``rules``, ``layers``, ``tokens``, ``strengths``, and further fields of `Intervention`:
            see `modgap.analysis.sweeps.sweep`.

        Raises
        ------
        SettingsError
            The target is empty, or a field or a layer does not fit.
        """
        return self._searched("sweep", target, progress, grid)

    def patching(
        self,
        *,
        target: str | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Patching:
        """Replace speech positions by the text's states, layer by layer.

        Parameters
        ----------
        target : str, optional
            The answer that is scored; by default the model's own answer to the text.
        progress : callable (fraction, note), optional
        **options
            ``layers``, ``where``, ``words`` (`words` of the session by default), ``measure``,
            ``path_layer``, ``draws``, ``seed``: see `modgap.analysis.patching.patching`.

        Raises
        ------
        SettingsError
            The target is empty, or an option does not fit.
        ModgapError
            The words cannot be found in the clip.
        """
        return self._searched("patching", target, progress, self.with_words(options))

    def lens(self, *, progress: Progress | None = None, **options: Any) -> Lens:
        """Read every level's states as tokens; ``top``, ``path_layer``: see `logit_lens`."""
        steps = Steps(progress)

        def make() -> Lens:
            plain = self.runs(steps.part(0.0, 0.4, "plain runs"))
            return logit_lens(plain, progress=steps.part(0.4, 1.0, "logit lens"), **options)

        return self._kept("lens", make, **options)

    def answer_lens(
        self, *, target: str | None = None, progress: Progress | None = None
    ) -> AnswerLens:
        """How likely every level makes the answer at the last token of the prompt.

        Parameters
        ----------
        target : str, optional
            The answer; by default the model's own answer to the text.
        progress : callable (fraction, note), optional

        Raises
        ------
        SettingsError
            The target is empty.
        """
        return self._searched("answer_lens", target, progress, {})

    def mismatched(
        self, *, texts: Sequence[str] | None = None, progress: Progress | None = None
    ) -> Mismatched:
        """The path scores of the clip's speech against other texts.

        Parameters
        ----------
        texts : sequence of str, optional
            `modgap.analysis.mismatched.OTHER_TEXTS` by default.
        progress : callable (fraction, note), optional

        Raises
        ------
        SettingsError
            Fewer than two texts differ from the transcript.
        """
        steps = Steps(progress)

        def make() -> Mismatched:
            plain = self.runs(steps.part(0.0, 0.1, "plain runs"))
            times = self.pair.speech.times
            assert times is not None
            quiet = silent(heard_audio(self.clip, self.model), self.model.sampling_rate, times)
            part = steps.part(0.1, 1.0, "other texts")
            with self._timed("mismatched", texts=texts):
                return mismatched_aps(plain, quiet, self.settings, texts=texts, progress=part)

        return self._kept("mismatched", make, texts=texts)

    def prompts(self, *, progress: Progress | None = None) -> PromptTokens:
        """Both prompts token by token, as the model gets them; nothing is run.

        Raises
        ------
        ModelError
            The model's prompts are no sequences of tokens.
        """
        if progress is not None:
            progress(0.0, "prompts")
        return PromptTokens.of(self.model.tokenizer, self.pair)

    def estimate(self, kind: str, *, progress: Progress | None = None, **options: Any) -> Estimate:
        """What a result would cost: passes, and seconds by the last rate of this clip.

        The plain runs are made if they are not there: they are part of every result.

        Parameters
        ----------
        kind : str
            One of `KINDS`, but ``"analysis"``.
        progress : callable (fraction, note), optional
        **options
            As in `key`.

        Raises
        ------
        SettingsError
            The kind or an option is unknown, or an option's value does not fit.
        """
        if kind not in KINDS[1:]:
            raise SettingsError(f"{kind!r} has no estimate; use {', '.join(KINDS[1:])}.")
        if self.store is not None and self.store.has(self.key(kind, **options)):
            return Estimate(0, 0.0, cached=True)
        plain = self.runs(progress)
        work = work_of(kind, plain, asked.given(self, kind, options))
        return Estimate(work.passes, work.layers * (self._rate or 0.0), cached=False)

    def key(self, kind: str, **options: Any) -> str:
        """The key of a result in the cache: a hash of everything that it depends on.

        Options are filled with their defaults first, so that a default and the same value said
        aloud are one request.

        Parameters
        ----------
        kind : str
            One of `KINDS`.
        **options
            Of the method of that name (but ``progress``).

        Returns
        -------
        str
            64 hexadecimal digits.

        Raises
        ------
        SettingsError
            The kind or an option is unknown, or an option's value does not fit.
        """
        return asked.key_of(self, kind, options)

    # ---- how it is done --------------------------------------------------------------------------

    @contextmanager
    def _timed(self, kind: str, **options: Any) -> Iterator[None]:
        """Take the rate of what is computed inside."""
        assert self._plain is not None
        layers = work_of(kind, self._plain, asked.given(self, kind, options)).layers
        began = time.perf_counter()
        yield
        self._rate = (time.perf_counter() - began) / max(1, layers)

    def with_words(self, options: dict[str, Any]) -> dict[str, Any]:
        """Patching's options with the words' times, where these say what is replaced."""
        given = asked.bound(patching, options, prefill=None)  # an unknown option is told first
        if given["where"] == "word" and given["words"] is None:
            return options | {"words": self.words}
        return options

    def _searched(
        self, kind: str, target: str | None, progress: Progress | None, options: dict[str, Any]
    ) -> Any:
        steps = Steps(progress)
        search = asked.SEARCHES[kind]

        def make() -> Any:
            runs, name = self.aimed(target, steps)
            with self._timed(kind, target=target, **options):
                return search(runs, name, progress=steps.part(0.3, 1.0, "variants"), **options)

        return self._kept(kind, make, target=target, **options)

    def _kept(self, kind: str, make: Callable[[], Any], **options: Any) -> Any:
        key = self.key(kind, **options)  # an unknown option is told before any work
        return kept(self.store, key, make, records.to_record, records.from_record)
