"""The offline score of a multiple choice: by the options' probabilities, with no text to read."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from modgap.scoring.question import Question
from modgap.scoring.scorers import Verdict, score

__all__ = ["answer_options", "option_verdict", "right_options"]


def answer_options(question: Question) -> tuple[str, ...]:
    """What an answer to the question can begin with, in the order of its choices.

    The letters where the scorer asks for one, else ``meta["options"]``, else the options' words.
    Empty without choices. Their log-probabilities (`option_likelihoods.option_logprobs`) are the
    column ``option_logprob``.
    """
    if question.scorer == "choices" and len(question.choices) > 1:
        return tuple(ascii_uppercase[: len(question.choices)])
    options = tuple(question.meta.get("options") or question.choices)
    return options if len(options) > 1 else ()


def option_verdict(question: Question, logprobs: Sequence[float]) -> Verdict:
    """Right if the likeliest option is the right one; of equals, the first counts.

    Parameters
    ----------
    question : Question
    logprobs : sequence of float
        Of `answer_options`.

    Returns
    -------
    Verdict
        ``correct`` None where there are no options. A wrong answer is never for its form here.
    """
    options = answer_options(question)
    if not options or len(options) != len(logprobs):
        return Verdict(None, None, "no options")
    best = max(range(len(options)), key=lambda n: logprobs[n])
    found = score(question, options[best])
    return Verdict(found.correct, options[best], "likeliest option")


def right_options(question: Question) -> tuple[bool, ...]:
    """Whether each of `answer_options` is right by `option_verdict`, were it the likeliest."""
    count = len(answer_options(question))
    chosen = ([float(n == k) for k in range(count)] for n in range(count))
    return tuple(option_verdict(question, one).correct is True for one in chosen)
