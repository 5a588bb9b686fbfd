"""Answers: greedy as transformers does it, sampled by their own dice."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from modgap.audio.clip import Clip
from modgap.core.errors import Cancelled, SettingsError
from modgap.models.base import SpeechLM
from modgap.models.decoding import _choose, decode_rows, pieces
from modgap.models.loading.load import load_model
from tests.tiny import make_clip, make_tiny_checkpoint, make_tokenizer


def oracle(model: SpeechLM, prompt, n: int, eos) -> tuple[int, ...]:
    ids = prompt.inputs["input_ids"]
    # Replaced, not passed: transformers fills what is passed with the checkpoint's own penalties.
    model.hf.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=n, eos_token_id=eos, pad_token_id=0
    )
    out = model.hf.generate(**prompt.inputs, attention_mask=torch.ones_like(ids))
    return tuple(out[0, ids.shape[1] :].tolist())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_greedy_is_transformers_greedy(tmp_path, seed: int) -> None:
    folder = make_tiny_checkpoint(tmp_path, seed)
    # Released checkpoints sample and penalise by default; neither may leak in.
    path = folder / "generation_config.json"
    config = json.loads(path.read_text())
    path.write_text(
        json.dumps({**config, "do_sample": True, "temperature": 0.7, "repetition_penalty": 1.8})
    )
    model = load_model(folder)
    eos = model.eos_ids
    pair = model.prepare(make_clip(1, seed=seed), "two plus three", instruction="Say it.")
    for prompt in (pair.text, pair.speech):
        model.eos_ids = frozenset()
        made = model.generate(prompt, max_new_tokens=24)
        assert made.token_ids == oracle(model, prompt, 24, None)
        assert not made.finished
        # Now let the seventh token end the answer.
        model.eos_ids = frozenset([made.token_ids[6]])
        ended = model.generate(prompt, max_new_tokens=24)
        assert ended.token_ids == oracle(model, prompt, 24, made.token_ids[6])
        assert ended.token_ids[-1] == made.token_ids[6]
        assert ended.finished
        model.eos_ids = eos


def test_end_tokens_come_from_the_checkpoint(tiny_model: SpeechLM) -> None:
    assert tiny_model.eos_ids == {tiny_model.tokenizer.convert_tokens_to_ids("<|im_end|>")}


def test_logprobs_are_those_of_one_full_pass(tiny_model: SpeechLM, clip: Clip) -> None:
    for prompt in (
        tiny_model.speech_prompt(clip),
        tiny_model.text_prompt("two plus three"),
    ):
        made = tiny_model.generate(prompt, max_new_tokens=8, temperature=1.0, seed=5)
        ids = torch.cat([prompt.inputs["input_ids"], torch.tensor([made.token_ids])], dim=1)
        with torch.no_grad():
            logits = tiny_model.hf(**{**prompt.inputs, "input_ids": ids}).logits[0]
        expected = logits[prompt.length - 1 : -1].log_softmax(-1)
        picked = expected[torch.arange(len(made.token_ids)), list(made.token_ids)]
        assert torch.allclose(torch.tensor(made.logprobs), picked, atol=1e-4)


def test_sampling_depends_on_its_seed_alone(tiny_model: SpeechLM, clip: Clip) -> None:
    prompt = tiny_model.speech_prompt(clip)
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = [tiny_model.generate(prompt, max_new_tokens=6, temperature=1, seed=s) for s in range(4)]
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    again = [tiny_model.generate(prompt, max_new_tokens=6, temperature=1, seed=s) for s in range(4)]
    assert first == again
    assert len({made.token_ids for made in first}) > 1
    cold = tiny_model.generate(prompt, max_new_tokens=6, temperature=1e-6, seed=3)
    assert cold.token_ids == tiny_model.generate(prompt, max_new_tokens=6).token_ids


def test_sampling_follows_the_tempered_distribution() -> None:
    scores = torch.tensor([2.0, 1.0, 0.0, -1.0])
    rng = torch.Generator().manual_seed(0)
    n = 4000
    drawn = torch.bincount(torch.tensor([_choose(scores, 0.5, rng) for _ in range(n)]), minlength=4)
    expected = torch.softmax(scores / 0.5, -1)
    deviation = (drawn / n - expected).abs()
    assert bool((deviation < 4 * (expected * (1 - expected) / n).sqrt()).all())


def test_progress_and_cancelling(tiny_model: SpeechLM, clip: Clip) -> None:
    prompt = tiny_model.speech_prompt(clip)
    seen: list[float] = []

    def stop(fraction: float, note: str) -> None:
        seen.append(fraction)
        if len(seen) == 3:
            raise Cancelled

    model_eos, tiny_model.eos_ids = tiny_model.eos_ids, frozenset()
    try:
        with pytest.raises(Cancelled):
            tiny_model.generate(prompt, max_new_tokens=10, progress=stop)
        assert seen == [0.0, 0.1, 0.2]
        notes: list[tuple[float, str]] = []
        tiny_model.generate(prompt, max_new_tokens=4, progress=lambda f, n: notes.append((f, n)))
        assert [f for f, _ in notes] == [0.0, 0.25, 0.5, 0.75, 1.0]
    finally:
        tiny_model.eos_ids = model_eos
    # The lock was given back: another thread may answer.
    assert tiny_model.lock.acquire(blocking=False)
    tiny_model.lock.release()


@pytest.mark.parametrize(
    "bad", [{"max_new_tokens": 0}, {"temperature": -1.0}, {"temperature": float("nan")}]
)
def test_bad_settings(tiny_model: SpeechLM, clip: Clip, bad: dict) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        tiny_model.generate(tiny_model.speech_prompt(clip), **bad)


def test_text_has_no_special_tokens(tiny_model: SpeechLM, clip: Clip) -> None:
    made = [
        tiny_model.generate(tiny_model.speech_prompt(clip), temperature=2, seed=s) for s in range(6)
    ]
    special = [m for m in made if set(m.token_ids) & set(tiny_model.chat.special.values())]
    assert special
    for m in special:
        assert "<|" not in m.text
        assert len(m.tokens) == len(m.token_ids) == len(m.logprobs)


TOKENIZER = make_tokenizer()


@given(st.text(), st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=6))
@settings(deadline=None)
def test_pieces_join_to_the_text(text: str, noise: list[int]) -> None:
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"] + noise
    parts = pieces(TOKENIZER, ids)
    assert len(parts) == len(ids)
    assert "".join(parts) == TOKENIZER.decode(ids, clean_up_tokenization_spaces=False)


def test_a_character_appears_with_its_last_token() -> None:
    ids = TOKENIZER("é日", add_special_tokens=False)["input_ids"]
    assert pieces(TOKENIZER, ids) == ("", "é", "", "", "日")


class SpreadCache:
    """Keys of two layers on two devices; the second stands for another GPU."""

    def __init__(self, rows: int) -> None:
        self.keys = [torch.zeros(rows, 3), torch.zeros(rows, 3, device="meta")]
        self.sizes: list[list[int]] = []

    def batch_select_indices(self, chosen: torch.Tensor) -> None:
        # What torch says of two GPUs, and not of its meta device.
        if any(chosen.device.type not in ("cpu", keys.device.type) for keys in self.keys):
            raise RuntimeError("indices should be either on cpu or on the same device")
        self.keys = [keys[chosen, ...] for keys in self.keys]
        self.sizes.append([len(keys) for keys in self.keys])


def test_rows_that_end_leave_a_cache_on_several_devices(tiny_model: SpeechLM) -> None:
    end, other, size = 2, 5, 8

    def likely(tokens: list[int]) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(tokens), size).float()

    def trunk(input_ids: torch.Tensor, **_: Any) -> Any:
        return SimpleNamespace(last_hidden_state=likely([other] * len(input_ids))[:, None])

    model: Any = SimpleNamespace(
        device=torch.device("meta"), eos_ids={end}, trunk=trunk, logits=lambda states: states,
        tokenizer=tiny_model.tokenizer, lock=tiny_model.lock,
    )  # fmt: skip
    cache = SpreadCache(3)
    made = decode_rows(model, cache, likely([other, end, other]), 4, max_new_tokens=3)
    assert [len(row.token_ids) for row in made] == [3, 1, 3]
    assert cache.sizes == [[2, 2]]
