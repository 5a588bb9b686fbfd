"""Multiple choice answered by a letter, or by an option's words (OpenBookQA, MMSU)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from modgap.scoring.scorers.base import Verdict, unparsed
from modgap.scoring.scorers.text import plain

__all__ = ["find_option", "score_choices"]

_OPEN = r"[\s(\[{\"'*]{0,8}"  # bounded, like all that repeats here: some answers are one long loop
_CLOSE = r"[)\]}\"'*:.]{0,4}"
_NOUN = r"(?:answer|option|choice|letter|sentence)"
_IS = r"(?:\s+(?:is|are|was|would\s+be|should\s+be|must\s+be|will\s+be)(?:\s*:)?|\s*[:=])"
_SURE = r"(?:\s+(?:most\s+)?(?:likely|probably|clearly|definitely|therefore|indeed|simply|just))?"
# "A" and "I" are words, and any small letter may begin one: they need a mark, an end, or a word
# that can only go on after a letter.
_AFTER = (
    r"(?=\s*(?:$|[\n.,;:!?)\]}\"'*/]|[-–—]\s"
    r"|(?:because|since|as|which|due|for|from|based|is|would|and\s+not|rather|not)\b))"
)
_HEDGE = re.compile(
    r"\s*[)\]]?\s*(?:,\s*)?(?:or|/|and(?!\s+(?:not|so)))\s*(?:option\s+)?[(\[]?(\w)\b"
)
_NOT = re.compile(r"(?:\b(?:not|t|never|except)|\brather than|\binstead of)(?: the| an?)? $")
_NEGATED = rf"\b(?:not|n't|isn't|never|rather\s+than|instead\s+of|except)\s+(?:{_NOUN}\s+)?{_OPEN}"


def score_choices(response: str, reference: str, meta: Mapping[str, Any]) -> Verdict:
    """Right if the option that the answer names is the reference's.

    Parameters
    ----------
    response : str
    reference : str
        A letter, or the words of an option.
    meta : mapping
        ``choices``: words of the options in order, where they are known; else there are four.

    Returns
    -------
    Verdict
        ``extracted`` is the letter. VoiceBench's rule draws one of the letters where its templates
        match nothing, so ``expected`` is 1 / n for an unparsed answer, and for one that only says
        an option's words, which no template of it takes.
    """
    words = tuple(meta.get("choices") or ())
    letters = ascii_uppercase[: len(words) or 4]
    wanted = _letter(reference, letters, words)
    if wanted is None:
        return Verdict(None, None, "the reference names no option")
    letter, rule = find_option(response, letters, words)
    if letter is None:
        return unparsed(rule, 1 / len(letters))
    right = letter == wanted
    return Verdict(right, letter, rule, 1 / len(letters) if rule == "words" else float(right))


def find_option(
    response: str, letters: str = "ABCD", words: Sequence[str] = ()
) -> tuple[str | None, str]:
    """The option that an answer names, and the rule that found it.

    The first rule that finds something decides:

    1. ``alone``: nothing but a letter, or "option" and a letter.
    2. ``boxed``: in LaTeX's box; the last one.
    3. ``stated``: "the answer is B", "I would choose B", "B is correct"; the last one.
    4. ``start``: at the start with a mark behind it: "B) Paris", "B. Because a. is wrong"; unless
       other letters are marked the same way, as where the options are only repeated.
    5. ``only``: of all letters that are marked as one ("(B)", "option B", "B."), there is one.
    6. ``words``: the words of one option, and of no other, are in the answer.

    A letter that is negated ("not B", "rather than B") or is one of two ("B or C") is none, and so
    is one that is part of an option's own words ("Vitamin C").

    Returns
    -------
    (str, str) or (None, str)
        Without an option, why there is none.

    Examples
    --------
    >>> find_option("The answer is a mammal, so B.")
    ('B', 'only')
    >>> find_option("It depends.")
    (None, 'no option named')
    """
    text = plain(response).strip()
    if not text:
        return None, "empty"
    one = f"[{letters}{letters.lower()}]"
    any_mark = rf"(?:({one})(?!\w){_AFTER}|([{letters.replace('A', '').replace('I', '')}])(?!\w))"
    bare = text.strip("".join({c for c in text if not c.isalnum()}))
    alone = re.fullmatch(rf"(?:(?i:{_NOUN})[\W_]{{1,8}})?({one})", bare)
    if alone:
        return alone[1].upper(), "alone"
    wrong = rf"(?i:{_NOUN})\s+{_OPEN}{one}{_CLOSE}\s+(?i:is|was)\s+(?i:wrong|incorrect|false|not\b)"
    said = _said(text, words)
    text = _without_options(text, letters, words)
    text = re.sub(rf"(?i:{_NEGATED})(?:{one})(?!\w)(?![.)]\w)|{wrong}", " ", text)
    boxed = re.findall(rf"\\boxed\s*\{{\W*({one})(?!\w)", text)
    if boxed:
        return boxed[-1].upper(), "boxed"
    stated = _stated(text, letters, any_mark)
    if stated:
        return stated, "stated"
    start = re.match(rf"{_OPEN}({one})\s*([.):,\]}}\"])(?!\w)", text)
    if start and not _HEDGE.match(text, start.end(1)) and not _goes_on(text, letters, start):
        return start[1].upper(), "start"
    named = {
        next(g for g in m.groups() if g).upper()
        for m in re.finditer(
            rf"(?<!\w)[(\[\"']({one})[)\]\"']|(?i:\b{_NOUN})\s+{_OPEN}{any_mark}"
            rf"|(?i:\b(?:option|choice))\s+{_OPEN}({one})(?!\w)"
            rf"|(?<![\w.'])([{letters}])(?=[.):,](?:\s|$))",
            re.sub(rf"\b{one}\s+or\s+(?:option\s+)?{one}\b", " ", text),
        )
    }
    if len(named) == 1:
        return named.pop(), "only"
    if said is not None and not named:
        return letters[said], "words"
    return None, "several options named" if len(named) > 1 else "no option named"


def _stated(text: str, letters: str, any_mark: str) -> str | None:
    qualified = (
        rf"(?i:(?:\s+(?:option|choice|letter|answer|the|to|therefore|number)){{0,4}})\s*{_OPEN}"
    )
    patterns = (
        rf"(?i:\b{_NOUN}(?:\s+(?:to|for|here|in)\b[^.\n]{{0,60}}?)?{_IS}{_SURE}){qualified}{any_mark}",
        rf"(?i:\b(?:correct|right|best|proper)(?:\s+[\w-]+){{0,3}}?{_IS}{_SURE}){qualified}{any_mark}",
        rf"(?i:\b(?:choose|select|pick|go\s+with|say|chose|selected|it's|it\s+is|it\s+would\s+be)"
        rf"{_SURE}){qualified}{any_mark}",
        r"(?:答案|选项|应该|选择|选)(?:应该)?(?:就)?(?:是|为|选)?\s*[::]?\s*(?:选项)?['\"(]?"
        rf"([{letters}{letters.lower()}])(?![A-Za-z])",
        rf"(?:(?<![\w'])([{letters}])|\b(?i:{_NOUN})\s+{_OPEN}([{letters.lower()}])){_CLOSE}"
        r"(?=\s+(?i:is|has|would\s+be|seems|must\s+be)\s+"
        r"(?i:(?:indeed|clearly|probably|definitely|the|most|likely|a|an)\s+)*"
        r"(?i:correct|right|best|true|answer|one\s+that|proper))",
    )
    found: list[tuple[int, str]] = []
    for pattern in patterns:
        for match in re.finditer(pattern, text):
            group = next(n for n, g in enumerate(match.groups(), 1) if g)
            other = _HEDGE.match(text, match.end(group))
            if other is None or other[1].upper() not in letters:
                found.append((match.start(group), match[group].upper()))
    return max(found)[1] if found else None


def _goes_on(text: str, letters: str, start: re.Match[str]) -> bool:
    """Whether other letters follow that are marked as the one at the start, as in a list."""
    case = letters if start[1].isupper() else letters.lower()
    marked = re.findall(rf"(?<![\w.'])([{case}])\s*{re.escape(start[2])}(?!\w)", text)
    return set(marked) > {start[1]}


def _without_options(text: str, letters: str, words: Sequence[str]) -> str:
    """The text without the options of which a letter is a word: "Hepatitis B", "C. S. Lewis".

    What is left of such an option goes with them ("Vitamin C" of "Vitamin C (ascorbic acid)"), and
    so does one like it that is none ("Vitamin B").
    """
    named: set[str] = set()
    for option in sorted((plain(w) for w in words), key=len, reverse=True):
        parts = re.split(r"(\W+)", re.sub(r"^\W+|\W+$", "", option))
        if len(parts) > 1 and {p.upper() for p in parts[::2]} & set(letters):
            for n, gap in enumerate(parts):
                marks = re.escape("".join(gap.split()))
                parts[n] = (
                    re.escape(gap) if n % 2 == 0 else f"[{marks}\\s]*" if marks else r"[\s-]+"
                )
            # What stands for them is no blank: that would bring the words around it together.
            text = re.sub(rf"(?i)(?<!\w){''.join(parts)}(?!\w)", "…", text)
            named |= set(re.findall(rf"\b([^\W\d_]{{4,}})[\s-]+[{letters}](?!\w)", option))
    named = {word for word in named if not re.fullmatch(rf"(?i:{_NOUN})", word)}
    if named:
        text = re.sub(rf"\b(?i:{'|'.join(named)})[\s-]+[{letters}](?!\w)", "…", text)
    return text


def _said(text: str, words: Sequence[str]) -> int | None:
    """Number of the only option whose words are in the text; those inside longer ones are not."""
    rest = " ".join(re.findall(r"\w+", text.casefold()))
    found = []
    for number in sorted(range(len(words)), key=lambda n: -len(words[n])):
        option = " ".join(re.findall(r"\w+", plain(words[number]).casefold()))
        if not option:
            continue
        pattern = re.compile(rf"(?<!\S){option}(?!\S)")
        places = [m.start() for m in pattern.finditer(rest)]
        if not all(_NOT.search(rest[max(0, n - 20) : n]) for n in places):
            found.append(number)
        rest = pattern.sub("|", rest)
    return found[0] if len(found) == 1 else None


def _letter(reference: str, letters: str, words: Sequence[str]) -> str | None:
    given = reference.strip().strip("().").strip()
    if len(given) == 1 and given.upper() in letters:
        return given.upper()
    folded = [w.strip().casefold() for w in words]
    return letters[folded.index(given.casefold())] if given.casefold() in folded else None
