"""Word times: of pocketsphinx, of espeak-ng itself, of Whisper's cross-attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import median_filter

import modgap
from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import AudioError, ModgapError, SettingsError, StoreError
from modgap.demo.voices import HELDOUT_VOICES
from modgap.speech.phones import arpabet, pronounce
from modgap.speech.recognizers import Recognizer, load_recognizer
from modgap.speech.synthesis import Synthesizer, timed_words
from modgap.speech.whisper import token_starts
from modgap.speech.word_times import word_times
from modgap.speech.words import WordTimes, split_words
from modgap.store.cache import Store
from modgap.store.record import Record
from tests.analysis.test_pipeline import EXAMPLES, read, sphinx, whisper, whisper_folder  # noqa: F401
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


# ---- pronunciations ------------------------------------------------------------------------------


def test_phones_by_hand() -> None:
    assert arpabet("fɹˈæns") == ("F", "R", "AE", "N", "S")
    assert arpabet("dʒˈʌdʒ") == ("JH", "AH", "JH")
    assert arpabet("bˈʌɾɚ") == ("B", "AH", "D", "ER")
    assert arpabet("(fr)ʒuʁ(en-us)") is None  # a sound that English lacks
    assert pronounce(()) == []


def distance(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        left, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (x != y))
    return row[-1]


def test_pronunciations_against_the_dictionary_of_cmu() -> None:
    from pocketsphinx import get_model_path

    known: dict[str, list[tuple[str, ...]]] = {}
    for line in Path(get_model_path("en-us"), "cmudict-en-us.dict").read_text().splitlines():
        word, *phones = line.split()
        if word.split("(")[0].isalpha():
            known.setdefault(word.split("(")[0], []).append(tuple(phones))
    words = tuple(sorted(known)[::400])
    said = pronounce(words)
    wrong = sum(
        min(distance(ours, theirs) for theirs in known[word])
        for word, ours in zip(words, said, strict=True)
    )
    # Most of the dictionary are names, where two sources of English differ in many phones.
    assert wrong / sum(map(len, said)) < 0.25
    usual = ("capital", "judge", "thing", "water", "seven", "people", "question", "weather")
    for word, ours in zip(usual, pronounce(usual), strict=True):
        assert min(distance(ours, theirs) for theirs in known[word]) <= 1, word


def test_words_that_english_cannot_say() -> None:
    with pytest.raises(SettingsError, match="'漢字', 'мир'"):
        pronounce(("漢字", "house", "мир"))


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


def test_pocketsphinx_finds_the_boundaries_of_espeak(voice: Any, sphinx: Recognizer) -> None:  # noqa: F811
    errors = []
    for n, text in enumerate(SENTENCES * 2):
        clip, known = spoken(voice, text, HELDOUT_VOICES[n % len(HELDOUT_VOICES)], 150 + 5 * n)
        found = sphinx.align(clip, text)
        assert found.words == tuple(w.text for w in split_words(text))
        assert (found.times[1:, 0] >= found.times[:-1, 1] - 1e-9).all()
        assert found.times.max() <= clip.seconds
        errors.append(boundary_errors(known, found))
    off = 1000 * np.abs(np.concatenate(errors))
    assert len(off) > 60
    assert np.median(off) < 20  # ms; measured about 9
    assert np.quantile(off, 0.9) < 80


def test_a_shift_of_the_sound_shifts_the_words(voice: Any, sphinx: Recognizer) -> None:  # noqa: F811
    clip, _ = spoken(voice, SENTENCES[0], "en-us+m4")
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(clip.rate).astype(np.float32)
    later = load_clip(np.concatenate([quiet, clip.samples]), rate=clip.rate)
    moved = sphinx.align(later, SENTENCES[0]).times - sphinx.align(clip, SENTENCES[0]).times
    assert np.median(np.abs(moved - 1.0)) < 0.025


def test_real_read_speech_with_a_word_outside_the_dictionary(sphinx: Recognizer) -> None:  # noqa: F811
    clip = read("austen-0890.flac")
    text = "unless to be rather cold hearted and rather selfish is to be ill disposed."
    found = sphinx.align(clip, text)
    quiet = found.times[0, 0], clip.seconds - found.times[-1, 1]
    samples = np.abs(clip.resample(16000))
    # The sound lies between the first and the last word, the rest is near silence.
    begin, end = (int(16000 * t) for t in (found.times[0, 0], found.times[-1, 1]))
    assert min(quiet) > 0.1
    outside = np.concatenate([samples[: begin - 800], samples[end + 1600 :]])
    assert np.sqrt((outside**2).mean()) < 0.1 * np.sqrt((samples[begin:end] ** 2).mean())
    again = sphinx.align(clip, text.replace("selfish", "selfishe"))
    assert np.abs(again.times - found.times).max() < 0.1


@pytest.mark.parametrize(
    ("text", "kind", "say"),
    [
        ("...", SettingsError, "holds no words"),
        ("hello " * 1001, SettingsError, "at most 1000"),
        ("Привет", SettingsError, "cannot be pronounced"),
        ("completely different words are standing here, a long row of them", AudioError, "found"),
    ],
)
def test_what_cannot_be_aligned(sphinx: Recognizer, text: str, kind: Any, say: str) -> None:  # noqa: F811
    with pytest.raises(kind, match=say):
        sphinx.align(make_clip(0.5), text)
    sphinx.align(read("sphinx-clubs.flac"), "Ten of clubs.")  # it goes on


# ---- whisper -------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(2, 9), st.integers(2, 40), st.integers(0, 10**6))
def test_token_starts_against_scipy_and_librosa(
    heads: int, tokens: int, frames: int, seed: int
) -> None:
    weights = np.random.default_rng(seed).random((heads, tokens, frames))
    weights /= weights.sum(-1, keepdims=True)
    rows = slice(1, None)
    ours = token_starts(weights, rows)
    normed = (weights - weights.mean(1, keepdims=True)) / weights.std(1, keepdims=True)
    smooth = np.stack([median_filter(h, size=(1, 7), mode="reflect") for h in normed])
    _, path = librosa.sequence.dtw(C=-smooth.mean(0)[rows])
    path = path[::-1]
    theirs = [min(f for k, f in path if k == row) for row in range(tokens - 1)]
    assert ours.tolist() == theirs
    assert ours[0] == 0
    assert (np.diff(ours) >= 0).all()


def test_attention_along_the_diagonal() -> None:
    weights = np.full((2, 5, 50), 1e-3)
    for k in range(5):
        weights[:, k, 10 * k : 10 * k + 10] = 0.1
    assert token_starts(weights, slice(None)).tolist() == [0, 10, 20, 30, 40]


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


# ---- kept ----------------------------------------------------------------------------------------


def test_word_times_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, ears = Store(tmp_path), load_recognizer()
    clip = read("sphinx-clubs.flac")
    first = modgap.word_times(clip, "Ten of clubs.", ears, store=store)
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
