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
from typing import IO

import numpy as np

from modgap.demo.voices import voices
from modgap.errors import ModgapError

__all__ = ["SpeechError", "Synthesizer", "speak", "voices"]

MAX_CHARACTERS = 1000


class SpeechError(ModgapError):
    """The text could not be spoken; the message says what to do."""


class Synthesizer:
    """A running synthesizer. Usable from several threads, closed on exit.

    espeak-ng keeps a little state between utterances: the same text may come out some samples
    longer or shorter than before. A fresh synthesizer always gives the same samples.

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
        text = " ".join(text.split())
        if not text:
            raise SpeechError("There is no text to speak; give at least one word.")
        if len(text) > MAX_CHARACTERS:
            raise SpeechError(f"The text is too long; give at most {MAX_CHARACTERS} characters.")
        if not 80 <= rate <= 450 or not 0 <= pitch <= 99:
            raise SpeechError("Use a rate of 80 to 450 words a minute and a pitch of 0 to 99.")
        if self._program:
            data, sampling_rate = self._by_program(text, voice, rate, pitch)
        else:
            data, sampling_rate = self._by_worker(text, voice, rate, pitch)
        samples = np.frombuffer(data, dtype="<i2").astype(np.float32) / 32768.0
        if samples.size == 0:
            raise SpeechError(f"Nothing was spoken for {text!r}; use words with letters.")
        return samples, sampling_rate

    def _by_program(self, text: str, voice: str, rate: int, pitch: int) -> tuple[bytes, int]:
        import soundfile

        command = [str(self._program), "--stdout", "-v", voice, "-s", str(rate), "-p", str(pitch)]
        done = subprocess.run([*command, "--", text], capture_output=True, check=False)
        if done.returncode != 0 or not done.stdout:
            raise SpeechError(self._explain(voice, done.stderr.decode(errors="replace").strip()))
        samples, sampling_rate = soundfile.read(io.BytesIO(done.stdout), dtype="int16")
        return samples.astype("<i2").tobytes(), int(sampling_rate)

    def _by_worker(self, text: str, voice: str, rate: int, pitch: int) -> tuple[bytes, int]:
        request = {"text": text, "voice": voice, "rate": int(rate), "pitch": int(pitch)}
        with self._lock:
            stdin, stdout = self._start()
            try:
                stdin.write(json.dumps(request).encode() + b"\n")
                stdin.flush()
                sampling_rate, count = struct.unpack("<ii", _read(stdout, 8))
                data = _read(stdout, count if sampling_rate == 0 else 2 * count)
            except (OSError, EOFError) as error:
                self.close()
                raise SpeechError(
                    "The speech process ended; reinstall it: pip install espeakng-loader"
                ) from error
        if sampling_rate == 0:
            raise SpeechError(self._explain(voice, data.decode(errors="replace")))
        return data, sampling_rate

    def _start(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._worker is None or self._worker.poll() is not None:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "modgap.demo.espeak_worker"],
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
        some = ", ".join(voices()[:6])
        return f"Could not speak with voice {voice!r} ({reason}). Voices are for example {some}."

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


def _read(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError(f"expected {count} bytes, got {len(data)}")
    return data


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
        A voice of espeak-ng, with a timbre after ``+``; see :func:`voices`.
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
