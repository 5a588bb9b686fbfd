"""Makes the sound of the questions again, by SVOX Pico.

Pico (Apache-2.0) is no dependency of modgap: what it says is shipped. To make it again::

    pip install ttspico==0.3.2
    python -m modgap.demo.questions.speak

Each question is said by an American and a British speaker, drawn by its id.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soxr

from modgap.audio.conditions import RATE, normalise
from modgap.core.errors import SettingsError
from modgap.core.files import table_bytes, write_atomic
from modgap.demo.questions.asked import rank
from modgap.demo.questions.stored import QUESTIONS, SPEECH
from modgap.demo.voices import SPEAKERS, Speaker

__all__ = ["Pico", "opus", "said_by", "speech", "trimmed"]

#: Bits a second of Opus.
BITS = 18_000
#: What is quieter, beside the loudest, is no speech.
SILENCE = 0.01
MARGIN = 0.05  # seconds that stay on either side


class Pico:
    """SVOX Pico's voices.

    Parameters
    ----------
    languages : Path, optional
        Folder of its voices' files; by default where ``pip install`` puts them.
    """

    def __init__(self, languages: Path | None = None) -> None:
        try:
            import ttspico
        except ImportError as problem:
            raise SettingsError(
                "SVOX Pico is not installed: pip install ttspico==0.3.2"
            ) from problem
        self._engine: Any = ttspico.TtsEngine
        self._languages = None if languages is None else f"{languages}/"

    def say(self, text: str, speaker: Speaker) -> np.ndarray:
        """A text as float32 samples at 16 kHz, without silence around it."""
        # An engine keeps a little state from what it said before: each text gets its own.
        engine = self._engine(speaker.language, lang_dir=self._languages)
        engine.rate = round(100 / speaker.speed**0.5)
        samples = np.frombuffer(engine.speak(text), "<i2").astype(np.float32) / 32768
        return trimmed(soxr.resample(samples, RATE * speaker.speed, RATE).astype(np.float32))


def trimmed(x: np.ndarray) -> np.ndarray:
    """Samples at 16 kHz without the silence before and after them, but for `MARGIN`."""
    loud = np.nonzero(np.abs(x) > SILENCE * np.abs(x).max())[0]
    margin = round(MARGIN * RATE)
    return x[max(0, loud[0] - margin) : loud[-1] + margin]


def opus(x: np.ndarray) -> bytes:
    """Samples at 16 kHz as Ogg Opus."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg") as file:
        how = {"application": "voip", "compression_level": "5"}
        stream: Any = file.add_stream("libopus", rate=RATE, layout="mono", options=how)
        stream.bit_rate = BITS
        stream.open()
        samples = np.ascontiguousarray(normalise(x)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        cut = av.AudioResampler(stream.format.name, "mono", RATE, stream.codec_context.frame_size)
        for part in (*cut.resample(frame), *cut.resample(None)):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def said_by(question: str) -> tuple[Speaker, Speaker]:
    """The speakers of a question, by its id: an American and a British one, in either order."""
    drawn = int(rank("speakers", question)[:8], 16)
    american = SPEAKERS[0::2][drawn % 3]
    british = SPEAKERS[1::2][drawn // 3 % 3]
    return (american, british) if drawn // 9 % 2 else (british, american)


def speech(questions: pd.DataFrame, pico: Any) -> pd.DataFrame:
    """The sound of questions.

    Parameters
    ----------
    questions : DataFrame
        Columns id, text.
    pico : Pico
        Or whatever has its `Pico.say`.

    Returns
    -------
    DataFrame
        Columns question (its id), voice, seconds, sound (Ogg Opus); first each question once.
    """
    rows = []
    for turn in (0, 1):
        for name, text in zip(questions.id, questions.text, strict=True):
            speaker = said_by(name)[turn]
            x = pico.say(text, speaker)
            rows.append((name, speaker.name, x.size / RATE, opus(x)))
            if len(rows) % 100 == 0:
                print(f"{len(rows)} clips", flush=True)
    return pd.DataFrame(rows, columns=["question", "voice", "seconds", "sound"])


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--languages", type=Path, help="folder of Pico's voices")
    given = parser.parse_args()
    table = speech(pd.read_parquet(QUESTIONS), Pico(given.languages))
    write_atomic(SPEECH, table_bytes(table))
    size = SPEECH.stat().st_size / 1e6
    print(f"{len(table)} clips, {table.seconds.sum() / 60:.0f} minutes, {size:.1f} MB in {SPEECH}")


if __name__ == "__main__":
    main()
