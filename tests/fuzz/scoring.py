"""Manifests and answers at random through every reader and scorer: ``make fuzz``.

What may come of a table is questions, or one `ModgapError` of one line; of an answer, a verdict
within its time. An answer of known worth keeps its verdict whatever thought, courtesy, case or
normal form is put around it.
"""

from __future__ import annotations

import csv
import io
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from modgap.core.errors import ModgapError
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.judging.replies import rating, yes
from modgap.evaluation.judging.voicebench_results import questions_of
from modgap.scoring.answers import verdict
from modgap.scoring.scorers import SCORERS, score
from tests.fuzz.answers import CUT, anything, changes, known, question
from tests.scoring.test_ifeval import CASES

SLOW = 5.0  # seconds for one answer, however long
CELLS: list[Any] = [
    "Paris",
    "",
    " ",
    "None",
    "nan",
    "['Rome', 'Paris']",
    "['Rome' 'Paris']",
    '["a", "b"]',
    "A|B|C",
    "[",
    "[1, 2",
    "{'k': 1}",
    '{"k": NaN}',
    "array(['a', 'b'], dtype=object)",
    "(1,)",
    "[]",
    "4.0",
    "A",
    "1",
    "-1",
    "choices",
    "bbh",
    "ifeval",
    "judge",
    "refusal",
    "taste",
    "a.wav",
    "yes",
    "A. x|B. y",
    "{'bytes': None, 'path': 'a.wav'}",
    "[[[[[[",
    "\x00",
    "दिल्ली",
    "a;b",
    "a\tb",
    'x"y',
    "😀",
    "?!",
    1,
    0,
    -1,
    4.0,
    2.5,
    1e300,
    float("nan"),
    float("inf"),
    True,
    None,
    [],
    ["a"],
    ["a", 1, None],
    [["a"]],
    {"text": ["x", "y"], "label": ["A", "B"]},
    {"A": "x", "B": "y"},
    {"bytes": None, "path": "a.wav"},
    {"k": {"k": [1]}},
    ["keywords:existence"],
    [{"keywords": ["a"]}],
    "[{'keywords': ['a']}]",
]
COLUMNS = [
    "id",
    "audio",
    "transcript",
    "reference",
    "references",
    "scorer",
    "choices",
    "meta",
    "instruction",
    "instruction_id_list",
    "kwargs",
    "item",
    "group_x",
    "extra",
    "",
    "prompt",
    "response",
]


class Fuzz:
    """What was tried and what went wrong."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.tried: Counter[str] = Counter()
        self.crashes: list[str] = []
        self.wrong: list[str] = []

    def guarded(self, what: str, call: Any, given: Any) -> Any:
        """Call; anything but a sentence of one line is a crash, and so is more than its time."""
        self.tried[what] += 1
        began = time.perf_counter()
        try:
            return call()
        except ModgapError as problem:
            if "\n" in str(problem).strip() or len(str(problem)) > 2000:
                self.crashes.append(
                    f"{what}: no sentence: {str(problem)[:200]!r} of {given!r:.300}"
                )
        except Exception as problem:
            self.crashes.append(
                f"{what}: {type(problem).__name__} {problem!s:.200} of {given!r:.600}"
            )
        finally:
            if time.perf_counter() - began > SLOW:
                self.crashes.append(
                    f"{what}: {time.perf_counter() - began:.1f} s for {given!r:.200}"
                )
        return None

    def any_answer(self) -> None:
        """No answer may crash a scorer, and the same one has the same verdict."""
        text, reference = anything(self.rng), anything(self.rng)[:200]
        for name in SCORERS:
            asked = question(
                name,
                self.rng.choice([reference, "A", "yes"]),
                self.rng.choice([(), ("a", "b"), ("A. x", "B. y", reference)]),
            )
            if name == "ifeval":
                case = self.rng.choice(CASES)
                asked.meta.update({"instruction_id_list": [case[0]], "kwargs": [case[1]]})  # type: ignore[attr-defined]
            found = self.guarded(f"answers, {name}", lambda a=asked: score(a, text), (text, asked))
            if found is not None and found.correct and found.extracted is None:
                self.wrong.append(f"{name}: right, but nothing was taken from {text!r:.200}")
        self.guarded("answers, matcher", lambda: verdict(text, reference), (text, reference))
        self.guarded("answers, judge's replies", lambda: (yes(text), rating(text)), text)

    def known_answer(self) -> None:
        """An answer of known worth, plain, changed, and as what a thought was cut in."""
        asked, text, right = known(self.rng)
        self.tried["known answers"] += 1
        about = f"{asked.scorer} {asked.choices} for {asked.reference!r}"
        if score(asked, text).correct is not right:
            self.wrong.append(f"{about}: {text!r} is {'right' if right else 'wrong'}")
            return
        name, change = changes(self.rng)
        changed = change(text)
        if name == "upper" and score(asked, changed).unparsed:
            return  # "A" and "I" in capitals may be words
        if score(asked, changed).correct is not right:
            self.wrong.append(f"{about}, {name}: {changed!r} is {'right' if right else 'wrong'}")
        cut = self.rng.choice(CUT).format(text)
        if "<answer>" not in text and not score(asked, cut).unparsed:
            self.wrong.append(f"{about}: {cut!r} ends in a thought")

    def table(self, folder: Path) -> None:
        """A table of cells at random, bytes of it changed at random, by every reader."""
        rng = self.rng
        suffix = rng.choice([".csv", ".csv", ".tsv", ".jsonl", ".jsonl", ".parquet"])
        often = rng.random() < 0.5
        columns = ["extra", "item", "group_x", "references"] if often else COLUMNS
        names = ["audio", "transcript", "reference", *rng.sample(columns, rng.randint(0, 4))]
        rows = [{n: rng.choice(CELLS) for n in names} for _ in range(rng.randint(0, 3))]
        for row in rows:
            if rng.random() < 0.9:
                row |= {"audio": "a.wav", "transcript": "t"}
            if often or rng.random() < 0.5:
                row |= {
                    n: v
                    for n, v in (
                        ("scorer", "reference"),
                        ("id", ""),
                        ("choices", "a|b"),
                        ("reference", rng.choice(["A", ["a"], 4.0])),
                    )
                    if n in row
                }
        path = folder / f"m-sd-qa-usa-audio{suffix}"
        data = _bytes(rng, suffix, list(dict.fromkeys(names)), rows)
        for _ in range(rng.choice([0, 0, 0, 1, 3])):
            if data:
                at = rng.randrange(len(data))
                data[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        path.write_bytes(bytes(data))
        made = self.guarded(f"tables, {suffix}", lambda: read_questions(str(path)), bytes(data))
        for asked in made or ():
            text = anything(rng)
            self.guarded("answers to tables", lambda a=asked, t=text: score(a, t), (asked, text))
        if suffix == ".jsonl":
            self.guarded("files of results", lambda: list(questions_of(path)), bytes(data))


def _bytes(
    rng: random.Random, suffix: str, names: list[str], rows: list[dict[str, Any]]
) -> bytearray:
    if suffix == ".jsonl":
        text = "\n".join(json.dumps(r) for r in rows)
    elif suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {}
        for name in filter(None, names):
            cells = [row[name] for row in rows]
            try:
                columns[name] = pa.array(cells)
            except (pa.ArrowException, TypeError, OverflowError):
                columns[name] = pa.array([str(cell) for cell in cells])
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer)
        return bytearray(buffer.getvalue())
    else:
        out = io.StringIO()
        separator = "\t" if suffix == ".tsv" else rng.choice([",", ",", ";", "\t", "|"])
        writer = csv.DictWriter(out, names, delimiter=separator, escapechar="\\")
        writer.writeheader()
        writer.writerows(rows)
        text = out.getvalue()
        if rng.random() < 0.2:
            text = text.replace(separator, separator + " ")
    return bytearray(text.encode(rng.choice(["utf-8", "utf-8-sig", "utf-16"]), "surrogatepass"))


def main(minutes: float = 4.0, seed: int = 0) -> int:
    """Try inputs for so long; print what was tried and found, and return how many were bad."""
    fuzz = Fuzz(seed)
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            fuzz.any_answer()
            for _ in range(20):
                fuzz.known_answer()
            fuzz.table(Path(folder))
    for what, n in sorted(fuzz.tried.items()):
        print(f"{what:32} {n:8}")
    for kind, found in (("crashes", fuzz.crashes), ("wrong", fuzz.wrong)):
        print(f"{kind:32} {len(found):8}")
        shown = {line[:60]: line for line in reversed(found)}  # one of each kind
        for line in list(shown.values())[:25]:
            print("  " + line.encode("ascii", "backslashreplace").decode())
    return len(fuzz.crashes) + len(fuzz.wrong)
