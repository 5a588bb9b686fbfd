"""Multiple choice answered by a letter, or by an option's words (OpenBookQA, MMSU)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from modgap.scoring.scorers.base import Verdict, more_references, unparsed
from modgap.scoring.scorers.option_letters import (
    NOUN,
    in_other_scripts,
    named_letters,
    start_letter,
    stated_letter,
    without_options,
    without_refused,
)
from modgap.scoring.scorers.option_words import labelled, letter_of, option_said
from modgap.scoring.scorers.text import plain, without_courtesy
from modgap.scoring.thoughts import CUT, said

__all__ = ["find_option", "score_choices"]


def score_choices(response: str, reference: str, meta: Mapping[str, Any]) -> Verdict:
    """Right if the option that the answer names is the reference's.

    Parameters
    ----------
    response : str
    reference : str
        A letter, or the words of an option, or both.
    meta : mapping
        ``choices``: words of the options in order, where they are known; else there are four.
        ``references``: further right options.

    Returns
    -------
    Verdict
        ``extracted`` is the letter. VoiceBench's rule draws one of the letters where its templates
        match nothing, so ``expected`` is 1 / n for an unparsed answer, and for one that only says
        an option's words, which no template of it takes.
    """
    words = tuple(meta.get("choices") or ())
    letters = ascii_uppercase[: len(words) or 4]
    first = letter_of(reference, words)
    wanted = {first, *(letter_of(r, words) for r in more_references(meta))}
    if first is None:
        return Verdict(None, None, "the reference names no option")
    letter, rule = find_option(response, letters, words)
    if letter is None:
        return unparsed(rule, 1 / len(letters))
    right = letter in wanted
    return Verdict(right, letter, rule, 1 / len(letters) if rule == "words" else float(right))


def find_option(
    response: str, letters: str = "ABCD", words: Sequence[str] = ()
) -> tuple[str | None, str]:
    """The option that an answer names, and the rule that found it.

    What was only thought (`thoughts.said`) and courtesies are left out. Then the first rule that
    finds something decides:

    1. ``alone``: nothing but a letter, or "option" and a letter.
    2. ``boxed``: in LaTeX's box; the last one.
    3. ``stated``: "the answer is B", "I would choose B", "it must be B", "B is correct"; the last.
    4. ``start``: at the start with a mark behind it: "B) Paris", "B. Because a. is wrong"; unless
       other letters are marked the same way, as where the options are only repeated.
    5. ``only``: of all letters that are marked as one ("(B)", "option B", "B.", a Latin letter in
       another script), there is one.
    6. ``end``: the last sentence is a letter.
    7. ``words``: the words of one option, and of no other, are in the answer: as whole words and
       whole numbers, by characters in scripts without spaces.

    A letter that is negated ("not B", "rather than B") or is one of several ("B or C", "both A and
    B") is none, and so is one that is part of an option's own words ("Vitamin C").

    Returns
    -------
    (str, str) or (None, str)
        Without an option, why there is none.

    Examples
    --------
    >>> find_option("The answer is a mammal, so B.")
    ('B', 'stated')
    >>> find_option("It depends.")
    (None, 'no option named')
    """
    heard = said(response)
    if heard is None:
        return None, CUT
    text = without_courtesy(plain(heard).strip())
    if not text:
        return None, "empty"
    words, digits = labelled(words)
    one = f"[{letters}{letters.lower()}]"
    bare = text.strip("".join({c for c in text if not c.isalnum()}))
    alone = re.fullmatch(rf"(?:(?i:{NOUN})[\W_]{{1,8}})?({one})", bare)
    if alone:
        return alone[1].upper(), "alone"
    if digits:
        label = re.fullmatch(
            rf"(?i:(?:.{{0,40}}\b{NOUN}|number)(?:\W|\bis\b){{1,8}})?([{digits}])", bare
        )
        if label:
            return letters[digits.index(label[1])], "alone"
    spoken = option_said(text, words)
    text, several = without_refused(without_options(text, letters, words), letters)
    boxed = re.findall(rf"\\boxed\s*\{{\W*({one})(?!\w)", text)
    if boxed:
        return boxed[-1].upper(), "boxed"
    for find, rule in ((stated_letter, "stated"), (start_letter, "start")):
        letter = find(text, letters)
        if letter:
            return letter, rule
    named = named_letters(text, letters) | in_other_scripts(text, letters)
    if len(named) == 1:
        return named.pop(), "only"
    end = re.search(rf"(?:[.!?:;,…\n]|\A)[\s(\[\"'*]*({one})[\s()\[\]\"'*.!]*\Z", text)
    if end and not named:
        return end[1].upper(), "end"
    if spoken is not None and not named:
        return letters[spoken], "words"
    return None, "several options named" if several or len(named) > 1 else "no option named"
