"""Controlled perturbations of a clip, each said in one word: ``noise:10``, ``codec:opus:12``."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modgap.audio.conditions import RATE, add_noise, band_limit, normalise, reverberate
from modgap.core.errors import SettingsError

__all__ = ["CODECS", "Perturbation", "perturb"]

Samples = npt.NDArray[np.float32]

#: Codec, and the bit rates in kbit/s that it takes: mu-law and GSM have one only.
CODECS = {"mulaw": (64, 64), "gsm": (13, 13), "opus": (6, 256), "mp3": (8, 160)}
_COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
_KINDS = "noise:SNR[:white|pink|brown], reverb:SECONDS[:WET], rate:FACTOR, band:LOW-HIGH, "
_FORMS = _KINDS + "codec:mulaw|gsm|opus[:KBITS]|mp3[:KBITS], joined by +, or clean"


@dataclass(frozen=True)
class Perturbation:
    """What is done to a clip, step by step.

    Attributes
    ----------
    steps : tuple of tuples
        Kind and its values, in the order in which they are applied; empty for a clean clip.

    Examples
    --------
    >>> Perturbation.parse("band:300-3400+noise:10").steps
    (('band', 300.0, 3400.0), ('noise', 10.0, 'pink'))
    """

    steps: tuple[tuple[str | float, ...], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Perturbation:
        """Read a perturbation.

        Parameters
        ----------
        text : str
            ``clean``, or steps joined by ``+``:

            - ``noise:SNR[:COLOUR]``: noise of a colour (pink) at a ratio in dB, over the clip;
            - ``reverb:SECONDS[:WET]``: a room whose sound falls by 60 dB in so long; WET (0.7) is
              the room's level against the direct sound;
            - ``rate:FACTOR``: said so many times as fast (of a synthetic voice only);
            - ``band:LOW-HIGH``: a band in Hz; LOW 0 is a low pass;
            - ``codec:NAME[:KBITS]``: coded and decoded.

        Raises
        ------
        SettingsError
            It is none of these, or a value is out of range.
        """
        if text.strip() in ("", "clean"):
            return cls()
        return cls(tuple(_step(part.strip()) for part in text.split("+")))

    @property
    def name(self) -> str:
        """The text that `parse` reads."""
        return "+".join(_write(step) for step in self.steps) or "clean"

    @property
    def rate(self) -> float:
        """How many times as fast the words are said."""
        return math.prod(float(step[1]) for step in self.steps if step[0] == "rate")


def perturb(samples: Samples, perturbation: Perturbation, seed: int = 0) -> Samples:
    """Apply a perturbation to samples at 16 kHz.

    Parameters
    ----------
    samples : float32 ndarray (n,)
        Mono at 16 kHz, full scale 1.
    perturbation : Perturbation
        Its rate is left to the voice.
    seed : int
        Of noise and room.

    Returns
    -------
    float32 ndarray (n,)
        As long as before, scaled to a peak of 0.7.
    """
    x = np.asarray(samples, dtype=np.float64)
    rng = np.random.default_rng(seed)
    for kind, *values in perturbation.steps:
        if kind == "noise":
            x = add_noise(x, float(values[0]), _COLOURS[str(values[1])], rng)
        elif kind == "reverb":
            x = reverberate(x, float(values[0]), float(values[1]), rng)
        elif kind == "band":
            x = band_limit(x, float(values[0]) or None, float(values[1]))
        elif kind == "codec":
            x = _coded(normalise(x), str(values[0]), int(values[1])).astype(np.float64)
    return normalise(x)


def _step(text: str) -> tuple[str | float, ...]:
    kind, *values = text.split(":")
    try:
        step = _READERS[kind](values)
    except (KeyError, ValueError, IndexError):
        step = None
    if step is None:
        raise SettingsError(f"{text!r} is no perturbation: use {_FORMS}.")
    return step


def _noise(values: Sequence[str]) -> tuple[str | float, ...] | None:
    snr, colour = float(values[0]), (values[1:] or ["pink"])[0]
    return ("noise", snr, colour) if -30 <= snr <= 80 and colour in _COLOURS else None


def _reverb(values: Sequence[str]) -> tuple[str | float, ...] | None:
    seconds, wet = float(values[0]), float((values[1:] or ["0.7"])[0])
    return ("reverb", seconds, wet) if 0.05 <= seconds <= 5 and 0 < wet <= 4 else None


def _rate(values: Sequence[str]) -> tuple[str | float, ...] | None:
    return ("rate", float(values[0])) if 0.5 <= float(values[0]) <= 2.5 else None


def _band(values: Sequence[str]) -> tuple[str | float, ...] | None:
    low, high = map(float, values[0].split("-"))
    return ("band", low, high) if 0 <= low < high < RATE / 2 else None


def _codec(values: Sequence[str]) -> tuple[str | float, ...] | None:
    least, most = CODECS[values[0]]
    default = {"opus": 24, "mp3": 32}.get(values[0], least)
    kbits = int(values[1]) if values[1:] else default
    return ("codec", values[0], kbits) if least <= kbits <= most else None


_READERS: dict[str, Callable[[Sequence[str]], tuple[str | float, ...] | None]] = {
    "noise": _noise, "reverb": _reverb, "rate": _rate, "band": _band, "codec": _codec,
}  # fmt: skip


def _write(step: tuple[str | float, ...]) -> str:
    kind, *values = (f"{v:g}" if isinstance(v, float) else str(v) for v in step)
    if kind == "band":
        return f"band:{values[0]}-{values[1]}"
    return ":".join((kind, *values))


def _coded(x: Samples, codec: str, kbits: int) -> Samples:
    """Coded and decoded; the coder's delay is taken off, so that words stay where they were."""
    if codec in ("mulaw", "gsm"):
        return _telephone(x, {"mulaw": "ULAW", "gsm": "GSM610"}[codec])
    decoded = _by_ffmpeg(x, {"opus": "libopus", "mp3": "libmp3lame"}[codec], kbits)
    return _aligned(decoded, x)


def _telephone(x: Samples, subtype: str) -> Samples:
    import soundfile
    import soxr

    narrow = soxr.resample(x, RATE, 8000, quality="HQ")
    buffer = io.BytesIO()
    soundfile.write(buffer, narrow, 8000, format="WAV", subtype=subtype)
    buffer.seek(0)
    back, rate = soundfile.read(buffer, dtype="float32")
    return _fit(soxr.resample(back, rate, RATE, quality="HQ"), x.size)


def _by_ffmpeg(x: Samples, encoder: str, kbits: int) -> Samples:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg" if encoder == "libopus" else "mp3") as file:
        stream: Any = file.add_stream(encoder, rate=RATE, layout="mono")
        stream.bit_rate = 1000 * kbits
        stream.open()
        frame = av.AudioFrame.from_ndarray(x.reshape(1, -1), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        cut = av.AudioResampler(stream.format.name, "mono", RATE, stream.codec_context.frame_size)
        for part in (*cut.resample(frame), *cut.resample(None)):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    from modgap.audio.clip import load_clip

    return load_clip(buffer.getvalue(), name="coded").resample(RATE)


def _aligned(decoded: Samples, x: Samples) -> Samples:
    from scipy.signal import correlate

    limit = RATE // 5
    padded = np.pad(decoded, (limit, limit + max(0, x.size - decoded.size)))
    scores = correlate(padded[: x.size + 2 * limit], x, mode="valid", method="fft")
    shift = int(np.argmax(scores))
    return _fit(padded[shift : shift + x.size], x.size)


def _fit(x: Samples, n: int) -> Samples:
    return np.pad(x[:n], (0, max(0, n - x.size))).astype(np.float32)
