"""What an answer says, apart from what was thought aloud before: the one place that tells them.

Scorers, matchers and the reader of a judge's replies all see what is left here, so that no letter,
word or refusal in a thought is taken for the answer.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["CUT", "said"]

#: The rule of a verdict on an answer that ended while it was still thought about.
CUT = "thought cut off"

# By family: what opens with one of a family's names closes with one, too (<think> by </thinking>).
_THOUGHTS = {
    "think": r"(?:[a-z]{1,12}[:_-])?(?:think(?:ing)?|thoughts?)(?:_process)?|antthinking|"
    r"chain_of_thought|cot|inner_monologue|scratch_?pad",
    "reason": r"reason(?:ing)?|rationale",
    "analysis": "analysis|reflection|planning",
}
_NAMES = "|".join(rf"(?P<{family}>{names})" for family, names in _THOUGHTS.items())
# "<think>", "[THINK]", "◁think▷", "<|think|>", "<|begin_of_thought|>", "<|START_THINKING|>"; with a
# slash or "end" they close. Quoted marks are spoken of.
_MARK = re.compile(
    rf"(?<![`\"'])(?:(?:<|&lt;)\s*(?P<slash>/?)\s*(?:{_NAMES})\s*(?P<empty>/?)\s*(?:>|&gt;)"
    r"|\[(?P<slash2>/?)(?P<square>think(?:ing)?|thoughts?|reasoning)\]"
    r"|◁(?P<slash3>/?)(?P<triangle>think(?:ing)?)▷"
    r"|<\|(?P<slash4>/?)(?P<edge>begin_of_|start_of_|start_|bot_|end_of_|end_)?"
    r"(?P<special>think(?:ing)?|thoughts?|reasoning)(?P<edge2>_start|_end|_begin)?\|>"
    r"|(?P<other><\|inner_prefix\|>|<unused94>(?:thought\b)?|<\|channel>\s*thought\b"
    r"|<details\b[^<>]{0,80}\breasoning\b[^<>]{0,80}>)"
    r"|(?P<otherend><\|inner_suffix\|>|<unused95>|<channel\|>|</details>))(?![`\"'])",
    re.IGNORECASE,
)
_ANSWER = r"(?:final_?)?answer"
_WEAK = r"response|output|solution|conclusion|final|result"
_OPENS = (
    rf"(?:<\s*(?:{_ANSWER})\s*>|\[ANSWER\]|<\|begin_of_(?:box|solution|answer)\|>|"
    r"<\|START_RESPONSE\|>)"
)
_CLOSES = (
    rf"(?:<\s*/\s*(?:{_ANSWER}|{_WEAK})\s*>|\[/ANSWER\]|<\|end_of_(?:box|solution|answer)\|>|"
    r"<\|END_RESPONSE\|>)"
)
_BLOCK = re.compile(rf"(?is)(?<![`\"']){_OPENS}(?![`\"'])(?P<said>.*?)(?:{_CLOSES}|\Z)")
# Such words are marks only where the answer begins with them: elsewhere they may be its markup.
_WEAK_BLOCK = re.compile(
    rf"(?is)\A\s*(?:<\s*(?P<name>{_WEAK})\s*>|\[RESPONSE\])(?P<said>.*?)"
    r"(?:<\s*/\s*(?P=name)\s*>|\[/RESPONSE\]|\Z)"
)
_LEFT = re.compile(rf"(?i){_OPENS}|{_CLOSES}")
# The channels of gpt-oss, with their special tokens and as they are left without them.
_FINAL = re.compile(
    r"(?s)<\|channel\|>\s*final\b[^<]*<\|message\|>(.*?)(?=<\|(?:end|return|start|channel)\|>|\Z)"
)
_CHANNELS = re.compile(r"\A\s*(?:analysis|commentary)(?=[A-Z])(?:(?s:.*)assistantfinal)?")
_ALOUD = re.compile(
    r"(?is)\A\s*(?:here(?:'s|\s+is)\s+my\s+thought\s+process:(?:.*?)"
    r"(?P<g>here(?:'s|\s+is)\s+my\s+response:)|thinking\.\.\.\s*\n.*?(?P<o>\.\.\.done\s+thinking\.))"
)
_ALOUD_CUT = re.compile(
    r"(?i)\A\s*(?:here(?:'s|\s+is)\s+my\s+thought\s+process:|thinking\.\.\.\s*\n)"
)
_SPECIAL = (
    r"(?:<\|[\w./-]{1,40}\|>|</?s>|<(?:eos|bos|pad|end_of_turn|start_of_turn)>|<｜[^<>]{1,40}｜>)"
)
_EDGES = re.compile(rf"\A(?:\s*{_SPECIAL}(?:assistant\b)?)+\s*|(?:\s*{_SPECIAL})+\s*\Z")
_ANY = re.compile(r"(?i)[<\[◁]|&lt;|\A\s*(?:analysis|commentary|here|thinking)")


@lru_cache(maxsize=256)
def said(text: str) -> str | None:
    """What of an answer is said: all outside its thoughts, or what its answer's marks enclose.

    Parameters
    ----------
    text : str

    Returns
    -------
    str or None
        The text itself where no mark is in it, but for special tokens at its ends. None where it
        ends inside a thought: then nothing was said yet.

    Notes
    -----
    A closing mark without an opening one ends a thought that began with the text: many chat
    templates open it in the prompt. A thought without an end is one that ends where the answer's
    mark begins, if that one closes the text.

    Examples
    --------
    >>> said("<think>Is it A? No.</think> B")
    'B'
    >>> said("[THINK]A, or[/THINK]<answer>B</answer>")
    'B'
    >>> said("<|channel|>analysis<|message|>Perhaps A<|end|><|channel|>final<|message|>B")
    'B'
    >>> said("<think>Perhaps A") is None
    True
    """
    if not _ANY.search(text):
        return text
    if "<|channel|>" in text:
        finals = _FINAL.findall(text)
        return _answer(finals[-1]) if finals else None
    channels = _CHANNELS.match(text)
    if channels:
        rest = text[channels.end() :]
        return _answer(rest) if channels[0].endswith("assistantfinal") else None
    aloud = _ALOUD.match(text)
    if aloud:
        return _answer(text[aloud.end() :])
    if _ALOUD_CUT.match(text):
        return None
    outside, inside = _outside(text)
    if inside is not None:
        blocks = list(_BLOCK.finditer(inside))
        if not blocks or inside[blocks[-1].end() :].strip() or not blocks[-1]["said"].strip():
            return None
        outside = inside[blocks[-1].start() :]
    return _answer(outside) if outside != text or _LEFT.search(text) else _ends(text)


def _outside(text: str) -> tuple[str, str | None]:
    """The text outside thoughts, and the last thought if it does not end."""
    parts: list[str] = []
    opened, start, inside = "", 0, 0
    for mark in _MARK.finditer(text):
        family, closes = _kind(mark)
        if mark["empty"]:
            if not opened:
                parts.append(text[start : mark.start()])
                start = mark.end()
        elif opened:
            if closes and family == opened:
                opened, start = "", mark.end()
        elif closes:
            if family in ("think", "reason"):  # others may close something that is no thought
                parts, start = [], mark.end()
        elif (
            mark["square"]
            and mark["square"] != mark["square"].upper()
            and not re.search(rf"(?i)\[/{mark['square']}\]", text[mark.end() :])
        ):
            continue  # a place to fill in, such as "[thought]"
        else:
            parts.append(text[start : mark.start()])
            opened, inside = family, mark.end()
    if opened:
        return "".join(parts), text[inside:]
    return "".join(parts) + text[start:], None


def _kind(mark: re.Match[str]) -> tuple[str, bool]:
    """Family of a mark, and whether it closes."""
    if mark["other"] or mark["otherend"]:
        return "other", bool(mark["otherend"])
    if mark["special"]:
        edges = f"{mark['edge'] or ''}{mark['edge2'] or ''}".lower()
        family = "reason" if mark["special"].lower() == "reasoning" else "think"
        return family, bool(mark["slash4"]) or "end" in edges
    closes = bool(mark["slash"] or mark["slash2"] or mark["slash3"])
    if mark["square"]:
        return ("reason" if mark["square"].lower() == "reasoning" else "think"), closes
    found = (family for family in _THOUGHTS if mark[family])
    return next(found, "think"), closes


def _answer(text: str) -> str:
    """What the last mark of an answer encloses; without one, the text."""
    blocks = [m["said"] for m in _BLOCK.finditer(text) if m["said"].strip()]
    weak = _WEAK_BLOCK.match(text)
    if blocks or (weak and weak["said"].strip()):
        text = blocks[-1] if blocks else weak["said"]  # type: ignore[index]
    return _ends(_LEFT.sub("", text)).strip()


def _ends(text: str) -> str:
    return _EDGES.sub("", text)
