"""Speech synthesis by espeak-ng, always in a process of its own.

The system's ``espeak-ng`` program is used where it is installed; otherwise a small worker process
loads the library of the ``espeakng-loader`` wheel. Either way this process never loads code under
the GPL.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import IO, TYPE_CHECKING

import numpy as np

from modgap.core.errors import ModgapError

if TYPE_CHECKING:
    from modgap.speech.espeak_worker import Event
    from modgap.speech.words import WordTimes

__all__ = ["SpeechError", "Synthesizer", "speak", "wheel_synthesizer"]

MAX_CHARACTERS = 1000
#: Some of espeak-ng's voices: an accent, and a timbre after the "+".
VOICES = ("en-us", "en-us+m1", "en+m2", "en-us+m7", "en-gb-x-rp+m3", "en-us+f1")


class SpeechError(ModgapError):
    """The text could not be spoken; the message says what to do."""


class Synthesizer:
    """A running synthesizer. Usable from several threads, closed on exit.

    The same request gives the same samples whatever was said before, by the program and, where the
    system can copy a process (not on Windows), by the worker.

    Parameters
    ----------
    program : str or None
        Path of an ``espeak-ng`` program; ``None`` looks one up and falls back to the worker.
        Empty: always the worker (its voices are the ones the embedded family was trained on).
    """

    def __init__(self, program: str | None = None) -> None:
        self._program = shutil.which("espeak-ng") if program is None else program
        self._worker: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def speak(
        self, text: str, voice: str = "en-us", rate: int = 170, pitch: int = 50
    ) -> tuple[np.ndarray, int]:
        """Synthesize ``text``; see :func:`speak`."""
        text = _checked(text, rate, pitch)
        if self._program:
            data, sampling_rate = self._by_program(text, voice, rate, pitch)
        else:
            data, sampling_rate, _ = self._by_worker(text, voice, rate, pitch)
        return _samples(data, text), sampling_rate

    def speak_timed(
        self, text: str, voice: str = "en-us", rate: int = 170, pitch: int = 50
    ) -> tuple[np.ndarray, int, WordTimes]:
        """Like `speak` by the worker, and when it says each word, by its own account.

        Returns samples, float32 (n,), their rate in Hz, and the times in seconds.

        espeak-ng runs some short words together ("of the"); it tells no time where one of them ends
        and the next begins, so both are left out. The transcript is `text` with single blanks.
        """
        text = _checked(text, rate, pitch)
        data, sampling_rate, events = self._by_worker(text, voice, rate, pitch, events=True)
        samples = _samples(data, text)
        return samples, sampling_rate, timed_words(text, events, sampling_rate, samples.size)

    def phonemes(self, words: Sequence[str]) -> list[str]:
        """The pronunciation of each word in American English, in the phonetic alphabet."""
        line = json.dumps({"phonemes": [word[:MAX_CHARACTERS] for word in words]})
        with self._lock:
            _, text = self._ask(line.encode())
        return [str(ipa) for ipa in json.loads(text)]

    def _by_program(self, text: str, voice: str, rate: int, pitch: int) -> tuple[bytes, int]:
        import soundfile

        command = [str(self._program), "--stdout", "-v", voice, "-s", str(rate), "-p", str(pitch)]
        done = subprocess.run([*command, "--", text], capture_output=True, check=False)
        if done.returncode != 0 or not done.stdout:
            raise SpeechError(self._explain(voice, done.stderr.decode(errors="replace").strip()))
        samples, sampling_rate = soundfile.read(io.BytesIO(done.stdout), dtype="int16")
        return samples.astype("<i2").tobytes(), int(sampling_rate)

    def _by_worker(
        self, text: str, voice: str, rate: int, pitch: int, *, events: bool = False
    ) -> tuple[bytes, int, list[Event]]:
        request = {"text": text, "voice": voice, "rate": int(rate), "pitch": int(pitch)}
        if events:
            request["events"] = True
        told = b"[]"
        with self._lock:
            sampling_rate, data = self._ask(json.dumps(request).encode())
            if events and sampling_rate > 0:
                _, told = self._ask(None)
        if sampling_rate == 0:
            raise SpeechError(self._explain(voice, data.decode(errors="replace")))
        return data, sampling_rate, json.loads(told)

    def _ask(self, line: bytes | None) -> tuple[int, bytes]:
        """Send a request, if there is one, and read one block of the worker's answer."""
        stdin, stdout = self._start()
        try:
            if line is not None:
                stdin.write(line + b"\n")
                stdin.flush()
            kind, count = struct.unpack("<ii", _read(stdout, 8))
            return kind, _read(stdout, 2 * count if kind > 0 else count)
        except (OSError, EOFError) as error:
            self.close()
            raise SpeechError(
                "The speech process ended; reinstall it: pip install espeakng-loader"
            ) from error

    def _start(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._worker is None or self._worker.poll() is not None:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "modgap.speech.espeak_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
            atexit.register(self.close)
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        return self._worker.stdin, self._worker.stdout

    @staticmethod
    def _explain(voice: str, reason: str) -> str:
        return (
            f"Could not speak with voice {voice!r} ({reason}). Voices are for example "
            f"{', '.join(VOICES)}."
        )

    def close(self) -> None:
        """End the worker process."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            worker.wait(timeout=2)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def timed_words(text: str, events: Sequence[Event], sampling_rate: int, samples: int) -> WordTimes:
    """The words of a text and their times, from what espeak-ng tells while it speaks.

    A word ends where the next one or a pause begins. Events that lie inside one word of the text
    ("42" is spoken as two) count as parts of it.
    """
    from modgap.speech.words import split_words, timed

    words = split_words(text)
    parts: list[list[tuple[int, int]]] = [[] for _ in words]
    starts = [(n, e[1], e[3]) for n, e in enumerate(events) if e[0] == "word"]
    for k, (n, at, start) in enumerate(starts):
        stop = starts[k + 1][0] if k + 1 < len(starts) else len(events)
        inside = [e[3] for e in events[n:stop] if e[0] == "phoneme" and e[4].startswith("_")]
        following = starts[k + 1][2] if k + 1 < len(starts) else samples
        owner = next((w for w, word in enumerate(words) if word.start <= at < word.end), None)
        if owner is not None:
            parts[owner].append((start, min([following, *inside])))
    # A word that was told nothing of was run together with the one before it.
    alone = [w for w, part in enumerate(parts) if part and (w + 1 == len(parts) or parts[w + 1])]
    times = [
        (parts[w][0][0] / sampling_rate, max(end for _, end in parts[w]) / sampling_rate)
        for w in alone
    ]
    chosen = tuple(words[w] for w in alone)
    nothing = [float("nan")] * len(chosen)
    return timed(text, "espeak-ng", chosen, times, nothing, samples / sampling_rate)


def _checked(text: str, rate: int, pitch: int) -> str:
    text = " ".join(text.split())
    if not text:
        raise SpeechError("There is no text to speak; give at least one word.")
    if len(text) > MAX_CHARACTERS:
        raise SpeechError(f"The text is too long; give at most {MAX_CHARACTERS} characters.")
    if not 80 <= rate <= 450 or not 0 <= pitch <= 99:
        raise SpeechError("Use a rate of 80 to 450 words a minute and a pitch of 0 to 99.")
    return text


def _samples(data: bytes, text: str) -> np.ndarray:
    samples = np.frombuffer(data, dtype="<i2").astype(np.float32) / 32768.0
    if samples.size == 0:
        raise SpeechError(f"Nothing was spoken for {text!r}; use words with letters.")
    return samples


def _read(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError(f"expected {count} bytes, got {len(data)}")
    return data


@lru_cache(maxsize=1)
def wheel_synthesizer() -> Synthesizer:
    """The one of this process with the wheel's voices, whatever the system has."""
    return Synthesizer(program="")


if hasattr(os, "register_at_fork"):
    # A forked process would talk between its parent's words, over the same pipes.
    os.register_at_fork(after_in_child=wheel_synthesizer.cache_clear)

_shared: Synthesizer | None = None
_shared_lock = threading.Lock()


def speak(
    text: str, voice: str = "en-us+m4", rate: int = 170, pitch: int = 50
) -> tuple[np.ndarray, int]:
    """Synthesize English speech.

    Parameters
    ----------
    text : str
        What to say, at most 1,000 characters.
    voice : str
        A voice of espeak-ng, with a timbre after ``+``.
    rate : int
        Words a minute, 80 to 450.
    pitch : int
        0 (low) to 99 (high).

    Returns
    -------
    samples : numpy.ndarray, float32, shape (n,)
        Mono, in [-1, 1].
    sampling_rate : int
        In Hz (22,050 for most voices).

    Raises
    ------
    SpeechError
        The text is empty or too long, the voice is unknown, or espeak-ng is missing.

    Examples
    --------
    >>> samples, rate = speak("What is the capital of France?")
    >>> samples.ndim, rate > 8000
    (1, True)
    """
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Synthesizer()
    return _shared.speak(text, voice, rate, pitch)
