"""The random treatment of training clips."""

from __future__ import annotations

import numpy as np

from modgap.audio.conditions import add_noise, band_limit, change_speed, normalise, pad, reverberate


def training_augment(x: np.ndarray, rng: np.random.Generator, digit: bool = False) -> np.ndarray:
    """The random treatment of a training clip; about 70 % stay clean (digits: 25 %).

    Parameters
    ----------
    x : numpy.ndarray, float, shape (n,)
        Mono at 16 kHz, full scale at 1.
    rng : numpy.random.Generator
        Its state decides everything.
    digit : bool
        Real digits are few: they get speed changes, too.

    Returns
    -------
    numpy.ndarray, float32, shape (m,)
        Longer by up to 0.35 s of near-silence; a digit's own part is 0.82 to 1.22 times as fast.
        Its peak lies between 0.2 and 0.95.
    """
    x = x.astype(np.float64)
    if digit:
        x = change_speed(x, rng.uniform(0.82, 1.22))
        x = normalise(x) * rng.uniform(0.5, 1.0)
    before, after = rng.uniform(0.0, 0.15), rng.uniform(0.0, 0.2)
    x = pad(x, before, after, 10 ** rng.uniform(-5, -3), rng)
    if rng.random() < (0.75 if digit else 0.3):
        kinds = [k for k, p in (("room", 0.4), ("band", 0.4), ("noise", 0.6)) if rng.random() < p]
        for kind in kinds or ["noise"]:
            if kind == "room":
                x = reverberate(x, rng.uniform(0.15, 0.7), rng.uniform(0.2, 0.9), rng)
            elif kind == "band":
                telephone = rng.random() < 0.5
                low = rng.uniform(200, 350) if telephone else None
                high = rng.uniform(3200, 3900) if telephone or digit else rng.uniform(3500, 7000)
                x = band_limit(x, low, high)
            else:
                x = add_noise(x, rng.uniform(4, 25), rng.uniform(0, 2), rng)
    return normalise(x, rng.uniform(0.2, 0.95))
