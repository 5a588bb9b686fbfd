"""What numbers of a run say together, in words: two that point in opposite directions mislead."""

from __future__ import annotations

import math

from modgap.gap.per_question import NAMES, Auc, Logistic

__all__ = ["reading"]


def reading(area: Auc, made: Logistic, *, higher_fails: bool = False) -> str:
    """What the AUC and the adjusted odds ratio say together, in words.

    The AUC takes the measure alone, the regression at equal clip length and word error rate; they
    may point in opposite directions, and then the AUC's is that of what goes with the measure.

    Parameters
    ----------
    area : Auc
    made : Logistic
        Of the same questions.
    higher_fails : bool
        As in `auc`: for distances.

    Returns
    -------
    str
        Empty where one of the two is undefined.
    """
    rows = made.table[made.table["term"] == NAMES["measure"]]
    if area.reason or not math.isfinite(area.value) or rows.empty:
        return ""
    others = " and ".join(NAMES[t] for t in NAMES if NAMES[t] in set(made.table["term"][1:]))
    adjusted = f"at equal {others}" if others else "in the regression"
    ratio, low, high = (float(rows[c].iloc[0]) for c in ("odds_ratio", "low", "high"))
    open_ = low <= 1 <= high
    unsure = area.low <= 0.5 <= area.high
    alone_low, then_low = area.value > 0.5, (ratio > 1) == higher_fails
    if alone_low == then_low:
        side = "less" if alone_low else "more"
        said = f"Both point the same way: failed questions are {side} similar, alone and {adjusted}"
        weak = [name for name, flag in (("AUC", unsure), ("odds ratio", open_)) if flag]
        tail = (
            f"; the 95 % interval of the {' and of the '.join(weak)} holds no effect"
            if weak
            else ""
        )
        return f"{said}{tail}."
    first, second = ("less", "more") if alone_low else ("more", "less")
    cause = (
        f"so the AUC is to be put down to {others}, which go with similarity"
        if others
        else "so the two do not support one reading"
    )
    return (
        f"The two point in opposite directions: alone, failed questions are {first} similar (AUC "
        f"{area.value:.2f}); {adjusted}, {second} similar ones fail more (odds ratio {ratio:.2f} "
        f"per SD, 95 % {low:.2f} to {high:.2f}"
        + (", which holds 1: nothing is left of it" if open_ else "")
        + f"), {cause}."
    )
