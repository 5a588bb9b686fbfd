"""How answers were made and scored: what a result must say to be compared with another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from modgap.scoring.scorers import VERSIONS

__all__ = ["Protocol"]


@dataclass(frozen=True)
class Protocol:
    """The protocol of a set of answers; two results with equal digests can be compared.

    VoiceBench's name stands for at least three protocols that differ in prompt, decoding, token
    budget and judge, and whose numbers differ with them. Prefix, suffix, decoding and the budget of
    new tokens are here the same for text and speech.

    Attributes
    ----------
    system : str or None
        System message; None is what the model's chat template does by itself.
    instruction : str
        Typed beside clip and transcript, unless a question has its own.
    markers : "keep" or "drop"
        Whether the text of the pair, which similarity is of, keeps the audio markers around the
        transcript.
    text_markers : "keep" or "drop"
        The same of the prompts whose answers accuracy on text is of.
    max_new_tokens : int
        Of each answer, whatever the length of its prompt.
    prompt : "plain", "vendor" or "voicebench"
        Who says what stands around the words (`RunSettings`).
    decoding : "greedy" or "vendor"
        Without penalties, or as each checkpoint's generation_config says.
    temperature, seed
        Of the decoding; 0 is greedy, or what the vendor's says.
    scorers : mapping of str to int
        Versions of modgap's scorers.
    judge : mapping
        `modgap.evaluation.judging.judge.Judge.record`, where there is one.
    """

    system: str | None = None
    instruction: str = ""
    markers: str = "keep"
    text_markers: str = "drop"
    max_new_tokens: int = 48
    prompt: str = "plain"
    decoding: str = "greedy"
    temperature: float = 0.0
    seed: int = 0
    scorers: Mapping[str, int] = field(default_factory=lambda: dict(VERSIONS))
    judge: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_record(cls, found: Mapping[str, Any]) -> Protocol:
        """The protocol that `record` describes; what a later version added is left out."""
        names = {f.name for f in fields(cls)}
        # Before the two were told apart, the text that was answered was that of the pair.
        found = {"text_markers": found.get("markers", "keep"), **found}
        return cls(**{k: v for k, v in found.items() if k in names})

    def record(self) -> dict[str, Any]:
        """The protocol in JSON's terms, with its digest."""
        return {**self._values(), "digest": self.digest}

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the values."""
        text = json.dumps(self._values(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _values(self) -> dict[str, Any]:
        values = {**asdict(self), "scorers": dict(self.scorers), "judge": dict(self.judge)}
        # What a later version can say counts where it says something: older digests stay.
        meant = {"text_markers": self.markers, "prompt": "plain", "decoding": "greedy"}
        return {k: v for k, v in values.items() if k not in meant or v != meant[k]}
