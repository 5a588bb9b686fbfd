"""Agreement of modgap's IFEval verdicts with the published program's, on made-up texts.

Needs that program as packaged in if-verifiable, and what it imports::

    pip install --no-deps --target DIR if-verifiable nltk emoji immutabledict syllapy regex joblib
    PYTHONPATH=DIR python -m benchmarks.ifeval

The kind that counts sentences is left out: there the program needs a model that is downloaded.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import re
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Any

import langdetect

from modgap.scoring.scorers.ifeval import INSTRUCTIONS, check

TEXTS = 1500
PIECES = [
    "Hello world.", "* one item", "- two", "**bold**", "*hi*", "******", "***", "\n\n", "\n",
    "[name]", "[a b]", "P.S. bye", "P.P.S note", "p. s. x", "<<Title>>", "<<>>", "Section 1",
    "SECTION 2", "Section 3 foo", '"', "My answer is yes.", "NASA IS HERE", "DON'T GO",
    "it's A test", "U.S. LAW", "AND/OR", "WELL-KNOWN thing,", "cat Cat cats", "dog", "e e e",
    "Any other questions?", '{"a": 1}', "```json", "```", "the end", "first", "First, we",
    "'First' word", ",", "; semi", "ich bin ein Mensch und gehe nach Hause",
    "only lower case words are here in this text", "THIS IS ALL CAPS ENGLISH TEXT",
]  # fmt: skip
RELATIONS = ("less than", "at least")
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "keywords:existence": [{"keywords": ["cat", "dog"]}, {"keywords": ["hello"]}],
    "keywords:frequency": [
        {"keyword": "cat", "frequency": n, "relation": r} for n in (1, 2, 3) for r in RELATIONS],
    "keywords:forbidden_words": [{"forbidden_words": ["cat", "nasa"]}],
    "keywords:letter_frequency": [
        {"letter": "e", "let_frequency": n, "let_relation": r}
        for n in (1, 4, 9) for r in RELATIONS],
    "language:response_language": [{"language": "de"}, {"language": "en"}],
    "length_constraints:number_paragraphs": [{"num_paragraphs": n} for n in (1, 2, 3)],
    "length_constraints:number_words": [
        {"num_words": n, "relation": r} for n in (5, 15) for r in RELATIONS],
    # A paragraph beyond their number would make the program draw another one at random.
    "length_constraints:nth_paragraph_first_word": [
        {"num_paragraphs": n, "nth_paragraph": m, "first_word": "first"}
        for n in (1, 2, 3) for m in (1, 2) if m <= n],
    "detectable_content:number_placeholders": [{"num_placeholders": n} for n in (1, 2)],
    "detectable_content:postscript": [{"postscript_marker": m} for m in ("P.S.", "P.P.S")],
    "detectable_format:number_bullet_lists": [{"num_bullets": n} for n in (1, 2, 3)],
    "detectable_format:number_highlighted_sections": [{"num_highlights": n} for n in (1, 2, 3)],
    "detectable_format:multiple_sections": [
        {"section_spliter": w, "num_sections": n} for w in ("Section", "SECTION") for n in (1, 2)],
    "combination:repeat_prompt": [{"prompt_to_repeat": "Hello world."}],
    "startend:end_checker": [{"end_phrase": "Any other questions?"}, {"end_phrase": "the end"}],
    "change_case:capital_word_frequency": [
        {"capital_frequency": n, "capital_relation": r} for n in (1, 3, 5) for r in RELATIONS],
}  # fmt: skip


def published() -> Any:
    """The program's registry, without the data sets that its package reads on import."""
    spec = importlib.util.find_spec("if_verifiable")
    if spec is None or spec.origin is None:
        sys.exit("if-verifiable is not installed; the head of this file says how.")
    root = Path(spec.origin).parent
    for name, folder in (("if_verifiable", root), ("if_verifiable.ifeval", root / "ifeval")):
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    words = importlib.import_module("nltk.tokenize").NLTKWordTokenizer().tokenize
    util = importlib.import_module("if_verifiable.ifeval.instructions_util")
    util.nltk.word_tokenize = lambda text: [
        word for sentence in re.split(r"(?<=[.!?])\s+", text) for word in words(sentence)
    ]
    return importlib.import_module("if_verifiable.ifeval.instructions_registry").INSTRUCTION_DICT


def readings(text: str) -> list[str]:
    """The eight readings of the loose verdict."""
    lines = text.split("\n")
    parts = [text, *("\n".join(p).strip() for p in (lines[1:], lines[:-1], lines[1:-1]))]
    return parts + [p.replace("*", "") for p in parts]


def main() -> None:
    """Print pairs, followed, and disagreements of each kind."""
    registry = published()
    langdetect.DetectorFactory.seed = 0
    rng = random.Random(1)
    pairs, followed, differ = Counter[str](), Counter[str](), Counter[str]()
    for number in range(TEXTS):
        parts = [rng.choice(PIECES) for _ in range(rng.randint(1, 7))]
        text = rng.choice([" ", "\n", "\n\n"]).join(parts)
        text = f'"{text}"' if rng.random() < 0.1 else text
        for name in sorted(set(INSTRUCTIONS) - {"length_constraints:number_sentences"}):
            if ("language" in name or "english" in name) and number % 10:
                continue  # slow
            settings = rng.choice(SETTINGS.get(name, [{}]))
            checker = registry[name](name)
            checker.build_description(**settings)
            strict = bool(text.strip()) and bool(checker.check_following(text))
            loose = any(r.strip() and checker.check_following(r) for r in readings(text))
            found = check(text, [name], [settings])
            pairs[name] += 1
            followed[name] += strict
            differ[name] += (found.strict[0], found.loose[0]) != (strict, bool(loose))
    for name in (*sorted(pairs), "all"):
        n, yes, no = (c.total() if name == "all" else c[name] for c in (pairs, followed, differ))
        print(f"{name:50} {n:5} pairs {yes:5} followed {no:3} differ")


if __name__ == "__main__":
    main()
