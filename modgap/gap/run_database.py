"""A run's parquet files as tables of DuckDB, opened safely: what `run_data` asks.

What is asked again and again (who was right on what, in which group) is kept as one compact row a
model and question; words and layers stay in the files and are read when they are wanted.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import StoreError
from modgap.core.foreign_files import is_plain, read_json
from modgap.evaluation.runs.record import checked
from modgap.evaluation.runs.tables import INPUTS, KEYS, QUESTIONS, TABLES
from modgap.gap import bounded_tables
from modgap.gap.bounded_tables import bounded, connected, quoted, text, type_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["RunDatabase", "is_run", "signature_of"]

MOST_VALUES = 200  # a group of more values is no facet
MARK = "answers"  # a part counts once its file in this folder is there
ITEM = "item"


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a run."""
    return (folder / "run.json").is_file() and (folder / "questions.parquet").is_file()


class RunDatabase:
    """A run's folder as tables of a database of its own, in memory but for its files' rows.

    What a folder holds was perhaps written elsewhere, by anyone: nothing but its own files is read.

    Attributes
    ----------
    path : Path
    protocol : dict
        The content of ``run.json``.
    models : tuple of str
        Those with answers, in the order of the protocol.
    inputs : tuple of str
        Those with answers, `INPUTS` first.
    facets : dict of str to tuple of str
        What questions can be told apart by (data set, subset, groups), with its values.
    questions : int
    signature : str
        Of the files as they were (`signature_of`).
    answer_rows : str
        The view of the answers' table in which every key is once.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.expanduser().resolve()
        if not is_run(self.path):
            raise StoreError(
                f"There is no run in {folder}: a run is a folder with run.json and "
                "questions.parquet, as `modgap eval --out` writes it."
            )
        try:
            protocol = read_json(self.path / "run.json")
            if not isinstance(protocol, dict):
                raise ValueError("it holds no object")
        except (OSError, ValueError) as problem:
            raise StoreError(
                f"The file run.json of {folder} is damaged ({problem}): get the run's files again."
            ) from problem
        self.protocol: dict[str, Any] = checked(protocol, str(folder))
        # Before the parts are listed: a part that comes in between makes it an old signature, never
        # a new one for old parts.
        self.signature = signature_of(self.path)
        self._lock = threading.Lock()
        whole = self._files(MARK)
        names = {p.name for p in whole}
        self._parts = {t: [p for p in self._files(t) if p.name in names] for t in TABLES}
        self._db = connected(self.path)
        self._columns: dict[str, str] = {"dataset": "dataset", "subset": "subset"}
        self._view("questions", QUESTIONS, [self.path / "questions.parquet"], ("question",))
        for name, schema in TABLES.items():
            # With a judge, what the scorer said is not yet what the answers are worth.
            view = "said" if name == "answers" and self._parts["judged"] else name
            self._view(view, schema, self._parts[name], KEYS[name])
        if self._parts["judged"]:
            self._judge()
        self._index()
        self._wide()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def close(self) -> None:
        """Free what is in memory."""
        self._db.close()

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """Ask the tables: ``answers``, ``layers``, ``failures``, ``questions`` of the files;
        ``q`` (a row a question), ``wide`` (a row a model and question) in memory.

        Raises
        ------
        StoreError
            The files cannot be read any more, or hold something else than they should.
        """
        import duckdb

        cursor = self._db.cursor()
        try:
            with bounded(cursor):
                return cursor.execute(query, list(parameters)).df()
        except duckdb.Error as problem:
            raise self._unreadable(problem) from problem

    def _files(self, table: str) -> list[Path]:
        found = sorted((self.path / table).glob("part-*.parquet"))
        inside = [p for p in found if p.resolve().is_relative_to(self.path)]
        for path in inside:
            if not is_plain(path):  # a pipe would be waited for without end
                raise StoreError(
                    f"The run {self.name} has {table}/{path.name}, which is not a plain file: "
                    "remove it, or get the run's files again."
                )
        return inside

    def _view(self, name: str, schema: pa.Schema, files: list[Path], key: Sequence[str]) -> None:
        """A view with the columns of `schema`, null where the files have none.

        ``{name}_once`` is the same with the first of rows that have equal keys.
        """
        if not files:
            columns = ", ".join(f"NULL::{type_of(f.type)} AS {quoted(f.name)}" for f in schema)
            self._do(f"CREATE VIEW {name} AS SELECT {columns} WHERE FALSE")
            self._do(f"CREATE VIEW {name}_once AS SELECT * FROM {name}")
            return
        listed = ", ".join(text(str(path)) for path in files)
        source = (
            f"read_parquet([{listed}], union_by_name=true, filename=true, file_row_number=true)"
        )
        have = set(self._fetch(f"DESCRIBE SELECT * FROM {source}")["column_name"])
        missing = [k for k in key if k not in have]
        if missing:
            raise StoreError(
                f"The table {name} of the run {self.name} has no column {missing[0]!r}."
            )
        columns = ", ".join(
            f"{quoted(f.name)}::{type_of(f.type)} AS {quoted(f.name)}"
            if f.name in have
            else f"NULL::{type_of(f.type)} AS {quoted(f.name)}"
            for f in schema
        )
        self._do(f"CREATE VIEW {name} AS SELECT {columns} FROM {source}")
        keys = ", ".join(quoted(k) for k in key)
        self._do(
            f"CREATE VIEW {name}_once AS SELECT {columns} FROM {source} QUALIFY "
            f"row_number() OVER (PARTITION BY {keys} ORDER BY filename, file_row_number) = 1"
        )

    def _judge(self) -> None:
        """The views of the answers, with the judge's verdicts where there are any."""
        from modgap.evaluation.judging.verdicts import judged_columns

        judge = self.protocol.get("judge")
        columns = judged_columns(judge.get("right_from") if isinstance(judge, dict) else None)
        keys = " AND ".join(f"a.{k} = j.{k}" for k in KEYS["judged"])
        for end in ("", "_once"):
            self._do(
                f"CREATE VIEW answers{end} AS SELECT a.* REPLACE ({columns}) FROM said{end} AS a "
                f"LEFT JOIN judged_once AS j ON {keys}"
            )

    def _index(self) -> None:
        """The table ``q``: a number, facets as enums, the item, seconds."""
        names = self._fetch("SELECT DISTINCT unnest(map_keys(groups)) AS name FROM questions")
        keys = sorted(str(n) for n in names["name"].dropna())
        source = {"dataset": "dataset", "subset": "subset"}
        source |= {k: f"groups[{text(k)}]" for k in keys if k not in ("dataset", "subset", ITEM)}
        self.facets: dict[str, tuple[str, ...]] = {}
        parts = []
        for number, (facet, expression) in enumerate(source.items()):
            values = self._fetch(
                f"SELECT DISTINCT {expression} AS v FROM questions WHERE v <> '' "
                f"ORDER BY v LIMIT {MOST_VALUES + 1}"
            )["v"]
            if not 0 < len(values) <= MOST_VALUES:
                continue
            self.facets[facet] = tuple(values)
            self._columns[facet] = f"f{number}"
            literals = ", ".join(text(v) for v in values)
            self._do(f"CREATE TYPE e{number} AS ENUM ({literals})")
            parts.append(f"nullif({expression}, '')::e{number} AS f{number}")
        item = f"coalesce(groups[{text(ITEM)}], question)" if ITEM in keys else "question"
        facets = "".join(f"{p}, " for p in parts)
        self._do(
            "CREATE TABLE q AS SELECT (row_number() OVER () - 1)::INTEGER AS q, question, "
            f"{facets}(dense_rank() OVER (ORDER BY {item}))::INTEGER AS item, "
            "coalesce(questions_once.seconds, c.seconds)::FLOAT AS seconds FROM questions_once "
            "LEFT JOIN clips_once AS c USING (question)"
        )
        self.questions = int(self._fetch("SELECT count(*) AS n FROM q")["n"][0])

    def _wide(self) -> None:
        """The table ``wide``: a row a model and question, who was right and what was heard."""
        found = self._fetch("SELECT DISTINCT model, input FROM answers")
        listed = self.protocol.get("models")
        order = [str(m) for m in listed] if isinstance(listed, list | dict) else []
        models = set(found["model"].dropna())
        self.models = (*(m for m in order if m in models), *sorted(models.difference(order)))
        inputs = set(found["input"].dropna())
        self.inputs = (*(k for k in INPUTS if k in inputs), *sorted(inputs.difference(INPUTS)))
        rows = ", ".join(f"({n}, {text(m)})" for n, m in enumerate(self.models)) or "(0, NULL)"
        self._do(f"CREATE TABLE models AS SELECT * FROM (VALUES {rows}) AS t(number, name)")
        self.answer_rows = "answers"
        self._do(f"CREATE TABLE wide AS {self._pivot('answers')}")
        twice = " OR ".join(f"n{n} > 1" for n in range(len(self.inputs))) or "FALSE"
        if self._fetch(f"SELECT count(*) AS n FROM wide WHERE {twice}")["n"][0]:
            self.answer_rows = "answers_once"
            self._do(f"CREATE OR REPLACE TABLE wide AS {self._pivot('answers_once')}")

    def _pivot(self, source: str) -> str:
        columns = []
        for n, kind in enumerate(self.inputs):
            only = f"FILTER (a.input = {text(kind)})"
            columns += [
                f"bool_or(a.correct) {only} AS c{n}",
                f"coalesce(bool_or(a.correct IS NOT NULL AND a.extracted IS NULL) {only}, FALSE) "
                f"AS u{n}",
                f"max(coalesce(a.expected, a.correct::INTEGER)) {only}::FLOAT AS e{n}",
                f"least(count(*) {only}, 2)::UTINYINT AS n{n}",
            ]
        heard = "FILTER (a.input = 'speech')"
        # float32 halves what 100,000 clips hold; `failure_reasons.ROUNDING` allows for it.
        columns.append(f"max(a.wer) {heard}::FLOAT AS wer")
        columns.append(f"max(a.kl) {heard}::FLOAT AS kl")
        return (
            f"SELECT m.number::USMALLINT AS model, q.q, {', '.join(columns)} FROM {source} AS a "
            "JOIN models AS m ON m.name = a.model JOIN q ON q.question = a.question "
            "GROUP BY m.number, q.q"
        )

    def _do(self, query: str) -> None:
        import duckdb

        try:
            with bounded(self._db):
                self._db.execute(query)
        except duckdb.Error as problem:
            raise self._unreadable(problem) from problem

    def _fetch(self, query: str) -> pd.DataFrame:
        import duckdb

        try:
            with bounded(self._db):
                return self._db.execute(query).df()
        except duckdb.Error as problem:
            raise self._unreadable(problem) from problem

    def _unreadable(self, problem: Exception) -> StoreError:
        import duckdb

        if isinstance(problem, duckdb.InterruptException):
            return StoreError(
                f"The run {self.name} takes longer than {bounded_tables.SECONDS:g} s to read: is "
                "its disk slow, or are its files damaged? Get them again, or open it on another "
                "disk."
            )
        said = str(problem).strip().splitlines()[0].replace(str(self.path), self.name)
        return StoreError(f"The run {self.name} cannot be read: {said}.")


def signature_of(folder: Path) -> str:
    """A hash of names, sizes and times of a run's files, without opening them."""
    files = [folder / "run.json", folder / "questions.parquet"]
    files += [p for t in TABLES for p in sorted((folder / t).glob("part-*.parquet"))]
    said = []
    for path in files:
        try:
            about = path.stat()
        except OSError:
            continue
        said.append((path.name, path.parent.name, about.st_size, about.st_mtime_ns))
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
