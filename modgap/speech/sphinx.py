"""PocketSphinx: a small recogniser and aligner whose English model comes in its wheel.

A model of 2015 for American English and a general vocabulary: it hears far less than today's large
recognisers, and it needs no download, no GPU and 0.2 s for a second of sound.
"""

from __future__ import annotations

import hashlib
import re
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.core.errors import AudioError, ModelError, SettingsError
from modgap.speech.base import EMBEDDED, RATE, Recognizer
from modgap.speech.phones import pronounce
from modgap.speech.words import Word, WordTimes, timed, words_of

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress

FRAMES = 100  # a second
MAX_WORDS = 1000
_FILLER = ("<", "[")
_ADVICE = "check that it is what is said in the clip, in English"


class PocketSphinx(Recognizer):
    """The embedded recogniser.

    The same clip always gives the same words: the features are normed over each clip alone.
    """

    name = EMBEDDED

    def __init__(self) -> None:
        self.identity = _identity()
        self._lock = threading.Lock()
        self._decoders: dict[str, Any] = {}
        self._added: dict[str, str] = {}

    def transcribe(self, clip: Clip, *, progress: Progress | None = None) -> str:
        """See `Recognizer.transcribe`; lower case, without punctuation."""
        if progress is not None:
            progress(0.0, "listening")
        with self._lock:
            decoder = self._decoder("words")
            _decode(decoder, clip)
            heard = decoder.hyp()
        return "" if heard is None else str(heard.hypstr)

    def align(self, clip: Clip, transcript: str, *, progress: Progress | None = None) -> WordTimes:
        """See `Recognizer.align`; steps of 10 ms.

        Words that the dictionary lacks, and numbers, are pronounced by espeak-ng.
        """
        words = words_of(transcript)
        if len(words) > MAX_WORDS:
            raise SettingsError(
                f"The transcript has {len(words)} words; at most {MAX_WORDS} can be aligned: "
                "choose a part of the clip."
            )
        if progress is not None:
            progress(0.0, "aligning")
        with self._lock:
            decoder = self._decoder("align")
            names = self._names(decoder, words)
            found = _aligned(decoder, clip, names)
        if found is None:
            raise AudioError(f"The transcript could not be found in the clip: {_ADVICE}.")
        times = [(start / FRAMES, (start + frames) / FRAMES) for start, frames, _ in found]
        scores = [score / max(1, frames) for _, frames, score in found]
        return timed(transcript, self.name, words, times, scores, clip.seconds)

    def _decoder(self, kind: str) -> Any:
        if kind not in self._decoders:
            from pocketsphinx import Decoder

            options: dict[str, Any] = {"samprate": RATE, "cmn": "batch", "loglevel": "FATAL"}
            if kind == "align":
                # No lattice, whose best path may lose words, and no pruning: the network is a line,
                # so all of it is searched in time that grows with the clip alone.
                wide = {"beam": 1e-300, "pbeam": 1e-300, "wbeam": 1e-300}
                options |= {"lm": None, "bestpath": False, **wide}
            try:
                self._decoders[kind] = Decoder(**options)
            except (RuntimeError, ValueError) as problem:
                raise ModelError(
                    f"PocketSphinx did not start ({problem}): pip install --force-reinstall "
                    "pocketsphinx"
                ) from problem
        return self._decoders[kind]

    def _names(self, decoder: Any, words: tuple[Word, ...]) -> list[str]:
        """The decoder's entry of each word; those that it lacks are added."""
        spelt = [word.text.lower().replace("’", "'") for word in words]
        lacking = dict.fromkeys(
            s for s in spelt if s not in self._added and decoder.lookup_word(s) is None
        )
        for word, phones in zip(lacking, pronounce(tuple(lacking)), strict=True):
            name = "added" + hashlib.sha256(word.encode()).hexdigest()[:16]
            decoder.add_word(name, " ".join(phones), True)
            self._added[word] = name
        return [self._added.get(s, s) for s in spelt]


def _decode(decoder: Any, clip: Clip) -> None:
    decoder.start_stream()  # forget the noise of the clip before
    decoder.start_utt()
    decoder.process_raw(_pcm16(clip).tobytes(), full_utt=True)
    decoder.end_utt()


def _aligned(decoder: Any, clip: Clip, names: list[str]) -> list[tuple[int, int, float]] | None:
    """(first frame, frames, score) of each word, or None.

    The first pass finds the words, the pauses and which pronunciation is said; the second aligns
    the states of their phones.
    """
    decoder.set_align_text(" ".join(names))
    try:
        _decode(decoder, clip)
        first = [s.word for s in decoder.seg() or () if not s.word.startswith(_FILLER)]
        if [_plain(word) for word in first] != names:
            return None
        decoder.set_alignment()
        _decode(decoder, clip)
        found = [w for w in decoder.get_alignment() if not w.name.startswith(_FILLER)]
    except RuntimeError:  # what the decoder raises where no path is left
        return None
    if [_plain(word.name) for word in found] != names:
        return None
    return [(word.start, word.duration, float(word.score)) for word in found]


def _plain(word: str) -> str:
    """Without the number of the pronunciation: "the(2)" is "the"."""
    return re.sub(r"\(\d+\)$", "", word)


@lru_cache(maxsize=1)
def _identity() -> str:
    try:
        import pocketsphinx
    except ImportError as problem:
        raise ModelError("PocketSphinx is not installed: pip install pocketsphinx") from problem
    digest = hashlib.sha256()
    folder = Path(pocketsphinx.get_model_path(), "en-us")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    from importlib.metadata import version

    digest.update(version("pocketsphinx").encode())
    return digest.hexdigest()


def _pcm16(clip: Clip) -> np.ndarray:
    """The clip as samples at `RATE`, int16 (n,), scaled down if it goes beyond full scale."""
    x = clip.resample(RATE)
    x /= max(1.0, float(np.abs(x).max()))
    return np.clip(np.rint(x * 32768), -32768, 32767).astype(np.int16)
