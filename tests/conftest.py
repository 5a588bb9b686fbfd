"""Fixtures that tests of several modules share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from modgap.audio.clip import Clip
from modgap.models.base import SpeechLM
from modgap.models.loading.load import load_model
from modgap.speech.recognizers import Recognizer, load_recognizer
from tests.ears import REAL, make_ears, put_ears
from tests.families.makers import MAKERS
from tests.tiny import make_clip, make_tiny_checkpoint

# A busy machine is no fault of the code: no test is judged by the clock.
settings.register_profile("modgap", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("modgap")
# No test fetches a model by itself, but from a server of its own.
os.environ.setdefault("MODGAP_OFFLINE", "1")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Qwen2-Audio checkpoint that takes clips of up to 10 s."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session", autouse=True)
def tiny_family(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tiny family under the names of the embedded one, for every test and what it starts."""
    from tests.tiny_family import make_tiny_family

    root = make_tiny_family(tmp_path_factory.mktemp("family"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODGAP_DEMO_WEIGHTS", str(root))
        yield root


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped family itself, and the folder of its base models; skips where they are not.

    ``make app`` fetches them; CI does before the tests.
    """
    from modgap.demo.family import WEIGHTS
    from modgap.models.bases.local import find
    from modgap.models.bases.sources import BASES

    folder = Path(__file__).parents[1] / "cache" / "models"
    if not all(find(name, folder) for name in BASES):
        pytest.skip("The base models are not in cache/models: run modgap fetch.")
    monkeypatch.setenv("MODGAP_DEMO_WEIGHTS", str(WEIGHTS))
    monkeypatch.setenv("MODGAP_CACHE", str(folder.parent))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Path) -> SpeechLM:
    """That checkpoint, loaded."""
    return load_model(tiny_folder)


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a family's tiny checkpoint, by the family's name; made once."""

    @functools.cache
    def make(family: str) -> Path:
        return MAKERS[family](tmp_path_factory.mktemp(family))

    return make


@pytest.fixture(scope="session")
def clip() -> Clip:
    """A synthetic clip of 1.5 s."""
    return make_clip()


@pytest.fixture(scope="session")
def second_model(tmp_path_factory: pytest.TempPathFactory) -> SpeechLM:
    """The same with other weights."""
    return load_model(make_tiny_checkpoint(tmp_path_factory.mktemp("second") / "tiny", seed=1))


@pytest.fixture(scope="session")
def ears_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Whisper as `modgap fetch` would leave the embedded recogniser."""
    return make_ears(tmp_path_factory.mktemp("ears") / "whisper-tiny.en")


@pytest.fixture
def ears_here(ears_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That one in a cache of this test's own, where `load_recognizer()` finds it."""
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    return put_ears(ears_folder, tmp_path / "cache")


@pytest.fixture(scope="session")
def real_ears() -> Recognizer:
    """The real Whisper tiny.en, of those who have fetched it."""
    if REAL is None:
        pytest.skip("Whisper tiny.en is not here: modgap fetch --only whisper-tiny.en")
    return load_recognizer(REAL)
