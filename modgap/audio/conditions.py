"""Waveform conditions: noise, reverberation, narrow bands, speed, gain. Pure numpy and scipy.

Clips are mono at `RATE`: float arrays of shape (n,), full scale at 1.
"""

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
    """Add coloured noise to a clip.

    Parameters
    ----------
    x : ndarray float, shape (n,)
    snr_db : float
        Signal-to-noise ratio over the whole clip, in dB.
    slope : float
        The noise's power falls with frequency as ``f**-slope``: 0 white, 1 pink, 2 brown.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray float, shape (n,)
    """
    power = np.sqrt(np.mean(x**2)) + 1e-9
    return x + _noise(x.size, slope, rng) * power * 10 ** (-snr_db / 20)


def reverberate(x: np.ndarray, rt60: float, wet: float, rng: np.random.Generator) -> np.ndarray:
    """Convolve with an exponentially decaying tail of noise; the clip keeps its length.

    Parameters
    ----------
    x : ndarray float, shape (n,)
    rt60 : float
        Seconds in which the tail falls by 60 dB.
    wet : float
        Share of the tail beside the direct sound.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray float, shape (n,)
    """
    n = max(int(rt60 * RATE), 16)
    tail = rng.standard_normal(n) * 10 ** (-3.0 * np.arange(n) / n)
    tail[: int(0.004 * RATE)] = 0.0  # the direct sound arrives first, then the room answers
    tail /= np.sqrt(np.sum(tail**2)) + 1e-12
    return x + wet * signal.fftconvolve(x, tail)[: x.size]


def band_limit(x: np.ndarray, low: float | None, high: float) -> np.ndarray:
    """Keep a band. 300 to 3,400 Hz is the telephone; no lower edge, a recording at 8 kHz.

    Parameters
    ----------
    x : ndarray float, shape (n,)
    low : float or None
    high : float
        Edges in Hz.

    Returns
    -------
    ndarray float64, shape (n,)
    """
    edge, kind = ((low, high), "bandpass") if low else (high, "lowpass")
    sos = signal.butter(6 if low else 8, edge, kind, fs=RATE, output="sos")
    return signal.sosfilt(sos, x)


def normalise(x: np.ndarray, peak: float = 0.7) -> np.ndarray:
    """Scale to a peak value: ndarray float, shape (n,), to float32 of the same shape."""
    return (x * (peak / (np.max(np.abs(x)) + 1e-9))).astype(np.float32)


def pad(x: np.ndarray, before: float, after: float, floor: float, rng: np.random.Generator
        ) -> np.ndarray:  # fmt: skip
    """Add near-silence on either side.

    Parameters
    ----------
    x : ndarray float, shape (n,)
    before, after : float
        Seconds.
    floor : float
        Standard deviation of the noise, which lies under the clip, too.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray float64, shape (n + 16,000 (before + after),)
    """
    a, b = int(before * RATE), int(after * RATE)
    out = floor * rng.standard_normal(x.size + a + b)
    out[a : a + x.size] += x
    return out


def condition(x: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """Treat a clip for one condition of the evaluation.

    ``noisy``: pink noise at 10 dB; ``reverberant``: a room of 0.5 s; ``telephone``: 300 to
    3,400 Hz; ``clean`` and ``fast``: nothing.

    Parameters
    ----------
    x : ndarray float, shape (n,)
    name : str
        One of `CONDITIONS`.
    rng : numpy.random.Generator
        Its state decides everything.

    Returns
    -------
    ndarray float32, shape (n + 2400,)
        With 0.05 s before and 0.1 s after the clip.

    Raises
    ------
    ValueError
        An unknown condition.
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
