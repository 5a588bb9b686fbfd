"""Only one module touches Streamlit's session state, and no key of it has two owners."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import modgap
from modgap.ui import PAGES
from modgap.ui.session import inputs
from modgap.ui.session.state import Widget

UI = Path(modgap.__file__).parent / "ui"
OWNER = UI / "session" / "state.py"


def files() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted([*UI.rglob("*.py"), *PAGES.glob("*.py")]):
        yield path, ast.parse(path.read_text("utf-8"))


def touches(tree: ast.AST) -> list[int]:
    """Lines that name the session state."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "session_state")
        or (isinstance(node, ast.alias) and node.name == "session_state")
    ]


def keys(tree: ast.AST) -> Iterator[str]:
    """What is written as the key of a widget, or of a container, by its name."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or getattr(call.func, "attr", "") == "downloads":
            continue  # a row of downloads has keys of its own, made from its name
        for given in call.keywords:
            named = given.arg == "key" and isinstance(given.value, ast.Constant)
            if named and isinstance(given.value.value, str):
                yield given.value.value


def declared() -> list[str]:
    found = []
    for value in vars(inputs).values():
        parts = value.values() if isinstance(value, dict) else [value]
        found += [part.key for part in parts if isinstance(part, Widget)]
    return found


def test_one_module_touches_the_session_state() -> None:
    assert [str(path) for path, tree in files() if touches(tree)] == [str(OWNER)]


def test_the_rule_sees_every_way() -> None:
    for code in ("S = st.session_state", "from streamlit import session_state as s",
                 "streamlit.session_state['x'] = 1"):  # fmt: skip
        assert touches(ast.parse(code))


def test_a_key_has_one_owner() -> None:
    names = declared()
    assert len(names) == len(set(names)) > 30
    owners: dict[str, set[str]] = {}
    for path, tree in files():
        for key in keys(tree):
            owners.setdefault(key, set()).add(path.name)
    assert not set(names) & set(owners), "a declared key is written by its name in `inputs`"
    assert {k: sorted(v) for k, v in owners.items() if len(v) > 1} == {}
