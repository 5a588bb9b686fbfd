"""The Piper voice: phonemes with their pauses, ids with their pads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modgap.core.errors import ModelError
from modgap.demo.piper import Piper

onnxruntime = pytest.importorskip("onnxruntime")


class _Session:
    """Says as many samples as it got phonemes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.asked: dict[str, np.ndarray] = {}

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.asked = inputs
        return [np.ones((1, 1, 1, inputs["input"].shape[1]), np.float32)]


class _Letters:
    """A synthesizer whose phonemes are the letters."""

    def phonemes(self, words: list[str]) -> list[str]:
        return [w.lower() for w in words]


@pytest.fixture
def voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Piper:
    monkeypatch.setattr(onnxruntime, "InferenceSession", _Session)
    (tmp_path / "x.onnx").write_bytes(b"")
    ids = {c: [k] for k, c in enumerate("_^$ ,.abcé".replace("é", "e\u0301"))}
    settings = {
        "phoneme_id_map": ids, "audio": {"sample_rate": 22_050},
        "inference": {"noise_scale": 0.5, "length_scale": 1, "noise_w": 0.8},
    }  # fmt: skip
    (tmp_path / "x.onnx.json").write_text(json.dumps(settings))
    return Piper(tmp_path, synthesizer=_Letters())  # type: ignore[arg-type]


def test_pauses_stay_where_they_are(voice: Piper) -> None:
    assert voice.phonemes("A b,  c... AB") == "a b, c. ab"
    assert voice.phonemes("é") == "e\u0301"


def test_ids_have_pads_between_them(voice: Piper) -> None:
    assert voice.ids("a,?b").tolist() == [1, 0, 6, 0, 4, 0, 7, 0, 2]  # "?" is not known


def test_speech_and_its_rate(voice: Piper) -> None:
    samples, rate = voice.speak("ab", length=1.2)
    assert (samples.shape, samples.dtype, rate) == ((7,), np.float32, 22_050)
    session: Any = voice._session
    assert session.asked["scales"].tolist() == pytest.approx([0.5, 1.2, 0.8])
    assert session.asked["input_lengths"].tolist() == [7]


def test_a_folder_without_a_voice(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no voice of Piper"):
        Piper(tmp_path)
