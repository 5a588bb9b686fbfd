"""Tables of the model card, written by ``modgap demo eval`` between two markers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

from modgap.core.errors import SettingsError
from modgap.demo import family
from modgap.demo.closed_world.evaluate import summary

BEGIN = "<!-- tables: written by modgap demo eval -->"
END = "<!-- end of tables -->"


def _cell(part: pd.DataFrame) -> str:
    if part.empty:
        return "-"
    row = summary(part.assign(all=1), ["all"]).iloc[0]
    return (f"{100 * row.accuracy:.1f} ({100 * row.low:.1f}-{100 * row.high:.1f}), "
            f"n={int(row.n)}")  # fmt: skip


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows]) + "\n"


def _pick(table: pd.DataFrame, **where: str) -> pd.DataFrame:
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def markdown(table: pd.DataFrame, weights: Path | None = None) -> str:
    """All tables of an evaluation as markdown.

    Parameters
    ----------
    table : pandas.DataFrame
        See :func:`modgap.demo.closed_world.evaluate.evaluate_member`.
    weights : Path, optional
        Weights folder the steps are read from.
    """
    members = list(dict.fromkeys(table["member"]))
    finals = [m for m in members if "@" not in m]
    parts = [
        "Accuracy in % (95 % Wilson interval), held-out phrasings; speech by held-out voices.\n"
    ]
    rows = []
    for condition, label in (("keep", "text, audio markers kept"), ("drop", "text, natural")):
        for form in ("open", "choice", "letter", "digit"):
            part = _pick(table, modality="text", condition=condition, form=form)
            rows.append([f"{label}: {form}"] + [_cell(_pick(part, member=m)) for m in finals])
    speech = table[table["modality"] == "speech"]
    for condition in dict.fromkeys(speech["condition"]):
        for form in ("open", "choice", "letter", "digit"):
            part = _pick(speech, condition=condition, form=form)
            if not part.empty:
                rows.append([f"speech, {condition}: {form}"]
                            + [_cell(_pick(part, member=m)) for m in finals])  # fmt: skip
    parts += ["#### By condition and form\n", _table(["condition: form", *finals], rows)]
    rows = []
    for member in members:
        if member == "demo:base":
            continue
        part, info = _pick(table, member=member), family.describe(member, weights)
        heard = _pick(part, modality="speech", condition="clean")
        typed = _pick(part, modality="text", condition="keep")
        rows.append([
            member, str(info["step"]), _cell(_pick(typed, form="open")),
            _cell(_pick(heard, form="open")), _cell(_pick(heard, form="choice")),
            _cell(_pick(part, condition="real digits")),
        ])  # fmt: skip
    head = ["member", "step", "text, open", "clean speech, open",
            "clean speech, choice", "real digits"]  # fmt: skip
    parts += ["#### Along stage C\n", _table(head, rows)]
    clean = _pick(speech, condition="clean", form="open")
    typed = _pick(table, modality="text", condition="keep", form="open")
    rows = [
        [topic]
        + [_cell(_pick(typed, member=m, topic=topic)) for m in finals]
        + [_cell(_pick(clean, member=m, topic=topic)) for m in finals if m != "demo:base"]
        for topic in sorted(set(table["topic"]) - {"spoken digits"})
    ]  # fmt: skip
    head = ["topic", *[f"{m}, text" for m in finals],
            *[f"{m}, speech" for m in finals if m != "demo:base"]]  # fmt: skip
    parts += ["#### By topic (open questions; text with markers, clean speech)\n"]
    parts += [_table(head, rows)]
    return "\n".join(parts)


def update_card(card: Path, text: str) -> None:
    """Replace what stands between the markers of a model card.

    Raises
    ------
    SettingsError
        The card has no markers.
    """
    old = card.read_text()
    if BEGIN not in old or END not in old:
        raise SettingsError(f"{card} has no place for tables; add the lines {BEGIN} and {END}.")
    before, rest = old.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    card.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def accuracies(part: pd.DataFrame) -> dict[str, Any]:
    """Shares of one member by ``modality/condition/form``."""
    rows = summary(part, ["modality", "condition", "form"])
    return {
        f"{r.modality}/{r.condition}/{r.form}": {
            "accuracy": round(float(r.accuracy), 4), "n": int(r.n),
            "low": round(float(r.low), 4), "high": round(float(r.high), 4),
        }
        for r in rows.itertuples()
    }  # fmt: skip


def write_back(table: pd.DataFrame, weights: Path | None = None) -> None:
    """Note the accuracies in ``family.json``; the better final strategy becomes ``demo``."""
    path = family.weights_root(weights) / "family.json"
    data = json.loads(path.read_text())
    for member, part in table.groupby("member", sort=False):
        target = data["base"] if member == "demo:base" else data["members"].get(member)
        if target is not None:
            target["accuracies"] = accuracies(part)

    def clean(name: str) -> float:
        cell = data["members"][name]["accuracies"].get("speech/clean/open", {})
        return float(cell.get("accuracy", 0.0))

    data["default"] = max((n for n in data["members"] if "@" not in n), key=clean)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(data, indent=1) + "\n")
    temporary.replace(path)
