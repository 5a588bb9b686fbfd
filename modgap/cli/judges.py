"""The judge that `modgap score` and `modgap runs judge` ask, from their options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modgap.core.errors import SettingsError

if TYPE_CHECKING:
    from modgap.evaluation.judging.judge import Judge

__all__ = ["JudgeMaxTokens", "JudgeSamples", "JudgeSampling", "judge_of"]

JudgeSamples = Annotated[int, typer.Option(min=1, help="A judge's replies to each answer.")]
JudgeMaxTokens = Annotated[
    int, typer.Option(min=1, help="Longest reply of a judge, what it thinks included.")
]
JudgeSampling = Annotated[
    str,
    typer.Option(
        metavar="T,P", help="A judge's temperature and top_p, or default: the endpoint's own."
    ),
]


def judge_of(url: str, model: str, key: str, samples: int, max_tokens: int, sampling: str) -> Judge:
    """The judge of a command's options.

    Raises
    ------
    SettingsError
        The sampling is no pair of numbers, or see `Judge`.
    """
    from modgap.evaluation.judging.judge import Judge

    temperature: float | None = None
    top_p: float | None = None
    if sampling != "default":
        try:
            temperature, top_p = map(float, sampling.split(","))
        except ValueError:
            raise SettingsError(
                f"--judge-sampling is a temperature and a top_p such as 0.5,0.95, or default, not "
                f"{sampling!r}."
            ) from None
    return Judge(
        url, model, key, samples=samples, temperature=temperature, top_p=top_p,
        max_tokens=max_tokens,
    )  # fmt: skip
