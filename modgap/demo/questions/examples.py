"""Makes the example clips again: voices of three synthesizers, and recordings of people.

::

    pip install ttspico==0.3.2 onnxruntime
    modgap fetch --voice
    pip download --no-deps --no-binary :all: pocketsphinx==5.1.1
    tar xzf pocketsphinx-5.1.1.tar.gz
    python -m modgap.demo.questions.examples --recordings pocketsphinx-5.1.1

None is asked by the data set ``demo``. The questions are on things that the training asks about,
too, in other words and by other voices; the Piper voice varies what it says, so that its clips are
others each time.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from modgap.audio.conditions import RATE, condition
from modgap.audio.tempo import change_tempo
from modgap.core.files import write_atomic
from modgap.demo.questions.asked import rank
from modgap.demo.questions.speak import Pico
from modgap.demo.voices import FAST, SPEAKERS
from modgap.models.prompt import TRANSCRIBE

__all__ = ["EXAMPLES", "FOLDER", "PEOPLE", "Made", "Recorded", "made"]

FOLDER = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True)
class Made:
    """A clip that a synthesizer says.

    Attributes
    ----------
    id, title, transcript, reference, shows : str
        As in examples.json.
    voice : str
        One of `SPEAKERS`, ``"joe"`` (Piper), or a voice of espeak-ng.
    condition : str
        Of `modgap.audio.conditions`.
    instruction : str
    """

    id: str
    title: str
    transcript: str
    reference: str
    voice: str
    shows: str
    condition: str = "clean"
    instruction: str = ""


@dataclass(frozen=True)
class Recorded:
    """A recording of a person: `file` lies in pocketsphinx's source archive."""

    id: str
    title: str
    transcript: str
    file: str
    source: str
    licence: str
    shows: str


EXAMPLES: tuple[Made, ...] = (
    Made("capital-Greece-open", "A capital, in quiet", "What city is the capital of Greece?",
         "Athens", "pico-us",
         "The plain case: a voice that no training text was said by, and no noise. Compare the "
         "answer to the speech with the answer to the text."),
    Made("author-Moby-Dick-open", "An author, in noise", "Who was the writer of Moby Dick?",
         "Melville", "pico-gb",
         "Pink noise at 10 dB. Compare its alignment with that of a clip in quiet.", "noisy"),
    Made("opposite-fast-open", "An opposite, an artificial voice",
         "Tell me the opposite of the word fast.", "slow", "en+f2",
         "espeak-ng, by a timbre that training never heard: formants by rule, no recorded sound."),
    Made("colour-banana-open", "A colour, in a room", "What is the usual color of a banana?",
         "yellow", "pico-gb-high",
         "A room of half a second smears each word over the next ones.", "reverberant"),
    Made("city-Lisbon-open", "A country, by telephone", "Lisbon is a city in which country?",
         "Portugal", "joe",
         "The one voice here that training heard (Piper's joe), through 300 to 3,400 Hz.",
         "telephone"),
    Made("job-hair-open", "A profession, said fast", "What do you call a person who cuts hair?",
         "barber", "pico-us", "1.4 times as fast as the voice speaks by itself.", "fast"),
    Made("capital-Italy-choice", "A multiple choice that is read out",
         "What city is the capital of Italy? A, Rome. B, Madrid. C, Lisbon. D, Athens.",
         "Rome", "pico-us-low",
         "A long clip with four options. Does the model name one, or does it only go on?"),
    Made("train-when", "A question about what is said",
         "The train to Oxford leaves at seven o'clock in the morning.", "seven", "pico-gb-low",
         "The question is typed, what it is about is said.", instruction="When does the train "
         "leave?"),
)  # fmt: skip

_SENSE = (
    "Jane Austen, Sense and Sensibility, chapter 1, read by a volunteer of LibriVox; "
    "pocketsphinx 5.1.1, test/data/librivox"
)
_SPHINX = "recorded for the tests of pocketsphinx 5.1.1, test/data"
_BOOK, _TESTS = "public domain (LibriVox)", "BSD-2-Clause (pocketsphinx)"

PEOPLE: tuple[Recorded, ...] = (
    Recorded("austen-0880", "A reader, a short sentence", "He was not an ill disposed young man.",
             "librivox/sense_and_sensibility_01_austen_64kb-0880.wav", _SENSE, _BOOK,
             "A person, where all voices of the training are synthetic. What does it write down?"),
    Recorded("austen-0890", "A reader, a longer sentence",
             "unless to be rather cold hearted and rather selfish is to be ill disposed.",
             "librivox/sense_and_sensibility_01_austen_64kb-0890.wav", _SENSE, _BOOK,
             "Words of two hundred years ago. Find the layer at which the path is monotone."),
    Recorded("austen-0930", "A reader, another sentence",
             "He might even have been made amiable himself.",
             "librivox/sense_and_sensibility_01_austen_64kb-0930.wav", _SENSE, _BOOK,
             "The same reader: what is the same in the maps of one voice?"),
    Recorded("sphinx-forward", "A command", "Go forward ten meters.", "goforward.raw", _SPHINX,
             _TESTS, "A person at a desk, no reader: four words, with silence around them."),
    Recorded("sphinx-cards", "Playing cards",
             "Eight of spades, four of clubs, seven of hearts.", "cards/005.wav", _SPHINX, _TESTS,
             "A list with the same words again: which of the two \"of\" does a path choose?"),
    Recorded("sphinx-clubs", "Three words", "Ten of clubs.", "cards/001.wav", _SPHINX, _TESTS,
             "About a second: few speech positions, and few tokens to find among them."),
)  # fmt: skip


class _Voices:
    """The three synthesizers, by the names of their voices."""

    def __init__(self, pico: Any, piper: Any) -> None:
        self._pico, self._piper = pico, piper

    def say(self, text: str, voice: str) -> tuple[np.ndarray, str]:
        """Samples at 16 kHz, and whose they are."""
        speaker = next((s for s in SPEAKERS if s.name == voice), None)
        if speaker is not None:
            played = "" if speaker.speed == 1 else f", played {speaker.speed:g} times as fast"
            return self._pico.say(text, speaker), f"SVOX Pico, voice {speaker.language}{played}"
        if voice == "joe":
            samples, rate = self._piper.speak(text)
            return soxr.resample(samples, rate, RATE), "Piper, voice en_US-joe-medium"
        from modgap.speech.synthesis import wheel_synthesizer

        samples, rate = wheel_synthesizer().speak(text, voice, 165)
        return soxr.resample(samples, rate, RATE), f"espeak-ng, voice {voice}, 165 words a minute"


def made(voices: Any) -> Iterator[tuple[dict[str, str | None], bytes]]:
    """The row of examples.json and the FLAC file of each synthetic clip."""
    for e in EXAMPLES:
        x, source = voices.say(e.transcript, e.voice)
        if e.condition == "fast":
            x = change_tempo(x, FAST)
        rng = np.random.default_rng(int(rank("example", e.id)[:16], 16))
        row: dict[str, str | None] = {
            "id": e.id, "file": f"{e.id}.flac", "title": e.title, "transcript": e.transcript,
            "instruction": e.instruction, "reference": e.reference,
            "source": f"synthesized with {source}; {e.condition}",
            "licence": "CC0-1.0", "shows": e.shows,
        }  # fmt: skip
        yield row, _flac(condition(x, e.condition, rng))


def _people(folder: Path) -> Iterator[tuple[dict[str, str | None], bytes]]:
    for e in PEOPLE:
        path = folder / "test" / "data" / e.file
        if path.suffix == ".raw":  # 16 bits, 16 kHz
            x = np.frombuffer(path.read_bytes(), "<i2").astype(np.float32) / 32768
        else:
            x, rate = soundfile.read(path, dtype="float32")
            assert rate == RATE, path
        row: dict[str, str | None] = {
            "id": e.id, "file": f"{e.id}.flac", "title": e.title, "transcript": e.transcript,
            "instruction": TRANSCRIBE, "reference": None, "source": e.source,
            "licence": e.licence, "shows": e.shows,
        }  # fmt: skip
        yield row, _flac(x)


def _flac(x: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, x, RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def main() -> None:
    """The command line of this module."""
    from modgap.demo.piper import Piper
    from modgap.models.bases.local import require
    from modgap.models.bases.sources import VOICE

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recordings", type=Path, required=True, help="pocketsphinx's sources")
    parser.add_argument("--languages", type=Path, help="folder of Pico's voices")
    parser.add_argument("--voice", type=Path, help="folder of the Piper voice; else the fetched")
    given = parser.parse_args()
    voices = _Voices(Pico(given.languages), Piper(given.voice or require(VOICE.name)))
    rows = []
    for row, blob in (*made(voices), *_people(given.recordings)):
        write_atomic(FOLDER / str(row["file"]), blob)
        rows.append(row)
    text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    write_atomic(FOLDER / "examples.json", text.encode())
    print(f"{len(rows)} examples in {FOLDER}")


if __name__ == "__main__":
    main()
