"""Drafts save passes and change no answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.models.decoding import decode_rows
from modgap.models.resume import repeated
from tests.tiny import make_clip


@pytest.fixture(scope="module")
def kept(tiny_model: Any) -> Prefill:
    return Prefill.of(tiny_model, tiny_model.prepare(make_clip(1.3), "what is two plus two"))


def answered(
    kept: Prefill, monkeypatch: pytest.MonkeyPatch, drafts: list[list[int]], n: int
) -> tuple[Any, int]:
    """The answer, and how many passes it took."""
    passes = 0
    model = kept.model
    trunk = model.trunk

    def counted(**inputs: Any) -> Any:
        nonlocal passes
        passes += 1
        return trunk(**inputs)

    with monkeypatch.context() as patch:
        patch.setattr(model, "trunk", counted)
        (made,) = decode_rows(
            model, repeated(kept.kept, 1), kept.logits[:1], kept.pair.speech.length,
            max_new_tokens=n, drafts=drafts,
        )  # fmt: skip
    return made, passes


def test_a_right_draft_takes_one_pass(kept: Prefill, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, passes = answered(kept, monkeypatch, [], 8)
    assert passes == 7
    made, passes = answered(kept, monkeypatch, [list(plain.token_ids)], 8)
    assert passes == 1
    assert made.token_ids == plain.token_ids
    assert made.logprobs == pytest.approx(plain.logprobs, abs=1e-5)
    assert made.first == plain.first


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_drafts_leave_the_answer(
    kept: Prefill, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    plain, alone = answered(kept, monkeypatch, [], 9)
    ids = list(plain.token_ids)
    drafts = []
    for _ in range(data.draw(st.integers(1, 3))):
        draft = list(ids)
        for at in data.draw(st.lists(st.integers(0, 8), max_size=3)):
            draft[at % len(draft)] = data.draw(st.integers(3, 60))
        drafts.append(draft[: data.draw(st.integers(0, 9))] + data.draw(st.sampled_from([[], [5]])))
    made, passes = answered(kept, monkeypatch, drafts, 9)
    assert made.token_ids == plain.token_ids
    assert made.logprobs == pytest.approx(plain.logprobs, abs=1e-4)
    assert passes <= alone


def test_an_edited_answer_is_the_one_without_drafts(kept: Prefill) -> None:
    length = kept.pair.speech.length
    for rule in ("angle", "patch", "mean"):
        edited = kept.run([(Intervention(rule=rule, tokens="all"),)])
        ids = [made.token_ids for made in (
            decode_rows(kept.model, repeated(kept.kept, 1), kept.logits[:1], length,
                        max_new_tokens=8)
        )]  # fmt: skip
        logits = edited.logits[:, 0]
        again = kept.run([(Intervention(rule=rule, tokens="all"),)])
        (plain,) = decode_rows(kept.model, edited.cache, logits, length, max_new_tokens=8)
        (quick,) = decode_rows(
            kept.model, again.cache, logits, length, max_new_tokens=8, drafts=ids
        )
        assert quick.token_ids == plain.token_ids
