"""A run of 100,000 clips: how fast it opens and is filtered, and what memory it takes.

    python -m benchmarks.bigrun
    python -m benchmarks.bigrun --source runs/mine --clips 100000 --models 2

The big run is drawn with replacement from the questions of a real one (the shipped run by default),
with every answer and layer of each drawn question; only the names are new. It is measured in a
process of its own, which imports nothing but modgap. With ``--page`` the Modality gap page is
timed in Chromium, too: from navigation to the bars, and from another group to new bars.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PARTS = 20
VISITS = {
    "first": "navigation to the bars, first visit of the server",
    "later": "the same in a new browser",
    "group": "another group chosen, to its bars",
}
REPEATS = 5


def make(source: Path, folder: Path, clips: int, models: int) -> None:
    """Write the big run.

    Parameters
    ----------
    source : Path
        A run.
    folder : Path
        Where the big one goes; its folder must exist.
    clips, models : int
        How many; models are the first of the source's.
    """
    import duckdb

    from modgap.gap.run_data import open_run

    small = open_run(source)
    names = small.models[:models]
    protocol = dict(small.protocol)
    if isinstance(protocol.get("models"), dict):
        protocol["models"] = {m: protocol["models"].get(m, {}) for m in names}
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(protocol))
    db = duckdb.connect()
    db.execute(
        "CREATE TABLE given AS SELECT *, (row_number() OVER ()) - 1 AS n FROM "
        f"read_parquet('{source}/questions.parquet')"
    )
    db.execute("SELECT setseed(0.5)")
    db.execute(
        "CREATE TABLE drawn AS SELECT i, question, question || '#' || i AS name FROM "
        f"(SELECT i, floor(random() * {small.questions})::INT AS n FROM range({clips}) AS t(i)) "
        "JOIN given USING (n)"
    )
    db.execute(
        "COPY (SELECT g.* EXCLUDE (n) REPLACE (d.name AS question) FROM drawn AS d JOIN given AS g "
        f"USING (question) ORDER BY d.i) TO '{folder}/questions.parquet' (FORMAT parquet)"
    )
    listed = ", ".join(f"'{m}'" for m in names)
    for table in ("answers", "layers"):
        (folder / table).mkdir()
        for part in range(PARTS):
            db.execute(
                f"COPY (SELECT t.* REPLACE (d.name AS question) FROM drawn AS d JOIN "
                f"read_parquet('{source}/{table}/part-*.parquet') AS t USING (question) WHERE "
                f"d.i % {PARTS} = {part} AND t.model IN ({listed})) TO "
                f"'{folder}/{table}/part-{part:05d}.parquet' (FORMAT parquet)"
            )


def measure(folder: Path) -> dict[str, Any]:
    """Open the run in this process and ask what the pages ask.

    Returns
    -------
    dict
        ``open`` (seconds), ``questions``, ``answers``, ``layers`` (rows), ``memory`` (bytes, the
        process's peak), ``base`` (bytes before the run was opened), and ``tasks``: the first and
        the median of the later times of each, in seconds.
    """
    import duckdb  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401
    import statsmodels.api  # noqa: F401

    from modgap.gap.accuracy import accuracies, gap_table
    from modgap.gap.correlation import gaps, layer_means
    from modgap.gap.failure_reasons import reasons
    from modgap.gap.per_question import auc, logistic, question_rows
    from modgap.gap.run_data import open_run
    from modgap.gap.run_table import Change, clip_rows, count_clips

    base = memory()
    began = time.perf_counter()
    run = open_run(folder)
    opened = time.perf_counter() - began
    topic = next(f for f in reversed(run.facets) if len(run.facets[f]) > 1)
    values = run.facets[topic]
    some = [{topic: [v]} for v in values[: REPEATS + 1]]
    model = run.models[0]
    tasks: dict[str, Callable[[dict[str, list[str]]], Any]] = {
        "accuracies and gap, all models": lambda w: gap_table(run, where=w),
        "the same for each value of a group": lambda w: gap_table(run, [model], w, by=topic),
        "counts of answers": lambda w: accuracies(run, w),
        "reasons of failure": lambda w: reasons(run, where=w),
        "table of clips: text right, speech wrong, by length": lambda w: (
            count_clips(run, model, Change.LOST, w),
            clip_rows(run, model, Change.LOST, w, sort="seconds"),
        ),
        "table of clips: lowest similarity first": lambda w: clip_rows(
            run, model, Change.ALL, w, sort="aps_cos"
        ),
        "table of clips: a word": lambda w: clip_rows(run, model, Change.ALL, w, words="seven"),
        "similarity by layer": lambda w: layer_means(run, "aps_cos", w),
        "gap of every checkpoint": lambda w: gaps(run, w),
        "AUC and logistic regression": lambda w: [
            f(question_rows(run, model, where=w)) for f in (auc, logistic)
        ],
    }
    found = {}
    for name, task in tasks.items():
        spent = []
        for where in some:
            began = time.perf_counter()
            task(where)
            spent.append(time.perf_counter() - began)
        found[name] = (spent[0], statistics.median(spent[1:]), max(spent[1:]))
    rows = {
        t: int(run.sql(f"SELECT count(*) AS n FROM {t}")["n"][0]) for t in ("answers", "layers")
    }
    return {"open": opened, "questions": run.questions, **rows, "base": base, "memory": memory(),
            "tasks": found}  # fmt: skip


def page_times(folder: Path) -> dict[str, list[float]]:
    """Seconds on the Modality gap page in Chromium.

    Returns
    -------
    dict of str to list of float
        ``first`` (one visit: the server opens the run and imports what it needs), ``later`` visits
        in new browsers, ``group`` (from the click that chooses another group to the new bars).
    """
    from benchmarks.browser import chromium, serving

    bars = ".st-key-gap_bars .bars path"
    settled = "[data-testid=stApp][data-test-script-state=notRunning]"
    size: Any = {"width": 1440, "height": 900}
    found: dict[str, list[float]] = {"first": [], "later": [], "group": []}
    with (
        tempfile.TemporaryDirectory() as cache,
        serving(
            environment={"MODGAP_CACHE": cache, "MODGAP_RUNS": json.dumps([str(folder)])}
        ) as url,
        chromium() as browser,
    ):
        for visit in range(REPEATS + 1):
            page = browser.new_context(viewport=size).new_page()
            began = time.perf_counter()
            page.goto(f"{url}/gap?set={folder.name}", wait_until="commit")
            page.wait_for_selector(bars, timeout=120_000)
            found["later" if visit else "first"].append(time.perf_counter() - began)
            page.wait_for_selector(settled, timeout=60_000)
            if visit < REPEATS:
                page.context.close()
        group = page.locator(".st-key-gap_by")
        for n in range(REPEATS):
            page.wait_for_timeout(1500)
            page.wait_for_selector(settled, timeout=60_000)
            before = page.locator(".st-key-gap_bars .xtick text").all_text_contents()
            group.get_by_role("button", name="Open").click()
            option = page.get_by_role("option", name=("topic", "voice")[n % 2], exact=True)
            option.wait_for()
            began = time.perf_counter()
            option.click()
            while page.locator(".st-key-gap_bars .xtick text").all_text_contents() == before:
                page.wait_for_timeout(10)
                if time.perf_counter() - began > 60:
                    raise TimeoutError("The bars did not change.")
            found["group"].append(time.perf_counter() - began)
    return found


def memory() -> int:
    """The most memory that this process has had, in bytes."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def report(made: dict[str, Any]) -> str:
    """The numbers as a Markdown table."""
    lines = [
        f"{made['questions']:,} clips, {made['answers']:,} answers, {made['layers']:,} rows of "
        "layers.",
        "",
        "| | first | median | worst |",
        "|---|---:|---:|---:|",
        f"| open | {made['open']:.2f} s | | |",
    ]
    lines += [
        f"| {name} | {first:.2f} s | {median:.2f} s | {worst:.2f} s |"
        for name, (first, median, worst) in made["tasks"].items()
    ]
    lines += [
        "",
        f"Memory of the process at its peak: {made['memory'] / 1e6:.0f} MB, of which "
        f"{made['base'] / 1e6:.0f} MB before the run was opened (libraries).",
        "Targets: open under 2 s, filter under 0.5 s, memory under 1 GB.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a run of many clips.")
    parser.add_argument("--source", type=Path, help="a run; the shipped one by default")
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="write the run here and leave it")
    parser.add_argument("--page", action="store_true", help="time the page in Chromium, too")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure is not None:
        print(json.dumps(measure(args.measure)))
        return
    source = args.source
    if source is None:
        from modgap.gap.run_folders import shipped_runs

        shipped = shipped_runs()
        if not shipped:
            raise SystemExit("No run is shipped: name one with --source.")
        source = shipped[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch) / "big"
        if not folder.exists():
            make(source.resolve(), folder, args.clips, args.models)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.bigrun", "--measure", str(folder)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr)
        print(report(json.loads(done.stdout)))
        if args.page:
            print("\n| the Modality gap page | median | worst | n |\n|---|---:|---:|---:|")
            for name, spent in page_times(folder.resolve()).items():
                print(f"| {VISITS[name]} | {statistics.median(spent):.2f} s | {max(spent):.2f} s | "
                      f"{len(spent)} |")  # fmt: skip


if __name__ == "__main__":
    main()
