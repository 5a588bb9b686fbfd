"""What sessions share: the model pool, the caches, the list of models."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import modgap.ui.server.operator_models as options
from modgap.audio.clip import Clip
from modgap.core.errors import ModelError
from modgap.ui.server.models import ModelChoice, ModelPool
from modgap.ui.server.requests import AnalysisRequest
from modgap.ui.server.shared_cache import SharedCache


class Loader:
    """Makes models of so many parameters as their name says."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, name: str, *, dtype: str, device: str) -> Any:
        self.calls.append(name)
        if name == "bad":
            raise ModelError("bad cannot be loaded")
        weights = [torch.zeros(int(name.split("-")[0]))]
        return SimpleNamespace(
            hf=SimpleNamespace(parameters=lambda: weights), info=lambda: {"name": name}
        )


def names(pool: ModelPool) -> list[str]:
    return [choice.name for choice in pool.loaded()]


def test_a_model_is_loaded_once() -> None:
    loader = Loader()
    pool = ModelPool(1000, loader=loader)
    assert pool.get(ModelChoice("10-a")) is pool.get(ModelChoice("10-a"))
    pool.get(ModelChoice("10-a", dtype="bfloat16"))
    assert loader.calls == ["10-a", "10-a"]
    assert pool.info(ModelChoice("10-a")) == {"name": "10-a"}
    assert pool.info(ModelChoice("10-b")) is None


def test_the_least_used_models_go_when_the_room_is_full() -> None:
    pool = ModelPool(1000, loader=Loader())  # bytes: 4 for a parameter
    for name in ("60-a", "60-b", "60-a"):
        pool.get(ModelChoice(name))
    assert names(pool) == ["60-b", "60-a"]
    pool.get(ModelChoice("180-c"))
    assert names(pool) == ["60-a", "180-c"], "480 bytes were within half of the room"
    pool.get(ModelChoice("60-d"))
    assert names(pool) == ["60-d"], "room is made before a model is loaded"


def test_a_model_larger_than_the_room_is_kept_while_it_is_the_one_in_use() -> None:
    pool = ModelPool(1000, loader=Loader())
    pool.get(ModelChoice("10-a"))
    pool.get(ModelChoice("9999-b"))
    assert names(pool) == ["9999-b"]


def test_a_failing_model_leaves_the_others() -> None:
    pool = ModelPool(1000, loader=Loader())
    pool.get(ModelChoice("10-a"))
    with pytest.raises(ModelError):
        pool.get(ModelChoice("bad"))
    assert names(pool) == ["10-a"]
    assert pool.info(ModelChoice("bad")) is None


def test_a_shared_cache_is_bounded_by_size_and_drops_what_was_used_longest_ago() -> None:
    cache: SharedCache[str, bytes] = SharedCache(10, len)
    cache.put("a", b"1234")
    cache.put("b", b"1234")
    assert cache.get("a") == b"1234"
    cache.put("c", b"1234")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (b"1234", None, b"1234")
    cache.put("a", b"12")  # smaller now: room for another
    cache.put("d", b"1234")
    assert len(cache) == 3
    cache.put("big", bytes(99))
    assert cache.get("big") is not None, "the newest is always kept"
    assert len(cache) == 1


def test_operator_models_are_named_without_their_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_embedded", tuple)
    given = ["/srv/models/a", "/other/a", "Qwen/Qwen2-Audio-7B-Instruct", "./b/", "/srv/models/a"]
    monkeypatch.setenv(options.VARIABLE, json.dumps(given))
    found = options.model_options()
    assert {i: o.name for i, o in found.items()} == {
        "a": "/srv/models/a",
        "a (2)": "/other/a",
        "Qwen/Qwen2-Audio-7B-Instruct": "Qwen/Qwen2-Audio-7B-Instruct",
        "b": "./b/",
    }


@pytest.mark.parametrize("value", ["", "not json", '"text"', "[1]", '[""]', "{}", "[[]]"])
def test_a_bad_list_of_models_is_no_list(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(options, "_embedded", tuple)
    monkeypatch.setenv(options.VARIABLE, value)
    assert options.model_options() == {}


def test_a_request_is_told_apart_by_all_that_decides_its_numbers(clip: Clip) -> None:
    base = AnalysisRequest(ModelChoice("m"), "label", clip, "words")
    same = AnalysisRequest(ModelChoice("m"), "another label", clip, "words")
    assert base.signature == same.signature
    others = [
        AnalysisRequest(ModelChoice("m", dtype="bfloat16"), "label", clip, "words"),
        AnalysisRequest(ModelChoice("m", device="cpu"), "label", clip, "words"),
        AnalysisRequest(ModelChoice("n"), "label", clip, "words"),
        AnalysisRequest(ModelChoice("m"), "label", clip.trim(0, 0.5), "words"),
        AnalysisRequest(ModelChoice("m"), "label", clip, "words "),
        AnalysisRequest(ModelChoice("m"), "label", clip, "words", "do"),
        AnalysisRequest(ModelChoice("m"), "label", clip, "words", "", "drop"),
        AnalysisRequest(ModelChoice("m"), "label", clip, "words", "", "keep", "cut"),
        AnalysisRequest(ModelChoice("m"), "label", clip, "", "words"),
    ]
    assert len({r.signature for r in [base, *others]}) == 10
