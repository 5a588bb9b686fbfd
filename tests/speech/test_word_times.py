"""Word times: of espeak-ng itself, of a Whisper given the transcript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import modgap
from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import ModgapError, SettingsError, StoreError
from modgap.demo.voices import HELDOUT_VOICES
from modgap.speech.base import EMBEDDED
from modgap.speech.recognizers import Recognizer, load_recognizer
from modgap.speech.synthesis import Synthesizer, timed_words
from modgap.speech.word_times import word_times
from modgap.speech.words import WordTimes, split_words
from modgap.store.cache import Store
from modgap.store.record import Record
from tests.analysis.test_pipeline import whisper, whisper_folder  # noqa: F401
from tests.tiny import make_clip

SENTENCES = (
    "The capital of France is which city?",
    "Which month follows after March?",
    "How much is the sum of three and four?",
    "Many complicated ideas about the rainbow have been formed.",
    "Her crayfish, seen in the workhouse, was 42 years old.",
)


@pytest.fixture(scope="session")
def voice() -> Any:
    s = Synthesizer(program="")
    yield s
    s.close()


# ---- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 1,905.5 lower-case letters.", ["It's", "1,905.5", "lower", "case", "letters"]),
        ("don’t “quote” 'me'", ["don’t", "quote", "me"]),
        ("3+4=7 (50%)", ["3", "+", "4", "=", "7", "50", "%"]),
        ("Zoë's naïve élan", ["Zoë's", "naïve", "élan"]),
        (" ... -- _ ", []),
        ("", []),
    ],
)
def test_split_words(text: str, words: list[str]) -> None:
    assert [w.text for w in split_words(text)] == words


@given(st.text(max_size=60))
def test_words_lie_in_the_transcript_in_order(text: str) -> None:
    end = 0
    for word in split_words(text):
        assert text[word.start : word.end] == word.text
        assert word.start >= end
        end = word.end
        assert word.text


def made(transcript: str, times: list[tuple[float, float]]) -> WordTimes:
    words = split_words(transcript)
    return WordTimes(
        transcript,
        "test",
        tuple(w.text for w in words),
        np.array([(w.start, w.end) for w in words], np.int64).reshape(-1, 2),
        np.array(times, np.float64).reshape(-1, 2),
        np.zeros(len(words)),
    )


def test_tokens_and_their_words() -> None:
    times = made("Two, or three", [(0, 1), (1, 2), (2, 3)])
    # "Tw", "o,", " or", " thr", "ee", and "o, or t": most of its letters are those of "or"
    spans = np.array([(0, 2), (2, 4), (4, 7), (7, 11), (11, 13), (2, 9), (3, 4), (4, 5)])
    assert times.of_tokens(spans).tolist() == [0, 0, 1, 2, 2, 1, -1, -1]
    assert times.of_tokens(np.zeros((0, 2))).shape == (0,)
    assert made("...", []).of_tokens(spans).tolist() == [-1] * 8


@pytest.mark.parametrize(
    ("change", "say"),
    [
        ({"times": np.array([[0.0, 1.0]])}, "need spans and times"),
        ({"times": np.array([[0.0, 1.0], [2.0, 1.0]])}, "end no earlier"),
        ({"times": np.array([[-1.0, 1.0], [1.0, 1.0]])}, "begin at 0"),
        ({"times": np.array([[0.0, np.nan], [1.0, 1.0]])}, "begin at 0"),
        ({"spans": np.array([[0, 3], [3, 5]])}, "do not fit the transcript"),
    ],
)
def test_times_that_cannot_be(change: dict, say: str) -> None:
    whole = made("ab cd", [(0, 1), (1, 2)])
    with pytest.raises(ModgapError, match=say):
        WordTimes(**{**vars(whole), **change})


def test_a_record_gives_the_same_times(tmp_path: Path) -> None:
    times = made("ab cd", [(0, 1), (1, 2.5)])
    store = Store(tmp_path)
    store.put("0" * 64, times.record())
    record = store.get("0" * 64)
    assert record is not None
    again = WordTimes.from_record(record)
    assert again.words == times.words
    assert np.array_equal(again.times, times.times)
    with pytest.raises(StoreError, match="no word times"):
        WordTimes.from_record(Record({}, {}, {"kind": "pipeline"}))
    assert times.to_dict()["words"][1] == {
        "word": "cd", "span_start": 3, "span_end": 5, "start": 1.0, "end": 2.5, "score": 0.0,
    }  # fmt: skip


# ---- espeak-ng tells the times of its own words --------------------------------------------------


def test_events_by_hand() -> None:
    # "of the" is run together; "42" is told as two words; a pause follows "sea"
    events = [
        ("word", 0, 1, 0, ""), ("phoneme", 0, 0, 0, "I"),
        ("word", 2, 2, 100, ""), ("phoneme", 2, 0, 100, "V"),
        ("word", 9, 3, 300, ""), ("phoneme", 9, 0, 310, "s"), ("phoneme", 12, 0, 500, "_:"),
        ("word", 14, 2, 700, ""), ("word", 15, 2, 800, ""), ("phoneme", 16, 0, 950, "_"),
    ]  # fmt: skip
    found = timed_words("I of the sea, 42", events, 1000, 1000)
    assert found.words == ("I", "sea", "42")
    assert found.times.tolist() == [[0.0, 0.1], [0.3, 0.5], [0.7, 0.95]]


def test_espeak_speaks_the_same_whether_asked_for_times(voice: Any) -> None:
    samples, rate, times = voice.speak_timed("The  capital of France, is  which city?", "en-us+m4")
    again = Synthesizer(program="")
    plain, _ = again.speak("The capital of France, is which city?", "en-us+m4")
    again.close()
    assert abs(plain.size - samples.size) < 0.02 * rate
    assert times.transcript == "The capital of France, is which city?"
    assert times.words[-1] == "city"
    assert (np.diff(times.times[:, 0]) > 0).all()
    assert times.times[-1, 1] <= samples.size / rate
    k = times.words.index("France")
    assert times.times[k + 1, 0] > times.times[k, 1] + 0.1  # the comma


def spoken(voice: Any, text: str, name: str, speed: int = 165) -> tuple[Clip, WordTimes]:
    samples, rate, known = voice.speak_timed(text, name, speed)
    return load_clip(samples, rate=rate), known


def boundary_errors(known: WordTimes, found: WordTimes) -> np.ndarray:
    """Seconds, (words, 2): begin and end of the words that both know."""
    at = {tuple(span): time for span, time in zip(found.spans.tolist(), found.times, strict=True)}
    pairs = zip(known.spans.tolist(), known.times, strict=True)
    return np.array([at[tuple(span)] - time for span, time in pairs])


def test_whisper_finds_the_boundaries_of_espeak(voice: Any, real_ears: Recognizer) -> None:
    errors, first = [], []
    for n, text in enumerate(SENTENCES):
        clip, known = spoken(voice, text, HELDOUT_VOICES[n % len(HELDOUT_VOICES)], 150 + 5 * n)
        found = real_ears.align(clip, text)
        assert found.words == tuple(w.text for w in split_words(text))
        assert (found.times[1:, 0] >= found.times[:-1, 1] - 1e-9).all()
        assert found.times.max() <= clip.seconds
        errors.append(boundary_errors(known, found))
        first.append(found.times[0, 0] - known.times[0, 0])
    off = 1000 * np.concatenate(errors)
    assert len(off) > 30
    assert np.median(np.abs(off)) < 80  # ms
    assert abs(np.median(off)) < 40  # neither late nor early
    assert np.median(np.abs(first)) < 0.03


def test_a_shift_of_the_sound_shifts_the_words(voice: Any, real_ears: Recognizer) -> None:
    clip, _ = spoken(voice, SENTENCES[0], "en-us+m4")
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(clip.rate).astype(np.float32)
    later = load_clip(np.concatenate([quiet, clip.samples]), rate=clip.rate)
    moved = real_ears.align(later, SENTENCES[0]).times - real_ears.align(clip, SENTENCES[0]).times
    assert np.median(np.abs(moved - 1.0)) < 0.05


# ---- whisper -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["What is the capital, of France?", "It's <|endoftext|> 42."])
def test_whisper_gives_times(whisper: Any, text: str) -> None:  # noqa: F811
    clip = make_clip(2.0)
    found = whisper.align(clip, text)
    assert found.words == tuple(w.text for w in split_words(text))
    assert (found.times >= 0).all()
    assert (found.times <= clip.seconds).all()
    assert (np.diff(found.times[:, 0]) >= 0).all()
    assert (found.times[:-1, 1] <= found.times[1:, 0] + 1e-9).all()
    assert (found.scores < 0).all()
    assert np.array_equal(whisper.align(clip, text).times, found.times)


def test_scores_are_the_log_probabilities_of_the_words(whisper: Any) -> None:  # noqa: F811
    clip, text = make_clip(2.0), "What is"
    found = whisper.align(clip, text)
    ids = whisper.tokenizer(" " + text, add_special_tokens=False)["input_ids"]
    features, _ = whisper._features(clip, whole=False)
    start = whisper._start(features)
    names = whisper.tokenizer.convert_ids_to_tokens(start)
    assert names[0] == "<|startoftranscript|>"
    assert names[1] in ("<|en|>", "<|de|>")
    assert names[2:] == ["<|transcribe|>", "<|notimestamps|>"]
    with torch.no_grad():
        logits = whisper.hf(features, decoder_input_ids=torch.tensor([[*start, *ids]])).logits[0]
    logp = logits.log_softmax(-1)[len(start) - 1 : -1].gather(1, torch.tensor(ids)[:, None])
    assert found.scores.sum() != 0
    pieces = [whisper.tokenizer.decode([i]) for i in ids]
    places = np.cumsum([len(piece) for piece in pieces])
    assert "".join(pieces) == " What is"
    word = [[n for n in range(len(ids)) if pieces[n].strip() and a < places[n] <= b]
            for a, b in ((0, 5), (5, 8))]  # fmt: skip
    expected = [logp[at].mean().item() for at in word]
    assert found.scores == pytest.approx(expected, abs=1e-4)


def test_what_whisper_refuses(whisper: Any) -> None:  # noqa: F811
    with pytest.raises(SettingsError, match="aligns at most 30 s"):
        whisper.align(make_clip(31.0), "hello")
    with pytest.raises(SettingsError, match="too long"):
        whisper.align(make_clip(2.0), "seventy " * 40)
    with pytest.raises(SettingsError, match="holds no words"):
        whisper.align(make_clip(2.0), "...")


# ---- kept ----------------------------------------------------------------------------------------


def test_word_times_are_kept(
    tmp_path: Path,
    ears_here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, ears = Store(tmp_path / "store"), load_recognizer()
    clip = make_clip(1.0)
    first = modgap.word_times(clip, "Ten of clubs.", store=store)  # the embedded recogniser's
    assert first.source == ears.name == EMBEDDED
    monkeypatch.setattr(ears, "align", None)
    again = word_times(clip, "Ten of clubs.", ears, store=store)
    assert np.array_equal(again.times, first.times)
    (key,) = store.keys()
    record = store.get(key)
    assert record is not None
    store.clear()
    store.put(key, Record(record.arrays, {}, {**record.meta, "words": ["Eleven"]}))
    monkeypatch.undo()
    mended = word_times(clip, "Ten of clubs.", ears, store=store)
    assert mended.words == ("Ten", "of", "clubs")
