"""The tables of a run: the contract between the runner, the statistics, and the pages.

A run is a folder::

    run.json                    protocol: models and their identities, inputs, settings, data set,
                                interventions, scorer versions; written first
    questions.parquet           one row a question
    answers/part-*.parquet      one row a model, question and input
    layers/part-*.parquet       one row a model, question and layer
    failures/part-*.parquet     one row a model, question and input that could not be run
    clips/part-*.parquet        one row a clip that was read
    judged/part-*.parquet       one row an answer that a judge decided (`modgap runs judge`)

Parts are written whole, by one rename, and never changed. A row is known by `KEYS` of its table;
whoever reads a run takes the first of equal keys. The files of a part have one name in all folders,
and count once the one in ``answers/`` is there. A failure whose key has an answer was mended by a
later attempt and counts no more. A judge's verdict counts in the place of the answer's own. When a
run is finished, what ``clips`` says is in ``questions.parquet``, too.
"""

from __future__ import annotations

import pyarrow as pa

__all__ = [
    "ANSWERS",
    "CLIPS",
    "FAILURES",
    "INPUTS",
    "JUDGED",
    "KEYS",
    "LAYERS",
    "QUESTIONS",
    "TABLES",
]

#: What a model can be given. "speech+NAME" is the speech under the intervention called NAME.
INPUTS = ("text", "speech", "pipeline", "base")

_TEXT, _REAL, _COUNT = pa.string(), pa.float64(), pa.int32()

QUESTIONS = pa.schema(
    {
        "question": _TEXT,
        "dataset": _TEXT,
        "subset": _TEXT,
        "transcript": _TEXT,
        "instruction": _TEXT,
        "reference": _TEXT,
        "scorer": _TEXT,
        "choices": pa.list_(_TEXT),
        "groups": pa.map_(_TEXT, _TEXT),
        "meta": _TEXT,  # what else the scorer needs, as JSON; null in runs of before it was kept
        "seconds": _REAL,  # of the clip; null until it was read
        "audio": _TEXT,  # sha256 of the decoded clip; null until it was read
    }
)
ANSWERS = pa.schema(
    {
        "model": _TEXT,  # as it was named
        "question": _TEXT,
        "input": _TEXT,  # one of INPUTS, or "speech+NAME"
        "response": _TEXT,
        "correct": pa.bool_(),  # null: not judged (a scorer that needs a judge)
        "extracted": _TEXT,  # what the scorer took for the answer; null: unparsed
        "rule": _TEXT,  # which of the scorer's rules decided
        "expected": _REAL,  # expected score under the benchmark's own rule, where it differs
        "option_logprob": pa.list_(_REAL),  # of each choice's letter or words; empty without
        "tokens": _COUNT,
        "finished": pa.bool_(),
        "heard": _TEXT,  # pipeline: its transcript; speech: what the model writes down, if asked
        "wer": _REAL,  # of `heard` against the transcript
        "kl": _REAL,  # KL of the first token from that of the pair's text, in nats
        "markers": _TEXT,  # of the text prompt that was answered: keep or drop; null: speech
        "pair_markers": _TEXT,  # speech: of the text that its similarity and KL are of
        "seconds": _REAL,  # of computing
    }
)
LAYERS = pa.schema(
    {
        "model": _TEXT,
        "question": _TEXT,
        "layer": _COUNT,
        "cosine": _REAL,
        "euclidean": _REAL,
        "aps_cos": _REAL,
        "aps_euc": _REAL,
        "monotonicity": _REAL,
    }
)
FAILURES = pa.schema(
    {"model": _TEXT, "question": _TEXT, "input": _TEXT, "kind": _TEXT, "reason": _TEXT}
)
CLIPS = pa.schema({"question": _TEXT, "seconds": _REAL, "audio": _TEXT})
JUDGED = pa.schema(
    {
        "model": _TEXT,
        "question": _TEXT,
        "input": _TEXT,
        "correct": pa.bool_(),  # null: the answer was rated, see `expected`
        "extracted": _TEXT,  # Yes or No, or the mean rating; null: an empty answer
        "rule": _TEXT,  # names the judge
        "expected": _REAL,  # share of Yes, or a fifth of the rating
        "replies": pa.list_(_TEXT),
        "asked": _TEXT,  # hash of what was sent: equal answers are sent once
    }
)
TABLES = {
    "answers": ANSWERS,
    "layers": LAYERS,
    "failures": FAILURES,
    "clips": CLIPS,
    "judged": JUDGED,
}
KEYS = {
    "answers": ("model", "question", "input"),
    "layers": ("model", "question", "layer"),
    "failures": ("model", "question", "input"),
    "clips": ("question",),
    "judged": ("model", "question", "input"),
}
