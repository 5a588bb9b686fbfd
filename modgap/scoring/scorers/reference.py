"""Short known answers: `modgap.scoring.answers.verdict`'s rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modgap.scoring.answers import verdict
from modgap.scoring.scorers.base import Verdict, more_references, unparsed
from modgap.scoring.thoughts import CUT, said

__all__ = ["score_reference"]


def score_reference(response: str, reference: str, meta: Mapping[str, Any]) -> Verdict:
    """Right if the reference, or one of ``meta["references"]``, is in the answer as whole words.

    ``references`` is a list; a text is one reference.

    VoiceBench decides SD-QA by a trained matcher and a judge, so there is no expected score.
    """
    heard = said(response)
    if heard is None:
        return unparsed(CUT)
    if not heard.strip():
        return unparsed("empty")
    found = {r: verdict(heard, r) for r in (reference, *more_references(meta)) if r}
    right = next((r for r, v in found.items() if v == "right"), None)
    if right is not None:
        return Verdict(True, right, "words")
    if not found or all(v is None for v in found.values()):
        # A reference of one letter, and an answer that names none; or no reference at all.
        return unparsed("no option named") if found else Verdict(None, None, "no reference")
    return Verdict(False, " ".join(heard.split()), "words")
