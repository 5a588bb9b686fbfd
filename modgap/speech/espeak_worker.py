"""A small program that speaks: one JSON request a line in, one block of samples out.

It is meant to run as a process of its own (``python -m modgap.speech.espeak_worker``): the
espeak-ng library that it loads is under the GPL-3, and the rest of the project never links to it.

Protocol: each line of standard input is ``{"text", "voice", "rate", "pitch"}``; the answer is a
little-endian header of two signed 32-bit numbers (sampling rate, sample count) and the samples as
signed 16-bit numbers. A sampling rate of 0 announces an error message of ``count`` bytes instead,
one of -1 a JSON text of ``count`` bytes. With ``"events": true`` such a text follows the samples:
``[[kind, character, length, sample, name], ...]`` of words and phonemes. The request
``{"phonemes": [word, ...]}`` is answered with such a text alone: the words' pronunciations.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from pathlib import Path
from typing import BinaryIO

_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: return only when the synthesis is complete
_RATE, _PITCH = 1, 3  # espeak_PARAMETER
_UTF8 = 1
_IPA = 2  # of espeak_TextToPhonemes
_PHONEME_EVENTS = 1  # of espeak_Initialize
_END_OF_LIST, _WORD, _PHONEME = 0, 1, 7  # espeak_EVENT_TYPE


class _Identifier(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; `text_position` counts characters from 1."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identifier),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
Event = tuple[str, int, int, int, str]


class Engine:
    """The espeak-ng library, loaded through the ``espeakng-loader`` wheel."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lib = ctypes.cdll.LoadLibrary(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self._variants = Path(data.decode(), "voices", "!v")
        self.sampling_rate = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS)
        if self.sampling_rate <= 0:
            raise RuntimeError("espeak-ng did not start; reinstall the espeakng-loader package")
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._blocks: list[bytes] = []
        self.events: list[Event] = []  # of the last `speak`
        # The library keeps only the pointer: the callback must live as long as the engine.
        self._callback = _CALLBACK(self._collect)
        self._lib.espeak_SetSynthCallback(self._callback)
        # The breath of some voices ("+f3") is noise that is seeded with the time of day.
        self._lib.espeak_ng_SetRandSeed(ctypes.c_long(1))

    def _collect(
        self,
        samples: ctypes._Pointer[ctypes.c_short],
        count: int,
        events: ctypes._Pointer[_Event],
    ) -> int:
        if samples and count > 0:
            self._blocks.append(ctypes.string_at(samples, 2 * count))
        n = 0
        while events and events[n].type != _END_OF_LIST:
            e = events[n]
            if e.type == _WORD:
                self.events.append(("word", e.text_position - 1, e.length, e.sample, ""))
            elif e.type == _PHONEME:
                name = e.id.string.decode(errors="replace")
                self.events.append(("phoneme", e.text_position - 1, 0, e.sample, name))
            n += 1
        return 0

    def phonemes(self, word: str) -> str:
        """The pronunciation of ``word`` in American English, in the International Alphabet."""
        self._lib.espeak_SetVoiceByName(b"en-us")
        text = ctypes.create_string_buffer(word.encode())
        at = ctypes.c_void_p(ctypes.addressof(text))
        said = []
        while at.value:  # clause by clause
            said.append(self._lib.espeak_TextToPhonemes(ctypes.byref(at), _UTF8, _IPA).decode())
        return " ".join(said).strip()

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
        self.events.clear()
        data = text.encode() + b"\0"
        code = self._lib.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None)
        if code != 0:
            raise RuntimeError(f"espeak-ng returned error {code}")
        self._lib.espeak_Synchronize()
        return b"".join(self._blocks)


def serve(lines: BinaryIO, out: BinaryIO) -> None:
    """Answer requests until the input ends.

    The library keeps state between utterances, so that the same text comes out some samples longer
    or shorter the second time. Each request is therefore answered by a copy of the process that has
    said nothing yet, where the system can copy one.
    """
    engine = Engine()
    for line in lines:
        if not hasattr(os, "fork"):
            _answer(engine, line, out)
            continue
        child = os.fork()
        if child == 0:
            _answer(engine, line, out)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
            return  # what it wrote may be half an answer: the caller starts another worker


def _answer(engine: Engine, line: bytes, out: BinaryIO) -> None:
    try:
        request = json.loads(line)
        if "phonemes" in request:
            _write_text(out, [engine.phonemes(word) for word in request["phonemes"]])
            return
        data = engine.speak(request["text"], request["voice"], request["rate"], request["pitch"])
        out.write(struct.pack("<ii", engine.sampling_rate, len(data) // 2) + data)
        if request.get("events"):
            _write_text(out, engine.events)
    except Exception as error:  # the caller gets the reason, the worker lives on
        message = str(error).encode()
        out.write(struct.pack("<ii", 0, len(message)) + message)
    finally:
        out.flush()


def _write_text(out: BinaryIO, value: object) -> None:
    text = json.dumps(value).encode()
    out.write(struct.pack("<ii", -1, len(text)) + text)


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
