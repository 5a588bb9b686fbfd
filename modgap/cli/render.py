"""What the commands print in a terminal. Texts of clips and models are shown literally."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from modgap.cli.errors import literal
from modgap.models.bases.first_use import reporting

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis
    from modgap.core.progress import Progress as Report
    from modgap.store.cache import StoreInfo

_COLUMNS = (
    ("layer", "layer", "d"),
    ("cosine", "cosine", ".3f"),
    ("euclidean", "distance", ".4g"),
    ("speech_norm", "|speech|", ".4g"),
    ("text_norm", "|text|", ".4g"),
    ("aps_cos", "APS cos", ".3f"),
    ("aps_euc", "APS euc", ".4g"),
    ("aps_dtw_cos", "DTW cos", ".3f"),
    ("aps_dtw_euc", "DTW euc", ".4g"),
    ("monotonicity", "monotony", "+.2f"),
)


def out() -> Console:
    """The console on stdout; wide enough for every table where it is no terminal."""
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, width=200)
    return console


@contextmanager
def progress_bar(title: str) -> Iterator[Report | None]:
    """A bar on stderr while something long runs; nothing where stderr is no terminal."""
    console = Console(stderr=True, markup=False, emoji=False)
    if not console.is_terminal:
        yield None
        return
    note = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), note)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=1.0)

        def report(fraction: float, text: str) -> None:
            bar.update(task, completed=fraction, description=literal(text))

        with reporting(report):
            yield report


def print_notes(notes: Iterable[str], told: Container[str] = ()) -> None:
    """Print what a reader of results should know, but what stderr has told already."""
    for note in notes:
        if note not in told:
            out().print(Text(f"note: {literal(note)}"))


def print_analysis(analysis: Analysis, told: Container[str] = ()) -> None:
    """Print the layers as a table, the notes that were not `told` yet, then both answers."""
    console = out()
    source = ", from the cache" if analysis.from_cache else ""
    positions, tokens = len(analysis.speech_times), len(analysis.pieces)
    console.print(
        Text(
            f"{literal(analysis.clip['name'])}, {analysis.clip['seconds']:.2f} s, in "
            f"{literal(analysis.model['name'])} ({analysis.model['dtype']}): {positions} speech "
            f"positions, {tokens} text tokens{source}"
        )
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for _, title, _ in _COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    for row in analysis.layers.to_dict("records"):
        table.add_row(*(_number(row[name], form) for name, _, form in _COLUMNS))
    console.print(table)
    reasons = analysis.layers["monotonicity_reason"].dropna()
    if len(reasons):
        which = ", ".join(str(layer) for layer in analysis.layers["layer"][reasons.index])
        console.print(Text(f"monotony, layers {which}: {reasons.iloc[0]}"))
    print_notes(analysis.notes, told)
    for kind, answer in (analysis.answers or {}).items():
        ending = "" if answer.finished else " ..."
        console.print(Text(f"answer to the {kind + ':':<8}{literal(answer.text)}{ending}"))


def print_table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a plain table of texts."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(literal(cell)) for cell in row))
    out().print(table)


def print_store(info: StoreInfo) -> None:
    """Print the state of the cache."""
    print_table(
        ("cache", ""),
        (
            ("folder", info.path),
            ("entries", str(info.entries)),
            ("size", f"{size(info.bytes)} of {size(info.limit)}"),
            ("least recent use", info.oldest or "-"),
            ("most recent use", info.newest or "-"),
            ("set aside as damaged", str(info.corrupt)),
        ),
    )


def size(count: float) -> str:
    """Bytes for people."""
    units = iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while count >= 1000 and unit != "GB":
        count, unit = count / 1000, next(units)
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def _number(value: float, form: str) -> str:
    if value != value:
        return "-"
    return format(int(value) if form == "d" else value, form)
