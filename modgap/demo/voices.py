"""The speakers of the evaluation, none of whom any training text was said by.

Two voices of SVOX Pico, each also played lower and higher, which makes other speakers of them; and,
for what must be made anew on every machine (known word times, the condition "robot"), timbres of
espeak-ng that are kept out of the training.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAST", "HELDOUT_VOICES", "SPEAKERS", "Speaker"]

#: Of espeak-ng: an accent and a timbre each.
HELDOUT_VOICES: tuple[str, ...] = (
    "en-us+m4", "en+f2", "en-us+f3", "en-gb-x-rp+m5", "en-us+adam",
)  # fmt: skip
#: How many times as fast as its voice a clip of the condition "fast" is said.
FAST = 1.4


@dataclass(frozen=True)
class Speaker:
    """A voice of SVOX Pico, as it is played.

    Attributes
    ----------
    name : str
    language : str
        Pico's name of the voice.
    speed : float
        How much faster it is played: pitch and timbre rise with it. Half of the change of tempo
        is taken back by the voice's own rate.
    """

    name: str
    language: str
    speed: float = 1.0


#: American and British ones by turns.
SPEAKERS: tuple[Speaker, ...] = (
    Speaker("pico-us", "en-US"), Speaker("pico-gb", "en-GB"),
    Speaker("pico-us-low", "en-US", 0.88), Speaker("pico-gb-low", "en-GB", 0.88),
    Speaker("pico-us-high", "en-US", 1.14), Speaker("pico-gb-high", "en-GB", 1.14),
)  # fmt: skip
