"""Values of a table's cells as what a question needs; what they cannot be is one sentence."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from string import ascii_uppercase
from typing import Any

from modgap.core.errors import SettingsError

__all__ = ["choices_of", "list_in", "literal", "mapping_of", "shown", "text_of", "texts_of"]

_TOKEN = re.compile(
    r"\s*(?:(?P<quoted>[ub]?'(?:\\.|[^'\\])*'|[ub]?\"(?:\\.|[^\"\\])*\")"
    r"|(?P<bare>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|None|null|nan|NaN|True|False|true|false))"
    r"\s*(?:,|(?=[\s'\"\]\)])|$)"
)
_WRAPPED = re.compile(r"(?s)\A\s*(?:array|list|tuple)\s*\((.*?)(?:,\s*dtype=[^()]*)?\)\s*\Z")
_NOTHING = ("None", "null", "nan", "NaN")
_LONGEST = 1_000_000


def shown(value: Any) -> str:
    """A value in an error's sentence."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def text_of(where: str, column: str, value: Any) -> str | None:
    """A cell of one word, number or date as text, None if it is empty; 4.0 is 4.

    Parameters
    ----------
    where : str
        Of the row, such as "Row 3 of questions.csv".
    column : str
    value : Any
        As JSON, CSV or parquet gives it.

    Raises
    ------
    SettingsError
        It is of another kind.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        if value != value:
            return None
        if math.isfinite(value):
            return str(int(value)) if value == int(value) else f"{Decimal(repr(float(value))):f}"
    elif isinstance(value, datetime):
        midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return str(value.date()) if midnight else str(value)
    elif isinstance(value, date):
        return str(value)
    raise SettingsError(
        f"{where} has {_kind(value)} as {column}, {shown(value)}: write a text or a number."
    )


def texts_of(where: str, column: str, value: Any, split: str = "") -> list[str]:
    """A cell of one or several texts as a list without empty ones.

    Parameters
    ----------
    where, column, value
        As in `text_of`; a list, or a text that is one as JSON, Python, pandas or NumPy write it.
    split : str
        What stands between several in a plain text.

    Raises
    ------
    SettingsError
        An item is neither text nor number, or a text that looks like a list cannot be read.
    """
    if isinstance(value, str):
        found = list_in(value)
        if found is None:
            found = value.split(split) if split else [value]
        value = found
    items = value if isinstance(value, list | tuple) else [value]
    texts = [text_of(where, column, item) for item in items]
    return [text.strip() if split else text for text in texts if text and text.strip()]


def list_in(text: str) -> list[Any] | None:
    """The list that a text is, as JSON, Python, pandas or NumPy write lists; None if it is none.

    >>> list_in("['Rome' 'New York']"), list_in('["a", 2]'), list_in("[sic]")
    (['Rome', 'New York'], ['a', 2], None)
    """
    text = text.strip()
    wrapped = _WRAPPED.match(text)
    if wrapped:
        text = wrapped[1].strip()
    if len(text) > _LONGEST or text[:1] + text[-1:] not in ("[]", "()"):
        return None
    if text[0] == "[":
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return found if isinstance(found, list) else None
    # Not `literal_eval`: to it NumPy's ['Rome' 'Paris'] is one word.
    inner, items, at = text[1:-1], [], 0
    if text[0] == "(" and not re.match(r"\s*['\"]", inner):
        return None
    while inner[at:].strip():
        match = _TOKEN.match(inner, at)
        if match is None or match.end() == at:
            return None
        items.append(_item(match["quoted"] or match["bare"]))
        at = match.end()
    return items


def _item(token: str) -> Any:
    if token in _NOTHING:
        return None
    if token in ("true", "false"):
        return token == "true"
    try:
        value = ast.literal_eval(token)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return token.strip("'\"")
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def literal(text: str) -> Any:
    """A list or mapping that a text is, in JSON or as Python or NumPy write it, or None."""
    if len(text) > _LONGEST or text.strip()[:1] not in ("[", "{", "("):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    found = list_in(text)
    if found is not None:
        return found
    # NumPy writes no commas between mappings; and nan is a name to Python.
    python = re.sub(r"\}\s+\{", "}, {", text)
    python = re.sub(r"(?<=[:,\[\s])(?:nan|null)(?=\s*[,}\]])", "None", python)
    python = re.sub(r"array\((\[[^()]*\])(?:,\s*dtype=\w+)?\)", r"\1", python)
    try:
        return ast.literal_eval(python)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def mapping_of(where: str, column: str, value: Any) -> dict[str, Any]:
    """A cell that is a mapping, in CSV one in JSON or as Python writes it; empty without one."""
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return {}
    found = literal(value) if isinstance(value, str) else value
    if not isinstance(found, Mapping):
        raise SettingsError(f"{where} has no JSON mapping as {column}: {shown(value)}.")
    return {str(k): v for k, v in found.items()}


def choices_of(where: str, value: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The options of a row in order, and their labels where the cell gives them.

    Parameters
    ----------
    where : str
    value : Any
        A list, in CSV also with ``|`` between the options; or a mapping of labels to options, or
        one with ``text`` and ``label``, as ARC and OpenBookQA have it.

    Raises
    ------
    SettingsError
        It is none of these.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return (), ()
    given = value
    if isinstance(value, str):
        value = literal(value) if value.strip()[:1] in "[{(" else value.split("|")
        if value is None and given.strip()[:1] in "({":
            value = given.split("|")
    labels: Sequence[Any] = ()
    if isinstance(value, Mapping):
        if "text" in value:
            value, labels = value["text"], value.get("label") or ()
        else:
            labels, value = tuple(value), tuple(value.values())
    plain = isinstance(value, list | tuple) and all(
        isinstance(v, str | int | float) and v == v for v in value
    )
    if not plain or (labels and len(labels) != len(value)):
        raise SettingsError(
            f"{where} has no list of words as choices: {shown(given)}. In CSV write A|B|C or a "
            "list in JSON."
        )
    texts = tuple((text_of(where, "choices", v) or "").strip() for v in value)
    if len(texts) > len(ascii_uppercase):
        raise SettingsError(f"{where} has {len(texts)} choices; there are letters for 26.")
    return texts, tuple(str(label).strip() for label in labels)


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", bytes: "bytes", list: "a list", tuple: "a list"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "no text")
