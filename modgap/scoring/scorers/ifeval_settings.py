"""The settings of IFEval's instructions: what each must have, and of which kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modgap.core.errors import SettingsError

__all__ = ["RELATIONS", "settings_of"]

#: How a count is compared with a limit.
RELATIONS = ("less than", "at least")
_LISTS = ("keywords", "forbidden_words")
_NUMBERS = ("frequency", "let_frequency", "capital_frequency", "nth_paragraph")


def settings_of(
    needed: Mapping[str, Sequence[str]], names: Any, given: Any
) -> list[dict[str, Any]]:
    """The settings of each instruction, without those that are empty; whole numbers are int.

    They decide whether an answer can be checked at all, so they are looked at before one is.

    Parameters
    ----------
    needed : mapping of str to sequence of str
        All instructions there are, each with the settings that it needs.
    names : list of str
        ``instruction_id_list``.
    given : list of mappings
        ``kwargs``, one for each.

    Raises
    ------
    SettingsError
        There are none, an id is unknown, or a setting is missing or of another kind.
    """
    if not names or given is None:
        raise SettingsError("An IFEval question needs instruction_id_list and kwargs.")
    if not isinstance(names, list | tuple) or not isinstance(given, list | tuple):
        raise SettingsError("instruction_id_list and kwargs of an IFEval question are lists.")
    if len(names) != len(given):
        raise SettingsError(f"There are {len(names)} instructions but {len(given)} kwargs.")
    return [_settings(needed, name, own) for name, own in zip(names, given, strict=True)]


def _settings(needed: Mapping[str, Sequence[str]], name: Any, own: Any) -> dict[str, Any]:
    if not isinstance(name, str) or name not in needed:
        raise SettingsError(f"Unknown instruction {name!r}; IFEval has {len(needed)}.")
    if not isinstance(own, Mapping | None):
        raise SettingsError(f"The kwargs of the instruction {name} are a mapping, not {own!r}.")
    kept = {k: v for k, v in (own or {}).items() if v}
    for key in needed[name]:
        if key not in kept:
            raise SettingsError(f"The instruction {name} lacks its setting {key!r}.")
        kept[key] = _checked(name, key, kept[key])
    return kept


def _checked(name: str, key: str, value: Any) -> Any:
    if key.endswith("relation"):
        if value in RELATIONS:
            return value
        raise SettingsError(
            f"An instruction's relation is 'less than' or 'at least', not {value!r}."
        )
    if key in _NUMBERS or key.startswith("num_"):
        # Tables with empty cells hold their whole numbers as floats.
        whole = value.is_integer() if isinstance(value, float) else type(value) is int
        if whole and value > 0:
            return int(value)
        kind = "a whole number above 0"
    elif key in _LISTS:
        if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            return value
        kind = "a list of words"
    else:
        if isinstance(value, str):
            return value
        kind = "a text"
    raise SettingsError(f"The instruction {name} needs {kind} as {key}, not {value!r}.")
