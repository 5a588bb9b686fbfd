"""BIG-Bench Hard as VoiceBench has it: yes or no, or the first of two sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modgap.scoring.scorers.base import Verdict, unparsed
from modgap.scoring.scorers.choices import find_option
from modgap.scoring.scorers.text import plain, without_courtesy
from modgap.scoring.thoughts import CUT, said

__all__ = ["score_bbh"]

_STATED = re.compile(
    r"\b(?:answer|conclusion|response)(?:\s+(?:to|is|would\s+be|should\s+be|must\s+be|here|as)\b"
    r"(?:[^.\n]{0,60}?\bis\b)?|\s*:)?\s*(?:\w+ly,?\s+|a\s+|an\s+)?(?:\\boxed\s*\{|[\s:\"'(\[]){0,8}"
    r"(yes|no|true|false)\b(?!\s+(?:one|doubt|matter|problem|question|wonder))"
)
_START = re.compile(r"[\s\"'(\[]*(yes|no)\b(?!\s+(?:one|doubt|matter|problem|question|wonder))")
_END = re.compile(r"\b(yes|no)[\s.!\"')\]]*$")
# "Yes or no" is a question, and so is what stands with it or before a question mark.
_WORD = r"[\"'(\[]*(?:yes|no|true|false)[\"')\]]*"
_EITHER = re.compile(
    rf"\b(?:both\s+|either\s+)?{_WORD}\s*(?:,?\s*\bor\b|\band\b|/)\s*{_WORD}(?!\w)"
)
#: Task, what says yes in it unless a negation stands before it, and what says no by itself.
_PHRASES = {
    "sports_understanding": (
        r"\b(?:plausible|possible|mak(?:e|es|ing)\s+(?:perfect\s+)?sense|likely|accurate|realistic)\b",
        r"\b(?:im|un)plausible\b|\bimpossible\b|\bunlikely\b|\bunrealistic\b|"
        r"\bmakes\s+no\s+sense\b",
    ),
    "navigate": (
        r"\b(?:return|back|end(?:ed|s)?\s+up|at|to|facing)\b[^.\n]{0,20}?\b(?:(?:start|starting|"
        r"original|initial)\s+(?:point|position|place|location)|(?:you|i|we|they)\s+(?:started|began)"
        r"|origin|start)\b",
        r"(?!)",
    ),
    "web_of_lies": (
        r"\b(?:tells?|told|telling)\s+the\s+truth\b|\btruthful\b|\bhonest\b",
        r"\b(?:lies|lied|lying|a\s+liar|untruthful|dishonest|tell(?:s|ing)?\s+(?:a|the)\s+lie)\b",
    ),
}
_NEGATION = re.compile(r"(?:\b(?:not|never|cannot|unable|fails?|nor)\b|n't\b)[^.\n;]{0,40}$")


def score_bbh(response: str, reference: str, meta: Mapping[str, Any]) -> Verdict:
    """Right if the answer's yes or no, or its sentence (a) or (b), is the reference's.

    For yes and no the first of these rules decides that finds one: ``stated`` ("the answer is
    no", the last one), ``start``, ``end``, ``phrase`` (the task's own words for it, such as "not
    plausible" or "is lying"; the last one outside a question). "Yes or no" says neither. Sentences
    go by the rules of the multiple choice.

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
    heard = said(response)
    if heard is None:
        return unparsed(CUT, 0.5)
    if wanted in "ab":
        letter, rule = _sentence(heard)
        found = letter.lower() if letter else None
    else:
        found, rule = _yes_or_no(heard, str(meta.get("id", "")))
    if found is None:
        return unparsed(rule, 0.5)
    return Verdict(found == wanted, found, rule, float(found == wanted))


def _sentence(response: str) -> tuple[str | None, str]:
    options = re.sub(r"(?i)\bsentence\s+(?=[(\"']?[ab]\b)", "option ", response)
    letter, rule = find_option(options, "AB")
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
    text = without_courtesy(plain(response).strip()).lower()
    if not text:
        return None, "empty"
    text = _EITHER.sub("…", text).strip()
    stated = _STATED.findall(text)
    if stated:
        return {"true": "yes", "false": "no"}.get(stated[-1], stated[-1]), "stated"
    for pattern, rule in ((_START, "start"), (_END, "end")):
        match = pattern.match(text) if rule == "start" else pattern.search(text)
        if match:
            return match[1], rule
    said = re.split(r"(?<=[.!?\n])", text)
    text = " ".join(s for s in said if not s.endswith("?") and "…" not in s)
    for task, (yes, no) in _PHRASES.items():
        if task in name:
            found = [(m.end(), "no") for m in re.finditer(no, text)]
            for match in re.finditer(yes, text):
                negated = _NEGATION.search(text[max(0, match.start() - 60) : match.start()])
                found.append((match.end(), "no" if negated else "yes"))
            if found:
                return max(found)[1], "phrase"
    return None, "neither yes nor no"
