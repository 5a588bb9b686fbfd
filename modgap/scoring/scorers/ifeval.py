"""Instructions whose following can be verified (IFEval), all 25 published ids.

What each id asks is that of Zhou et al., "Instruction-Following Evaluation for Large Language
Models" (arXiv 2311.07911), and of the program published with it. Two counts need no downloaded
model here and may differ from the published program's by one in rare texts: sentences
(`count_sentences`) and words in capitals.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modgap.scoring.scorers.base import Verdict, unparsed
from modgap.scoring.scorers.ifeval_counts import (
    count_sentences,
    count_words,
    find_keyword,
    language_of,
)
from modgap.scoring.scorers.ifeval_settings import settings_of
from modgap.scoring.thoughts import CUT, said

__all__ = [
    "INSTRUCTIONS",
    "Followed",
    "check",
    "check_settings",
    "count_sentences",
    "score_ifeval",
]

_Settings = Mapping[str, Any]
_CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def _compare(count: int, limit: int, relation: str) -> bool:
    return count < limit if relation == "less than" else count >= limit


def _paragraphs(text: str, s: _Settings) -> bool:
    parts = [bool(p.strip()) for p in re.split(r"\s?\*\*\*\s?", text)]
    return all(parts[1:-1]) and sum(parts) == s["num_paragraphs"]


def _nth_paragraph(text: str, s: _Settings) -> bool:
    parts = re.split(r"\n\n", text)
    count, nth = sum(bool(p.strip()) for p in parts), s["nth_paragraph"]
    if nth > count or not parts[nth - 1].strip():
        return False
    first = parts[nth - 1].split()[0].lstrip("'").lstrip('"')
    word = re.split(r"[.,?!'\"]", first, maxsplit=1)[0].lower()
    return count == s["num_paragraphs"] and word == s["first_word"].lower()


def _postscript(text: str, s: _Settings) -> bool:
    marker = s["postscript_marker"].strip()
    pattern = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}.get(
        marker, re.escape(marker.lower())
    )
    return re.search(pattern, text.lower()) is not None


def _placeholders(text: str) -> int:
    """From each opening bracket to the next closing one of its line."""
    return sum(
        len(re.findall(r"\[[^\]]*\]", line[: line.rfind("]") + 1])) for line in text.split("\n")
    )


def _highlights(text: str, s: _Settings) -> bool:
    single = sum(bool(h.strip("*").strip()) for h in re.findall(r"\*[^\n*]*\*", text))
    double = sum(bool(h[2:-2].strip()) for h in re.findall(r"\*\*[^\n*]*\*\*", text))
    return single + double >= s["num_highlights"]


def _json(text: str, s: _Settings) -> bool:
    text = re.sub(r"^```(?:json|Json|JSON)?|```$", "", text.strip()).strip()
    try:
        json.loads(text)
    except (ValueError, RecursionError):  # the latter: deeper than Python can read
        return False
    return True


def _two_responses(text: str, s: _Settings) -> bool:
    parts = [p.strip() for p in text.split("******")]
    given = [p for p in parts if p]
    return all(parts[1:-1]) and len(given) == 2 and given[0] != given[1]


def _capital_words(text: str, s: _Settings) -> bool:
    # Contractions and possessives count as two words, hyphenated words as one.
    words = re.sub(r"(?i)(n't|'(?:s|re|ve|ll|m|d))\b", r" \1", text).split()
    count = sum(w.isupper() for w in words)
    return _compare(count, s["capital_frequency"], s["capital_relation"])


def _in_english(text: str, in_case: bool) -> bool:
    return in_case and language_of(text) in ("en", None)


#: What an instruction asks of a text, and the settings that it needs.
INSTRUCTIONS: dict[str, tuple[Callable[[str, _Settings], bool], tuple[str, ...]]] = {
    "keywords:existence": (
        lambda t, s: all(find_keyword(k, t) for k in s["keywords"]),
        ("keywords",),
    ),
    "keywords:frequency": (
        lambda t, s: _compare(
            len(find_keyword(s["keyword"].strip(), t)), s["frequency"], s["relation"]
        ),
        ("keyword", "frequency", "relation"),
    ),
    "keywords:forbidden_words": (
        lambda t, s: not any(find_keyword(w, t, r"\b") for w in s["forbidden_words"]),
        ("forbidden_words",),
    ),
    "keywords:letter_frequency": (
        lambda t, s: _compare(
            t.lower().count(s["letter"].lower()), s["let_frequency"], s["let_relation"]
        ),
        ("letter", "let_frequency", "let_relation"),
    ),
    "language:response_language": (
        lambda t, s: language_of(t) in (s["language"], None),
        ("language",),
    ),
    "length_constraints:number_sentences": (
        lambda t, s: _compare(count_sentences(t), s["num_sentences"], s["relation"]),
        ("num_sentences", "relation"),
    ),
    "length_constraints:number_paragraphs": (_paragraphs, ("num_paragraphs",)),
    "length_constraints:number_words": (
        lambda t, s: _compare(count_words(t), s["num_words"], s["relation"]),
        ("num_words", "relation"),
    ),
    "length_constraints:nth_paragraph_first_word": (
        _nth_paragraph,
        ("num_paragraphs", "nth_paragraph", "first_word"),
    ),
    "detectable_content:number_placeholders": (
        lambda t, s: _placeholders(t) >= s["num_placeholders"],
        ("num_placeholders",),
    ),
    "detectable_content:postscript": (_postscript, ("postscript_marker",)),
    "detectable_format:number_bullet_lists": (
        lambda t, s: len(re.findall(r"^\s*(?:\*[^*\n]|-).*$", t, re.MULTILINE)) == s["num_bullets"],
        ("num_bullets",),
    ),
    "detectable_format:constrained_response": (
        lambda t, s: any(c in t.strip() for c in _CONSTRAINED),
        (),
    ),
    "detectable_format:number_highlighted_sections": (_highlights, ("num_highlights",)),
    "detectable_format:multiple_sections": (
        lambda t, s: (
            len(re.findall(rf"\s?{re.escape(s['section_spliter'].strip())}\s?\d+\s?", t))
            >= s["num_sections"]
        ),
        ("section_spliter", "num_sections"),
    ),
    "detectable_format:json_format": (_json, ()),
    "detectable_format:title": (
        lambda t, s: any(h.lstrip("<").rstrip(">").strip() for h in re.findall(r"<<[^\n]+>>", t)),
        (),
    ),
    "combination:two_responses": (_two_responses, ()),
    "combination:repeat_prompt": (
        lambda t, s: t.strip().lower().startswith(s["prompt_to_repeat"].strip().lower()),
        ("prompt_to_repeat",),
    ),
    "startend:end_checker": (
        lambda t, s: t.strip().strip('"').lower().endswith(s["end_phrase"].strip().lower()),
        ("end_phrase",),
    ),
    "startend:quotation": (
        lambda t, s: len(t.strip()) > 1 and t.strip()[0] == t.strip()[-1] == '"',
        (),
    ),
    "change_case:capital_word_frequency": (
        _capital_words,
        ("capital_frequency", "capital_relation"),
    ),
    "change_case:english_capital": (lambda t, s: _in_english(t, t.isupper()), ()),
    "change_case:english_lowercase": (lambda t, s: _in_english(t, t.islower()), ()),
    "punctuation:no_comma": (lambda t, s: "," not in t, ()),
}


@dataclass(frozen=True)
class Followed:
    """Which instructions an answer follows.

    Attributes
    ----------
    strict, loose : tuple of bool
        As it stands, and in any of eight readings: without its first line, its last, both, and
        each of these without asterisks.
    """

    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


def check(response: str, names: Sequence[str], settings: Sequence[_Settings]) -> Followed:
    """Which of the instructions a response follows; an empty one follows none.

    Parameters
    ----------
    response : str
    names : sequence of str
        Keys of `INSTRUCTIONS`, as in ``instruction_id_list``.
    settings : sequence of mappings
        One for each, as in ``kwargs``; empty values count as absent.

    Raises
    ------
    SettingsError
        See `check_settings`.
    """
    every = check_settings(names, settings)
    response = unicodedata.normalize("NFC", said(response) or "")
    response = re.sub(r"^<[123]>\s*", "", response)
    lines = response.split("\n")
    readings = [response]
    readings += ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    readings += [r.replace("*", "") for r in readings]
    strict, loose = [], []
    for name, kept in zip(names, every, strict=True):
        follows = INSTRUCTIONS[name][0]
        strict.append(bool(response.strip()) and follows(response, kept))
        loose.append(any(r.strip() and follows(r, kept) for r in readings))
    return Followed(tuple(strict), tuple(bool(x) for x in loose))


def check_settings(names: Any, settings: Any) -> list[dict[str, Any]]:
    """The settings of each instruction, if every answer can be checked by them.

    Raises
    ------
    SettingsError
        There is no instruction, one is unknown, or one's setting is missing or of another kind.
    """
    return settings_of(
        {name: needed for name, (_, needed) in INSTRUCTIONS.items()}, names, settings
    )


def score_ifeval(response: str, reference: str, meta: Mapping[str, Any]) -> Verdict:
    """Right if every instruction is followed, as the answer stands (strict, by prompt).

    Parameters
    ----------
    response : str
    reference : str
        Not used.
    meta : mapping
        ``instruction_id_list`` and ``kwargs``, as in the data set.

    Returns
    -------
    Verdict
        ``extracted`` says how many are followed. ``expected`` is the mean of VoiceBench's four
        rates for this one answer (strict and loose, of all and of single instructions); over a set,
        its instruction rates weigh answers by how many instructions they have
        (`modgap.evaluation.judging.leaderboard`).

    Raises
    ------
    SettingsError
        See `check_settings`; what reads questions refuses such.
    """
    names: Any = meta.get("instruction_id_list")
    every = check_settings(names, meta.get("kwargs"))
    heard = said(response)
    if heard is None or not heard.strip():
        return unparsed(CUT if heard is None else "empty", 0.0)
    found = check(response, names, every)
    n = len(names)
    rates = (all(found.strict), sum(found.strict) / n, all(found.loose), sum(found.loose) / n)
    text = f"{sum(found.strict)}/{n} strict, {sum(found.loose)}/{n} loose"
    failed = [name for name, ok in zip(names, found.strict, strict=True) if not ok]
    rule = "followed" if not failed else f"not followed: {', '.join(failed)}"
    return Verdict(all(found.strict), text, rule, sum(rates) / 4)
