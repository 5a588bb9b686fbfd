"""BIG-Bench Hard as VoiceBench has it: yes or no, or the first of two sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .base import Verdict, unparsed
from .choices import find_option
from .text import plain

__all__ = ["score_bbh"]

_STATED = re.compile(
    r"\b(?:answer|conclusion|response)(?:\s+(?:to|is|would\s+be|should\s+be|must\s+be|here)\b"
    r"(?:[^.\n]{0,60}?\bis\b)?|\s*:)\s*(?:\w+ly,?\s+|a\s+|an\s+)?[\s:\"'(\[]*(yes|no)\b"
)
_START = re.compile(r"[\s\"'(\[]*(yes|no)\b(?!\s+(?:one|doubt|matter|problem|question|wonder))")
_END = re.compile(r"\b(yes|no)[\s.!\"')\]]*$")
_NOT = r"(?:not|never|n't|cannot|unable\s+to|fails?\s+to)"
#: Task, and what says yes or no in it; a "no" that holds the words of a "yes" comes first.
_PHRASES = {
    "sports_understanding": (
        rf"\bimplausible\b|\bunplausible\b|\bunlikely\b|\b(?:{_NOT}|isn't|doesn't)\b[^.\n]{{0,20}}"
        r"\b(?:plausible|possible|make\s+sense|likely|something)\b|\bmakes\s+no\s+sense\b",
        r"\bplausible\b|\bmakes?\s+(?:perfect\s+)?sense\b|\bpossible\b",
    ),
    "navigate": (
        rf"\b(?:do|does|did|will|would|are|is|were)\s*(?:you\s+)?{_NOT}\b[^.\n]{{0,30}}"
        r"\b(?:return|back|end\s+up|at\s+the\s+(?:same|starting|original))"
        rf"|\b(?:don't|doesn't|didn't|won't|wouldn't|aren't|isn't)\b[^.\n]{{0,30}}"
        r"\b(?:return|back|end\s+up|at\s+the\s+(?:same|starting|original))",
        r"\breturn(?:s|ed)?\s+to\s+(?:the\s+|your\s+|my\s+|their\s+)?(?:start|origin|same)"
        r"|\b(?:back|end\s+up|ended\s+up|are|is|be)\s+(?:back\s+)?(?:at|where|to)\s+"
        r"(?:(?:you|i|we|they)\s+(?:started|began)|(?:the|your|my)\s+(?:same|starting|original|"
        r"origin))",
    ),
    "web_of_lies": (
        r"\b(?:lies|lied|lying|a\s+liar|untruthful|dishonest)\b"
        r"|(?:\bnot\b|n't)\s+(?:be\s+)?(?:tell(?:ing)?\s+the\s+truth|truthful|honest)",
        r"\b(?:tells?|told|telling)\s+the\s+truth\b|\btruthful\b|\bhonest\b",
    ),
}


def score_bbh(response: str, reference: str, meta: Mapping[str, Any]) -> Verdict:
    """Right if the answer's yes or no, or its sentence (a) or (b), is the reference's.

    For yes and no the first of these rules decides that finds one: ``stated`` ("the answer is
    no", the last one), ``start``, ``end``, ``phrase`` (the task's own words for it, such as "not
    plausible" or "is lying"; the last one). Sentences go by the rules of the multiple choice.

    Parameters
    ----------
    response, reference : str
        The reference is yes, no, (A) or (B).
    meta : mapping
        ``id``: VoiceBench's, which names the task (``bbh_navigate_147``).

    Returns
    -------
    Verdict
        ``expected`` of an unparsed answer is 1 / 2, as VoiceBench draws one of two.
    """
    wanted = reference.strip().strip("().").lower()
    if wanted not in ("yes", "no", "a", "b"):
        return Verdict(None, None, "the reference is not yes, no, (a) or (b)")
    if wanted in "ab":
        letter, rule = _sentence(response)
        found = letter.lower() if letter else None
    else:
        found, rule = _yes_or_no(response, str(meta.get("id", "")))
    if found is None:
        return unparsed(rule, 0.5)
    return Verdict(found == wanted, found, rule, float(found == wanted))


def _sentence(response: str) -> tuple[str | None, str]:
    letter, rule = find_option(response, "AB")
    if letter is not None or rule == "empty":
        return letter, rule
    ordinal = {
        m.lower()
        for m in re.findall(r"(?i)\bthe (first|second) (?:option|sentence|one)\b", response)
    }
    if len(ordinal) == 1:
        return {"first": "A", "second": "B"}[ordinal.pop()], "ordinal"
    return None, rule


def _yes_or_no(response: str, name: str) -> tuple[str | None, str]:
    text = plain(response).lower().strip()
    if not text:
        return None, "empty"
    stated = _STATED.findall(text)
    if stated:
        return stated[-1], "stated"
    for pattern, rule in ((_START, "start"), (_END, "end")):
        match = pattern.match(text) if rule == "start" else pattern.search(text)
        if match:
            return match[1], rule
    for task, (no, yes) in _PHRASES.items():
        if task in name:
            found = [(m.end(), "no") for m in re.finditer(no, text)]
            covered = [(m.start(), m.end()) for m in re.finditer(no, text)]
            found += [
                (m.end(), "yes")
                for m in re.finditer(yes, text)
                if not any(a < m.end() and m.start() < b for a, b in covered)
            ]
            if found:
                return max(found)[1], "phrase"
    return None, "neither yes nor no"
