"""How texts sound: the phonemes that espeak-ng says, in an alphabet that a training can learn.

From what is heard, sounds are learned sooner than English spelling.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from modgap.speech.synthesis import Synthesizer, wheel_synthesizer

__all__ = ["SOUNDS", "sounds"]

SOUNDS = " abdefhijklmnopstuvwzæðŋɑɔəɚɛɜɡɪɹʃʊʌʒʔθ"
#: Sounds that an accent tells apart, or that are too rare to be learned, as their neighbours.
_AS = str.maketrans({"ᵻ": "ɪ", "ɐ": "ə", "ɾ": "t", "r": "ɹ", "x": "k"})
_CLAUSE = re.compile(r"[,.;:?!()-]+(?=\s|$)|[;:!?()]")
#: Clauses that are asked for at a time.
_AT_A_TIME = 2000


def sounds(texts: Sequence[str], synthesizer: Synthesizer | None = None) -> list[str]:
    """The sounds of each text in American English, of the alphabet `SOUNDS`, words apart.

    Parameters
    ----------
    texts : sequence of str
    synthesizer : Synthesizer, optional
        By default this process's espeak-ng.
    """
    teller = synthesizer or wheel_synthesizer()
    parts = [[c for c in map(str.strip, _CLAUSE.split(text)) if c] for text in texts]
    flat = [c for clauses in parts for c in clauses]
    said: list[str] = []
    for start in range(0, len(flat), _AT_A_TIME):
        said += teller.phonemes(flat[start : start + _AT_A_TIME])
    told = iter(said)
    return [_known(" ".join(next(told) for _ in clauses)) for clauses in parts]


def _known(phonemes: str) -> str:
    """Without stress, length and what else is no sound of its own."""
    kept = "".join(c for c in phonemes.translate(_AS) if c in SOUNDS)
    return " ".join(kept.split())
