"""The letters by which an answer names an option: how they are announced, marked, and refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modgap.scoring.scorers.text import plain

__all__ = [
    "NOUN", "in_other_scripts", "named_letters", "start_letter", "stated_letter",
    "without_options", "without_refused",
]  # fmt: skip

_OPEN = r"[\s(\[{\"'*]{0,8}"  # bounded, like all that repeats here: some answers are one long loop
_CLOSE = r"[)\]}\"'*:.]{0,4}"
NOUN = r"(?:answer|option|choice|letter|sentence)"
_IS = (
    r"(?:\s+(?:is|are|was|would\s+be|should\s+be|must\s+be|will\s+be|has\s+to\s+be)(?:\s*:)?"
    r"|'s|\"?\s*[:=])"
)
_SURE = r"(?:\s+(?:most\s+)?(?:likely|probably|clearly|definitely|therefore|indeed|simply|just))?"
# "A" and "I" are words, and any small letter may begin one: they need a mark, an end, or a word
# that can only go on after a letter.
_AFTER = (
    r"(?=\s*(?:$|[\n.,;:!?)\]}\"'*/]|[-–—]\s"
    r"|(?:because|since|as|which|due|for|from|based|is|would|and\s+not|rather|not)\b))"
)
_HEDGE = re.compile(
    r"\s*[)\]]?\s*(?:,\s*)?(?:or|/|and(?!\s+(?:not|so)))\s*(?:maybe\s+|perhaps\s+)?(?:option\s+)?"
    r"[(\[]?(\w)\b"
)
_NEGATED = rf"\b(?:not|n't|isn't|never|rather\s+than|instead\s+of|except)\s+(?:{NOUN}\s+)?{_OPEN}"
_VERBS = (
    r"(?:choose|select|pick|go\s+with|say|chose|selected|vote\s+for|think|believe|guess|it's|it\s+is|"
    r"(?:would|must|should|has\s+to|have\s+to|got\s+to|will)\s+be)"
)
# A correction, or a word before a letter that concludes: "wait, no, B", "So B", "clearly B".
_SO = (
    r"(?:no|wait|actually|rather|sorry|correction|i\s+mean|make\s+that|so|thus|hence|therefore|then|"
    r"yes|clearly|definitely|obviously|certainly|probably|surely)"
)
_FOREIGN = (
    r"(?:respuesta|opci[oó]n|alternativa|r[eé]ponse|choix|antwort|l[oö]sung|risposta|opzione|"
    r"resposta|op[cç][aã]o|odpowied[zź]|antwoord|svar(?:et)?|jawaban(?:nya)?|cevap|yanıt|đáp\s+án)"
)
_PAIRS = r"(?:and|or|nor|&|\+|/|und|oder|et|ou|y|o|e|和|与|或|、|및|と)"
_VITAMIN = re.compile(
    r"(?:维生素|维他命|維生素|ビタミン|비타민|витамин\w*|فيتامين|विटामिन)\s*$", re.IGNORECASE
)


def any_mark(letters: str) -> str:
    """Pattern of two groups: any letter that is marked as one, or one that is no word."""
    one = f"[{letters}{letters.lower()}]"
    sure = letters.replace("A", "").replace("I", "") or "(?!)"
    return rf"(?:({one})(?!\w){_AFTER}|({f'[{sure}]' if sure != '(?!)' else sure})(?!\w))"


def stated_letter(text: str, letters: str) -> str | None:
    """The last letter that is announced or confirmed as the answer."""
    mark = any_mark(letters)
    qualified = (
        rf"(?i:(?:\s+(?:option|choice|letter|answer|the|to|therefore|number)){{0,4}})\s*{_OPEN}"
    )
    patterns = (
        rf"(?i:\b{NOUN}(?:\s+(?:to|for|here|in)\b[^.\n]{{0,60}}?)?{_IS}{_SURE}){qualified}{mark}",
        rf"(?i:\b(?:correct|right|best|proper)(?:\s+[\w-]+){{0,3}}?{_IS}{_SURE}){qualified}{mark}",
        rf"(?i:\b{_VERBS}{_SURE}){qualified}{mark}",
        rf"(?i:\b{_SO}[,.:;!\s…]{{1,4}}(?:it's\s+|it\s+is\s+|that\s+is\s+)?(?:option\s+)?){_OPEN}{mark}",
        rf"(?i:\b{_FOREIGN}\b)(?:[^\w\n]{{1,4}}\w{{1,10}}){{0,4}}?[^\w\n]{{1,4}}{_OPEN}{mark}",
        r"(?:答案|选项|選項|应该|應該|选择|選擇|选|選|正解|答え)(?:应该|應該)?(?:就)?(?:是|为|為|选|は)?"
        rf"\s*[::]?\s*(?:选项|選項)?['\"(]?([{letters}{letters.lower()}])(?![A-Za-z])",
        rf"(?<![\w'])([{letters}]){_CLOSE}(?=\s+(?i:it\s+is)\b)",
        rf"(?:(?<![\w'])([{letters}])|\b(?i:{NOUN})\s+{_OPEN}([{letters.lower()}])){_CLOSE}"
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


def start_letter(text: str, letters: str) -> str | None:
    """A letter at the start with a mark behind it, unless it begins a list of them."""
    one = f"[{letters}{letters.lower()}]"
    start = re.match(rf"{_OPEN}({one})\s*([.):,\]}}\"])(?!\w)", text)
    if start is None or _HEDGE.match(text, start.end(1)):
        return None
    case = letters if start[1].isupper() else letters.lower()
    marked = re.findall(rf"(?<![\w.'])([{case}])\s*{re.escape(start[2])}(?!\w)", text)
    return None if set(marked) > {start[1]} else start[1].upper()


def named_letters(text: str, letters: str) -> set[str]:
    """All letters that are marked as an option."""
    one = f"[{letters}{letters.lower()}]"
    return {
        next(g for g in m.groups() if g).upper()
        for m in re.finditer(
            rf"(?<!\w)[(\[\"']({one})[)\]\"']|(?i:\b{NOUN})\s+{_OPEN}{any_mark(letters)}"
            rf"|(?i:\b(?:option|choice))\s+{_OPEN}({one})(?!\w)"
            rf"|(?<![\w.'])([{letters}])(?=[.):,](?:\s|$))",
            re.sub(rf"\b{one}\s+or\s+(?:option\s+)?{one}\b", " ", text),
        )
    }


def in_other_scripts(text: str, letters: str) -> set[str]:
    """Latin capitals that stand alone among letters of another script: "정답은 B입니다"."""
    if text.isascii():
        return set()
    found = set()
    for match in re.finditer(rf"(?<![A-Za-z0-9'])([{letters}])(?![A-Za-z0-9'])", text):
        before = re.search(r"(\w)\W{0,4}$", text[max(0, match.start() - 6) : match.start()])
        behind = re.match(r"\W{0,2}(\w)", text[match.end() : match.end() + 4])
        near = [m[1] for m in (before, behind) if m]
        if any(ord(c) > 0x36F for c in near) and not _VITAMIN.search(text[: match.start()]):
            found.add(match[1])
    return found


def without_refused(text: str, letters: str) -> tuple[str, bool]:
    """The text without letters that are negated, called wrong, or one of several; whether some
    were the last."""
    one, capital = f"[{letters}{letters.lower()}]", f"[{letters}]"
    wrong = (
        rf"(?:(?i:\b{NOUN})\s+{_OPEN}{one}|(?<![\w']){capital}){_CLOSE}\s+(?i:is|was)"
        r"(?i:n't\b|\s+(?:wrong|incorrect|false|not\b))"
    )
    text = re.sub(rf"(?i:{_NEGATED})(?:{one})(?!\w)(?![.)]\w)|{wrong}", " ", text)
    marked = rf"(?:(?i:option|answer|choice)s?\s+)?[(\[\"']?{capital}[)\]\"']?"
    pairs = (
        rf"(?<![\w'])(?i:both\s+|either\s+|neither\s+)?{marked}(?:\s*,\s*{marked})*"
        rf"\s*,?\s*{_PAIRS}\s*{marked}(?!\w)|(?<![\w']){capital}(?:\s*,\s*{capital})+(?=\W*$)"
    )
    rest, count = re.subn(pairs, "…", text)
    return rest, count > 0


def without_options(text: str, letters: str, words: Sequence[str]) -> str:
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
    named = {word for word in named if not re.fullmatch(rf"(?i:{NOUN})", word)}
    if named:
        text = re.sub(rf"\b(?i:{'|'.join(named)})[\s-]+[{letters}](?!\w)", "…", text)
    return text
