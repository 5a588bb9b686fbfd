"""What a row says is right: decided once, when it is read, and refused there if it cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from modgap.core.errors import SettingsError
from modgap.evaluation.data.cells import list_in, literal, shown, texts_of

__all__ = ["check_row", "references_of"]

_NO_REFERENCE = ("refusal", "ifeval", "judge")
_LISTS = ("instruction_id_list", "kwargs")


def references_of(
    where: str,
    scorer: str,
    value: Any,
    more: Any = None,
    *,
    choices: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> tuple[str, list[str]]:
    """The right answer of a row, and further ones; a list means that each of it is right.

    Parameters
    ----------
    where : str
        Of the row, for errors.
    scorer : str
    value, more : Any
        The cells ``reference`` and ``references``.
    choices, labels : sequences of str
        Options of a multiple choice, and what names them in the table, where that is given.

    Raises
    ------
    SettingsError
        One is no text, or names no option of a choice.
    """
    wanted: list[str]
    if isinstance(value, str):
        found = list_in(value)
        wanted = [value] if found is None else texts_of(where, "reference", found)
        if found is not None and not wanted:
            wanted = [value]  # "[]" is what is right, as where the question is of code
    else:
        wanted = texts_of(where, "reference", value)
    further = [] if more is None else texts_of(where, "references", more, "|")
    rest = list(dict.fromkeys(r for r in (*wanted[1:], *further) if r not in wanted[:1]))
    first = wanted[0] if wanted else ""
    if scorer == "choices":
        named = [_option(where, r, choices, labels) for r in (*wanted[:1], *rest)]
        return (named[0], named[1:]) if named else ("", [])
    return first, rest


def _option(where: str, reference: str, choices: Sequence[str], labels: Sequence[str]) -> str:
    from modgap.scoring.scorers.option_words import letter_of

    if reference in labels:
        return ascii_uppercase[labels.index(reference)]
    if letter_of(reference, choices) is not None:
        return reference
    if not choices:
        said = "none of A to D, and there are no choices"
    else:
        letters = ascii_uppercase[: len(choices)]
        said = f"neither one of the letters {letters[0]} to {letters[-1]} nor one of the choices"
        if reference.strip().lstrip("-").isdigit():
            said += " (whether an index counts from 0 or from 1 cannot be told)"
    raise SettingsError(
        f"{where} has {shown(reference)} as reference, which is {said}: write the letter or the "
        "words of the right choice."
    )


def check_row(
    where: str, scorer: str, reference: str, choices: Sequence[str], meta: dict[str, Any]
) -> None:
    """Whether an answer to the row can be scored; lists of IFEval that are text become lists.

    Raises
    ------
    SettingsError
        There is no such scorer, or it lacks something.
    """
    from modgap.scoring.scorers import check_scorer
    from modgap.scoring.words import readings

    if scorer == "ifeval":
        for name in _LISTS:
            if isinstance(meta.get(name), str):
                meta[name] = literal(meta[name]) or meta[name]
    try:
        check_scorer(scorer, meta)
    except SettingsError as problem:
        raise SettingsError(f"{where}: {problem}") from problem
    if scorer in _NO_REFERENCE:
        return
    if not reference.strip():
        raise SettingsError(f"{where} has no reference.")
    if scorer == "choices" and len(choices) == 1:
        raise SettingsError(
            f"{where} has one choice only, {shown(choices[0])}: write several with | between them."
        )
    if scorer == "bbh" and reference.strip().strip("().").lower() not in ("yes", "no", "a", "b"):
        raise SettingsError(
            f"{where} has {shown(reference)} as reference: BBH's is yes, no, (A) or (B)."
        )
    if scorer == "reference" and not any(readings(reference)) and reference.isascii():
        raise SettingsError(
            f"{where} has {shown(reference)} as reference: there is no word or number to compare."
        )
