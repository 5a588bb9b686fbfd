"""The synthetic speakers: an accent of English and a timbre each; held out by timbre.

No held-out timbre occurs in any training voice, so a held-out voice is a new speaker, not a new
mixture of known ones.
"""

from __future__ import annotations

TRAIN_VOICES: tuple[str, ...] = (
    "en-us", "en-us+m1", "en+m2", "en-us+m7", "en-gb-x-rp+m3", "en-us+f1", "en+f5",
    "en-gb-scotland+f4", "en-us+Andy", "en+Annie", "en-us+Michael", "en-gb-x-gbclan+Alex",
    "en-us+steph", "en-us+linda", "en+paul", "en-us+belinda",
)  # fmt: skip

HELDOUT_VOICES: tuple[str, ...] = (
    "en-us+m4", "en+f2", "en-us+f3", "en-gb-x-rp+m5", "en-us+adam",
)  # fmt: skip

#: Words a minute; the training voices stay inside, the condition "fast" lies outside.
TRAIN_RATE = (150, 195)
#: Multiple choice is long and has many pauses: it is read out faster, to stay below 10 s.
TRAIN_RATE_CHOICE = (190, 230)
FAST_RATE = 250
FAST_RATE_CHOICE = 270
TRAIN_PITCH = (35, 65)

#: Speakers of the Free Spoken Digit Dataset.
TRAIN_DIGIT_SPEAKERS: tuple[str, ...] = ("george", "jackson", "lucas", "nicolas")
HELDOUT_DIGIT_SPEAKERS: tuple[str, ...] = ("theo", "yweweler")


def voices() -> tuple[str, ...]:
    """All voices of the family, training ones first."""
    return TRAIN_VOICES + HELDOUT_VOICES
