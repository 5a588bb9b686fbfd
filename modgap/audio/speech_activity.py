"""Whether a clip has speech in it at all: a rule of thumb, for a warning and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

__all__ = ["MIN_VOICED", "voiced_seconds"]

RATE = 8_000
MOST = 120  # seconds that are looked at: memory
FRAME, HOP = 256, 128  # 32 and 16 ms
PITCH = (60.0, 400.0)  # Hz, of voices from deep to children's
PERIODIC = (
    0.5  # of the energy repeats after a period: Boersma's (1993) threshold of voicing is 0.45
)
BELOW_DB = 30.0  # of the loudest frame: the rest is background
STEADY = 2.0  # semitones: a voice's pitch moves less from frame to frame, that of noise jumps
FLAT = 0.5  # semitones: what moves less over the whole clip is a tone, a hum or a beep
#: Seconds of voice below which a clip holds no word: half a short vowel.
MIN_VOICED = 0.08


def voiced_seconds(clip: Clip) -> float:
    """Seconds with the pitch of a voice that moves.

    A frame is voiced if it is within `BELOW_DB` of the loudest one and its normalised
    autocorrelation has a peak of `PERIODIC` at a lag of `PITCH`, near the next frame's. Where the
    pitch of all of them is the same to within `FLAT` semitones, nothing counts: no voice holds a
    tone as machines do.

    Parameters
    ----------
    clip : Clip
        Of which the first `MOST` seconds count.

    Returns
    -------
    float
        0 for noise, tones and silence; singing and some instruments count as a voice.
    """
    x = clip.resample(RATE)[: MOST * RATE].astype(np.float64)
    if len(x) < FRAME:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(x, FRAME)[::HOP]
    frames = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(FRAME)
    energy = (frames**2).sum(axis=1)
    loud = energy > energy.max() * 10 ** (-BELOW_DB / 10)
    lags = np.arange(int(RATE / PITCH[1]), int(RATE / PITCH[0]) + 1)
    power = np.abs(np.fft.rfft(frames[loud], 2 * FRAME, axis=1)) ** 2
    # Of the window itself, too: a periodic frame reaches 1 whatever the lag (Boersma 1993).
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(FRAME), 2 * FRAME)) ** 2)
    r = np.fft.irfft(power, axis=1)
    r = r / np.maximum(r[:, :1], 1e-20) / (window / window[0])[None, :].clip(1e-3)
    best = r[:, lags].argmax(axis=1)
    peak = np.take_along_axis(r[:, lags], best[:, None], axis=1)[:, 0]
    inside = (best > 0) & (best < len(lags) - 1)  # at an end it is no peak
    at = np.flatnonzero(loud)[inside & (peak > PERIODIC)]
    semitones = 12 * np.log2(RATE / lags[best][inside & (peak > PERIODIC)])
    if len(at) < 2:
        return 0.0
    steady = (np.diff(at) == 1) & (np.abs(np.diff(semitones)) < STEADY)
    steady = np.append(steady, False) | np.append(False, steady)
    semitones = semitones[steady]
    if not len(semitones):
        return 0.0
    if np.ptp(np.quantile(semitones, [0.1, 0.9])) < FLAT:
        return 0.0
    return len(semitones) * HOP / RATE
