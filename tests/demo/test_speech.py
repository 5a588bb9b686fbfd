"""The sound of the data set: who says what, that it is read, and under which conditions."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modgap.audio.clip import load_clip
from modgap.audio.conditions import CONDITIONS, RATE
from modgap.audio.tempo import change_tempo
from modgap.core.errors import SettingsError
from modgap.demo.questions import speak
from modgap.demo.questions.stored import QUESTIONS, SPEECH, Spoken, questions, sound, spoken
from modgap.demo.training.speakers import HELDOUT_TIMBRES, TIMBRES
from modgap.demo.voices import HELDOUT_VOICES, SPEAKERS, Speaker


def _table() -> pd.DataFrame:
    """The clips of the questions: sound of what was left out later may lie there, too."""
    table = pd.read_parquet(SPEECH)
    return table[table.question.isin(questions().id)].reset_index(drop=True)


def test_no_speaker_is_of_the_training() -> None:
    assert {s.language for s in SPEAKERS} == {"en-US", "en-GB"}
    assert [s.language for s in SPEAKERS] == ["en-US", "en-GB"] * 3
    for voice in HELDOUT_VOICES:
        timbre = voice.partition("+")[2]
        assert timbre in HELDOUT_TIMBRES
        assert timbre not in TIMBRES


def test_every_question_is_said_by_an_american_and_a_british_speaker() -> None:
    table = _table()
    names = [s.name for s in SPEAKERS]
    assert set(table.question) == set(questions().id)
    for _, voices in table.groupby("question").voice:
        assert sorted(v.split("-")[1] for v in voices) == ["gb", "us"]
    assert table.voice.value_counts().loc[names].min() > len(table) / 12
    # First each question once, by both sorts of speakers.
    first = table[: len(table) // 2]
    assert first.question.is_unique
    assert 0.4 < first.voice.str.startswith("pico-us").mean() < 0.6
    drawn = [speak.said_by(q)[0].name for q in first.question]
    assert drawn == list(first.voice)


def test_each_clip_is_as_long_as_its_words_take() -> None:
    table = _table().merge(questions()[["id", "text"]], left_on="question", right_on="id")
    letters = table.text.str.count(r"[A-Za-z]")
    pace = letters / table.seconds
    assert pace.between(7, 24).all()
    assert table.seconds.between(0.8, 15).all()
    assert SPEECH.stat().st_size + QUESTIONS.stat().st_size < 10e6
    for row in table.iloc[:: len(table) // 25].itertuples():
        clip = load_clip(bytes(row.sound))
        assert clip.seconds == pytest.approx(row.seconds, abs=0.02)
        samples = clip.resample(RATE)
        assert 0.5 < np.abs(samples).max() <= 1.0
        # It begins and ends with near-silence, as short as it was cut to.
        loud = np.nonzero(np.abs(samples) > 0.05)[0]
        assert loud[0] < 0.4 * RATE
        assert loud[-1] > samples.size - 0.4 * RATE


class Tone:
    """Says each text as a tone as long as the text."""

    def say(self, text: str, speaker: Speaker) -> np.ndarray:
        t = np.arange(int(RATE * 0.05 * len(text))) / RATE
        return (0.5 * np.sin(2 * np.pi * 300 * speaker.speed * t)).astype(np.float32)


def test_the_sound_is_made_again_by_the_same_rule() -> None:
    asked = questions()[:3]
    made = speak.speech(asked, Tone())
    assert list(made.question) == [*asked.id, *asked.id]
    stored = _table().set_index("question").voice
    for question, voice in zip(made.question, made.voice, strict=True):
        assert voice in set(stored[question])
    back = load_clip(made.sound[0]).resample(RATE)
    said = speak.SPEAKERS[[s.name for s in SPEAKERS].index(made.voice[0])]
    spectrum = np.abs(np.fft.rfft(back))
    peak = spectrum.argmax() * RATE / back.size
    assert peak == pytest.approx(300 * said.speed, abs=3)


def test_silence_is_cut_off() -> None:
    x = np.zeros(RATE, dtype=np.float32)
    x[4000:8000] = 0.5
    margin = round(speak.MARGIN * RATE)
    assert speak.trimmed(x).size == pytest.approx(4000 + 2 * margin, abs=2)
    assert speak.trimmed(x[4000:8000]).size == pytest.approx(4000, abs=margin)


def test_without_pico_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ttspico", None)
    with pytest.raises(SettingsError, match="pip install ttspico"):
        speak.Pico(Path("nowhere"))


def test_conditions_treat_one_utterance() -> None:
    heard: dict[str, np.ndarray] = {}
    for name in CONDITIONS:
        one: Spoken = next(spoken(name))
        assert one.condition == name
        heard[name] = sound(one)
        assert heard[name].dtype == np.float32
        assert np.array_equal(heard[name], sound(one)), "the same each time"
    clean = heard["clean"]
    for name in ("noisy", "reverberant", "telephone"):
        assert heard[name].size == clean.size
        assert not np.allclose(heard[name], clean, atol=0.02)
    assert clean.size / heard["fast"].size == pytest.approx(1.4, abs=0.1)


def test_robots_are_spoken_anew_by_held_out_timbres() -> None:
    found = list(islice(spoken("robot"), 40))
    assert len({one.question for one in found}) == 40
    assert {one.voice for one in found} == set(HELDOUT_VOICES)
    assert 0.8 < sound(found[0]).size / RATE < 6


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.4])
def test_tempo_changes_the_length_and_not_the_pitch(factor: float) -> None:
    t = np.arange(2 * RATE) / RATE
    x = np.sin(2 * np.pi * 440 * t)
    y = change_tempo(x, factor)
    assert y.size == pytest.approx(x.size / factor, rel=0.03)
    assert np.abs(np.fft.rfft(y)).argmax() * RATE / y.size == pytest.approx(440, abs=3)


@pytest.mark.parametrize("factor", [0.1, 3.0])
def test_a_tempo_out_of_range_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match=r"0\.5 to 2"):
        change_tempo(np.zeros(100), factor)
