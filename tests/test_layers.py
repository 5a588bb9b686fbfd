"""The floors of the house: a folder imports only from folders above it in `FLOORS`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import modgap

ROOT = Path(modgap.__file__).parent
#: Lowest first. `models` is its own files; `models/loading` and `models/families` stand on them.
FLOORS = (
    "core", "store", "audio", "measures", "models", "models/loading", "models/families", "speech",
    "interventions", "scoring", "demo", "analysis", "evaluation/data", "evaluation/runs",
    "evaluation/interventions", "evaluation/judging", "gap", "figures", "testing",
)  # fmt: skip
#: What others test their families with; it needs pytest, so that nothing may come here.
APART = "testing"
#: Beside each other at the top: neither sees the other, and nothing sees them.
TOP = ("ui", "cli")
#: How the embedded family is made: only the command line comes here.
TRAINING = "demo/training"


def floor_of(module: str) -> str:
    """The folder that decides, of a module's dotted name below ``modgap``."""
    path = module.replace(".", "/")
    known = (*FLOORS, *TOP, TRAINING)
    found = [f for f in known if path == f or path.startswith(f + "/")]
    return max(found, key=len) if found else path


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name below ``modgap`` of all that a file imports from it, at any depth."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute"
            names = [f"{node.module}.{a.name}" for a in node.names]
        for name in names:
            if name.split(".")[0] == "modgap":
                yield node.lineno, name.removeprefix("modgap.")


def upward(root: Path) -> list[str]:
    """Every import that breaks the rule, as ``file:line: floor imports floor``."""
    found = []
    for file in sorted(root.rglob("*.py")):
        here = floor_of(file.relative_to(root).with_suffix("").as_posix().replace("/__init__", ""))
        for line, name in imports(file):
            there = floor_of(name)
            if here == there or file == root / "__init__.py":
                continue
            if here == TRAINING:
                fine = there in FLOORS and there not in ("figures", APART)
            elif here in TOP:
                fine = (there in FLOORS and there != APART) or (here, there) == ("cli", TRAINING)
            else:
                fine = there in FLOORS and FLOORS.index(there) < FLOORS.index(here)
            if not fine:
                found.append(f"{file.relative_to(root)}:{line}: {here} imports {name}")
    return found


def test_folders_import_only_from_lower_floors():
    assert upward(ROOT) == []


def test_the_root_has_nothing_but_the_public_names_and_the_folders():
    assert [p.name for p in ROOT.glob("*.py")] == ["__init__.py"]
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == {f.split("/")[0] for f in (*FLOORS, *TOP)}


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("measures/cka.py", "from modgap.models.base import SpeechLM"),
        ("figures/gap.py", "from modgap.ui import widgets"),
        ("ui/widgets.py", "from modgap.cli import render"),
        ("analysis/lens.py", "def f():\n    from modgap.gap.correlation import fit"),
        ("models/base.py", "import modgap.models.loading.load"),
        ("demo/family.py", "from modgap.demo.training.loop import Run"),
        ("core/files.py", "from modgap import Store"),
        ("cli/main.py", "from modgap.testing import FamilySuite"),
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, file: str, line: str):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(line + "\n")
    assert len(upward(tmp_path)) == 1
