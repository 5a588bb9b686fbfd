"""Which questions the evaluation asks: those of a kind that the base model can answer when typed.

The rule, which sees nothing that is reported: of the things that are *not* reserved, at most
`PROBED` a topic are asked in every phrasing, typed, and answered greedily by the base model under
its chat template. A phrasing stays if at least `BOUND` of its answers are right by the scorer of
the evaluation, and of a topic's the `KEPT` best stay. Every reserved thing of the topic is then
asked in these phrasings. ::

    python -m modgap.demo.questions.choose --base ~/.cache/modgap/models/SmolLM2-135M-Instruct

writes ``data/probe.parquet`` and ``data/questions.parquet``. With ``--texts FOLDER`` questions
whose topic and thing meet in one of a training's texts are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from modgap.core.files import table_bytes, write_atomic
from modgap.demo.questions.asked import TABLES, Asked, candidates, rank
from modgap.demo.questions.stored import PROBE, QUESTIONS
from modgap.demo.topics import asked_in
from modgap.demo.writer import Writer
from modgap.scoring.question import Question
from modgap.scoring.scorers import score

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

__all__ = ["BOUND", "KEPT", "PROBED", "accuracies", "chosen", "probe", "probed"]

PROBED = 14
BOUND = 0.6
KEPT = 3
#: Half of the evaluation's: a short answer that has not come by then is no short answer.
NEW_TOKENS = 24

Answerer = Callable[[Sequence[str]], list[str]]


def probed() -> list[Asked]:
    """The questions that the base model is asked to choose by; none is about a reserved thing."""
    found = []
    for topic in TABLES:
        own = list(candidates(topic, of_evaluation=False))
        things = sorted({a.thing for a in own}, key=lambda thing: rank("probe", topic, thing))
        found += [a for a in own if a.thing in things[:PROBED]]
    return found


def probe(answer: Answerer) -> pd.DataFrame:
    """Ask `probed`.

    Parameters
    ----------
    answer : callable
        Texts to answers.

    Returns
    -------
    DataFrame
        Columns topic, thing, phrasing, text, response, correct.
    """
    asked = probed()
    rows = []
    for one, response in zip(asked, answer([a.text for a in asked]), strict=True):
        rows.append({
            "topic": one.topic, "thing": one.thing, "phrasing": one.phrasing,
            "text": one.text, "response": response,
            "correct": score(_scored(one), response).correct is True,
        })  # fmt: skip
    return pd.DataFrame(rows)


def accuracies(probe: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and count of each phrasing of a probe."""
    grouped = probe.groupby(["topic", "phrasing"], sort=False).correct
    return grouped.agg(accuracy="mean", count="size").reset_index()


def chosen(probe: pd.DataFrame, texts: Iterable[str] = ()) -> pd.DataFrame:
    """The evaluation's questions, in an order in which any beginning is a fair sample.

    Parameters
    ----------
    probe : DataFrame
        Of `probe`.
    texts : iterable of str
        Of a training. A question whose topic's word and thing are in one of them is left out.

    Returns
    -------
    DataFrame
        Columns id, topic, thing, text, answers.
    """
    table = accuracies(probe)
    table = table[table.accuracy >= BOUND]
    best = table.sort_values("accuracy", ascending=False, kind="stable")
    best = best.groupby("topic").head(KEPT)
    kept = set(zip(best.topic, best.phrasing, strict=True))
    found = [
        one
        for topic in TABLES
        for one in candidates(topic, of_evaluation=True)
        if (one.topic, one.phrasing) in kept
    ]
    texts = list(texts)
    met = {topic: asked_in(topic, texts) for topic in {a.topic for a in found}}
    found = [a for a in found if a.thing not in met[a.topic]]
    found.sort(key=lambda a: rank("order", a.id))
    rows = [(a.id, a.topic, a.thing, a.text, list(a.answers)) for a in found]
    return pd.DataFrame(rows, columns=["id", "topic", "thing", "text", "answers"])


def _scored(one: Asked) -> Question:
    """The question as its scorer knows it, with no sound."""

    def no_sound() -> Clip:
        raise NotImplementedError

    meta = {"references": list(one.answers[1:])}
    return Question(one.id, one.text, no_sound, one.answers[0], meta=meta)


def _texts(folder: Path) -> list[str]:
    tables = [pd.read_parquet(f, columns=["text"]) for f in sorted(folder.rglob("*.parquet"))]
    return [] if not tables else list(pd.concat(tables).text)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", type=Path, help="the base model's folder; else the last probe")
    parser.add_argument("--texts", type=Path, help="folder of a training's texts (parquet)")
    given = parser.parse_args()
    if given.base is not None:
        writer = Writer(given.base)

        def answer(texts: Sequence[str]) -> list[str]:
            return [writer.text(w.tokens).strip() for w in writer.answers(texts, NEW_TOKENS)]

        write_atomic(PROBE, table_bytes(probe(answer)))
    found = pd.read_parquet(PROBE)
    table = chosen(found, _texts(given.texts) if given.texts else ())
    write_atomic(QUESTIONS, table_bytes(table))
    print(accuracies(found).to_string(index=False))
    print(table.groupby("topic").size().to_string())
    print(f"{len(table)} questions on {table.topic.nunique()} topics in {QUESTIONS}")


if __name__ == "__main__":
    main()
