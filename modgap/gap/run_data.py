"""A run opened for reading: what can be asked of it by name.

`run_database` makes the tables; here are the numbers of models and inputs in them, conditions, and
what is counted once and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from modgap.core.errors import SettingsError
from modgap.core.views import Viewed
from modgap.gap.run_database import RunDatabase

__all__ = ["MEASURES", "Run", "Where", "open_run"]

#: Facet -> the values that are wanted; facets that are not named hold every value.
Where = Mapping[str, Sequence[str]]

#: Measures of the table `layers`.
MEASURES = ("cosine", "euclidean", "aps_cos", "aps_euc", "monotonicity")
NAMED = 20  # values that an error names


def is_snapshot(model: str) -> bool:
    """Whether a name is that of a checkpoint on the way to another, such as ``demo:lora@1``.

    Behind the "@" of a hub id stands a revision, which is a model of its own.
    """
    before, mark, _ = model.partition("@")
    hub_id = before.count("/") == 1 and not before.startswith(("/", ".", "~"))
    return bool(mark) and not hub_id


def finals(models: Sequence[str]) -> list[str]:
    """The models that are no snapshots; all of them where there is nothing else."""
    return [m for m in models if not is_snapshot(m)] or list(models)


def check_measure(measure: str) -> None:
    """Raise SettingsError unless `measure` is one of `MEASURES`: it becomes part of an SQL text."""
    if measure not in MEASURES:
        raise SettingsError(f"Unknown measure {measure!r}. Choose from {', '.join(MEASURES)}.")


def open_run(folder: str | Path) -> Run:
    """Open a run for reading.

    Raises
    ------
    StoreError
        There is no run, or it cannot be read.
    """
    return Run(Path(folder))


class Run(Viewed, RunDatabase):
    """One run folder, as it was when it was opened.

    Safe to share between threads. Questions are asked of it by the modules `modgap.gap.accuracy`,
    `modgap.gap.correlation`, `modgap.gap.failure_reasons` and `modgap.gap.per_question`.
    """

    _has_means = False

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
        from modgap.evaluation.runs.questions_table import question_of_row
        from modgap.scoring.likeliest_option import right_options

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
