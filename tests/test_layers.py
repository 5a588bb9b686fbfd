"""The floors of the house: a folder imports only from folders above it in `FLOORS`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import modgap

ROOT = Path(modgap.__file__).parent
#: Lowest first. `models` is its own files; the folders in it stand on them.
FLOORS = (
    "core", "store", "audio", "measures", "models", "models/bases", "models/loading",
    "models/families", "speech", "interventions", "scoring", "demo", "analysis", "evaluation/data",
    "evaluation/runs", "evaluation/interventions", "evaluation/judging", "gap", "figures",
    "testing",
)  # fmt: skip
#: What others test their families with; it needs pytest, so that nothing may come here.
APART = "testing"
#: Beside each other at the top: none sees another, and nothing sees them.
TOP = ("ui", "cli", "notebook")
#: How the embedded family is made: only the command line comes here.
TRAINING = ("demo/training",)


def floor_of(module: str) -> str:
    """The folder that decides, of a module's dotted name below ``modgap``."""
    path = module.replace(".", "/")
    known = (*FLOORS, *TOP, *TRAINING)
    found = [f for f in known if path == f or path.startswith(f + "/")]
    return max(found, key=len) if found else path


def imports(file: Path, *, types: bool = True) -> Iterator[tuple[int, str]]:
    """Line and dotted name below ``modgap`` of all that a file imports from it, at any depth.

    Without `types`, not what is imported for type checkers only.
    """
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree):
        if not types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
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
            if here in TRAINING:
                fine = there in FLOORS and there not in ("figures", APART)
            elif here in TOP:
                fine = (there in FLOORS and there != APART) or (here == "cli" and there in TRAINING)
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


def circles(root: Path) -> list[str]:
    """Modules that import themselves by way of others of their folder, as ``a -> b -> a``.

    Late imports count; those of types don't: an annotation may name the class that a module's
    functions serve, as those of `models.decoding` name `SpeechLM`, whose `generate` they are.
    """
    found = []
    for folder in sorted({p.parent for p in root.rglob("*.py")} - {root}):
        inside = folder.relative_to(root).as_posix().replace("/", ".")
        modules = {p.stem: p for p in folder.glob("*.py") if p.stem != "__init__"}
        graph = {
            name: {
                other
                for _, imported in imports(path, types=False)
                for other in modules
                if other != name and f"{imported}.".startswith(f"{inside}.{other}.")
            }
            for name, path in modules.items()
        }
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as problem:
            found.append(f"{inside}: {' -> '.join(reversed(problem.args[1]))}")
    return found


def test_no_folder_has_a_circle_of_imports():
    assert circles(ROOT) == []


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("from modgap.speech.base import Recognizer", 1),
        ("def f():\n    import modgap.speech.base", 1),
        ("if TYPE_CHECKING:\n    from modgap.speech.base import Recognizer", 0),
        ("from modgap.speech.words import Word", 0),
    ],
)
def test_a_circle_is_found_unless_it_is_of_types(tmp_path: Path, line: str, count: int):
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech/base.py").write_text("from modgap.speech.whisper import Whisper\n")
    (tmp_path / "speech/whisper.py").write_text(line + "\n")
    (tmp_path / "speech/words.py").write_text("")
    assert len(circles(tmp_path)) == count
