"""A small program that speaks: one JSON request a line in, one block of samples out.

It is meant to run as a process of its own (``python -m modgap.demo.espeak_worker``): the espeak-ng
library that it loads is under the GPL-3, and the rest of the project never links to it.

Protocol: each line of standard input is ``{"text", "voice", "rate", "pitch"}``; the answer is a
little-endian header of two signed 32-bit numbers (sampling rate, sample count) and the samples as
signed 16-bit numbers. A sampling rate of 0 announces an error message of ``count`` bytes instead.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
from pathlib import Path
from typing import BinaryIO

_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: return only when the synthesis is complete
_RATE, _PITCH = 1, 3  # espeak_PARAMETER
_UTF8 = 1
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Engine:
    """The espeak-ng library, loaded through the ``espeakng-loader`` wheel."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lib = ctypes.cdll.LoadLibrary(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self._variants = Path(data.decode(), "voices", "!v")
        self.sampling_rate = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
        if self.sampling_rate <= 0:
            raise RuntimeError("espeak-ng did not start; reinstall the espeakng-loader package")
        self._blocks: list[bytes] = []
        # The library keeps only the pointer: the callback must live as long as the engine.
        self._callback = _CALLBACK(self._collect)
        self._lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: int) -> int:
        if samples and count > 0:
            self._blocks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def speak(self, text: str, voice: str, rate: int, pitch: int) -> bytes:
        """Samples of ``text`` as signed 16-bit little-endian bytes."""
        # The library falls back in silence when only the part after "+" is unknown.
        _, plus, variant = voice.partition("+")
        known = not plus or (self._variants / Path(variant).name).is_file()
        if not known or self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"unknown voice {voice!r}")
        self._lib.espeak_SetParameter(_RATE, int(rate), 0)
        self._lib.espeak_SetParameter(_PITCH, int(pitch), 0)
        self._blocks.clear()
        data = text.encode() + b"\0"
        code = self._lib.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None)
        if code != 0:
            raise RuntimeError(f"espeak-ng returned error {code}")
        self._lib.espeak_Synchronize()
        return b"".join(self._blocks)


def serve(lines: BinaryIO, out: BinaryIO) -> None:
    """Answer requests until the input ends."""
    engine = Engine()
    for line in lines:
        try:
            request = json.loads(line)
            data = engine.speak(
                request["text"], request["voice"], request["rate"], request["pitch"]
            )
            out.write(struct.pack("<ii", engine.sampling_rate, len(data) // 2) + data)
        except Exception as error:  # the caller gets the reason, the worker lives on
            message = str(error).encode()
            out.write(struct.pack("<ii", 0, len(message)) + message)
        out.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
