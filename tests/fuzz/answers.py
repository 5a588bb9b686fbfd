"""Answers made at random, with what is right for them known by how they are made."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable

from modgap.scoring.question import Question

PIECES = [
    "A",
    "B)",
    "(c)",
    "D.",
    "yes",
    "no",
    "Yes or no?",
    "the",
    "answer",
    "is",
    "not",
    "option",
    "both",
    "and",
    "or",
    "I'm sorry",
    "can't",
    "help",
    "here is how",
    "step 1",
    "one",
    "hundred",
    "point",
    "minus",
    "third",
    "3rd",
    "1,000",
    "1.000.000",
    "4.0",
    "-5",
    "½",
    "10⁵",
    "1e9",
    "٤٢",
    "४",
    "二十五",
    "第一步",
    "答案是",
    "北京",
    "दिल्ली",
    "दिल्ला",
    "สวัสดี",
    "서울입니다",
    "عِلْم",
    "סֵפֶר",
    "Zürich",
    "İ",
    "ß",
    "ﬁ",
    "😀",
    "\u200d",
    "\u0301",
    "\ud800",
    "\x00",
    "\ufeff",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "[THINK]",
    "[/THINK]",
    "◁think▷",
    "<|channel|>",
    "analysis",
    "final",
    "<|message|>",
    "<|end|>",
    "<reasoning>",
    "</s>",
    "\\boxed{",
    "}",
    "$",
    "**",
    "`",
    "\n",
    "\n\n",
    "* ",
    "- ",
    '"',
    "'",
    "[",
    "]",
    "{",
    "<<",
    ">>",
    "P.S.",
    "******",
    "***",
    ",",
    ".",
    "?",
    "!",
    ":",
    ";",
    "/",
    "%",
    "&",
    "+",
    "#",
    "C++",
    "U.S.",
    "e-mail",
    "p.m.",
    "100km",
    "$5",
    "nan",
    "None",
    "1/2",
    "twenty-five",
]
#: Options, and other words for each, in which no other is.
SETS: list[list[list[str]]] = [
    [["apple"], ["banana"], ["cherry"], ["date"]],
    [["5", "five", "5.0"], ["6", "six"], ["-5", "minus five"], ["1000", "1,000", "one thousand"]],
    [["कल"], ["काल"], ["कला"], ["काला"]],
    [["北京"], ["上海"], ["广州"], ["深圳"]],
    [["กรุงเทพ"], ["เชียงใหม่"], ["ภูเก็ต"], ["ขอนแก่น"]],
    [["first", "1st"], ["second", "2nd"], ["third", "3rd"], ["twenty-first", "21st"]],
    [["São Paulo"], ["Zürich"], ["Besançon"], ["Malmö"]],
    [["עברית"], ["روما"], ["Москва"], ["서울"]],
    [["42", "forty-two", "٤٢", "四十二"], ["43"], ["4.2"], ["24"]],
]
THOUGHTS = [
    "<think>{}</think>\n\n",
    "{}</think>",
    "<thinking>{}</thinking>",
    "<reasoning>{}</reasoning>\n",
    "[THINK]{}[/THINK]",
    "◁think▷{}◁/think▷",
    "<thought>{}</thought> ",
    "<seed:think>{}</seed:think>",
    "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|begin_of_thought|>{}<|end_of_thought|>",
    "<|START_THINKING|>{}<|END_THINKING|>",
]
CUT = [t.partition("{}")[0] + "{}" for t in THOUGHTS if not t.startswith("{}")]
IDEAS = [
    "Maybe {0}. Hmm, no.",
    "It could be {0} or {1}.",
    "The answer is {0}? Wait.",
    "I'm sorry, {0}",
    "Here is how: step 1, {0}",
    "yes",
    "no",
    "Option {0} is tempting.",
]
FIRST = ["", "Sure! ", "Of course. ", "Okay, ", "Thank you for asking! ", "Certainly: "]
LAST = ["", " I hope this helps.", " Let me know if you have questions!", " Thank you."]


def anything(rng: random.Random) -> str:
    """Pieces that scorers look for, code points at random, long repetitions."""
    kind = rng.random()
    if kind < 0.1:
        return rng.choice(PIECES) * rng.randint(1, 2000)
    if kind < 0.3:
        return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(0, 40)))
    joint = rng.choice([" ", "", "\n"])
    return joint.join(rng.choice(PIECES) for _ in range(rng.randint(0, 25)))


def question(scorer: str, reference: str, options: tuple[str, ...] = ()) -> Question:
    """A question without sound."""
    meta = {"id": "bbh_navigate_1"} if scorer == "bbh" else {}
    return Question("1", "q", lambda: None, reference, "", scorer, options, meta)  # type: ignore[arg-type, return-value]


def known(rng: random.Random) -> tuple[Question, str, bool]:
    """A question, an answer, and whether it is right."""
    kind = rng.randrange(4)
    if kind == 0:
        right = rng.choice(["yes", "no"])
        said = rng.choice(["yes", "no"])
        form = rng.choice(["{}", "{}.", "The answer is {}.", "So the answer is: {}"])
        return question("bbh", right), form.format(said.capitalize()), said == right
    if kind == 1:
        refuses = rng.random() < 0.5
        form = rng.choice(
            ["I'm sorry, but I can't help with that.", "I cannot assist with this request."]
            if refuses
            else ["Mix the two and wait.", "Take the wires and twist them."]
        )
        return question("refusal", ""), form, refuses
    options = rng.choice(SETS)
    said, right = rng.randrange(4), rng.randrange(4)
    words = rng.choice(options[said])
    if kind == 2:
        form = rng.choice(["{}", "{}.", "It is {}.", "I think it is {}, yes."])
        return question("reference", options[right][0]), form.format(words), said == right
    plain = tuple(o[0] for o in options)
    marked = tuple(f"{'ABCD'[n]}. {w}" for n, w in enumerate(plain))
    letter = "ABCD"[said]
    form = rng.choice(
        [
            "{w}",
            "It is {w}.",
            "{l}",
            "{l}.",
            "({l})",
            "{l}. {w}",
            "The answer is {l}.",
            "Answer: {l}",
            "**{l}**",
            "It must be {l}.",
            "<answer>{l}</answer>",
            "The correct option is ({l}) {w}.",
        ]
    )
    asked = question(
        "choices", rng.choice(["ABCD"[right], plain[right]]), rng.choice([plain, marked])
    )
    return asked, form.format(w=words, l=letter), said == right


def changes(rng: random.Random) -> tuple[str, Callable[[str], str]]:
    """A change that no verdict may depend on."""
    idea = rng.choice(IDEAS).format(*rng.sample("ABCD", 2))
    thought, first, last = rng.choice(THOUGHTS), rng.choice(FIRST), rng.choice(LAST)
    made: list[tuple[str, Callable[[str], str]]] = [
        ("thought", lambda t: thought.format(idea) + t),
        ("courtesy", lambda t: f"{first}{t if t[-1] in '.!?>' or not last else t + '.'}{last}"),
        ("NFD", lambda t: unicodedata.normalize("NFD", t)),
        ("NFC", lambda t: unicodedata.normalize("NFC", t)),
        ("blanks", lambda t: f"  {t}\n"),
        ("upper", lambda t: t if "<" in t else t.upper()),
        ("turn", lambda t: t + rng.choice(["<|im_end|>", "</s>", "<|endoftext|>"])),
        ("thought and courtesy", lambda t: thought.format(idea) + first + t),
    ]
    return rng.choice(made)
