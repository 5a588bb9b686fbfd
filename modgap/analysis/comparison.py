"""The answer before an intervention, after it, and to the text; and what else it changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from modgap.analysis.export import records
from modgap.core.progress import Steps
from modgap.core.settings import AnalysisSettings
from modgap.core.views import Viewed
from modgap.interventions.intervention import Intervention, Stack
from modgap.interventions.prefill import BATCH, Edits, Prefill
from modgap.measures.tables import layer_measures
from modgap.models.decoding import check_decoding, decode_rows
from modgap.models.resume import keys_values, repeated
from modgap.scoring.answers import Answer
from modgap.scoring.option_likelihoods import choice_probabilities

if TYPE_CHECKING:
    from modgap.core.progress import Progress

__all__ = ["Comparison", "compare_variants", "kl_divergence"]

_PAIR = ("intervention", "i", "j", "piece", "start", "end", "value", "used")
_CURVES = ("cosine", "euclidean", "aps_cos", "aps_euc", "monotonicity")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Viewed):
    """One stack of interventions on one clip.

    Attributes
    ----------
    interventions : tuple of Intervention
    transcript : str
    before, after, text : Answer
        To the speech as it is, to the edited speech, and to the transcript; same settings. Without
        a transcript (empty) `text` is None, and `pairs` and `layers` have no rows.
    kl_before, kl_after : float
        KL(p_text || p_speech) of the first token's distributions, in nats: how far the answer to
        the speech is from the answer to the text; NaN without a transcript.
    pairs : DataFrame
        One row a pair chosen: ``intervention`` (its number), ``i``, ``j``, ``piece``, ``start``,
        ``end`` (s), ``value`` (cosine or distance in the path's layer), ``used`` (False for a
        pair whose speech position goes with a nearer text token).
    layers : DataFrame
        One row a layer: ``layer`` and, each ``_before`` and ``_after``, ``cosine``, ``euclidean``,
        ``aps_cos``, ``aps_euc``, ``monotonicity`` between speech and text (level L finally normed).
    """

    interventions: Stack
    transcript: str
    before: Answer
    after: Answer
    text: Answer | None
    kl_before: float
    kl_after: float
    pairs: pd.DataFrame
    layers: pd.DataFrame

    @property
    def changed(self) -> bool:
        """Whether the answer's text is another."""
        return self.before.text != self.after.text

    def to_dict(self) -> dict[str, Any]:
        """The comparison in JSON's terms; undefined numbers are None."""
        return {
            "interventions": [it.to_dict() for it in self.interventions],
            "transcript": self.transcript,
            "answers": {
                name: _answer_dict(given)
                for name in ("before", "after", "text")
                if (given := getattr(self, name)) is not None
            },
            "changed": self.changed,
            "kl_before": self.kl_before if self.text else None,
            "kl_after": self.kl_after if self.text else None,
            "pairs": records(self.pairs),
            "layers": records(self.layers),
        }


def compare_variants(
    prefill: Prefill,
    variants: Sequence[Sequence[Intervention]],
    settings: AnalysisSettings | None = None,
    *,
    progress: Progress | None = None,
) -> list[Comparison]:
    """Several stacks on one clip, in batches; see `modgap.compare`.

    The plain answers are given once, and nothing that a variant cannot change is computed again.
    """
    chosen = settings or AnalysisSettings()
    check_decoding(chosen.max_new_tokens, chosen.temperature)
    steps = Steps(progress)
    model, pair = prefill.model, prefill.pair
    length = pair.speech.length
    before, text = _plain_answers(prefill, chosen, steps.part(0.0, 0.4, "plain answers"))
    # Most edits leave the answer as it was, or make it the text's.
    expected = [given.token_ids for given in (before, text) if given is not None]
    told = prefill.told

    def kl(logits: torch.Tensor) -> float:
        return kl_divergence(prefill.text_logits[0], logits) if told else math.nan

    kl_before = kl(prefill.logits[0])
    if "curves" not in prefill.memo:
        prefill.memo["curves"] = _curves(prefill, None, "before")
    base, levels = prefill.memo["curves"], np.arange(model.n_layers + 1 if told else 0)
    found: list[Comparison] = []
    total = max(1, len(variants))
    for start in range(0, len(variants), BATCH):
        part = [tuple(stack) for stack in variants[start : start + BATCH]]
        share = (start / total, (start + len(part)) / total)
        report = steps.part(0.4 + 0.6 * share[0], 0.4 + 0.6 * share[1], "edited")
        # One lock over the passes of a batch, so that no other pass comes between them.
        with model.lock:
            edited = prefill.run(part, states=True, progress=report)
            grown = keys_values(edited.cache)
            made = decode_rows(
                model, edited.cache, edited.logits[:, 0], length, progress=report,
                drafts=expected, **chosen.decoding,
            )  # fmt: skip
            assert edited.states is not None
            for v, stack in enumerate(part):
                one = [(k[v : v + 1], w[v : v + 1]) for k, w in grown]
                logits, states = edited.logits[v, 0], tuple(h[v] for h in edited.states)
                shares = choice_probabilities(model, one, logits, length, pair.transcript)
                found.append(
                    Comparison(
                        interventions=stack,
                        transcript=pair.transcript,
                        before=before,
                        after=Answer.of(model, made[v], "speech", shares),
                        text=text,
                        kl_before=kl_before,
                        kl_after=kl(logits),
                        pairs=_pair_table(prefill, edited.edits[v]),
                        layers=pd.DataFrame(
                            {"layer": levels, **base, **_curves(prefill, states, "after")}
                        ),
                    )
                )
    return found


def kl_divergence(p: torch.Tensor, q: torch.Tensor) -> float:
    """KL(p || q) in nats of two distributions given as logits (V,)."""
    p, q = p.double().log_softmax(-1).cpu(), q.double().log_softmax(-1).cpu()
    return max(0.0, float((p.exp() * (p - q)).sum()))


def _plain_answers(
    prefill: Prefill, s: AnalysisSettings, progress: Progress | None
) -> tuple[Answer, Answer | None]:
    known = ("answers", *s.decoding.items())
    if known in prefill.memo:
        return prefill.memo[known]
    out: list[Answer | None] = []
    for kind, cache, logits in (
        ("speech", prefill.kept, prefill.logits),
        ("text", prefill.text_kept, prefill.text_logits),
    ):
        length = getattr(prefill.pair, kind).length
        if not length:
            out.append(None)
            continue
        with prefill.model.lock:
            (made,) = decode_rows(
                prefill.model,
                repeated(cache, 1),
                logits[:1],
                length,
                progress=progress,
                **s.decoding,
            )
            shares = choice_probabilities(
                prefill.model, cache, logits[0], length, prefill.pair.transcript
            )
            out.append(Answer.of(prefill.model, made, kind, shares))
    assert out[0] is not None
    prefill.memo[known] = out[0], out[1]
    return out[0], out[1]


def _curves(
    prefill: Prefill, states: Sequence[torch.Tensor] | None, name: str
) -> dict[str, npt.NDArray[np.float64]]:
    """Columns of `Comparison.layers`: a table a variant would cost as much as measuring it."""
    if not prefill.told:
        return {f"{c}_{name}": np.zeros(0) for c in _CURVES}
    found = layer_measures(*prefill.measured(states))
    return {f"{c}_{name}": np.asarray(found[c], np.float64) for c in _CURVES}


def _pair_table(prefill: Prefill, edits: Edits) -> pd.DataFrame:
    times, pieces = prefill.pair.speech.times, prefill.pair.text.pieces
    assert times is not None
    assert pieces is not None
    columns: dict[str, list[Any]] = {name: [] for name in _PAIR}
    for number, edit in enumerate(edits):
        if not len(edit.pairs):  # a map on positions of no word
            continue
        it = edit.intervention
        matrix = prefill.path(it.source_layer, it.path, it.measure).matrix
        used = set(zip(edit.rows.tolist(), edit.columns.tolist(), strict=True))
        for i, j in edit.pairs.tolist():
            row = (number, i, j, pieces[j], float(times[i, 0]), float(times[i, 1]),
                   float(matrix[i, j]), (i, j) in used)  # fmt: skip
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
    return pd.DataFrame(columns)


def _answer_dict(answer: Answer) -> dict[str, Any]:
    return {
        "text": answer.text,
        "tokens": list(answer.tokens),
        "logprobs": list(answer.logprobs),
        "finished": answer.finished,
        "top": [list(item) for item in answer.top],
        "options": [list(item) for item in answer.options],
    }
