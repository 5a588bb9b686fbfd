"""Waveform conditions: noise, reverberation, narrow bands, speed, gain. Pure numpy and scipy."""

from __future__ import annotations

import numpy as np
from scipy import signal

RATE = 16_000

#: The conditions of the evaluation, beside "clean" (and "fast", which is made by the voice).
CONDITIONS: tuple[str, ...] = ("clean", "noisy", "reverberant", "telephone", "fast")


def _noise(n: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls with frequency as ``f**-slope`` (0 white, 1 pink, 2 brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    f = np.arange(spectrum.size, dtype=np.float64)
    f[0] = 1.0
    noise = np.fft.irfft(spectrum / np.maximum(f, n / RATE * 40) ** (slope / 2), n)
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-12)


def add_noise(x: np.ndarray, snr_db: float, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Add coloured noise at a signal-to-noise ratio in dB (over the whole clip)."""
    power = np.sqrt(np.mean(x**2)) + 1e-9
    return x + _noise(x.size, slope, rng) * power * 10 ** (-snr_db / 20)


def reverberate(x: np.ndarray, rt60: float, wet: float, rng: np.random.Generator) -> np.ndarray:
    """Convolve with an exponentially decaying noise tail of ``rt60`` seconds; same length."""
    n = max(int(rt60 * RATE), 16)
    tail = rng.standard_normal(n) * 10 ** (-3.0 * np.arange(n) / n)
    tail[: int(0.004 * RATE)] = 0.0  # the direct sound arrives first, then the room answers
    tail /= np.sqrt(np.sum(tail**2)) + 1e-12
    return x + wet * signal.fftconvolve(x, tail)[: x.size]


def band_limit(x: np.ndarray, low: float | None, high: float) -> np.ndarray:
    """Keep a band (Hz). ``(300, 3400)`` is the telephone; no lower edge: an 8 kHz recording."""
    edge, kind = ((low, high), "bandpass") if low else (high, "lowpass")
    sos = signal.butter(6 if low else 8, edge, kind, fs=RATE, output="sos")
    return signal.sosfilt(sos, x)


def change_speed(x: np.ndarray, factor: float) -> np.ndarray:
    """Play ``factor`` times as fast; pitch moves along, which is another speaker, nearly."""
    n = max(round(x.size / factor), 2)
    return np.interp(np.linspace(0, x.size - 1, n), np.arange(x.size), x)


def normalise(x: np.ndarray, peak: float = 0.7) -> np.ndarray:
    """Scale to a peak value, as float32."""
    return (x * (peak / (np.max(np.abs(x)) + 1e-9))).astype(np.float32)


def pad(x: np.ndarray, before: float, after: float, floor: float, rng: np.random.Generator
        ) -> np.ndarray:  # fmt: skip
    """Add near-silence of so many seconds on either side."""
    a, b = int(before * RATE), int(after * RATE)
    out = floor * rng.standard_normal(x.size + a + b)
    out[a : a + x.size] += x
    return out


def condition(x: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """Treat a clip for one condition of the evaluation.

    ``noisy``: pink noise at 10 dB; ``reverberant``: a room of 0.5 s; ``telephone``: 300 to
    3,400 Hz; ``clean`` and ``fast``: nothing.
    """
    x = pad(x.astype(np.float64), 0.05, 0.1, 1e-4, rng)
    if name == "noisy":
        x = add_noise(x, 10.0, 1.0, rng)
    elif name == "reverberant":
        x = reverberate(x, 0.5, 0.7, rng)
    elif name == "telephone":
        x = band_limit(x, 300.0, 3400.0)
    elif name not in ("clean", "fast"):
        raise ValueError(f"Unknown condition {name!r}; use one of {', '.join(CONDITIONS)}.")
    return normalise(x)
