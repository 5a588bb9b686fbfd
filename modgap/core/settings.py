"""The settings of one analysis: the same for the library, the command line and the app."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from modgap.core.errors import SettingsError

METHOD_VERSION = 1  # raised whenever the same input would give other numbers: old entries lapse
MAX_NEW_TOKENS = 2048


@dataclass(frozen=True, kw_only=True)
class AnalysisSettings:
    """How a clip is analysed.

    Attributes
    ----------
    instruction : str
        A typed question or task, the same in both prompts.
    system : str or None
        System message; None leaves what the model's chat template does by itself.
    markers : "keep" or "drop"
        Whether the text prompt keeps the audio markers around the transcript (method, section 1).
    too_long : "fail" or "cut"
        A clip longer than the model takes is refused, or heard up to the model's limit.
    prompt_style : "plain" or "vendor"
        Whether separator, order and system text are modgap's, the same for all families, or those
        of the model's publisher (`SpeechLM.prepare`).
    layers : tuple of int or None
        Which of the layers 0..L to measure; None is all of them. Any iterable of integers is
        taken, sorted and freed of repeats.
    final_norm : bool
        Whether layer L is taken after the final norm, as transformers' ``output_hidden_states``
        does.
    answers : bool
        Whether the model answers both prompts.
    max_new_tokens : int
        Longest answer, in tokens.
    temperature : float
        0 is greedy.
    seed : int
        Of sampled answers.
    states : bool
        Whether to keep the hidden states of all measured positions.

    Raises
    ------
    SettingsError
        A value is out of range; the message names it.
    """

    instruction: str = ""
    system: str | None = None
    markers: Literal["keep", "drop"] = "keep"
    too_long: Literal["fail", "cut"] = "fail"
    prompt_style: Literal["plain", "vendor"] = "plain"
    layers: tuple[int, ...] | None = None
    final_norm: bool = True
    answers: bool = True
    max_new_tokens: int = 48
    temperature: float = 0.0
    seed: int = 0
    states: bool = False

    def __post_init__(self) -> None:
        check_text("instruction", self.instruction)
        if self.system is not None:
            check_text("system", self.system)
        if self.markers not in ("keep", "drop"):
            raise SettingsError(f'markers is "keep" or "drop", not {self.markers!r}.')
        check_too_long(self.too_long)
        if self.prompt_style not in ("plain", "vendor"):
            raise SettingsError(f"The prompt is plain or vendor, not {self.prompt_style!r}.")
        for name in ("final_norm", "answers", "states"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} is True or False, not {getattr(self, name)!r}.")
        object.__setattr__(self, "layers", _layers(self.layers))
        tokens = integer("max_new_tokens", self.max_new_tokens, 1, MAX_NEW_TOKENS)
        object.__setattr__(self, "max_new_tokens", tokens)
        object.__setattr__(self, "seed", integer("seed", self.seed, 0, 2**63 - 1))
        try:
            temperature = float(self.temperature)
        except (TypeError, ValueError):
            temperature = math.nan
        if not 0 <= temperature <= 10:
            raise SettingsError(f"temperature is from 0 to 10, not {self.temperature!r}.")
        object.__setattr__(self, "temperature", temperature)

    def updated(self, **changes: Any) -> AnalysisSettings:
        """The settings with single ones changed, by name.

        Raises
        ------
        SettingsError
            An unknown name, or a value out of range.
        """
        return self.from_dict(self.__dict__ | changes) if changes else self

    @property
    def prompt(self) -> dict[str, Any]:
        """What a prompt of either kind is made with."""
        return {
            "instruction": self.instruction,
            "system": self.system,
            "markers": self.markers,
            "style": self.prompt_style,
        }

    @property
    def decoding(self) -> dict[str, Any]:
        """How answers are decoded: ``max_new_tokens``, ``temperature``, ``seed``."""
        names = ("max_new_tokens", "temperature", "seed")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """The settings in JSON's terms."""
        values = asdict(self)
        values["layers"] = None if self.layers is None else list(self.layers)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AnalysisSettings:
        """Build settings from `to_dict`'s result.

        Raises
        ------
        SettingsError
            An unknown name, or a value out of range.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise SettingsError(f"Unknown setting {unknown[0]!r}. Known: {', '.join(known)}.")
        return cls(**values)


def analysis_key(
    identity: str,
    dtype: str,
    clip_sha256: str,
    transcript: str | None,
    settings: AnalysisSettings,
    *,
    device: str = "cpu",
) -> str:
    """The key of an analysis: the hash of everything its numbers depend on.

    Parameters
    ----------
    identity : str
        Of the model: its weights and configuration, not its name.
    dtype : str
        Of the model, such as ``"float32"``.
    clip_sha256 : str
        Of the decoded sound, not of the file.
    transcript : str or None
        None where nobody knows it.
    settings : AnalysisSettings
        Without `states`, which changes no number, and without what cannot matter: the seed of
        greedy answers, and the decoding settings where there are no answers.
    device : str
        Its kind, such as ``"cuda"``: kinds round differently.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    values = settings.to_dict()
    del values["states"]
    if settings.too_long == "fail":  # what is not refused has the numbers of before it was asked
        del values["too_long"]
    if settings.prompt_style == "plain":
        del values["prompt_style"]  # the key is that of before there was another
    if not settings.answers:
        values["max_new_tokens"] = values["temperature"] = None
    if not settings.answers or settings.temperature == 0:
        values["seed"] = None
    return digest(
        "analysis", METHOD_VERSION, identity, dtype, device, clip_sha256, transcript, values
    )


def check_too_long(too_long: str) -> None:
    """Raise `SettingsError` unless this says what to do with a clip beyond the model's limit."""
    if too_long not in ("fail", "cut"):
        raise SettingsError(f'too_long is "fail" or "cut", not {too_long!r}.')


def digest(*parts: Any) -> str:
    """SHA-256 of JSON values."""
    text = json.dumps(parts, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_text(name: str, text: Any) -> str:
    """Return `text` if it is Unicode that can be written down.

    Raises
    ------
    SettingsError
        If it is not a string, or holds halves of characters (bytes that were not UTF-8).
    """
    if not isinstance(text, str):
        raise SettingsError(f"The {name} must be text, not {type(text).__name__}.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError(f"The {name} is not valid Unicode: save it as UTF-8.") from None
    return text


def _layers(layers: Iterable[int] | None) -> tuple[int, ...] | None:
    if layers is None:
        return None
    try:
        found = sorted({integer("layers", value, 0, 10_000) for value in layers})
    except TypeError:
        raise SettingsError(f"layers is a list of layer numbers, not {layers!r}.") from None
    if not found:
        raise SettingsError("layers is empty: name at least one layer, or leave it out for all.")
    return tuple(found)


def integer(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an int in low..high, or raise `SettingsError`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise SettingsError(f"{name} takes whole numbers from {low} to {high}, not {value!r}.")
    return number
