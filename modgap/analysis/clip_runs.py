"""A clip and its transcript in a model: the prompts and the plain runs, made once and kept."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from modgap.analysis import sweeps
from modgap.audio.clip import Clip
from modgap.core.errors import SettingsError
from modgap.core.settings import AnalysisSettings, check_text
from modgap.interventions.kept_runs import NO_WORDS
from modgap.interventions.prefill import Prefill
from modgap.models.clip_limit import cut_notes

if TYPE_CHECKING:
    from modgap.core.progress import Progress, Steps
    from modgap.models.base import SpeechLM
    from modgap.models.prompt import PromptPair

__all__ = ["ClipRuns"]


class ClipRuns:
    """What all questions to a clip in a model begin with; for the parameters see `Session`."""

    def __init__(
        self,
        model: SpeechLM,
        clip: Clip,
        transcript: str | None,
        settings: AnalysisSettings | None = None,
        **overrides: Any,
    ) -> None:
        self.model, self.clip = model, clip
        self.settings = (settings or AnalysisSettings()).updated(**overrides)
        self.transcript = None if transcript is None else check_text("transcript", transcript)
        if not isinstance(clip, Clip):
            raise SettingsError("The clip must be a Clip: make one with modgap.load_clip(...).")
        self._plain: Prefill | None = None
        # The plain runs with a target's tokens behind the prompt; those of the last one asked for.
        self._aimed: tuple[str | None, Prefill, str] | None = None
        self._rate: float | None = None  # seconds a decoder layer, of what was computed last

    @cached_property
    def pair(self) -> PromptPair:
        """The speech prompt and the text prompt, equal but for the content.

        Raises
        ------
        AudioError
            The clip is longer than the model takes, and not to be cut.
        """
        settings = self.settings
        return self.model.prepare(
            self.clip, self.transcript, **settings.prompt, too_long=settings.too_long
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results should know of the clip: of its sound, and that it was cut."""
        return (*self.clip.notes, *cut_notes(self.model, self.clip, self.settings.too_long))

    @property
    def words_said(self) -> str:
        """The transcript, for what needs one.

        Raises
        ------
        SettingsError
            There is none.
        """
        if self.transcript is None:
            raise SettingsError(NO_WORDS)
        return self.transcript

    @property
    def plain(self) -> Prefill:
        """One run of each prompt as it is: raw states, keys and values."""
        return self.runs()

    @property
    def nbytes(self) -> int:
        """Memory of the runs that are kept, on the model's device."""
        made = (self._plain, self._aimed and self._aimed[1])
        return sum(runs.nbytes for runs in made if runs)

    def runs(self, progress: Progress | None = None) -> Prefill:
        """The plain runs, made once."""
        if self._plain is None:
            self._plain = Prefill.of(self.model, self.pair, progress=progress)
            self._rate = self._plain.seconds / self.model.n_layers
        return self._plain

    def aimed(self, target: str | None, steps: Steps) -> tuple[Prefill, str]:
        """The plain runs with a target answer behind the prompt, and the target's name."""
        if self._aimed is None or self._aimed[0] != target:
            plain = self.runs(steps.part(0.0, 0.2, "plain runs"))
            report = steps.part(0.2, 0.3, "runs with the answer")
            self._aimed = (target, *sweeps.aimed(plain, target, self.settings, report))
        _, runs, name = self._aimed
        return runs, name
