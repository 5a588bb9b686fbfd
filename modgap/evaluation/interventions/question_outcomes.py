"""Many interventions on many questions: who answers right, before and after."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modgap.analysis.heard import OWN, heard_or_nothing
from modgap.analysis.session import Session
from modgap.core.errors import ModgapError, SettingsError
from modgap.core.settings import AnalysisSettings
from modgap.interventions.intervention import Intervention, Stack
from modgap.interventions.prefill import BATCH, Prefill, check_stack
from modgap.models.decoding import decode_rows
from modgap.models.resume import repeated
from modgap.scoring.scorers import score
from modgap.speech.recognizers import load_recognizer

if TYPE_CHECKING:
    from modgap.models.base import Generation, Markers, Progress, SpeechLM
    from modgap.scoring.question import Question
    from modgap.speech.base import Recognizer

__all__ = [
    "CONTROLS", "HEARD", "RULES_OF_THE_SOURCE", "gains",
    "interval", "judgeable", "outcomes", "summary",
]  # fmt: skip

log = logging.getLogger(__name__)

#: The rows of the source's Table 1.
RULES_OF_THE_SOURCE: dict[str, Stack] = {
    f"{rule}, {tokens}": (Intervention(rule=rule, tokens=tokens),)
    for rule in ("angle", "length")
    for tokens in ("bottom-3", "all")
}
#: What they are to be held against.
CONTROLS: dict[str, Stack] = {
    "angle, random-3": (Intervention(tokens="random-3"),),
    "random direction, bottom-3": (Intervention(rule="random"),),
    "random direction, all": (Intervention(rule="random", tokens="all"),),
    "mean shift, all": (Intervention(rule="mean", tokens="all"),),
    "patch, all": (Intervention(rule="patch", tokens="all"),),
}
PLAIN, TEXT = "none", "text"
HEARD = " (heard by {})"
RESAMPLES = 9999


def outcomes(
    model: SpeechLM,
    items: Sequence[Question],
    variants: Mapping[str, Stack],
    settings: AnalysisSettings | None = None,
    *,
    heard_by: Sequence[str] = (),
    text_markers: Markers = "drop",
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Let a model answer every item under every variant.

    Parameters
    ----------
    model : SpeechLM
    items : sequence of Question
    variants : mapping of name to stack
        ``"none"`` (the speech as it is) and ``"text"`` are always there beside them.
    settings : AnalysisSettings, optional
        Its prompt and decoding settings; an item's own instruction counts. Its `markers` are those
        of the pair, towards whose text the interventions go.
    text_markers : "keep" or "drop"
        Those of the text that is answered as ``"text"``: by default the typed message.
    heard_by : sequence of str
        Who hears the words, ``"own"`` or a recogniser (`modgap.analysis.heard`): every variant
        that looks at words is tried with these, too, in the place of the transcript, under
        ``"VARIANT (heard by WHO)"``. Where nothing is heard, nothing is changed.
    progress : callable (fraction, note), optional
        Called before each item; may raise `Cancelled`.

    Returns
    -------
    DataFrame
        One row an item and variant: ``item``, ``group``, ``variant``, ``answer``, ``finished``
        (bool; False where the budget cut it), ``right`` (bool; an unparsed answer is wrong),
        ``markers`` (of the text prompt, of ``"text"``; else of the pair's), ``aps`` (mean
        similarity of the layer-0 argmax path of the plain run: how well the clip is aligned where
        the source edits). An item that cannot be run, or whose answers cannot be judged
        (`judgeable`), is left out, with a warning.

    Raises
    ------
    SettingsError
        An intervention does not fit the model, or no item can be judged.
    """
    chosen = settings or AnalysisSettings(max_new_tokens=12)
    for stack in variants.values():
        check_stack(model, stack)
    names, stacks = list(variants), list(variants.values())
    wordy = [name for name in names if any(it.needs_words for it in variants[name])]
    who = {name: name if name == OWN else load_recognizer(name) for name in heard_by}
    names += [name + HEARD.format(ears) for ears in who for name in wordy]
    misheard = [variants[name] for name in wordy]
    rows = []
    items = judgeable(items)
    for number, item in enumerate(items):
        if progress is not None:
            progress(number / len(items), f"question {number + 1} of {len(items)}")
        try:
            made, aps = _answers(
                model, item, stacks, chosen, text_markers, misheard, tuple(who.values())
            )
        except ModgapError as problem:
            log.warning("%s is left out: %s", item.id, problem)
            continue
        for name, answer in zip((PLAIN, TEXT, *names), made, strict=True):
            right = score(item, answer.text).correct is True
            marked = text_markers if name == TEXT else chosen.markers
            said = (answer.text.strip(), answer.finished)
            rows.append((item.id, _group(item), name, *said, right, marked, aps))
    columns = ("item", "group", "variant", "answer", "finished", "right", "markers", "aps")
    return pd.DataFrame(rows, columns=list(columns))


def judgeable(items: Sequence[Question]) -> list[Question]:
    """The items whose answers a rule can judge; a warning says how many others there are.

    Raises
    ------
    SettingsError
        There are none; the message says what to do.
    """
    # What a scorer leaves open it leaves open for the question's sake, whatever the answer.
    verdicts = [score(item, "answer") for item in items]
    found = [item for item, v in zip(items, verdicts, strict=True) if v.correct is not None]
    if len(found) == len(items):
        return found
    reasons = Counter(v.rule for v in verdicts if v.correct is None)
    why = ", ".join(f"{count} x {rule}" for rule, count in reasons.items())
    if not found:
        raise SettingsError(
            f"No answer to these questions can be judged by a rule ({why}). Use questions with "
            "known answers and a scorer other than judge; for open questions, `modgap eval "
            "--intervention ...` keeps the answers for a judge of your own."
        )
    log.warning(
        "%d of %d questions are left out: no rule can judge their answers (%s).",
        len(items) - len(found), len(items), why,
    )  # fmt: skip
    return found


def _group(item: Question) -> str:
    """The first thing that the data set tells its questions apart by."""
    return next((value for name, value in item.groups.items() if name != "item"), "")


def _answers(
    model: SpeechLM,
    item: Question,
    stacks: Sequence[Stack],
    s: AnalysisSettings,
    text_markers: Markers,
    misheard: Sequence[Stack],
    who: Sequence[str | Recognizer],
) -> tuple[list[Generation], float]:
    s = replace(s, instruction=item.instruction or s.instruction)
    clip = item.load()
    session = Session(model, clip, item.transcript, s)
    pair, kept = session.pair, session.plain
    with model.lock:
        cache = repeated(kept.kept, 1)
        made = decode_rows(model, cache, kept.logits[:1], pair.speech.length, **s.decoding)
        typed = model.text_prompt(item.transcript, **{**s.prompt, "markers": text_markers})
        made.append(model.generate(typed, **s.decoding))
        made += _edited(kept, stacks, s)
        for ears in who:
            words = heard_or_nothing(model, clip, ears, too_long=s.too_long)
            if words:
                made += _edited(Session(model, clip, words, s).plain, misheard, s)
            else:  # nothing to move towards
                made += [made[0]] * len(misheard)
    return made, float(kept.path(0, "argmax", "cosine").value.mean())


def _edited(kept: Prefill, stacks: Sequence[Stack], s: AnalysisSettings) -> list[Generation]:
    made = []
    for start in range(0, len(stacks), BATCH):
        edited = kept.run(stacks[start : start + BATCH])
        length = kept.pair.speech.length
        made += decode_rows(kept.model, edited.cache, edited.logits[:, 0], length, **s.decoding)
    return made


def summary(table: pd.DataFrame, against: str = PLAIN, seed: int = 0) -> pd.DataFrame:
    """Accuracies of `outcomes`, and how each variant differs from one of them.

    Returns
    -------
    DataFrame
        One row a variant: ``variant``, ``n``, ``accuracy``, ``low``, ``high`` (95 %), and against
        `against`, on the same questions: ``change`` with ``change_low``, ``change_high``, and how
        many were ``fixed`` (wrong before, right now) and ``broken``. Intervals are percentile
        bootstraps over questions (9,999 resamples, paired for the change).
    """
    wide = table.pivot(index="item", columns="variant", values="right").astype(float)
    base = wide[against].to_numpy()
    rows = []
    for name in dict.fromkeys(table["variant"]):
        right = wide[name].to_numpy()
        change = right - base
        rows.append(
            {
                "variant": name,
                "n": len(right),
                "accuracy": right.mean(),
                **dict(zip(("low", "high"), interval(right, seed), strict=True)),
                "change": change.mean(),
                **dict(zip(("change_low", "change_high"), interval(change, seed), strict=True)),
                "fixed": int((change > 0).sum()),
                "broken": int((change < 0).sum()),
            }
        )
    return pd.DataFrame(rows)


def gains(summaries: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What each variant gains against the model's own accuracy on speech, model by model.

    Parameters
    ----------
    summaries : mapping of a model's name to its `summary`

    Returns
    -------
    DataFrame
        One row a model and variant, the weakest model first: ``model``, ``own`` (accuracy on the
        speech as it is), ``variant``, ``n``, ``change``, ``change_low``, ``change_high``.
    """
    parts = []
    for name, table in summaries.items():
        own = float(table.loc[table["variant"] == PLAIN, "accuracy"].iloc[0])
        rows = table[~table["variant"].isin([PLAIN, TEXT])]
        part = rows[["variant", "n", "change", "change_low", "change_high"]].copy()
        part.insert(0, "own", own)
        part.insert(0, "model", name)
        parts.append(part)
    if not parts:
        raise SettingsError("There is no model to compare.")
    return pd.concat(parts).sort_values("own", kind="stable").reset_index(drop=True)


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The mean's 95 % interval: a percentile bootstrap of `RESAMPLES` resamples.

    Parameters
    ----------
    values : ndarray float, shape (n,)
        One a question, n at least 1.
    seed : int
        Of the resampling.

    Returns
    -------
    low, high : float
        In the unit of the values; both the mean where all values are the same.
    """
    from scipy.stats import bootstrap

    if len(values) < 2 or np.ptp(values) == 0:
        return float(values.mean()), float(values.mean())
    made = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=seed, batch=512
    )
    return float(made.confidence_interval.low), float(made.confidence_interval.high)
