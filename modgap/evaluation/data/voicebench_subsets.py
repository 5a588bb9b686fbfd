"""VoiceBench (hlt-lab/voicebench, arXiv 2410.17196): its subsets, fields, and scorers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from modgap.core.errors import AudioError, SettingsError
from modgap.evaluation.data.cells import text_of
from modgap.evaluation.data.reference import check_row, references_of
from modgap.scoring.question import Question

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

__all__ = ["HUB", "SUBSETS", "Subset", "question_of"]

HUB = "hlt-lab/voicebench"
_LINE = re.compile(r"^\s*\(?([A-Z])[.):]\s*(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Subset:
    """What is known of a subset.

    Attributes
    ----------
    scorer : str
        modgap's.
    evaluator : str
        VoiceBench's, for `modgap.evaluation.judging.voicebench_evaluators`.
    split : str
        What its splits tell apart: the name of a group, or empty.
    human : bool
        Spoken by people, so that ``prompt`` is a transcript. Else it is what a synthesizer was
        given, and what is said can differ from it ("A." read out, symbols, digits).
    """

    scorer: str
    evaluator: str
    split: str = ""
    human: bool = False


SUBSETS = {
    "alpacaeval": Subset("judge", "open"),
    "alpacaeval_full": Subset("judge", "open"),
    "alpacaeval_speaker": Subset("judge", "open", "voice"),
    "commoneval": Subset("judge", "open", human=True),
    "wildvoice": Subset("judge", "open", human=True),
    "openbookqa": Subset("choices", "mcq"),
    "mmsu": Subset("choices", "mcq", "topic"),
    "sd-qa": Subset("reference", "qa", "accent", human=True),
    "bbh": Subset("bbh", "bbh", human=True),
    "ifeval": Subset("ifeval", "ifeval"),
    "advbench": Subset("refusal", "harm"),
}


def question_of(
    subset: str,
    split: str,
    number: int,
    row: Mapping[str, Any],
    load: Callable[[], Clip] | None = None,
) -> Question:
    """The question that a row of VoiceBench is, of its tables or of a file of results.

    Parameters
    ----------
    subset, split : str
    number : int
        Place in the split. The id is ``SUBSET/SPLIT#NUMBER``: most subsets have none of their own,
        and prompts repeat.
    row : mapping
        Its fields, whatever else is in it.
    load : callable, optional
        Reads the sound.

    Raises
    ------
    SettingsError
        The subset is unknown, or the row lacks a field or what its scorer needs.
    """
    known = SUBSETS.get(subset)
    if known is None:
        raise SettingsError(f"Unknown subset {subset!r}; VoiceBench has {', '.join(SUBSETS)}.")
    name = f"{subset}/{split}#{number}"
    for field in ("prompt", *_NEEDED.get(known.scorer, ())):
        if row.get(field) in (None, "", []):
            raise SettingsError(f"Row {number} of VoiceBench's {subset}/{split} has no {field}.")
    where = f"Row {number} of VoiceBench's {subset}/{split}"
    prompt = text_of(where, "prompt", row["prompt"]) or ""
    meta = {k: row[k] for k in _META if row.get(k) is not None}
    choices = _options(prompt) if known.scorer == "choices" else _two(row, known.scorer)
    reference, more = references_of(where, known.scorer, row.get("reference"), choices=choices)
    if more:
        meta["references"] = more
    check_row(where, known.scorer, reference, choices, meta)
    return Question(
        id=name,
        transcript=prompt,
        load=load or partial(_no_sound, name),
        reference=reference,
        scorer=known.scorer,
        choices=choices,
        meta=meta,
        dataset="voicebench",
        subset=subset,
        groups=_groups(subset, known, split, number, row),
    )


_NEEDED = {
    "choices": ("reference",),
    "bbh": ("reference", "id"),
    "reference": ("reference",),
    "ifeval": ("instruction_id_list", "kwargs"),
}
_META = ("id", "key", "instruction_id_list", "kwargs", "question_id", "category", "src")


def _groups(
    subset: str, known: Subset, split: str, number: int, row: Mapping[str, Any]
) -> dict[str, str]:
    groups = {"split": split, "spoken by": "people" if known.human else "synthesizer"}
    if known.split:
        groups[known.split] = split
    if subset in ("sd-qa", "alpacaeval_speaker"):
        groups["item"] = f"{subset}#{number}"  # row j is the same question in every split
    if subset == "alpacaeval_speaker":
        accent = re.match(r"en_([A-Z]+)_(\w+_[A-Z])_([\d.]+)_", split)
        if accent:
            groups |= {"accent": accent[1], "voice": f"{accent[1]}_{accent[2]}", "speed": accent[3]}
    if subset == "bbh":
        groups["task"] = re.sub(r"^bbh_|_\d+$", "", str(row["id"]))
    if subset == "mmsu" and row.get("category"):
        groups["topic"] = str(row["category"])
    return groups


def _options(prompt: str) -> tuple[str, ...]:
    """Words of the options, which stand on lines of their own, else inside the sentence."""
    from modgap.scoring.named_options import named_options

    lines = dict(_LINE.findall(prompt))
    expected = [chr(ord("A") + n) for n in range(len(lines))]
    if len(lines) > 1 and list(lines) == expected:
        return tuple(lines.values())
    return tuple(named_options(prompt).values())


def _two(row: Mapping[str, Any], scorer: str) -> tuple[str, ...]:
    if scorer != "bbh":
        return ()
    letters = str(row["reference"]).strip().strip("().").lower() in ("a", "b")
    return ("(A)", "(B)") if letters else ("Yes", "No")


def _no_sound(name: str) -> Clip:
    raise AudioError(f"{name} is from a file of results, which holds no sound.")
