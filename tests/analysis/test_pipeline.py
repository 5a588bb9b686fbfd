"""The pipeline: recognisers, word errors, the answer to what was heard."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import jiwer
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import modgap
from modgap.analysis.pipeline import pipeline, pipeline_key, short_name
from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import Cancelled, ModelError, SettingsError
from modgap.core.settings import AnalysisSettings
from modgap.demo import family
from modgap.models.loading.embedded import BASE, text_base
from modgap.models.loading.locate import locate
from modgap.scoring.answers import comparable_words
from modgap.scoring.word_errors import word_errors
from modgap.speech.base import EMBEDDED
from modgap.speech.recognizers import Recognizer, load_recognizer
from modgap.speech.words import WordTimes
from modgap.store.cache import Store
from tests.hub import HubCache
from tests.tiny import make_clip
from tests.tiny_whisper import make_tiny_whisper

EXAMPLES = Path(modgap.__file__).parent / "demo" / "examples"
WORDS = st.lists(st.sampled_from(["one", "cat", "it's", "a", "of", "Rome"]), max_size=8)


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="session")
def whisper(whisper_folder: Path) -> Recognizer:
    return load_recognizer(whisper_folder)


def read(name: str) -> Clip:
    return load_clip(EXAMPLES / name)


# ---- word errors ---------------------------------------------------------------------------------


def test_word_errors_by_hand() -> None:
    found = word_errors("Ann buys cheap dark red wine.", "ann sells cheap red wine now")
    assert (found.words, found.substitutions, found.deletions, found.insertions) == (6, 1, 1, 1)
    assert found.rate == pytest.approx(3 / 6)
    assert [(c.kind, c.said, c.heard) for c in found.changes] == [
        ("equal", ("ann",), ("ann",)),
        ("substitute", ("buys",), ("sells",)),
        ("equal", ("cheap",), ("cheap",)),
        ("delete", ("dark",), ()),
        ("equal", ("red", "wine"), ("red", "wine")),
        ("insert", (), ("now",)),
    ]


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("Two plus three", "2 plus 3.", 0.0),
        ("Forty two", "42", 1.0),
        ("it’s lower-case", "It's lower case!", 0.0),
        ("twenty-five", "25", 1.0),
        ("1,000", "1000", 1.0),
        ("今天天气好", "今天天很好。", 1 / 5),
        ("北京 hat 25 Grad", "北京 hat 5 Grad", 1 / 5),
        ("สวัสดี", "สวัสด", 1 / 4),
        ("no", "", 1.0),
        ("no", "no no no no", 3.0),
        ("...", "well", None),
        ("...", "", None),
    ],
)
def test_what_counts_as_an_error(said: str, heard: str, rate: float | None) -> None:
    assert word_errors(said, heard).rate == rate


@given(WORDS, WORDS)
def test_word_errors_agree_with_jiwer_and_keep_every_word(said: list, heard: list) -> None:
    found = word_errors(" ".join(said), " ".join(heard))
    ours = [w for c in found.changes for w in c.said], [w for c in found.changes for w in c.heard]
    words = comparable_words(" ".join(said)), comparable_words(" ".join(heard))
    if said:
        assert found.rate == jiwer.wer(" ".join(words[0]), " ".join(words[1]))
        assert ours == words
        assert found.rate * found.words == pytest.approx(
            found.substitutions + found.deletions + found.insertions
        )
    for change in found.changes:
        assert (change.kind == "equal") == (change.said == change.heard)


# ---- recognisers ---------------------------------------------------------------------------------


def test_the_embedded_recogniser_hears_speech(real_ears: Recognizer) -> None:
    clip = read("austen-0880.flac")
    heard = real_ears.transcribe(clip)
    assert word_errors("he was not an ill disposed young man", heard).rate <= 0.25
    real_ears.transcribe(make_clip(1.0))  # what it hears does not depend on what it heard before
    assert real_ears.transcribe(clip) == heard


def test_the_embedded_recogniser_needs_no_name(ears_here: Path) -> None:
    ears = load_recognizer()
    assert ears.name == EMBEDDED == "whisper-tiny.en"
    assert ears.identity == load_recognizer(EMBEDDED).identity
    assert ears.transcribe(make_clip(1.0)) == load_recognizer(ears_here).transcribe(make_clip(1.0))


def test_without_its_files_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="run `modgap fetch`"):
        load_recognizer()


@pytest.mark.parametrize("multilingual", [True, False])
def test_whisper_hears_what_transformers_generates(tmp_path: Path, multilingual: bool) -> None:
    folder = make_tiny_whisper(tmp_path, seed=3, multilingual=multilingual)
    ears: Any = load_recognizer(folder)
    clip = make_clip(2.0, rate=22050)
    features = ears.extractor(clip.resample(16000), sampling_rate=16000, return_tensors="pt")
    task = {"task": "transcribe"} if multilingual else {}
    with torch.no_grad():
        ids = ears.hf.generate(features["input_features"], num_beams=1, do_sample=False, **task)
    heard = ears.transcribe(clip)
    assert heard == ears.tokenizer.decode(ids[0], skip_special_tokens=True).strip()
    notes: list[float] = []
    assert ears.transcribe(clip, progress=lambda f, _: notes.append(f)) == heard
    assert notes == sorted(notes)
    assert notes

    def stop(fraction: float, note: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        ears.transcribe(clip, progress=stop)


def test_whisper_takes_clips_longer_than_its_window(whisper: Recognizer) -> None:
    assert isinstance(whisper.transcribe(make_clip(31.0)), str)


def test_identity_of_a_whisper(tmp_path: Path, whisper_folder: Path, whisper: Recognizer) -> None:
    assert load_recognizer(whisper_folder).identity == whisper.identity
    other = load_recognizer(make_tiny_whisper(tmp_path / "other", seed=1))
    assert other.identity != whisper.identity
    assert load_recognizer(whisper_folder, dtype="bfloat16").identity != whisper.identity


def test_two_whispers_of_the_hub_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The cache must not give the words that one of them heard as another's.
    hub = HubCache(tmp_path, monkeypatch)
    commit = hub.add("org/whisper-small", partial(make_tiny_whisper, seed=0))
    hub.add("org/whisper-large", partial(make_tiny_whisper, seed=1))
    small, large = (load_recognizer(f"org/whisper-{n}", device="cpu") for n in ("small", "large"))
    assert small.identity != large.identity
    assert small.identity == hashlib.sha256(f"{commit} float32".encode()).hexdigest()
    for name in ("org/whisper-small", "org/whisper-small@main"):
        assert load_recognizer(name, device="cpu").identity == small.identity
    clip, store = make_clip(1.0), Store(tmp_path / "store")
    times = [modgap.word_times(clip, "what is two", ears, store=store) for ears in (small, large)]
    assert [found.source for found in times] == ["org/whisper-small", "org/whisper-large"]


@pytest.mark.parametrize(
    ("name", "say"),
    [
        ("nothing", "There is no folder nothing"),
        ("./gone/away", "There is no folder"),
        ("openai/whisper-tiny", "cannot be reached"),
    ],
)
def test_names_that_lead_nowhere(name: str, say: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=say):
        load_recognizer(name)


def test_another_model_is_no_recogniser(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="model type 'qwen2_audio'"):
        load_recognizer(tiny_folder)


# ---- the pipeline --------------------------------------------------------------------------------


class Ears(Recognizer):
    """Hears what it is told to: a perfect recogniser, or a deaf one."""

    def __init__(self, words: str) -> None:
        self.name, self.identity, self.words, self.calls = "ears", f"ears {words}", words, 0

    def transcribe(self, clip: Clip, *, progress: Any = None) -> str:
        self.calls += 1
        return self.words

    def align(self, clip: Clip, transcript: str, *, progress: Any = None) -> WordTimes:
        raise NotImplementedError


@pytest.mark.parametrize("markers", ["keep", "drop"])
def test_perfect_ears_give_the_answer_to_the_text(tiny_model: Any, markers: Any) -> None:
    clip, text = make_clip(), "What is two plus three?"
    settings = AnalysisSettings(instruction="Briefly.", markers=markers, max_new_tokens=6)
    made = pipeline(Ears(text), tiny_model, clip, text, settings)
    analysis = modgap.analyze(tiny_model, clip, text, settings)
    assert made.errors.rate == 0
    assert analysis.answers is not None
    assert made.answer == analysis.answers["text"]


def test_the_transcript_counts_for_the_errors_alone(tiny_model: Any) -> None:
    one = pipeline(Ears("to be"), tiny_model, make_clip(), "two bees", max_new_tokens=4)
    two = pipeline(Ears("to be"), tiny_model, make_clip(), "to be", max_new_tokens=4)
    assert one.answer == two.answer
    assert one.key == two.key
    assert (one.errors.rate, two.errors.rate) == (1.0, 0.0)


def test_silence_is_not_answered(tiny_model: Any) -> None:
    made = pipeline(Ears("  "), tiny_model, make_clip(), "hello there")
    assert made.answer is None
    assert made.errors.rate == 1.0
    assert made.to_dict()["answer"] is None


def test_the_cache_keeps_what_was_heard_and_answered(tiny_model: Any, tmp_path: Path) -> None:
    store, ears = Store(tmp_path), Ears("what is two")
    first = pipeline(ears, tiny_model, make_clip(), "what is two", store=store, max_new_tokens=4)
    again = pipeline(ears, tiny_model, make_clip(), "what is 3", store=store, max_new_tokens=4)
    assert (first.from_cache, again.from_cache, ears.calls) == (False, True, 1)
    assert again.answer == first.answer
    assert again.created == first.created
    assert again.errors.rate == pytest.approx(1 / 3)
    other = pipeline(ears, tiny_model, make_clip(), "what is 3", store=store, max_new_tokens=5)
    assert not other.from_cache
    record = store.get(first.key)
    assert record is not None
    record.meta["kind"] = "analysis"
    store.clear()
    store.put(first.key, record)
    mended = pipeline(ears, tiny_model, make_clip(), "what is 3", store=store, max_new_tokens=4)
    assert not mended.from_cache
    assert mended.answer == first.answer


def test_what_the_key_depends_on(tiny_model: Any, second_model: Any) -> None:
    plain = AnalysisSettings()
    key = pipeline_key(Ears("a"), tiny_model, "0" * 64, plain)
    assert key == pipeline_key(Ears("a"), tiny_model, "0" * 64, AnalysisSettings(seed=1))
    assert key == pipeline_key(Ears("a"), tiny_model, "0" * 64, AnalysisSettings(layers=(1,)))
    others = [
        pipeline_key(Ears("b"), tiny_model, "0" * 64, plain),
        pipeline_key(Ears("a"), second_model, "0" * 64, plain),
        pipeline_key(Ears("a"), tiny_model, "1" * 64, plain),
        *(
            pipeline_key(Ears("a"), tiny_model, "0" * 64, AnalysisSettings(**change))
            for change in (
                {"instruction": "x"},
                {"system": "x"},
                {"markers": "drop"},
                {"max_new_tokens": 3},
                {"temperature": 1.0},
                {"temperature": 1.0, "seed": 1},
            )
        ),
    ]
    assert len({key, *others}) == len(others) + 1


def test_bad_settings(tiny_model: Any) -> None:
    with pytest.raises(SettingsError, match="Unknown setting 'colour'"):
        pipeline(Ears("a"), tiny_model, make_clip(), "a", colour=1)
    with pytest.raises(SettingsError, match="not valid Unicode"):
        pipeline(Ears("a"), tiny_model, make_clip(), "a\ud800")


def test_the_embedded_pipeline(ears_here: Path, tiny_model: Any) -> None:
    made = modgap.pipeline(
        load_recognizer(), tiny_model, make_clip(), "you didn't want to come", max_new_tokens=4
    )
    assert made.recognizer == EMBEDDED
    prompt = tiny_model.text_prompt(made.heard)
    plain = modgap.scoring.answers.answer(tiny_model, prompt, max_new_tokens=4)
    assert made.answer == (plain if made.heard.strip() else None)
    assert json.loads(json.dumps(made.to_dict()))["heard"] == made.heard


def test_the_text_model_of_a_pipeline_is_the_one_that_was_tuned() -> None:
    for name in ("demo", "demo:lora", "demo:lora@2", BASE):
        assert text_base(name) == BASE
    for name in ("org/demo", "./demo", "democracy", ""):
        assert text_base(name) is None


def test_that_text_model_has_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the family says that it lies."""
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(family, "resolve", lambda name, where: tmp_path)
    assert locate(BASE, None, None) == (str(tmp_path), tmp_path)
    assert locate("demo", None, None) == (str(tmp_path), tmp_path)


def test_names_of_folders_stay_here() -> None:
    assert short_name("/home/me/whisper") == "whisper"
    assert short_name("./whisper") == "whisper"
    assert short_name("openai/whisper-small") == "openai/whisper-small"
