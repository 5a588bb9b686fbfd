"""What the model answers, and whether that is right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from modgap.core.errors import SettingsError
from modgap.models.base import Generation, Progress, Prompt, SpeechLM
from modgap.scoring.thoughts import said
from modgap.scoring.words import comparable_words, holds, readings

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.interventions.intervention import Intervention
    from modgap.models.prompt import TooLong

Verdict = Literal["right", "wrong"]

# A letter that names an option: nothing but punctuation around it, at the start with a mark behind
# it, or announced. "A" and "I" are words too, so they need a mark or an end behind them.
_END = r"(?=\s*(?:$|[\n.,;:!?)\]\"'*]))"
_ALONE = re.compile(r"[\W_]*([a-z])[\W_]*", re.IGNORECASE)
_AT_START = re.compile(r"[\s(\[\"'*]*(?:([a-zA-Z])\s*[.):\]*]|([B-HJ-Z])\s+(?!or\b|and\b))")
# What is compared as it stands where there are no words: emoji, mathematical signs.
_SIGNS = re.compile(r"[^\w\s!-/:-@\[-`{-~\u2010-\u206f]")
_ANNOUNCED = re.compile(
    r"(?i:\b(?:answer|option|choice|letter)(?:\s+is|\s+would\s+be|\s*[:=])?\s*[:=]?\s*[(\[\"'*]*)"
    rf"(?:([a-zA-Z])(?!\w){_END}|([B-HJ-Z])(?!\w))"
)


@dataclass(frozen=True)
class Answer:
    """An answer and the kind of prompt it is an answer to.

    Attributes
    ----------
    text : str
        Without special tokens.
    tokens, token_ids, logprobs : tuples
        As in `modgap.models.base.Generation`.
    kind : "speech" or "text"
    finished : bool
        False when `max_new_tokens` cut the answer.
    top : tuple of (str, float)
        The likeliest first tokens with their log-probabilities.
    options : tuple of (str, float)
        Of a multiple choice: each option and its probability among the options.
    """

    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    kind: str
    finished: bool = True
    top: tuple[tuple[str, float], ...] = ()
    options: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(
        cls, model: SpeechLM, made: Generation, kind: str, options: dict[str, float] | None = None
    ) -> Answer:
        """The answer that a generation is."""
        return cls(
            text=made.text,
            tokens=made.tokens,
            token_ids=made.token_ids,
            logprobs=made.logprobs,
            kind=kind,
            finished=made.finished,
            top=tuple(
                (model.tokenizer.decode([i], clean_up_tokenization_spaces=False), p)
                for i, p in made.first
            ),
            options=tuple((options or {}).items()),
        )

    @classmethod
    def from_values(cls, values: dict[str, Any], logprobs: Iterable[float]) -> Answer:
        """The answer of fields as JSON has them, and the log-probabilities kept beside them."""
        frozen = {name: _frozen(value) for name, value in values.items()}
        return cls(**frozen, logprobs=tuple(float(x) for x in logprobs))


def answer(
    model: SpeechLM,
    source: Clip | Prompt,
    interventions: Intervention | Sequence[Intervention] | None = None,
    *,
    transcript: str | None = None,
    instruction: str = "",
    system: str | None = None,
    too_long: TooLong = "fail",
    max_new_tokens: int = 48,
    temperature: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Answer:
    """Let the model answer a clip, as it is or with interventions.

    Parameters
    ----------
    model : SpeechLM
    source : Clip or Prompt
        A prompt, of either kind, is answered as it is.
    interventions : Intervention or a sequence of them, optional
        Applied one after the other while the clip is read.
    transcript : str, optional
        What is said: interventions need it (but the rule ``"map"``), and so do the probabilities of
        a multiple choice's options.
    instruction, system, too_long : str
        As in `SpeechLM.prepare`.
    max_new_tokens, temperature, seed, progress
        As in `SpeechLM.generate`.

    Raises
    ------
    SettingsError
        There are interventions but no clip, or no transcript where they need one, or one does not
        fit the model.
    AudioError
        The clip is longer than the model takes, and not to be cut.

    Examples
    --------
    >>> edit = modgap.Intervention(rule="angle", tokens="all")              # doctest: +SKIP
    >>> modgap.answer(model, clip, edit, transcript="what is up").text      # doctest: +SKIP
    """
    decoding: dict[str, Any] = {
        "max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed,
    }  # fmt: skip
    if isinstance(source, Prompt):
        if interventions:
            raise SettingsError("Interventions need the clip: pass it instead of a prompt.")
        return Answer.of(model, model.generate(source, progress=progress, **decoding), source.kind)
    from modgap.interventions.intervention import Intervention

    if isinstance(interventions, Intervention):
        interventions = (interventions,)
    if transcript is None and any(it.needs_words for it in interventions or ()):
        raise SettingsError(
            "Interventions move speech states towards those of the words: say what is said with "
            "transcript=..."
        )
    if transcript is None and not interventions:
        prompt = model.speech_prompt(
            source, instruction=instruction, system=system, too_long=too_long
        )
        return answer(model, prompt, progress=progress, **decoding)
    from modgap.interventions.prefill import Prefill
    from modgap.models.decoding import check_decoding, decode_rows
    from modgap.models.resume import keys_values
    from modgap.scoring.option_likelihoods import choice_probabilities

    check_decoding(max_new_tokens, temperature)
    pair = model.prepare(
        source, transcript, instruction=instruction, system=system, too_long=too_long
    )
    with model.lock:
        edited = Prefill.of(model, pair, progress=progress).run([tuple(interventions or ())])
        cache = keys_values(edited.cache)
        logits, length = edited.logits[:, 0], pair.speech.length
        (made,) = decode_rows(model, edited.cache, logits, length, progress=progress, **decoding)
        shares = choice_probabilities(model, cache, logits[0], length, transcript or "")
    return Answer.of(model, made, "speech", shares)


def verdict(answer_text: str, reference: str | None) -> Verdict | None:
    """Compare an answer with the known one by a fixed rule, not by judgement.

    Both are compared as words: lower case, without punctuation, numbers as digits, whether written
    or said in English ("1,000", "one thousand", "minus five", "third" and "3rd", "٤"; 4.0 is 4).
    The answer is right if it is the reference or has it in it as whole words, else wrong; "It is
    not Paris" therefore counts as right for "Paris", but "twenty-five" is no answer "five". What
    was only thought (`thoughts.said`) is no answer. Scripts without spaces between words (Chinese,
    Japanese, Thai, Lao, Burmese, Khmer) are compared by characters. A word that one of the two
    writes without its accents or points is the same word.

    A reference of one letter names an option. The answer's letter is then the last one that is
    announced ("The answer is B", "option (b)"), else one at the start with a mark behind it ("B.",
    "b) Paris", "(B) Paris"; "B Paris" too, but not "A mammal"), else the whole answer. An answer
    that names no option cannot be judged by its letter.

    Parameters
    ----------
    answer_text : str
    reference : str or None

    Returns
    -------
    "right", "wrong" or None
        None if there is no reference, or no option letter to compare with.

    Examples
    --------
    >>> verdict("It is Paris.", "paris")
    'right'
    >>> verdict("It is twenty-five.", "five")
    'wrong'
    >>> verdict("答案是北京。", "北京")
    'right'
    >>> verdict("A mammal", "A") is None
    True
    """
    heard = said(answer_text) or ""
    wanted = readings(reference or "")[0]
    if not wanted and not _SIGNS.search(reference or ""):
        return None
    if len(wanted) == 1 and re.fullmatch("[a-z]", wanted[0]):
        letter = _option(heard)
        if letter is None:
            return None if comparable_words(heard) else "wrong"
        return "right" if letter == wanted[0] else "wrong"
    return "right" if holds(heard, reference or "") else "wrong"


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _option(text: str) -> str | None:
    announced = list(_ANNOUNCED.finditer(text))
    match = announced[-1] if announced else _AT_START.match(text) or _ALONE.fullmatch(text)
    if match is None:
        return None
    return next(group for group in match.groups() if group is not None).lower()
