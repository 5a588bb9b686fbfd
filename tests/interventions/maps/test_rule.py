"""The rule map in a model: with a transcript and without, and what its results are known by."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import modgap
from modgap.analysis.session import Session
from modgap.core.errors import SettingsError
from modgap.interventions.editing import editing
from modgap.interventions.intervention import Intervention
from modgap.interventions.maps.affine import FittedMap
from modgap.interventions.maps.files import load_map, save_map
from modgap.interventions.prefill import Prefill
from modgap.store.cache import Store
from tests.tiny import make_clip

WORDS = "What is two plus three?"


def a_map(seed: int = 0, size: float = 1.0) -> FittedMap:
    noise = torch.Generator().manual_seed(seed)
    left = torch.randn(32, 32, generator=noise) * size / 6
    return FittedMap("ridge", 1, torch.zeros(32), torch.randn(32, generator=noise), None, left)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    save_map(a_map(), folder / "one")
    return folder


@pytest.fixture(scope="module")
def it(place: Path) -> Intervention:
    return Intervention(rule="map", map=str(place / "one"), layers=(1,))


@pytest.fixture(scope="module")
def plain(tiny_model: Any) -> Prefill:
    return Prefill.of(tiny_model, tiny_model.prepare(make_clip(1.3), WORDS))


def test_every_speech_state_of_the_layer_is_mapped(plain: Prefill, it: Intervention) -> None:
    found = plain.run([(it,)], states=True)
    expected = load_map(it.map).mapped(plain.speech[1])
    assert torch.allclose(found.states[1][0], expected, atol=1e-5)
    half = plain.run([(replace(it, strength=0.5, keep_length=True),)], states=True).states[1][0]
    assert torch.allclose(half.norm(dim=-1), plain.speech[1].norm(dim=-1), rtol=1e-4)
    some = replace(it, tokens="given", positions=(0, 5))
    states = plain.run([(some,)], states=True).states[1][0]
    changed = (states != plain.speech[1]).any(-1).nonzero()[:, 0].tolist()
    assert changed == [0, 5]


def test_it_equals_a_pass_under_hooks(tiny_model: Any, plain: Prefill, it: Intervention) -> None:
    stack = (it, Intervention(rule="angle", layers=(2,)))
    ours = plain.run([stack]).logits[0, 0]
    with editing(plain, stack), torch.no_grad():
        theirs = tiny_model.hf(**plain.pair.speech.inputs).logits[0, -1]
    assert torch.allclose(ours, theirs, atol=2e-5)
    assert not torch.allclose(ours, plain.logits[0], atol=1e-3)


def test_tokens_of_a_path_may_say_where(plain: Prefill, it: Intervention) -> None:
    worst = replace(it, tokens="bottom-2")
    (edit,) = plain.plan((worst,))
    (pairs,) = plain.plan((Intervention(layers=(1,), tokens="bottom-2"),))
    assert edit.rows.tolist() == pairs.rows.tolist()
    (given,) = plain.plan((replace(it, tokens="given", pairs=((3, 1),), positions=(1, 3)),))
    assert given.rows.tolist() == [1, 3]
    assert given.pairs.tolist() == [[3, 1]]
    for wrong in ({"positions": (10_000,)}, {"pairs": ((10_000, 0),)}):
        with pytest.raises(SettingsError, match="outside the clip"):
            plain.plan((replace(it, tokens="given", **wrong),))


def test_without_a_transcript_the_answers_are_the_same(
    tiny_model: Any, it: Intervention, tmp_path: Path
) -> None:
    clip = make_clip(1.3)
    known = modgap.compare(tiny_model, clip, WORDS, it, max_new_tokens=4)
    store = Store(tmp_path)
    session = Session(tiny_model, clip, None, max_new_tokens=4, store=store)
    alone = session.compare(it)
    assert alone.before.token_ids == known.before.token_ids
    assert alone.after.token_ids == known.after.token_ids
    assert alone.text is None
    assert math.isnan(alone.kl_before)
    assert alone.to_dict()["kl_after"] is None
    assert len(alone.layers) == len(alone.pairs) == 0
    assert list(alone.layers.columns) == list(known.layers.columns)
    again = Session(tiny_model, clip, None, max_new_tokens=4, store=store).compare(it)
    assert again.to_dict() == alone.to_dict()
    assert again.text is None
    assert modgap.answer(tiny_model, clip, it, max_new_tokens=4).text == alone.after.text
    assert not known.pairs.to_dict("records")  # all positions, paired or not


def test_what_needs_words_says_so(tiny_model: Any, it: Intervention) -> None:
    session = Session(tiny_model, make_clip(1.3), None)
    for ask in (
        lambda: session.compare(Intervention()),
        lambda: session.compare([it, replace(it, tokens="top-1")]),
        session.analyze,
        session.lens,
        lambda: session.sweep(rules=["map"], map=it.map),
    ):
        with pytest.raises(SettingsError, match="give a transcript"):
            ask()
    with pytest.raises(SettingsError, match="say what is said"):
        modgap.answer(tiny_model, make_clip(1.3), Intervention())


def test_other_numbers_have_other_keys(tiny_model: Any, tmp_path: Path) -> None:
    session = Session(tiny_model, make_clip(1.3), WORDS)
    it = Intervention(rule="map", map=str(tmp_path / "m"), layers=(1,))
    save_map(a_map(), tmp_path / "m")
    first = session.key("compare", interventions=it)
    swept = session.key("sweep", rules=["map"], map=it.map)
    assert session.compare(it).interventions[0].map == f"{it.map}@{a_map().identity[:16]}"
    save_map(a_map(), tmp_path / "copy")
    assert session.key("compare", interventions=replace(it, map=str(tmp_path / "copy"))) == first
    save_map(a_map(1), tmp_path / "m")
    assert session.key("compare", interventions=it) != first
    assert session.key("sweep", rules=["map"], map=it.map) != swept
    assert session.key("compare", interventions=replace(it, keep_length=True)) != first


def test_a_sweep_has_it_beside_the_others(tiny_model: Any, it: Intervention) -> None:
    found = modgap.sweep(
        tiny_model, make_clip(1.3), WORDS, rules=["angle", "map"], map=it.map, layers=[0, 1],
        tokens=["all"], strengths=[1.0],
    )  # fmt: skip
    assert found.table["rule"].tolist() == ["angle", "map", "angle", "map"]
    assert (found.table["change"] != 0).all()


def test_maps_that_do_not_fit_the_model(tiny_model: Any, tmp_path: Path) -> None:
    wide = FittedMap("shift", 0, torch.zeros(8), torch.ones(8), torch.ones(8))
    save_map(wide, tmp_path / "wide")
    with pytest.raises(SettingsError, match="states of 8 numbers, and the model's have 32"):
        modgap.compare(tiny_model, make_clip(1.3), WORDS,
                       Intervention(rule="map", map=str(tmp_path / "wide")))  # fmt: skip
    with pytest.raises(SettingsError, match="There is no map"):
        modgap.compare(tiny_model, make_clip(1.3), None, Intervention(rule="map", map="none"))


def test_words_that_are_heard(
    tiny_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modgap.analysis.heard.MAX_TOKENS", 6)  # random weights never end
    clip, asked = make_clip(1.3), []

    class Ears:
        name, identity = "ears", "1" * 64

        def transcribe(self, clip: Any, *, progress: Any = None) -> str:
            asked.append(clip)
            return " two plus three "

    store = Store(tmp_path)
    for _ in range(2):
        assert modgap.heard(tiny_model, clip, Ears(), store=store) == "two plus three"  # type: ignore[arg-type]
    assert len(asked) == 1
    own = modgap.heard(tiny_model, clip, store=store)
    prompt = tiny_model.speech_prompt(clip, instruction="Write down what you hear.")
    assert own == tiny_model.generate(prompt, max_new_tokens=6).text.strip()
    Ears.identity, Ears.transcribe = "2" * 64, lambda *_, **__: " "  # type: ignore[method-assign]
    with pytest.raises(SettingsError, match="heard no words"):
        modgap.heard(tiny_model, clip, Ears())  # type: ignore[arg-type]
