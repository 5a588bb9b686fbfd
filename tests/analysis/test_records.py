"""Results are kept by content: they come back equal, and only to the same question."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from modgap.analysis.answer_lens import answer_lens
from modgap.analysis.functions import compare
from modgap.analysis.lens import Reading, logit_lens
from modgap.analysis.mismatched import mismatched_aps
from modgap.analysis.patching import patching
from modgap.analysis.records import from_record, to_record
from modgap.analysis.session import Session
from modgap.analysis.sweeps import sweep, with_target
from modgap.core.errors import SettingsError, StoreError
from modgap.core.settings import AnalysisSettings
from modgap.interventions.intervention import Intervention
from modgap.scoring.answers import Answer, answer
from modgap.store.cache import Store
from modgap.store.lookup import kept, look_up
from modgap.store.record import Record, pack, unpack
from tests.even_words import even_words
from tests.tiny import make_clip

WORDS = "What is two plus three? A, four. B, five."
EDIT = Intervention(rule="angle", tokens="all", strength=0.8)
STACK = (EDIT, Intervention(rule="length", layers=(2,)))
SHORT = AnalysisSettings(max_new_tokens=4)


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    for field in dataclasses.fields(a):
        mine, other = getattr(a, field.name), getattr(b, field.name)
        if isinstance(mine, pd.DataFrame):
            pd.testing.assert_frame_equal(mine, other)
        elif isinstance(mine, np.ndarray):
            assert np.array_equal(mine, other, equal_nan=mine.dtype.kind == "f")
        elif isinstance(mine, dict):
            assert mine.keys() == other.keys()
            assert all(np.array_equal(mine[name], other[name]) for name in mine)
        elif isinstance(mine, Reading):
            same(mine, other)
        else:
            assert mine == other, field.name


@pytest.fixture(scope="module")
def results(tiny_model: Any) -> dict[str, Any]:
    clip = make_clip(1.3)
    ready, name = with_target(tiny_model, tiny_model.prepare(clip, WORDS), None, SHORT)
    return {
        "compare": compare(tiny_model, clip, WORDS, STACK, SHORT),
        "sweep": sweep(ready, name, layers=(0, 2), strengths=(0.5, 1.0)),
        "patching": patching(ready, name, layers=(0, 3), words=even_words(WORDS, 1.3)),
        "lens": logit_lens(ready, top=3),
        "answer_lens": answer_lens(ready, name),
        "mismatched": mismatched_aps(ready, np.zeros(len(ready.pair.speech.content), bool)),
    }


@pytest.mark.parametrize(
    "kind", ["compare", "sweep", "patching", "lens", "answer_lens", "mismatched"]
)
def test_a_result_comes_back_equal_from_the_files(results: dict[str, Any], kind: str) -> None:
    blobs = pack("0" * 64, to_record(results[kind]))
    blobs.pop("meta.json")
    meta = to_record(results[kind]).meta
    same(results[kind], from_record(unpack(meta, blobs)))


def test_the_second_time_the_model_is_not_asked(
    tiny_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, clip = Store(tmp_path), make_clip(1.3)
    first = compare(tiny_model, clip, WORDS, STACK, SHORT, store=store)

    def silent(**_: Any) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(tiny_model, "trunk", silent)
    same(first, compare(tiny_model, clip, WORDS, STACK, SHORT, store=store))
    with pytest.raises(AssertionError, match="was run"):
        compare(tiny_model, clip, WORDS, (EDIT,), SHORT, store=store)


def test_keys_differ_where_results_may(tiny_model: Any) -> None:
    clip = make_clip(1.3)

    def key(
        kind: str = "compare",
        sound: Any = clip,
        words: str = WORDS,
        settings: AnalysisSettings = SHORT,
        **options: Any,
    ) -> str:
        options = options or {"interventions": STACK}
        return Session(tiny_model, sound, words, settings).key(kind, **options)

    others = [
        key(kind="sweep", rules=["angle"]),
        key(sound=make_clip(1.3, seed=1)),
        key(words="What"),
        key(settings=replace(SHORT, max_new_tokens=5)),
        key(settings=replace(SHORT, instruction="Say it.")),
        key(interventions=(replace(EDIT, strength=0.7),)),
        key(interventions=()),
    ]
    assert len({key(), *others}) == 1 + len(others)
    assert key() == key(sound=make_clip(1.3))


def test_a_kept_answer_is_not_given_to_a_longer_or_a_sampled_one(
    tiny_model: Any, tmp_path: Path
) -> None:
    """Settings without answers, which only an analysis heeds, decode all the same."""
    store, clip = Store(tmp_path), make_clip(1.3)
    bare = AnalysisSettings(answers=False, max_new_tokens=1)
    for settings in (
        bare,
        replace(bare, max_new_tokens=6),
        replace(bare, max_new_tokens=6, temperature=5.0),
        replace(bare, max_new_tokens=6, temperature=5.0, seed=1),
    ):
        found = compare(tiny_model, clip, WORDS, EDIT, settings, store=store)
        same(found, compare(tiny_model, clip, WORDS, EDIT, settings))
    assert store.info().entries == 4


def test_what_only_an_analysis_heeds_makes_no_other_key(tiny_model: Any) -> None:
    clip = make_clip(1.3)
    keys = {
        Session(tiny_model, clip, WORDS, settings).key("compare", interventions=STACK)
        for settings in (
            SHORT,
            replace(SHORT, answers=False),
            replace(SHORT, layers=(1,)),
            replace(SHORT, final_norm=False),
            replace(SHORT, states=True),
        )
    }
    assert len(keys) == 1


def test_a_foreign_record_is_set_aside_and_made_again(
    results: dict[str, Any], tmp_path: Path
) -> None:
    store, name = Store(tmp_path), "ab" * 32
    store.put(name, Record(meta={"kind": "Sweep"}))
    found = kept(store, name, lambda: results["sweep"], to_record, from_record)
    assert found is results["sweep"]
    same(found, look_up(store, name, from_record))
    assert store.info().corrupt == 1
    with pytest.raises(StoreError, match="no result of an intervention"):
        from_record(Record(meta={"kind": "Other"}))


def test_an_answer_with_interventions_is_the_comparisons(tiny_model: Any) -> None:
    clip, found = make_clip(1.3), compare(tiny_model, make_clip(1.3), WORDS, STACK, SHORT)
    got = answer(tiny_model, clip, STACK, transcript=WORDS, max_new_tokens=4)
    same(got, found.after)
    assert [name for name, _ in got.options] == ["A, four", "B, five"]
    assert sum(share for _, share in got.options) == pytest.approx(1)
    one = answer(tiny_model, clip, EDIT, transcript=WORDS, max_new_tokens=4)
    same(one, compare(tiny_model, clip, WORDS, EDIT, SHORT).after)
    plain = answer(tiny_model, clip, transcript=WORDS, max_new_tokens=4)
    bare = answer(tiny_model, clip, max_new_tokens=4)
    assert isinstance(bare, Answer)
    assert plain.token_ids == bare.token_ids == found.before.token_ids
    assert torch.allclose(torch.tensor(plain.logprobs), torch.tensor(bare.logprobs), atol=1e-5)


def test_an_answer_with_interventions_needs_the_clip_and_its_words(tiny_model: Any) -> None:
    clip = make_clip(1.3)
    with pytest.raises(SettingsError, match="transcript"):
        answer(tiny_model, clip, EDIT)
    with pytest.raises(SettingsError, match="need the clip"):
        answer(tiny_model, tiny_model.speech_prompt(clip), EDIT)
    with pytest.raises(SettingsError, match="max_new_tokens"):
        answer(tiny_model, clip, transcript=WORDS, max_new_tokens=0)
