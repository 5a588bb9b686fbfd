"""How those who published a family prompt it and decode its answers, beside modgap's plain way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["STYLES", "Style", "VendorPrompt"]

Style = Literal["plain", "vendor"]
STYLES: tuple[Style, ...] = ("plain", "vendor")


@dataclass(frozen=True, kw_only=True)
class VendorPrompt:
    """What a publisher's own inference code puts into a prompt beside the chat template.

    The plain prompt is the same for all families: the clip first, a line break before an
    instruction where the template has nothing there, no system text but the template's, greedy.

    Attributes
    ----------
    separator : str
        Between clip and instruction. Nothing by default: what the chat template itself writes.
    audio_first : bool
        Whether the clip stands before the instruction.
    system : str or None
        System text where none is given; None is what the chat template does by itself.
    text_adapter : bool
        Whether the checkpoint's own adapter acts on typed messages, too.
    decoding : mapping
        What its ``generate`` is told, over the checkpoint's ``generation_config.json``.
    source : str
        Where this is from.
    """

    separator: str = ""
    audio_first: bool = True
    system: str | None = None
    text_adapter: bool = True
    decoding: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def record(self) -> dict[str, Any]:
        """In JSON's terms, for run.json."""
        order = "audio, text" if self.audio_first else "text, audio"
        return {
            "separator": self.separator,
            "order": order,
            "system": self.system,
            "text_adapter": self.text_adapter,
        }
