"""Who says a training text, and how: voice, rate, pitch, and the recording's conditions.

Every draw depends on the seed and the utterance's number alone. A voice that is played somewhat
faster or slower is, to a recogniser, another speaker; so the few neural and concatenated voices are
stretched to many.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from modgap.audio.conditions import RATE, add_noise, band_limit, normalise, pad, reverberate
from modgap.core.errors import SettingsError
from modgap.demo.piper import Piper
from modgap.speech.synthesis import wheel_synthesizer

__all__ = ["ACCENTS", "FLITE", "HELDOUT_TIMBRES", "TIMBRES", "Speakers", "Utterance", "recorded"]

ACCENTS = ("en-us", "en-us", "en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan")
#: Of the evaluation, never heard in training: those of `HELDOUT_VOICES`, and two more.
HELDOUT_TIMBRES = ("m4", "f2", "f3", "m5", "adam", "linda", "Denis")
TIMBRES = (
    "",
    "m1",
    "m2",
    "m3",
    "m6",
    "m7",
    "m8",
    "f1",
    "f4",
    "f5",
    "Alex",
    "Alicia",
    "Andrea",
    "Andy",
    "Annie",
    "Gene",
    "Hugo",
    "Lee",
    "Marco",
    "Mario",
    "Michael",
    "Mike",
    "Reed",
    "antonio",
    "anika",
    "belinda",
    "benjamin",
    "boris",
    "caleb",
    "david",
    "ed",
    "edward",
    "gustave",
    "ian",
    "iven",
    "iven3",
    "john",
    "max",
    "michel",
    "miguel",
    "mike2",
    "norbert",
    "pablo",
    "paul",
    "pedro",
    "quincy",
    "rob",
    "robert",
    "sandro",
    "shelby",
    "steph",
    "steph2",
    "travis",
    "victor",
    "zac",
    "grandma",
    "grandpa",
)
#: Voices of Flite that were made of recordings of people (CMU ARCTIC).
FLITE = ("slt", "rms", "awb", "slt", "rms", "kal16")


@dataclass(frozen=True)
class Utterance:
    """How a text is said.

    Attributes
    ----------
    engine : {"espeak", "flite", "piper"}
    voice : str
    rate : float
        Words a minute (espeak-ng), or the factor of the length (the others).
    pitch : int
        Of espeak-ng.
    speed : float
        How much faster it is played: pitch and timbre rise with it.
    """

    engine: str
    voice: str
    rate: float
    pitch: int = 50
    speed: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator, shares: dict[str, float]) -> Utterance:
        """A way to say something."""
        names = [n for n, share in shares.items() if share > 0]
        weights = np.array([shares[n] for n in names])
        engine = str(rng.choice(names, p=weights / weights.sum()))
        speed = float(np.exp(rng.normal(0.0, 0.08)))
        if engine == "espeak":
            timbre = str(rng.choice(TIMBRES))
            voice = str(rng.choice(ACCENTS)) + (f"+{timbre}" if timbre else "")
            return cls(engine, voice, int(rng.integers(125, 205)), int(rng.integers(25, 76)), speed)
        speed = float(np.clip(np.exp(rng.normal(0.0, 0.13)), 0.75, 1.35))
        # Half of the change of tempo that comes with the pitch is taken back.
        length = float(rng.uniform(0.85, 1.2)) * speed**0.5
        voice = str(rng.choice(FLITE)) if engine == "flite" else "joe"
        return cls(engine, voice, length, 50, speed)


class Speakers:
    """The synthesizers, as far as they are at hand.

    Parameters
    ----------
    voice : Path or None
        Folder of the Piper voice.
    flite : str or None
        Flite's program.
    """

    def __init__(self, voice: Path | None, flite: str | None) -> None:
        self._piper = None if voice is None else Piper(voice)
        self._flite = flite

    def shares(self) -> dict[str, float]:
        """How often each synthesizer speaks.

        Whisper misreads half of what espeak-ng's voices say and little of what people do: who
        learns from the former learns not to trust what was read. It speaks where there is no other.
        """
        flite, piper = (0.58 if self._flite else 0.0), (0.42 if self._piper else 0.0)
        return {"espeak": 0.0 if flite or piper else 1.0, "flite": flite, "piper": piper}

    def say(self, text: str, how: Utterance) -> np.ndarray:
        """The text as float32 samples at 16 kHz, clean."""
        if how.engine == "piper":
            assert self._piper is not None
            samples, rate = self._piper.speak(text, how.rate)
        elif how.engine == "flite":
            samples, rate = self._by_flite(text, how)
        else:
            samples, rate = wheel_synthesizer().speak(text, how.voice, int(how.rate), how.pitch)
        return soxr.resample(samples, rate * how.speed, RATE).astype(np.float32)

    def _by_flite(self, text: str, how: Utterance) -> tuple[np.ndarray, int]:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            command = [
                str(self._flite),
                "-voice",
                how.voice,
                "--setf",
                f"duration_stretch={how.rate:.3f}",
                "-t",
                text,
                "-o",
                file.name,
            ]
            try:
                subprocess.run(command, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError) as problem:
                raise SettingsError(
                    f"Flite ({self._flite}) did not speak: check the program."
                ) from problem
            samples, rate = soundfile.read(file.name, dtype="float32")
        return samples, int(rate)


def recorded(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A clean utterance as something may have recorded it; 40 % stay clean.

    Parameters
    ----------
    x : numpy.ndarray, float32, shape (n,)
        At 16 kHz.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, float32, shape (m,)
        With near-silence before and after it.
    """
    y = x.astype(np.float64)
    y = y * (0.5 / (np.abs(y).max() + 1e-9))
    before, after = rng.uniform(0.02, 0.5), rng.uniform(0.05, 0.6)
    y = pad(y, before, after, 10 ** rng.uniform(-5, -3), rng)
    if rng.random() < 0.6:
        if rng.random() < 0.4:
            y = reverberate(y, rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.7), rng)
        if rng.random() < 0.3:
            telephone = rng.random() < 0.4
            low = rng.uniform(150, 350) if telephone else None
            high = rng.uniform(3200, 3900) if telephone else rng.uniform(3500, 7000)
            y = band_limit(y, low, high)
        if rng.random() < 0.6:
            y = add_noise(y, rng.uniform(5, 35), rng.uniform(0, 2), rng)
        if rng.random() < 0.2:
            y = _coded(y, rng)
    return normalise(y, rng.uniform(0.1, 0.95))


def _coded(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through the few levels of a telephone's codec (mu-law), or of a poor one."""
    bits = int(rng.integers(5, 9))
    peak = np.abs(y).max() + 1e-9
    mu = 2.0**bits - 1
    level = np.sign(y) * np.log1p(mu * np.abs(y) / peak) / np.log1p(mu)
    level = np.round(level * mu / 2) / (mu / 2)
    return np.sign(level) * np.expm1(np.abs(level) * np.log1p(mu)) / mu * peak
