"""One unit of work: some questions, asked of one model in every way that a run wants.

A question costs one pass over its text and one over its speech (`Prefill`): answers, interventions,
divergences and layer measures come from these two; the answer to the text from a third one, where
the typed prompt has other tokens than the text of the pair. Questions are read one after the other
and answered together, prompts of like length as one batch: the shorter are padded on the left and
masked, where the family can do that, and else only equal lengths go together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from modgap.analysis.comparison import kl_divergence
from modgap.analysis.heard import heard_or_nothing
from modgap.analysis.session import Session
from modgap.core.memory import free_memory
from modgap.core.settings import AnalysisSettings
from modgap.evaluation.runs.answering import layer_rows
from modgap.evaluation.runs.asking import asking_of
from modgap.evaluation.runs.failures import Faults, out_of_memory
from modgap.evaluation.runs.pool import Pool
from modgap.evaluation.runs.reading import Reader
from modgap.evaluation.runs.shards import Rows
from modgap.interventions.prefill import BATCH, check_stack
from modgap.models.resume import keys_values
from modgap.scoring.scorers import score

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.evaluation.runs.pipeline_and_base import Base, Ears
    from modgap.evaluation.runs.run_settings import RunSettings
    from modgap.interventions.intervention import Stack
    from modgap.models.base import SpeechLM
    from modgap.scoring.question import Question

__all__ = ["Asked", "Worker"]

Asked = tuple["Question", tuple[str, ...]]
"""A question and the inputs that are wanted of it."""


class Worker:
    """A loaded model and what it needs beside it to answer units of questions.

    Parameters
    ----------
    model : SpeechLM
    settings : RunSettings
    ears : Ears, optional
        The recogniser of the pipeline.
    base : Base, optional
        The text model of the input ``base``, and of the pipeline unless that is the model's own
        text side.
    name : str, optional
        Of the model in the tables; its own by default.
    batch : int
        Prompts that are answered together.

    Raises
    ------
    SettingsError
        An intervention does not fit the model.
    """

    def __init__(
        self,
        model: SpeechLM,
        settings: RunSettings,
        *,
        ears: Ears | None = None,
        base: Base | None = None,
        name: str | None = None,
        batch: int = 16,
    ) -> None:
        self.model = model
        self.settings = settings = settings.for_data("")  # which a plan has done for its data set
        self.asking = asking_of(model, settings)
        self.ears = ears
        self.base = base
        self.name = name or model.name
        self._faults = Faults(self.name)
        self._reader = Reader(self.asking)
        self._pool = Pool(self.asking, batch)
        for _, stack in settings.interventions:
            check_stack(model, stack)

    def run(self, asked: Sequence[Asked]) -> Rows:
        """Answer a unit of questions.

        Returns
        -------
        dict of str to list of dict
            Rows by table. Of each question and input there is one row, in ``answers`` or in
            ``failures``.

        Raises
        ------
        DeviceLost
            Nothing can be run any more; no row is lost by running the unit again.
        """
        self._rows: Rows = {"answers": [], "layers": [], "failures": [], "clips": []}
        self._pool.clear()
        for question, inputs in asked:
            self._question(question, inputs)
        self._decode()
        self._base([q for q, inputs in asked if "base" in inputs])
        order = {q.id: n for n, (q, _) in enumerate(asked)}
        for rows in self._rows.values():
            rows.sort(key=lambda row: order[row["question"]])  # whatever was answered together
        return self._rows

    # ---- one question ---------------------------------------------------------------------------

    def _question(self, question: Question, inputs: Sequence[str]) -> None:
        spoken = [k for k in inputs if k not in ("text", "base")]
        clip = None
        if spoken:
            try:
                clip = question.load()
            except Exception as problem:
                self._fail(question, spoken, problem)
                spoken = []
            else:
                self._rows["clips"].append(
                    {"question": question.id, "seconds": clip.seconds, "audio": clip.sha256}
                )
        heard = [k for k in spoken if k != "pipeline"]
        failed = bool(heard) and not self._guarded(
            question, heard, lambda: self._speech(question, clip, (*heard, *inputs))
        )
        # With the speech the text was read along; without it, or where that failed, it is alone.
        if "text" in inputs and (failed or not heard):
            self._guarded(question, ["text"], lambda: self._text(question, "text"))
        if "pipeline" in spoken and clip is not None:
            self._guarded(question, ["pipeline"], lambda: self._pipeline(question, clip))
        if self._pool.full:
            self._decode()

    def _speech(self, question: Question, clip: Any, inputs: Sequence[str]) -> None:
        """The passes; what they give goes to the pool only once all of it is there."""
        began = time.perf_counter()
        model, p = self.model, self.settings
        asked = AnalysisSettings(
            instruction=question.instruction,
            system=self.asking.system,
            markers=p.markers,  # type: ignore[arg-type]  # checked there
            too_long=p.too_long,  # type: ignore[arg-type]
            prompt_style=self.asking.style,
        )
        session = Session(model, clip, question.transcript, asked)
        with model.lock, torch.no_grad():
            pair, prefill = session.pair, session.plain
            text, speech = prefill.text_logits[0], prefill.logits[0]
            took = (time.perf_counter() - began) / 2
            found, layers = [], []
            if "text" in inputs:
                found.append(self._reader.typed(question, prefill, took))
            if "speech" in inputs:
                layers = layer_rows(prefill)
                values = {"kl": kl_divergence(text, speech), "pair_markers": p.markers}
                if p.heard:
                    values |= self._heard(question, clip)
                kept = prefill.kept
                found.append(
                    self._reader.waiting(
                        question, "speech", pair.speech, kept, speech, took, **values
                    )
                )
            about = {"model": self.name, "question": question.id}
            self._rows["layers"] += [about | row for row in layers]
            self._pool.add(found)
            wanted = [(f"speech+{name}", stack) for name, stack in p.interventions]
            wanted = [variant for variant in wanted if variant[0] in inputs]
            hear = [v for v in wanted if p.heard_by and any(it.needs_words for it in v[1])]
            for variants in ([v for v in wanted if v not in hear], hear):
                for start in range(0, len(variants), BATCH):
                    part = variants[start : start + BATCH]
                    listen = clip if variants is hear else None
                    self._guarded(
                        question,
                        [given for given, _ in part],
                        lambda part=part, listen=listen: self._edited(  # type: ignore[misc]
                            question, session, part, listen
                        ),
                    )

    def _edited(
        self,
        question: Question,
        session: Session,
        part: Sequence[tuple[str, Stack]],
        listen: Clip | None,
    ) -> None:
        """Answers to the edited speech; with `listen`, by the words that are heard in it."""
        began = time.perf_counter()
        prefill = session.plain
        stacks = [stack for _, stack in part]
        if listen is None:
            edited = prefill.run(stacks)
        elif words := self._heard_words(listen):
            heard = Session(self.model, listen, words, session.settings)
            edited = heard.plain.run(stacks)
        else:
            edited = prefill.run([() for _ in stacks])
        kept = keys_values(edited.cache)
        took = (time.perf_counter() - began) / max(1, len(part))
        found = []
        for row, (given, _) in enumerate(part):
            one = tuple((k[row : row + 1], v[row : row + 1]) for k, v in kept)
            logits = edited.logits[row, 0]
            kl = kl_divergence(prefill.text_logits[0], logits)
            values = {"kl": kl, "pair_markers": self.settings.markers}
            prompt = prefill.pair.speech
            found.append(self._reader.waiting(question, given, prompt, one, logits, took, **values))
        self._pool.add(found)

    def _text(
        self, question: Question, given: str, words: str | None = None, **values: Any
    ) -> None:
        """The words alone: the transcript, or what a recogniser heard."""
        prompt = self.asking.typed(question, words)
        self._pool.add([self._reader.read(question, given, prompt, **values)])

    def _pipeline(self, question: Question, clip: Clip) -> None:
        from modgap.evaluation.runs.pipeline_and_base import wer

        assert self.ears is not None
        heard = self.ears.hear(clip)
        values: dict[str, Any] = {"heard": heard, "wer": wer(question.transcript, heard)}
        if not heard.strip():  # nothing was heard, so there is nothing to answer: an empty answer
            said: dict[str, Any] = {"response": "", "tokens": 0, "finished": True, "seconds": 0.0}
        elif self.settings.pipeline_llm == "base":
            assert self.base is not None
            said = self.base.answer(question, self.settings, heard)
        else:
            self._text(question, "pipeline", heard, **values)
            return
        values["markers"] = self.settings.text_markers
        self._rows["answers"].append(self._row(question, "pipeline", **said) | values)

    def _heard_words(self, clip: Clip) -> str:
        """What interventions take for the transcript; empty where nothing is heard."""
        if self.settings.heard_by == "recognizer":
            assert self.ears is not None
            return self.ears.hear(clip).strip()
        return heard_or_nothing(
            self.model,
            clip,
            instruction=self.settings.heard,
            too_long=self.settings.too_long,  # type: ignore[arg-type]  # checked there
        )

    def _heard(self, question: Question, clip: Clip) -> dict[str, Any]:
        from modgap.evaluation.runs.pipeline_and_base import wer

        p = self.settings
        prompt = self.model.speech_prompt(
            clip,
            instruction=p.heard,
            system=self.asking.system,
            style=self.asking.style,
            too_long=p.too_long,  # type: ignore[arg-type]  # checked there
        )
        made = self.model.generate(prompt, max_new_tokens=self.settings.heard_tokens)
        heard = made.text.strip()
        return {"heard": heard, "wer": wer(question.transcript, heard)}

    # ---- answers --------------------------------------------------------------------------------

    def _decode(self) -> None:
        """Answer what waits."""
        for waiting, made, seconds in self._pool.answers():
            try:
                if isinstance(made, Exception):
                    raise made
                row = self._row(
                    waiting.question,
                    waiting.given,
                    made.text.strip(),
                    option_logprob=list(waiting.options),
                    tokens=len(made.token_ids),
                    finished=made.finished,
                    seconds=seconds,
                )
            except Exception as problem:  # or a scorer's; the other questions are as good as before
                self._fail(waiting.question, [waiting.given], problem)
            else:
                self._rows["answers"].append(row | waiting.values)

    def _base(self, questions: Sequence[Question]) -> None:
        """The text model's answers, one prompt after the other."""
        for question in questions:
            self._guarded(question, ["base"], lambda q=question: self._ask_base(q))  # type: ignore[misc]

    def _ask_base(self, question: Question) -> None:
        assert self.base is not None
        said = self.base.answer(question, self.settings)
        row = self._row(question, "base", **said)
        self._rows["answers"].append(row | {"markers": self.settings.text_markers})

    def _row(self, question: Question, given: str, response: str, **values: Any) -> dict[str, Any]:
        verdict = score(question, response)
        return {
            "model": self.name,
            "question": question.id,
            "input": given,
            "response": response,
            "correct": verdict.correct,
            "extracted": verdict.extracted,
            "rule": verdict.rule,
            "expected": verdict.expected,
            "option_logprob": [],
            **values,
        }

    # ---- failures -------------------------------------------------------------------------------

    def _guarded(self, question: Question, inputs: Sequence[str], ask: Callable[[], Any]) -> bool:
        """Run something for a question; what goes wrong is recorded, and False returned."""
        try:
            try:
                ask()
            except Exception as problem:
                if not out_of_memory(problem):
                    raise
                self._decode()  # what waits holds memory
                free_memory()
                ask()
        except Exception as problem:
            self._fail(question, inputs, problem)
            return False
        self._faults.fine(inputs)
        return True

    def _fail(self, question: Question, inputs: Sequence[str], problem: Exception) -> None:
        self._rows["failures"] += self._faults.rows(question.id, inputs, problem)
