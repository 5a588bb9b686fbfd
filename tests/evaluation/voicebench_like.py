"""A folder in VoiceBench's parquet form: the repository's own clips under the real field names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modgap

EXAMPLES = Path(modgap.__file__).parent / "demo" / "examples"
KNOWN = {e["id"]: e for e in json.loads((EXAMPLES / "examples.json").read_text())}
OPEN = ("capital-Greece-open", "opposite-fast-open")
CHOICE = "capital-Italy-choice"
#: kwargs of IFEval are dicts with every key, mostly null.
KEYS = ("num_words", "relation", "keywords", "num_bullets", "end_phrase")

SPLITS: dict[str, tuple[str, ...]] = {
    "alpacaeval": ("test",),
    "alpacaeval_full": ("test",),
    "alpacaeval_speaker": ("en_GB_Wavenet_A_1.0_0.0_0.0", "en_US_Wavenet_A_1.5_0.0_0.0"),
    "commoneval": ("test",),
    "wildvoice": ("test",),
    "openbookqa": ("test",),
    "mmsu": ("law", "physics"),
    "sd-qa": ("usa", "ind_n"),
    "bbh": ("test",),
    "ifeval": ("test",),
    "advbench": ("test",),
}


def _audio(name: str) -> dict[str, Any]:
    file = KNOWN[name]["file"]
    return {"bytes": (EXAMPLES / file).read_bytes(), "path": file}


def _options(said: str) -> str:
    """The spoken choice on lines, as VoiceBench writes it."""
    question, options = said.split("? ")
    lines = [o.strip(" .").replace(", ", ". ", 1) for o in options.split(". ") if o.strip()]
    return "\n".join([f"{question}?", *lines, "Choose one."])


def rows(subset: str, split: str) -> list[dict[str, Any]]:
    """Two rows of a subset."""
    return list(_rows(subset, split))


def _rows(subset: str, split: str) -> Iterator[dict[str, Any]]:
    for n, name in enumerate(OPEN):
        said = KNOWN[name]["transcript"]
        row: dict[str, Any] = {"audio": _audio(name), "prompt": said}
        if subset in ("openbookqa", "mmsu"):
            row = {"audio": _audio(CHOICE), "prompt": _options(KNOWN[CHOICE]["transcript"]),
                   "reference": "A"}  # fmt: skip
        if subset == "mmsu":
            row |= {"question_id": 70 + n, "category": split, "src": "ori_mmlu"}
        elif subset == "sd-qa":
            row |= {"reference": KNOWN[name]["reference"]}
        elif subset == "bbh":
            task, reference = (("navigate", "yes"), ("hyperbaton", "(A)"))[n]
            row |= {"reference": reference, "id": f"bbh_{task}_{n}"}
        elif subset == "ifeval":
            words = {"num_words": 20, "relation": "less than"}
            bullets = {"num_bullets": 3}
            names = ["length_constraints:number_words", "detectable_format:number_bullet_lists"]
            row |= {
                "key": 1000 + n,
                "instruction_id_list": names[: n + 1],
                "kwargs": [dict.fromkeys(KEYS) | given for given in (words, bullets)[: n + 1]],
            }
        yield row


def make(folder: Path) -> Path:
    """Write all subsets; openbookqa in two files of small row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for subset, splits in SPLITS.items():
        (folder / subset).mkdir(parents=True)
        for split in splits:
            made = rows(subset, split)
            parts = [made[:1], made[1:]] if subset == "openbookqa" else [made]
            for n, part in enumerate(parts):
                file = folder / subset / f"{split}-{n:05d}-of-{len(parts):05d}.parquet"
                pq.write_table(pa.Table.from_pylist(part), file, row_group_size=1)
    return folder
