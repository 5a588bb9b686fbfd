"""The recognisers in memory: on the chosen device, one at a time, and in the models' way never."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from modgap.models.loading.embedded import BASE
from modgap.speech.base import EMBEDDED
from modgap.ui.server import requests
from modgap.ui.server.models import ModelChoice, ModelPool
from modgap.ui.server.operator_models import ModelOption
from modgap.ui.server.recognizers import RecognizerPool
from modgap.ui.server.requests import AnalysisRequest, PipelineRequest
from modgap.ui.server.service import Service
from tests.tiny import make_clip


class Held(SimpleNamespace):
    """One that can be watched going."""

    __slots__ = ("__weakref__",)


class Loader:
    """Recognisers, or models, of so many float32 parameters as their name says."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __call__(self, name: str, *, device: str, **_: Any) -> Any:
        self.calls.append((name, device))
        weights = [torch.zeros(int(name.split("-")[0]))] if "-" in name else []
        hf = SimpleNamespace(parameters=lambda: weights)
        return Held(name=name, hf=hf, info=lambda: {"name": name})


def test_the_last_two_are_kept_on_the_device_that_was_asked_for() -> None:
    loader = Loader()
    pool = RecognizerPool(loader)
    embedded = pool.get("50-tiny", "auto")
    small = pool.get("100-small", "cuda:1")
    assert pool.get("100-small", "cuda:1") is small
    assert pool.held() == 600
    assert pool.get("50-tiny", "auto") is embedded
    gone = weakref.ref(small)
    del small
    pool.get("200-large", "cuda:1")
    gc.collect()
    assert gone() is None
    assert pool.held() == 1000
    pool.get("200-large", "cpu")
    pool.drop()
    assert pool.held() == 0
    assert pool.get("50-tiny", "auto") is not embedded
    assert loader.calls == [
        ("50-tiny", "auto"),
        ("100-small", "cuda:1"),
        ("200-large", "cuda:1"),
        ("200-large", "cpu"),
        ("50-tiny", "auto"),
    ]


def test_it_counts_among_the_weights_and_goes_for_a_model() -> None:
    asked: list[str] = []

    def estimate(name: str, **_: Any) -> Any:
        asked.append(name)
        return SimpleNamespace(fit=lambda *_: SimpleNamespace(verdict="fits"))

    models = ModelPool(1000, loader=Loader(), estimate=estimate)
    ears = RecognizerPool(Loader())
    models.share(ears.held, ears.drop)
    models.get(ModelChoice("50-model"))
    ears.get("50-whisper", "cpu")
    assert models.held() == 400
    models.get(ModelChoice("20-model"))
    assert ears.held() == 200, "there is room for all"
    assert asked == []
    ears.get("100-whisper", "cpu")
    models.get(ModelChoice("200-model"))
    assert asked == ["200-model"]
    assert ears.held() == 0
    assert [choice.name for choice in models.loaded()] == ["20-model", "200-model"]


def test_the_pipeline_hears_on_the_requests_device(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Service(ModelPool(1000, loader=Loader()))
    loader = Loader()
    made.recognizers = RecognizerPool(loader)
    whisper = ModelOption("whisper", "100-whisper", "")
    monkeypatch.setattr(requests, "recognizer_options", lambda: {"whisper": whisper})
    seen: list[Any] = []
    monkeypatch.setattr(
        "modgap.analysis.pipeline.pipeline", lambda *parts, **_: seen.append(parts[:2])
    )
    for device in ("cpu", "cuda:1", "spread"):
        choice = ModelChoice("200-model", device=device)
        request = AnalysisRequest(choice, "model", make_clip(0.5), "two")
        PipelineRequest(request, "whisper").make(made, lambda *_: None)
    assert [device for _, device in loader.calls] == ["cpu", "cuda:1", "auto"]
    assert [(ears.name, model.info()["name"]) for ears, model in seen] == [
        ("100-whisper", "200-model")
    ] * 3


def test_the_services_models_and_recognisers_share_the_memory() -> None:
    made = Service(ModelPool(1000, loader=Loader()))
    made.recognizers._loader = Loader()
    made.recognizers.get("100-whisper", "cpu")
    assert made.pool.held() == 400
    made.pool.get(ModelChoice("200-model"))
    assert made.recognizers.held() == 0


@pytest.mark.parametrize(("chosen", "asked"), [("demo:lora", BASE), ("200-model", "200-model")])
def test_the_pipeline_of_an_embedded_model_is_that_of_its_text_model(
    chosen: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = Loader()
    made = Service(ModelPool(1000, loader=loader))
    ears = Held(hf=SimpleNamespace(parameters=list))
    made.recognizers = RecognizerPool(lambda *_, **__: ears)
    monkeypatch.setattr("modgap.analysis.pipeline.pipeline", lambda *_, **__: None)
    request = AnalysisRequest(ModelChoice(chosen), "model", make_clip(0.5), "two")
    PipelineRequest(request, EMBEDDED).make(made, lambda *_: None)
    assert [name for name, _ in loader.calls] == [asked]
