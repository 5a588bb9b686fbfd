"""Speech for written questions, and what perturbations do to it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from typer.testing import CliRunner

from modgap.audio.conditions import RATE
from modgap.audio.perturbations import CODECS, Perturbation, perturb
from modgap.cli import main
from modgap.core.errors import Cancelled, SettingsError
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.data.spoken_questions import SynthSettings, synthesize
from tests.tiny import make_clip

SPEECH = make_clip(2.0).resample(RATE)


def scaled(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """`x` times the factor that brings it nearest to `like`."""
    return x * (x @ like) / (x @ x)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("clean", "clean"),
        ("noise:10", "noise:10:pink"),
        ("noise:-5:white", "noise:-5:white"),
        ("reverb:0.5", "reverb:0.5:0.7"),
        ("band:0-4000", "band:0-4000"),
        ("codec:opus", "codec:opus:24"),
        ("codec:mulaw", "codec:mulaw:64"),
        ("rate:1.25+noise:0:brown", "rate:1.25+noise:0:brown"),
    ],
)
def test_names_are_read_and_written(text: str, name: str) -> None:
    made = Perturbation.parse(text)
    assert made.name == name
    assert Perturbation.parse(name) == made


@pytest.mark.parametrize(
    "text",
    ["noise", "noise:loud", "noise:10:green", "noise:200", "reverb:0", "rate:9", "band:4000-300",
     "band:300", "band:300-9000", "codec:flac", "codec:opus:999", "echo:1", "noise:10+", "nan",
     "noise:nan", "reverb:nan"],
)  # fmt: skip
def test_what_is_no_perturbation(text: str) -> None:
    with pytest.raises(SettingsError, match="is no perturbation"):
        Perturbation.parse(text)


@pytest.mark.parametrize("snr", [20.0, 5.0, -5.0])
@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
def test_noise_is_at_its_ratio(snr: float, colour: str) -> None:
    noisy = perturb(SPEECH, Perturbation.parse(f"noise:{snr:g}:{colour}"), seed=3).astype(float)
    # Regression on the clean clip; noise of 2 s and speech are nearly, not wholly, uncorrelated.
    clean = SPEECH * (noisy @ SPEECH) / (SPEECH @ SPEECH)
    found = 10 * np.log10(np.sum(clean**2) / np.sum((noisy - clean) ** 2))
    assert found == pytest.approx(snr, abs=0.7)


def test_a_band_keeps_what_is_in_it() -> None:
    white = np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32) / 10
    narrow = perturb(white, Perturbation.parse("band:300-3400"))
    f, power = signal.welch(narrow, RATE, nperseg=2048)
    inside = power[(f > 500) & (f < 3000)].mean()
    assert power[(f > 5000)].mean() < inside * 1e-4
    assert power[(f > 20) & (f < 100)].mean() < inside * 1e-3


def test_a_room_decays_in_its_time() -> None:
    click = np.zeros(2 * RATE, dtype=np.float32)
    click[100] = 0.9
    wet = perturb(click, Perturbation.parse("reverb:0.5:1"), seed=1).astype(float)
    tail = np.cumsum(wet[200:][::-1] ** 2)[::-1]  # Schroeder's integral
    level = 10 * np.log10(tail / tail[0] + 1e-12)
    # From -5 to -25 dB is a third of the 60 dB that take 0.5 s.
    seconds = (np.argmax(level < -25) - np.argmax(level < -5)) / RATE
    assert seconds == pytest.approx(0.5 / 3, rel=0.15)


@pytest.mark.parametrize("codec", list(CODECS))
def test_a_codec_changes_the_sound_but_moves_nothing(codec: str) -> None:
    from modgap.speech.synthesis import Synthesizer

    voice = Synthesizer(program="")
    samples, rate = voice.speak("The capital of France is which city?")
    voice.close()
    clean = perturb(signal.resample_poly(samples, 320, 441).astype(np.float32), Perturbation())
    assert rate == 22050
    coded = perturb(clean, Perturbation.parse(f"codec:{codec}"))
    assert coded.size == clean.size
    assert not np.array_equal(coded, clean)
    smooth = signal.butter(4, 3000, fs=RATE, output="sos")
    a, b = (signal.sosfiltfilt(smooth, x.astype(float)) for x in (clean, coded))
    lag = int(np.argmax(signal.correlate(b, a, method="fft"))) - (a.size - 1)
    assert abs(lag) <= 1
    assert np.corrcoef(a, b)[0, 1] > 0.9


def test_mu_law_is_that_of_the_standard() -> None:
    """8 bits a sample at 8 kHz: the quantisation noise that G.711 gives, about 38 dB."""
    t = np.arange(2 * RATE) / RATE
    tone = (0.7 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    coded = perturb(tone, Perturbation.parse("codec:mulaw")).astype(float)
    middle = slice(RATE // 2, -RATE // 2)
    clean = scaled(tone[middle].astype(float), coded[middle])
    found = 10 * np.log10(np.sum(clean**2) / np.sum((coded[middle] - clean) ** 2))
    assert 35 < found < 42


@given(st.sampled_from(["noise:5", "reverb:0.3", "band:300-3400+noise:5"]), st.integers(0, 9))
def test_the_seed_decides(text: str, seed: int) -> None:
    p = Perturbation.parse(text)
    one = perturb(SPEECH[:8000], p, seed)
    assert np.array_equal(one, perturb(SPEECH[:8000], p, seed))
    assert not np.array_equal(one, perturb(SPEECH[:8000], p, seed + 1))
    assert np.abs(one).max() == pytest.approx(0.7, abs=1e-3)
    assert np.isfinite(one).all()


# ---- whole sets ---------------------------------------------------------------------------------

TABLE = """id,transcript,reference,topic,difficulty
a,What is two plus three?,five,numbers,2
b,What is the capital of France?,Paris,places,
"""
SETTINGS = SynthSettings(
    voices=("en-us+m4", "en-gb-scotland+f4"),
    perturbations=tuple(map(Perturbation.parse, ("clean", "noise:10", "rate:1.5"))),
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "questions.csv"
    path.write_text(TABLE)
    return path


def test_every_question_by_every_voice_under_every_perturbation(
    source: Path, tmp_path: Path
) -> None:
    made = synthesize(source, tmp_path / "out", SETTINGS)
    assert (made.rows, made.made, made.kept, made.left_out) == (12, 12, 0, ())
    questions = read_questions(str(made.manifest))
    by_id = {q.id: q for q in questions}
    assert len(by_id) == 12
    first = by_id["a/en-us+m4/clean"]
    assert (first.transcript, first.reference) == ("What is two plus three?", "five")
    assert first.meta == {"difficulty": "2"}
    assert first.groups == {
        "topic": "numbers", "item": "a", "voice": "en-us+m4", "perturbation": "clean",
        "language": "en-us",
    }  # fmt: skip
    clean, noisy, fast = (
        by_id[f"a/en-us+m4/{p}"].load() for p in ("clean", "noise:10:pink", "rate:1.5")
    )
    assert clean.rate == RATE
    # One utterance under both, sample by sample; the fast one is another.
    assert clean.samples.size == noisy.samples.size
    assert np.corrcoef(clean.samples, noisy.samples)[0, 1] > 0.9
    assert clean.seconds / fast.seconds == pytest.approx(1.5, rel=0.15)
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_an_interrupted_run_goes_on_and_ends_the_same(source: Path, tmp_path: Path) -> None:
    whole = synthesize(source, tmp_path / "whole", SETTINGS)
    files = sorted(p.name for p in (tmp_path / "whole" / "audio").iterdir())

    def stop(done: float, note: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        synthesize(source, tmp_path / "part", SETTINGS, progress=stop)
    assert not (tmp_path / "part" / "manifest.jsonl").exists()
    synthesize(source, tmp_path / "part", SETTINGS)
    for name in files[::2]:
        (tmp_path / "part" / "audio" / name).unlink()
    again = synthesize(source, tmp_path / "part", SETTINGS)
    assert (again.made, again.kept) == (6, 6)
    assert again.manifest.read_bytes() == whole.manifest.read_bytes()
    for name in files:
        one, other = (tmp_path / run / "audio" / name for run in ("whole", "part"))
        assert one.read_bytes() == other.read_bytes()


def test_what_cannot_be_spoken_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    rows = [{"transcript": "Hello there.", "reference": "x"}, {"transcript": "word " * 400}]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    made = synthesize(path, tmp_path / "out")
    assert made.rows == 1
    ((name, reason),) = made.left_out
    assert name == "1/en-us+m4/clean"
    assert "too long" in reason
    with pytest.raises(SettingsError, match=r"No question of q\.jsonl can be spoken.*voice"):
        synthesize(path, tmp_path / "out", SynthSettings(voices=("no-such-voice",)))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.txt", "", "a .csv, .tsv, .jsonl or .parquet"),
        ("q.csv", "id,reference\n1,x\n", "Row 1 of q.csv has no transcript"),
        ("q.csv", "id,transcript\n1,x\n1,y\n", "id '1'"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=message):
        synthesize(tmp_path / name, tmp_path / "out")


def test_settings_that_cannot_be() -> None:
    with pytest.raises(SettingsError, match="at least one voice"):
        SynthSettings(voices=())
    with pytest.raises(SettingsError, match="voice is named twice"):
        SynthSettings(voices=("en-us", "en-us"))
    with pytest.raises(SettingsError, match="outside the 80 to 450"):
        SynthSettings(rate=300, perturbations=(Perturbation.parse("rate:2"),))


def test_the_command(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "spoken"
    args = ["synth", str(source), "--out", str(out), "--voice", "en-us+f3", "--perturb", "noise:3"]
    for note in ("2 new, 0 kept", "0 new, 2 kept"):
        run = CliRunner().invoke(main.app, args)
        assert run.exit_code == 0, run.stderr
        assert note in run.stdout
    refused = CliRunner().invoke(main.app, [*args, "--perturb", "fog"])
    assert refused.exit_code == 2
    assert "'fog' is no perturbation" in refused.stderr
