"""A run opened for reading: DuckDB over its parquet files, small tables in memory.

What is asked again and again (who was right on what, in which group) is kept as one compact row a
model and question; words and layers stay in the files and are read when they are wanted.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.benchmark.tables import INPUTS, KEYS, QUESTIONS, TABLES
from modgap.errors import SettingsError, StoreError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

__all__ = ["MEASURES", "Run", "Where", "is_run", "open_run"]

#: Facet -> the values that are wanted; facets that are not named hold every value.
Where = Mapping[str, Sequence[str]]

#: Measures of the table `layers`.
MEASURES = ("cosine", "euclidean", "aps_cos", "aps_euc", "monotonicity")
MOST_VALUES = 200  # a group of more values is no facet
NAMED = 20  # values that an error names
MEMORY = "400MB"
MARK = "answers"  # a part counts once its file in this folder is there
ITEM = "item"


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a run."""
    return (folder / "run.json").is_file() and (folder / "questions.parquet").is_file()


def open_run(folder: str | Path) -> Run:
    """Open a run for reading.

    Raises
    ------
    StoreError
        There is no run, or it cannot be read.
    """
    return Run(Path(folder))


class Run:
    """One run folder, as it was when it was opened.

    Safe to share between threads. Questions are asked of it by the modules `modgap.gap`,
    `modgap.gap_points`, `modgap.gap_reasons` and `modgap.gap_questions`.

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
            self.protocol: dict[str, Any] = json.loads((self.path / "run.json").read_text("utf-8"))
            if not isinstance(self.protocol, dict):
                raise ValueError("it holds no object")
        except (OSError, ValueError) as problem:
            raise StoreError(f"The file run.json of {folder} is damaged: {problem}.") from problem
        # Before the parts are listed: a part that comes in between makes it an old signature, never
        # a new one for old parts.
        self.signature = signature_of(self.path)
        self._lock = threading.Lock()
        whole = self._files(MARK)
        names = {p.name for p in whole}
        self._parts = {t: [p for p in self._files(t) if p.name in names] for t in TABLES}
        self._db = self._connect()
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

        try:
            return self._db.cursor().execute(query, list(parameters)).df()
        except duckdb.Error as problem:
            raise self._unreadable(problem) from problem

    def model_number(self, model: str) -> int:
        """The number of a model in ``wide``.

        Raises
        ------
        SettingsError
            The run has no such model.
        """
        if model not in self.models:
            raise SettingsError(
                f"The run {self.name} has no model {model!r}; it has {', '.join(self.models)}."
            )
        return self.models.index(model)

    def input_number(self, kind: str) -> int:
        """The number of an input: ``c{n}`` (correct), ``u{n}`` (unparsed), ``e{n}`` (expected
        score under the benchmark's rule) in ``wide``."""
        if kind not in self.inputs:
            raise SettingsError(
                f"The run {self.name} has no answers to {kind!r}; it has {', '.join(self.inputs)}."
            )
        return self.inputs.index(kind)

    def column(self, facet: str) -> str:
        """The column of a facet in ``q``."""
        if facet not in self.facets:
            raise SettingsError(
                f"The run {self.name} has no group {facet!r}; it has {', '.join(self.facets)}."
            )
        return self._columns[facet]

    def condition(self, where: Where | None) -> tuple[str, list[str]]:
        """A condition on ``q`` as SQL, and its parameters."""
        terms, parameters = ["TRUE"], []
        for facet, values in (where or {}).items():
            chosen = list(dict.fromkeys(values))
            self._check_values(facet, chosen)
            places = ", ".join("?" for _ in chosen)
            terms.append(f"q.{self.column(facet)}::VARCHAR IN ({places})" if chosen else "FALSE")
            parameters += chosen
        return " AND ".join(terms), parameters

    def _check_values(self, facet: str, values: Sequence[str]) -> None:
        self.column(facet)  # refuses a facet that there is not
        known = self.facets[facet]
        unknown = [v for v in values if v not in known]
        if unknown:
            more = f", and {len(known) - NAMED} more" if len(known) > NAMED else ""
            raise SettingsError(
                f"No question of the run {self.name} has {facet} {unknown[0]!r}; there is "
                f"{', '.join(known[:NAMED])}{more}."
            )

    def inputs_of(self, model: str) -> tuple[str, ...]:
        """Inputs to which a model has judged answers."""
        counts = ", ".join(f"count(c{n})" for n in range(len(self.inputs)))
        row = self.sql(f"SELECT {counts} FROM wide WHERE model = ?", [self.model_number(model)])
        return tuple(k for k, n in zip(self.inputs, row.iloc[0], strict=True) if n)

    def group_of(self, model: str) -> str:
        """Which line a checkpoint belongs to: as the protocol says, else its name before ``@``."""
        models = self.protocol.get("models")
        about = models.get(model) if isinstance(models, dict) else None
        if isinstance(about, dict) and about.get("group"):
            return str(about["group"])
        return model.partition("@")[0] or model

    @cached_property
    def has_items(self) -> bool:
        """Whether some questions are the same but for the voice."""
        found = self.sql("SELECT count(*) AS n, count(DISTINCT item) AS items FROM q")
        return bool(found["items"][0] < found["n"][0])

    @cached_property
    def layer_rows(self) -> str:
        """The view of the layers' table in which every key is once."""
        # Counting keys costs a pass over the largest table: only where there may be a second one.
        if len(self._parts["layers"]) > 1:
            twice = self.sql(
                "SELECT count(*) - count(DISTINCT hash(model, question, layer)) AS n FROM layers"
            )
            if twice["n"][0]:
                return "layers_once"
        return "layers"

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Layer numbers that were measured."""
        found = self.sql("SELECT DISTINCT layer FROM layers WHERE layer IS NOT NULL ORDER BY layer")
        return tuple(int(n) for n in found["layer"])

    @cached_property
    def right_options(self) -> dict[int, tuple[bool, ...]]:
        """Number of a question in ``q`` -> which of its options are right; without those that have
        none, or none that is right (a run of before the questions' ``meta`` was kept)."""
        from .options import right_options
        from .roster import question_of_row

        # Voices of a question have the same options: these are looked at once.
        found = self.sql(
            "SELECT list(q.q) AS numbers, any_value(r.question) AS question, dataset, subset, "
            "transcript, instruction, reference, scorer, choices, meta FROM questions AS r "
            "JOIN q USING (question) WHERE len(choices) > 0 GROUP BY ALL"
        )
        right = {}
        for row in found.to_dict("records"):
            flags = right_options(question_of_row(row))
            if any(flags):
                right.update(dict.fromkeys(map(int, row["numbers"]), flags))
        return right

    def with_means(self) -> str:
        """Make, once, the table ``means``: each measure's mean over layers, model and question."""
        with self._lock:
            if not self._has_means:
                columns = ", ".join(f"avg({m})::FLOAT AS {m}" for m in MEASURES)
                self._do(
                    f"CREATE OR REPLACE TABLE means AS SELECT m.number AS model, q.q, {columns} "
                    f"FROM {self.layer_rows} AS l JOIN models AS m ON m.name = l.model "
                    "JOIN q ON q.question = l.question GROUP BY ALL"
                )
                self._has_means = True
        return "means"

    _has_means = False

    # ---- opening -------------------------------------------------------------------------------

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        spill = Path(tempfile.gettempdir()) / f"modgap-run-{os.getpid()}-{id(self)}"
        db = duckdb.connect(
            config={
                "memory_limit": MEMORY,
                "threads": min(4, os.cpu_count() or 1),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "temp_directory": str(spill),
            }
        )
        # A run may come from anyone: whatever it holds, only its own folder is read.
        db.execute(f"SET allowed_directories = [{_text(str(self.path) + os.sep)}]")
        db.execute("SET enable_external_access = false")
        db.execute("SET lock_configuration = true")
        return db

    def _files(self, table: str) -> list[Path]:
        found = sorted((self.path / table).glob("part-*.parquet"))
        return [p for p in found if p.resolve().is_relative_to(self.path)]

    def _view(self, name: str, schema: pa.Schema, files: list[Path], key: Sequence[str]) -> None:
        """A view with the columns of `schema`, null where the files have none.

        ``{name}_once`` is the same with the first of rows that have equal keys.
        """
        if not files:
            columns = ", ".join(f"NULL::{_type(f.type)} AS {_name(f.name)}" for f in schema)
            self._do(f"CREATE VIEW {name} AS SELECT {columns} WHERE FALSE")
            self._do(f"CREATE VIEW {name}_once AS SELECT * FROM {name}")
            return
        listed = ", ".join(_text(str(path)) for path in files)
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
            f"{_name(f.name)}::{_type(f.type)} AS {_name(f.name)}"
            if f.name in have
            else f"NULL::{_type(f.type)} AS {_name(f.name)}"
            for f in schema
        )
        self._do(f"CREATE VIEW {name} AS SELECT {columns} FROM {source}")
        keys = ", ".join(_name(k) for k in key)
        self._do(
            f"CREATE VIEW {name}_once AS SELECT {columns} FROM {source} QUALIFY "
            f"row_number() OVER (PARTITION BY {keys} ORDER BY filename, file_row_number) = 1"
        )

    def _judge(self) -> None:
        """The views of the answers, with the judge's verdicts where there are any."""
        from .run_judge import judged_columns

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
        source |= {k: f"groups[{_text(k)}]" for k in keys if k not in ("dataset", "subset", ITEM)}
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
            literals = ", ".join(_text(v) for v in values)
            self._do(f"CREATE TYPE e{number} AS ENUM ({literals})")
            parts.append(f"nullif({expression}, '')::e{number} AS f{number}")
        item = f"coalesce(groups[{_text(ITEM)}], question)" if ITEM in keys else "question"
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
        rows = ", ".join(f"({n}, {_text(m)})" for n, m in enumerate(self.models)) or "(0, NULL)"
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
            only = f"FILTER (a.input = {_text(kind)})"
            columns += [
                f"bool_or(a.correct) {only} AS c{n}",
                f"coalesce(bool_or(a.correct IS NOT NULL AND a.extracted IS NULL) {only}, FALSE) "
                f"AS u{n}",
                f"max(coalesce(a.expected, a.correct::INTEGER)) {only}::FLOAT AS e{n}",
                f"least(count(*) {only}, 2)::UTINYINT AS n{n}",
            ]
        heard = "FILTER (a.input = 'speech')"
        # float32 halves what 100,000 clips hold; `gap_reasons.ROUNDING` allows for it.
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
            self._db.execute(query)
        except duckdb.Error as problem:
            raise self._unreadable(problem) from problem

    def _fetch(self, query: str) -> pd.DataFrame:
        import duckdb

        try:
            return self._db.execute(query).df()
        except duckdb.Error as problem:
            raise self._unreadable(problem) from problem

    def _unreadable(self, problem: Exception) -> StoreError:
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


def _text(value: str) -> str:
    """A literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _type(kind: pa.DataType) -> str:
    """DuckDB's name of an Arrow type of `modgap.benchmark.tables`."""
    names = {
        "string": "VARCHAR", "double": "DOUBLE", "int32": "INTEGER", "bool": "BOOLEAN",
        "list<element: string>": "VARCHAR[]", "list<element: double>": "DOUBLE[]",
        "list<item: string>": "VARCHAR[]", "list<item: double>": "DOUBLE[]",
        "map<string, string>": "MAP(VARCHAR, VARCHAR)",
    }  # fmt: skip
    return names[str(kind)]
