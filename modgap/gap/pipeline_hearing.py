"""How well the recogniser of a run's pipeline hears: its accuracy means little without."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modgap.core.names import short_name

if TYPE_CHECKING:
    from modgap.gap.run_data import Run, Where

__all__ = ["Hearing", "pipeline_hearing"]


@dataclass(frozen=True)
class Hearing:
    """The recogniser of a pipeline.

    Attributes
    ----------
    name : str
        As the run's protocol has it; the last part of a folder's path.
    wer : float
        Mean word error rate over clips; NaN where none is known.
    clips : int
    """

    name: str
    wer: float
    clips: int

    @property
    def label(self) -> str:
        """Such as ``pocketsphinx, WER 23 %``."""
        rate = f"WER {100 * self.wer:.0f} %" if math.isfinite(self.wer) else "WER unknown"
        return f"{self.name}, {rate}" if self.name else rate


def pipeline_hearing(run: Run, where: Where | None = None) -> Hearing | None:
    """The recogniser of a run's pipeline and its word error rate; None without a pipeline.

    Each clip counts once, whatever models were asked about it.
    """
    if "pipeline" not in run.inputs:
        return None
    condition, parameters = run.condition(where)
    found = run.sql(
        "SELECT avg(wer) AS wer, count(*) AS n FROM (SELECT a.question, "
        f"avg(a.wer::DOUBLE) AS wer FROM {run.answer_rows} AS a JOIN q USING (question) "
        f"WHERE a.input = 'pipeline' AND a.wer IS NOT NULL AND {condition} GROUP BY a.question)",
        parameters,
    )
    about = run.protocol.get("recognizer")
    name = str(about.get("name") or "") if isinstance(about, dict) else ""
    n = int(found["n"][0])
    return Hearing(short_name(name) if name else "", float(found["wer"][0]) if n else math.nan, n)
