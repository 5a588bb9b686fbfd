"""Adaptive interventions: what to change, and on which clips, chosen on a part of the data.

The source leaves this to future work. The choice is made on a tuning split: rule, layer, tokens,
strength, and a threshold on how well a clip is aligned (its layer-0 path similarity, known without
any reference), below which the intervention is applied at all. The criterion is the number of
right answers on the tuning split; of equals, the one that touches fewer clips, then the earlier.
Controls are never chosen, only reported beside the choice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modgap.core.errors import SettingsError
from modgap.evaluation.interventions.question_outcomes import (
    CONTROLS,
    PLAIN,
    RULES_OF_THE_SOURCE,
    TEXT,
    interval,
    summary,
)
from modgap.interventions.intervention import Intervention, Stack

__all__ = [
    "ADAPTIVE", "Choice", "choice_sentence", "choose", "evaluate", "grid", "shown", "split",
]  # fmt: skip

ADAPTIVE = "adaptive"
#: Shares of the tuning split's clips to which an intervention may be applied, worst aligned first.
SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Choice:
    """What the tuning split says.

    Attributes
    ----------
    variant : str
        Name of the variant; ``"none"`` if nothing helped.
    threshold : float
        Applied to clips whose ``aps`` is at most this.
    tuned_right, plain_right, n : int
        Right answers on the tuning split with it and without any, of n.
    """

    variant: str
    threshold: float
    tuned_right: int
    plain_right: int
    n: int

    def touches(self, aps: np.ndarray) -> np.ndarray:
        """Which clips it is applied to, by their ``aps``: float (n,) to bool (n,)."""
        return np.asarray(aps) <= self.threshold


def grid(
    n_layers: int,
    rules: Sequence[str] = ("angle", "length", "both"),
    tokens: Sequence[str] = ("bottom-3", "all"),
    strengths: Sequence[float] = (0.5, 1.0),
    path_layer: int | None = None,
) -> dict[str, Stack]:
    """Candidates by name: rules x {embeddings, a quarter, a half up} x tokens x strengths.

    Their pairs are of `path_layer`'s path; None is each one's own layer.
    """
    layers = sorted({0, n_layers // 4, n_layers // 2})
    made = [
        Intervention.from_dict(
            {
                "rule": rule,
                "layers": [layer],
                "tokens": which,
                "strength": alpha,
                "path_layer": path_layer,
            }
        )
        for rule in rules
        for layer in layers
        for which in tokens
        for alpha in strengths
    ]
    return {it.to_text(): (it,) for it in made}


def split(items: Sequence[str], share: float = 1 / 3) -> tuple[list[str], list[str]]:
    """Items of the tuning split and the others, by a hash of their names.

    Raises
    ------
    SettingsError
        One of the two would be empty.
    """
    names = list(dict.fromkeys(items))
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"tuning|{name}".encode()).hexdigest())
    count = round(share * len(ranked))
    if not 0 < count < len(ranked):
        raise SettingsError(f"{len(ranked)} questions cannot be split: give at least 2.")
    return ranked[:count], ranked[count:]


def choose(table: pd.DataFrame) -> Choice:
    """Choose variant and threshold on the outcomes of the tuning split (see the module).

    `outcomes.CONTROLS` may be among the outcomes; they are no candidates.
    """
    wide = table.pivot(index="item", columns="variant", values="right").astype(bool)
    aps = table.drop_duplicates("item").set_index("item")["aps"].loc[wide.index].to_numpy()
    plain = wide[PLAIN].to_numpy()
    best = Choice(PLAIN, -np.inf, int(plain.sum()), int(plain.sum()), len(plain))
    touched_best = 0
    candidates = [name for name in wide.columns if name not in (PLAIN, TEXT, *CONTROLS)]
    for name in sorted(candidates):
        for share in SHARES:
            threshold = float(np.quantile(aps, share))
            touched = aps <= threshold
            right = int(np.where(touched, wide[name].to_numpy(), plain).sum())
            count = int(touched.sum())
            if (right, -count) > (best.tuned_right, -touched_best):
                best = Choice(name, threshold, right, int(plain.sum()), len(plain))
                touched_best = count
    return best


def evaluate(
    table: pd.DataFrame, share: float = 1 / 3, seed: int = 0
) -> tuple[Choice, pd.DataFrame]:
    """Choose on the tuning split, report on the rest.

    Parameters
    ----------
    table : DataFrame
        `outcomes` of all candidates, and of the fixed variants and controls to compare with.
    share : float
        Of the questions that go into the tuning split.

    Returns
    -------
    choice : Choice
    report : DataFrame
        `summary` on the other questions, with a variant ``"adaptive"``, and of each variant:
        ``touched``, to how many of the questions it is applied, and how far adaptive is ahead of
        it on the same questions: ``ahead`` (difference of accuracies) with ``ahead_low`` and
        ``ahead_high`` (95 %, paired as `summary`'s change). The choice is taken as given: the
        intervals do not hold what another tuning split would have chosen.
    """
    tuning, test = split(list(table["item"]), share)
    choice = choose(table[table["item"].isin(tuning)])
    rest = table[table["item"].isin(test)]
    chosen = rest[rest["variant"] == choice.variant].set_index("item")
    plain = rest[rest["variant"] == PLAIN].set_index("item")
    touched = choice.touches(plain["aps"].to_numpy())
    adaptive = plain.copy()
    adaptive["right"] = np.where(touched, chosen.loc[plain.index, "right"], plain["right"])
    adaptive["answer"] = np.where(touched, chosen.loc[plain.index, "answer"], plain["answer"])
    adaptive = adaptive.assign(variant=ADAPTIVE).reset_index()
    both = pd.concat([rest, adaptive[list(rest.columns)]])
    report = summary(both, seed=seed)
    counts = {PLAIN: 0, TEXT: 0, ADAPTIVE: int(touched.sum())}
    report["touched"] = [counts.get(name, len(plain)) for name in report["variant"]]
    wide = both.pivot(index="item", columns="variant", values="right").astype(float)
    ahead = [(wide[ADAPTIVE] - wide[name]).to_numpy() for name in report["variant"]]
    report["ahead"] = [difference.mean() for difference in ahead]
    report[["ahead_low", "ahead_high"]] = [interval(difference, seed) for difference in ahead]
    return choice, report


def choice_sentence(choice: Choice, report: pd.DataFrame) -> str:
    """What the tuning split chose, and how much of the rest it touches."""
    tuned = f"{choice.tuned_right} of {choice.n} right on the tuning split"
    if choice.variant == PLAIN:
        return f"nothing, as no candidate helped ({tuned})"
    touched, n = report.loc[report["variant"] == ADAPTIVE, ["touched", "n"]].to_numpy()[0]
    return (
        f"{choice.variant} where the path's similarity is at most {choice.threshold:.3f} "
        f"({tuned}, {choice.plain_right} without); on the rest it touches {touched} of {n} "
        "questions"
    )


def shown(choice: Choice, report: pd.DataFrame) -> pd.DataFrame:
    """The rows worth printing: the chosen rule everywhere, but not all that it was chosen from."""
    kept = [PLAIN, TEXT, *RULES_OF_THE_SOURCE, *CONTROLS, choice.variant, ADAPTIVE]
    return report[report["variant"].isin(kept)]
