"""What a name alone tells of the embedded family; nothing is loaded."""

from __future__ import annotations

__all__ = ["BASE", "is_embedded", "text_base"]

#: The text model that the embedded family was tuned from.
BASE = "demo:base"


def is_embedded(name: str) -> bool:
    """Whether a name is one of the embedded family's.

    >>> is_embedded("demo:lora@2"), is_embedded("org/demo")
    (True, False)
    """
    return name == "demo" or name.startswith("demo:")


def text_base(name: str) -> str | None:
    """The text model that a model was tuned from, for `load_model`; None where it is not known.

    It is known of the embedded models.
    """
    return BASE if is_embedded(name) else None
