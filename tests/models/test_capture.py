"""Captured states are transformers' own, and nothing stays behind."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from modgap.audio.clip import Clip
from modgap.core.errors import Cancelled, SettingsError
from modgap.models.base import PromptPair, SpeechLM
from modgap.models.capture import capture_pair, capture_states, stream_pair
from modgap.models.loading.load import load_model
from tests.tiny import make_clip, make_tiny_checkpoint


@pytest.fixture(scope="module")
def pair(tiny_model: SpeechLM, clip: Clip) -> PromptPair:
    return tiny_model.prepare(clip, "What is two plus three?", instruction="Say it.")


def by_hand(model: SpeechLM, prompt) -> torch.Tensor:
    """What a researcher writes: all states of the whole model, then the positions."""
    with torch.no_grad():
        out = model.hf(**prompt.inputs, output_hidden_states=True, use_cache=False)
    return torch.stack([h[0][prompt.content] for h in out.hidden_states])


def hooks(model: SpeechLM) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules())


@pytest.mark.parametrize("kind", ["speech", "text"])
def test_equal_to_output_hidden_states(tiny_model: SpeechLM, pair: PromptPair, kind: str) -> None:
    prompt = getattr(pair, kind)
    expected = by_hand(tiny_model, prompt)
    states = capture_states(tiny_model, prompt)
    assert states.shape == (5, len(prompt.content), 32)
    for level in range(5):
        torch.testing.assert_close(states[level], expected[level], rtol=1e-5, atol=1e-5)


def test_equal_in_bfloat16_and_float16(tmp_path, clip: Clip) -> None:
    folder = make_tiny_checkpoint(tmp_path)
    for dtype, eps in (("bfloat16", 2**-8), ("float16", 2**-11)):
        model = load_model(folder, dtype=dtype)
        pair = model.prepare(clip, "What is two plus three?")
        for prompt in (pair.speech, pair.text):
            states = capture_states(model, prompt)
            assert states.dtype == model.dtype
            expected = by_hand(model, prompt)
            torch.testing.assert_close(states, expected, rtol=2 * eps, atol=2 * eps)


@pytest.mark.parametrize("kind", ["speech", "text"])
def test_last_level_raw_is_before_the_norm(
    tiny_model: SpeechLM, pair: PromptPair, kind: str
) -> None:
    prompt = getattr(pair, kind)
    raw = capture_states(tiny_model, prompt, final_norm=False)
    normed = by_hand(tiny_model, prompt)
    x, norm = raw[-1], tiny_model.final_norm
    rms = x.pow(2).mean(-1, keepdim=True).add(norm.variance_epsilon).sqrt()
    torch.testing.assert_close(x / rms * norm.weight, normed[-1], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(x, normed[-1], atol=0.1)
    torch.testing.assert_close(raw[:-1], normed[:-1], rtol=1e-5, atol=1e-5)


def test_streamed_equals_whole(tiny_model: SpeechLM, pair: PromptPair) -> None:
    for layers in (None, (0,), (4,), (1, 3), (0, 2, 4)):
        for final_norm in (True, False):
            options = {"layers": layers, "final_norm": final_norm}
            whole = capture_pair(tiny_model, pair, **options)
            seen: list[tuple[int, torch.Tensor, torch.Tensor]] = []
            stream_pair(tiny_model, pair, lambda *a, to=seen: to.append(a), **options)
            assert (
                whole.layers == tuple(level for level, _, _ in seen) == (layers or (0, 1, 2, 3, 4))
            )
            assert torch.equal(torch.stack([s for _, s, _ in seen]), whole.speech)
            assert torch.equal(torch.stack([t for _, _, t in seen]), whole.text)
            assert whole.final_norm is final_norm


def test_streamed_states_are_not_kept(tiny_model: SpeechLM, pair: PromptPair) -> None:
    states: list[tuple[weakref.ref, weakref.ref]] = []

    def look(level: int, speech: torch.Tensor, text: torch.Tensor) -> None:
        # All that was handed over before is gone by now.
        assert all(ref() is None for refs in states for ref in refs)
        # A view would keep the states of the whole sequence alive.
        assert speech._base is None
        states.append((weakref.ref(speech), weakref.ref(text)))

    stream_pair(tiny_model, pair, look)
    assert len(states) == 5


@pytest.mark.parametrize("layers", [(), (5,), (-1,), (2, 1), (1, 1)])
def test_layers_out_of_range(tiny_model: SpeechLM, pair: PromptPair, layers) -> None:
    for call in (
        lambda: capture_states(tiny_model, pair.text, layers=layers),
        lambda: capture_pair(tiny_model, pair, layers=layers),
        lambda: stream_pair(tiny_model, pair, print, layers=layers),
    ):
        with pytest.raises(SettingsError, match=r"from 0 .* to 4"):
            call()


def test_progress_goes_up_and_can_cancel_anywhere(tiny_model: SpeechLM, pair: PromptPair) -> None:
    seen: list[float] = []
    stream_pair(tiny_model, pair, lambda *_: None, progress=lambda f, _: seen.append(f))
    assert len(seen) == 10
    assert seen == sorted(set(seen))
    assert seen[0] >= 0
    assert seen[-1] < 1
    before = hooks(tiny_model)
    for stop_at in range(10):
        count = iter(range(10))

        def stop(fraction: float, note: str, count=count, stop_at=stop_at) -> None:
            if next(count) == stop_at:
                raise Cancelled

        with pytest.raises(Cancelled):
            stream_pair(tiny_model, pair, lambda *_: None, progress=stop)
        assert hooks(tiny_model) == before


def test_failing_consumer_leaves_no_hooks_and_no_lock(
    tiny_model: SpeechLM, pair: PromptPair
) -> None:
    before = hooks(tiny_model)

    def fail(level: int, speech: torch.Tensor, text: torch.Tensor) -> None:
        raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match="full disk"):
        stream_pair(tiny_model, pair, fail)
    assert hooks(tiny_model) == before
    done = threading.Thread(target=tiny_model.forward, args=(pair.text,))
    done.start()
    done.join(timeout=30)
    assert not done.is_alive()


def test_an_edit_is_seen(tiny_model: SpeechLM, pair: PromptPair) -> None:
    """Capture looks at a level after the hooks that were there before it."""
    prompt = pair.speech
    for level in range(5):
        plain = capture_states(tiny_model, prompt, final_norm=False)

        def edit(x: torch.Tensor) -> torch.Tensor:
            x = x.clone()
            x[:, prompt.content] = 1.0
            return x

        if level == 0:
            handle = tiny_model.layers[0].register_forward_pre_hook(
                lambda _, args: (edit(args[0]), *args[1:]), prepend=True
            )
        else:
            handle = tiny_model.layers[level - 1].register_forward_hook(
                lambda _, __, out: edit(out), prepend=True
            )
        try:
            edited = capture_states(tiny_model, prompt, final_norm=False)
        finally:
            handle.remove()
        assert torch.equal(edited[:level], plain[:level])
        assert bool((edited[level] == 1).all())
        if level < 4:
            assert not torch.allclose(edited[level + 1], plain[level + 1])


def test_two_threads_get_their_own_states(tiny_model: SpeechLM) -> None:
    prompts = [tiny_model.speech_prompt(make_clip(1 + i / 2, seed=i)) for i in range(2)]
    alone = [capture_states(tiny_model, prompt) for prompt in prompts]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(5):
            states = capture_states(tiny_model, prompts[which])
            if not (states.shape == alone[which].shape and torch.equal(states, alone[which])):
                wrong.append(which)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(2)))  # raises what a thread has raised
    assert not wrong


def test_no_gradients(tiny_model: SpeechLM, pair: PromptPair) -> None:
    states = capture_pair(tiny_model, pair)
    assert not states.speech.requires_grad
    states.text.mul_(2)  # an ordinary tensor, free to be changed
