"""What a run holds, in numbers: `modgap runs info`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modgap.evaluation.judging.verdicts import verdicts
from modgap.evaluation.runs.record import the_run
from modgap.evaluation.runs.shards import MARK, batches
from modgap.gap.cut_answers import cut_warnings
from modgap.scoring.scorers import Verdict

__all__ = ["overview"]


def overview(folder: str | Path) -> dict[str, Any]:
    """RunSettings, counts, failures and accuracies of a run, whole or not.

    Returns
    -------
    dict
        run.json, and ``table``: for every model and input ``answers``, ``accuracy`` (share in
        [0, 1] of the judged answers, None without any), ``not_judged``, ``unparsed`` (counted as
        wrong), ``cut`` (by the budget of tokens) and ``failed``; ``reasons``: the failures by kind
        with an example; ``too_long``: of each model that has clips longer than it takes, ``clips``
        that were read, those that are ``longer``, their ``share``, its limit in ``seconds``, and
        ``how`` ("fail" or "cut") they were taken; ``warnings``: sentences on
        sides of which more than 1 % is cut.

    Raises
    ------
    StoreError
        There is no run.
    """
    folder = Path(folder)
    run = the_run(folder)
    counts: dict[tuple[str, str], dict[str, int]] = {}

    def count(key: tuple[str, str], **more: int) -> None:
        names = ("answers", "right", "judged", "unparsed", "cut", "failed")
        mine = counts.setdefault(key, dict.fromkeys(names, 0))
        for name, value in more.items():
            mine[name] += value

    judged = verdicts(folder, run)
    answered: set[int] = set()
    for row in _once(folder, MARK, ("correct", "extracted", "finished"), answered):
        key = row["model"], row["question"], row["input"]
        own = Verdict(row["correct"], row["extracted"], "")
        verdict = judged.get(key, own)
        count(
            (row["model"], row["input"]),
            answers=1,
            right=verdict.correct is True,
            judged=verdict.correct is not None,
            unparsed=verdict.unparsed,
            cut=row["finished"] is False,
        )
    reasons: dict[str, dict[str, Any]] = {}
    for row in _once(folder, "failures", ("kind", "reason"), answered):
        count((row["model"], row["input"]), failed=1)
        mine = reasons.setdefault(row["kind"], {"kind": row["kind"], "count": 0})
        mine["count"] += 1
        mine.setdefault("example", f"{row['question']}: {row['reason']}")
    order = {name: n for n, name in enumerate(run["models"])}
    inputs = [*run["inputs"], *(f"speech+{name}" for name in run["interventions"])]
    table = [
        {
            "model": model,
            "input": given,
            "answers": c["answers"],
            "accuracy": c["right"] / c["judged"] if c["judged"] else None,
            "not_judged": c["answers"] - c["judged"],
            "unparsed": c["unparsed"],
            "cut": c["cut"],
            "failed": c["failed"],
        }
        for (model, given), c in sorted(
            counts.items(), key=lambda item: (order.get(item[0][0], 0), inputs.index(item[0][1]))
        )
    ]
    return {
        **run,
        "table": table,
        "reasons": list(reasons.values()),
        "too_long": _too_long(folder, run),
        "warnings": cut_warnings(table, run.get("settings", {}).get("max_new_tokens")),
    }


def _too_long(folder: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Models with clips beyond what they take, counted over the clips that the run has read."""
    limits = {name: about.get("max_seconds") for name, about in run["models"].items()}
    lengths: dict[str, float] = {}
    if any(limits.values()) and "speech" in run["inputs"]:
        for batch in batches(folder, "clips", ("question", "seconds")):
            for row in batch.to_pylist():
                lengths.setdefault(row["question"], row["seconds"])
    how = run.get("settings", {}).get("too_long", "fail")
    found = []
    for name, limit in limits.items():
        longer = sum(seconds > limit + 1e-6 for seconds in lengths.values()) if limit else 0
        if longer:
            share = longer / len(lengths)
            found.append({"model": name, "clips": len(lengths), "longer": longer, "share": share,
                          "seconds": limit, "how": how})  # fmt: skip
    return found


def _once(
    folder: Path, table: str, columns: tuple[str, ...], seen: set[int]
) -> Iterator[dict[str, Any]]:
    """Rows whose key was not seen, here or in the table before; keys are held as one number."""
    for batch in batches(folder, table, ("model", "question", "input", *columns)):
        for row in batch.to_pylist():
            key = hash((row["model"], row["question"], row["input"]))
            if key not in seen:
                seen.add(key)
                yield row
