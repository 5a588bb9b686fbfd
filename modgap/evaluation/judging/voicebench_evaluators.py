"""Scores by VoiceBench's own evaluators, from a checkout that the user supplies.

Nothing of VoiceBench is part of modgap: its evaluators run in a process of their own, from the
checkout's files, with the checkout's own requirements.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modgap.core.errors import SettingsError
from modgap.evaluation.data.voicebench_subsets import SUBSETS

__all__ = ["official_scores"]

#: Subset's evaluator: its module under src/evaluator and its class.
_CLASSES = {
    "open": ("open", "OpenEvaluator"),
    "qa": ("qa", "QAEvaluator"),
    "harm": ("harm", "HarmEvaluator"),
    "ifeval": ("ifeval", "IFEvaluator"),
    "mcq": ("mcq", "MCQEvaluator"),
    "bbh": ("bbh", "BBHEvaluator"),
}

# The package's own __init__ imports every evaluator with all that each needs; one is wanted here.
_PROGRAM = """
import importlib, json, random, sys, types
root, module, name, source, target, seed = sys.argv[1:]
sys.path.insert(0, root)
for package in ("src", "src.evaluator"):
    made = types.ModuleType(package)
    made.__path__ = [root + "/" + package.replace(".", "/")]
    sys.modules[package] = made
random.seed(int(seed))
try:
    import numpy
    numpy.random.seed(int(seed))
except ImportError:
    pass
evaluator = getattr(importlib.import_module("src.evaluator." + module), name)()
with open(source, encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
scores = {key: float(value) for key, value in evaluator.evaluate(rows).items()}
with open(target, "w", encoding="utf-8") as file:
    json.dump(scores, file)
"""


def official_scores(
    checkout: Path,
    subset: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    python: str | None = None,
    seed: int = 0,
    timeout: float = 3600.0,
) -> dict[str, float]:
    """Scores of answers by the evaluator that VoiceBench has for a subset.

    Parameters
    ----------
    checkout : Path
        Folder of a clone of VoiceBench (it holds ``src/evaluator``). Its code is run.
    subset : str
    rows : iterable of mappings
        As in files of results; judge-based evaluators also need the field ``score``.
    python : str, optional
        The interpreter that has the checkout's requirements; by default this one.
    seed : int
        Of Python's and numpy's random numbers: VoiceBench draws answers that it cannot read.
    timeout : float
        Seconds.

    Returns
    -------
    dict of str to float
        The evaluator's own names and scales.

    Raises
    ------
    SettingsError
        There is no such checkout, or its evaluator failed; the message has its last line.
    """
    if subset not in SUBSETS:
        raise SettingsError(f"Unknown subset {subset!r}; VoiceBench has {', '.join(SUBSETS)}.")
    module, name = _CLASSES[SUBSETS[subset].evaluator]
    root = checkout.expanduser().absolute()
    if not (root / "src" / "evaluator" / f"{module}.py").is_file():
        raise SettingsError(
            f"{checkout} is no checkout of VoiceBench: it has no src/evaluator/{module}.py. Clone "
            "https://github.com/MatthewCYM/VoiceBench and name its folder."
        )
    with tempfile.TemporaryDirectory(prefix="modgap-official-") as folder:
        source, target = Path(folder, "answers.jsonl"), Path(folder, "scores.json")
        with source.open("w", encoding="utf-8") as file:
            for row in rows:
                own = {k: v for k, v in row.items() if k != "modgap"}
                file.write(json.dumps(own, ensure_ascii=False) + "\n")
        command = [python or sys.executable, "-c", _PROGRAM, str(root), module, name, str(source),
                   str(target), str(seed)]  # fmt: skip
        try:
            done = subprocess.run(
                command, cwd=root, capture_output=True, check=False, timeout=timeout
            )
        except FileNotFoundError:
            raise SettingsError(f"There is no interpreter {command[0]}.") from None
        except subprocess.TimeoutExpired:
            raise SettingsError(
                f"VoiceBench's evaluator did not end within {timeout:g} s."
            ) from None
        if done.returncode != 0 or not target.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            reason = said[-1] if said else "it said nothing"
            raise SettingsError(
                f"VoiceBench's evaluator {name} failed ({reason}). "
                "Install what the checkout's requirements.txt asks for, or name the interpreter "
                "that has it."
            )
        scores = json.loads(target.read_text(encoding="utf-8"))
    return {key: value for key, value in scores.items() if math.isfinite(value)}
