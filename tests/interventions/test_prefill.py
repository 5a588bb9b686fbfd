"""The kept run against plain transformers: edits of embeddings, batches, caches, no hook left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from modgap.analysis.comparison import compare_variants, kl_divergence
from modgap.analysis.functions import compare
from modgap.core.errors import Cancelled, SettingsError
from modgap.core.settings import AnalysisSettings
from modgap.interventions.editing import editing
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.interventions.rules import apply_edit
from modgap.models.resume import repeated
from tests.tiny import make_clip

WORDS = "What is two plus three?"
RULES = ("angle", "length", "both", "patch", "mean", "random")


@pytest.fixture(scope="module")
def pair(tiny_model: Any) -> Any:
    return tiny_model.prepare(make_clip(1.3), WORDS)


@pytest.fixture(scope="module")
def prefill(tiny_model: Any, pair: Any) -> Prefill:
    return Prefill.of(tiny_model, pair)


def by_embeddings(model: Any, prefill: Prefill, it: Intervention) -> torch.Tensor:
    """Next-token logits of a straightforward run: splice, edit, and pass `inputs_embeds`."""
    hf, prompt = model.hf, prefill.pair.speech
    captured: list[torch.Tensor] = []
    handle = (
        hf.get_decoder()
        .layers[0]
        .register_forward_pre_hook(
            lambda _, args, kwargs: captured.append(args[0] if args else kwargs["hidden_states"]),
            with_kwargs=True,
        )
    )
    with torch.no_grad():
        hf(**prompt.inputs)
    handle.remove()
    x = captured[0].clone()
    (edit,) = prefill.plan((it,))
    at = prompt.content
    text = hf.get_input_embeddings()(prefill.pair.text.inputs["input_ids"])
    H_t = text[0, prefill.pair.text.content]
    x[0, at[torch.as_tensor(edit.rows)]] = apply_edit(edit, 0, x[0, at], H_t)
    with torch.no_grad():
        out = hf.get_decoder()(inputs_embeds=x)
        return hf.get_output_embeddings()(out.last_hidden_state[0, -1])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("tokens", ["bottom-3", "all"])
def test_edits_of_the_embeddings_equal_plain_transformers(
    tiny_model: Any, prefill: Prefill, rule: str, tokens: str
) -> None:
    it = Intervention(rule=rule, tokens=tokens, strength=0.7)
    ours = prefill.run([(it,)]).logits[0, 0]
    theirs = by_embeddings(tiny_model, prefill, it)
    assert torch.allclose(ours, theirs, atol=2e-5), (ours - theirs).abs().max()
    assert not torch.allclose(ours, prefill.logits[0], atol=1e-4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("layers", [(0,), (1,), (3,), (0, 2), (1, 2, 3)])
def test_a_resumed_run_equals_a_whole_one_under_hooks(
    tiny_model: Any, prefill: Prefill, rule: str, layers: tuple[int, ...]
) -> None:
    stack = (
        Intervention(rule=rule, layers=layers, tokens="top-2"),
        Intervention(rule="length", layers=(2,), tokens="all", strength=0.5),
    )
    edited = prefill.run([stack], states=True)
    seen: dict[int, torch.Tensor] = {}
    prompt = prefill.pair.speech
    with editing(prefill, stack), torch.no_grad():
        handles = [
            layer.register_forward_hook(lambda _, __, out, k=k: seen.__setitem__(k + 1, out))
            for k, layer in enumerate(tiny_model.layers)
        ]
        out = tiny_model.trunk(**prompt.inputs, use_cache=True)
        for handle in handles:
            handle.remove()
    logits = tiny_model.logits(out.last_hidden_state[0, -1])
    assert torch.allclose(edited.logits[0, 0], logits, atol=2e-5)
    for level, state in seen.items():
        assert torch.allclose(edited.states[level][0], state[0, prompt.content], atol=2e-5)
    for ours, theirs in zip(edited.cache.layers, out.past_key_values.layers, strict=True):
        assert torch.allclose(ours.keys, theirs.keys, atol=2e-5)
        assert torch.allclose(ours.values, theirs.values, atol=2e-5)


def test_what_changes_nothing_is_bit_identical(tiny_model: Any, prefill: Prefill) -> None:
    prompt = prefill.pair.speech
    with torch.no_grad():
        plain = tiny_model.hf(**prompt.inputs).logits[0, -1]
    stacks = [
        (),
        (Intervention(strength=0),),
        (Intervention(tokens="given"),),
        (Intervention(rule="mean", strength=0, layers=(2,)), Intervention(tokens="given")),
    ]
    edited = prefill.run(stacks, states=True)
    for v, stack in enumerate(stacks):
        assert torch.equal(edited.logits[v, 0], prefill.logits[0])
        with editing(prefill, stack), torch.no_grad():
            assert torch.equal(tiny_model.hf(**prompt.inputs).logits[0, -1], plain)
    # Beside a variant that does change something, too.
    mixed = prefill.run([(), (Intervention(rule="patch", tokens="all"),), ()], states=True)
    assert torch.equal(mixed.logits[0], prefill.logits)
    assert torch.equal(mixed.logits[2], prefill.logits)
    assert all(torch.equal(h[0], p) for h, p in zip(mixed.states, prefill.speech, strict=True))
    assert not torch.equal(mixed.logits[1], prefill.logits)


def test_a_batch_of_variants_equals_them_one_by_one(tiny_model: Any, prefill: Prefill) -> None:
    variants = [
        (Intervention(rule=rule, layers=(layer,), tokens=tokens),)
        for rule in ("angle", "length", "patch")
        for layer in (0, 2)
        for tokens in ("bottom-1", "all")
    ]
    variants.insert(4, ())
    settings = AnalysisSettings(max_new_tokens=6)
    together = compare_variants(prefill, variants, settings)
    for stack, got in zip(variants, together, strict=True):
        (alone,) = compare_variants(prefill, [stack], settings)
        assert got.after.token_ids == alone.after.token_ids
        assert got.after.logprobs == pytest.approx(alone.after.logprobs, abs=1e-4)
        assert got.kl_after == pytest.approx(alone.kl_after, abs=1e-5)
        assert got.interventions == stack
        assert np.allclose(
            got.layers.to_numpy(float), alone.layers.to_numpy(float), atol=1e-4, equal_nan=True
        )


def test_answers_after_equal_generate_under_hooks(tiny_model: Any, prefill: Prefill) -> None:
    it = Intervention(rule="patch", tokens="all", layers=(1,))
    found = compare(tiny_model, make_clip(1.3), WORDS, it, max_new_tokens=8, temperature=0.0)
    prompt = prefill.pair.speech
    with editing(prefill, (it,)):
        theirs = tiny_model.hf.generate(
            **prompt.inputs, max_new_tokens=8, do_sample=False, use_cache=True
        )[0, prompt.length :]
    assert list(found.after.token_ids) == theirs.tolist()
    plain = tiny_model.hf.generate(**prompt.inputs, max_new_tokens=8, do_sample=False)
    assert list(found.before.token_ids) == plain[0, prompt.length :].tolist()
    assert len(found.before.top) == 8
    assert found.before.top[0][1] == pytest.approx(found.before.logprobs[0], abs=1e-5)


def test_the_last_layers_edit_is_refused_and_given_pairs_are_checked(prefill: Prefill) -> None:
    with pytest.raises(SettingsError, match="cannot be changed"):
        prefill.run([(Intervention(layers=(4,)),)])
    with pytest.raises(SettingsError, match="lies outside the clip"):
        prefill.run([(Intervention(tokens="given", pairs=((999, 0),)),)])


@pytest.fixture
def clean(tiny_model: Any) -> Iterator[None]:
    def hooks() -> list[tuple[int, ...]]:
        return [
            (*module._forward_hooks, *module._forward_pre_hooks)
            for module in tiny_model.hf.modules()
        ]

    before = hooks()  # transformers has hooks of its own
    yield
    assert hooks() == before


@pytest.mark.usefixtures("clean")
def test_no_hook_is_left_whatever_happens(tiny_model: Any, prefill: Prefill) -> None:
    def stop(_: float, note: str) -> None:
        if note.startswith("layer"):
            raise Cancelled

    before = tiny_model.generate(prefill.pair.speech, max_new_tokens=5)
    with pytest.raises(Cancelled):
        prefill.run([(Intervention(rule="patch", tokens="all"),)], progress=stop)
    with pytest.raises(RuntimeError), editing(prefill, (Intervention(),)):
        raise RuntimeError
    with pytest.raises(Cancelled):
        compare(
            tiny_model, make_clip(1.3), WORDS, Intervention(),
            progress=lambda f, _: (_ for _ in ()).throw(Cancelled) if f > 0.5 else None,
        )  # fmt: skip
    again = tiny_model.generate(prefill.pair.speech, max_new_tokens=5)
    assert again == before


def test_the_plain_runs_are_left_as_they_were(prefill: Prefill) -> None:
    copies = [h.clone() for h in prefill.speech]
    keys = [k.clone() for k, _ in prefill.kept]
    compare_variants(
        prefill, [(Intervention(rule="mean", tokens="all", layers=(0, 1, 2, 3)),)],
        AnalysisSettings(max_new_tokens=4),
    )  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(copies, prefill.speech, strict=True))
    assert all(torch.equal(a, b) for a, (b, _) in zip(keys, prefill.kept, strict=True))


def test_probabilities_of_a_continuation(tiny_model: Any, pair: Any) -> None:
    tail = [20, 31, 7]
    kept = Prefill.of(tiny_model, pair, continuation=tail)
    prompt = pair.speech
    ids = torch.cat([prompt.inputs["input_ids"], torch.tensor([tail])], 1)
    with torch.no_grad():
        logits = tiny_model.hf(**{**prompt.inputs, "input_ids": ids}).logits[0]
    logp = logits.double().log_softmax(-1)
    expected = sum(float(logp[prompt.length - 1 + n, t]) for n, t in enumerate(tail))
    assert kept.scores([()])[0] == pytest.approx(expected, abs=1e-4)
    it = Intervention(rule="patch", tokens="all")
    with editing(kept, (it,)), torch.no_grad():
        logits = tiny_model.hf(**{**prompt.inputs, "input_ids": ids}).logits[0]
    logp = logits.double().log_softmax(-1)
    expected = sum(float(logp[prompt.length - 1 + n, t]) for n, t in enumerate(tail))
    assert kept.scores([(it,)] * 40) == pytest.approx([expected] * 40, abs=1e-4)


def test_kl_by_hand() -> None:
    p, q = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.9, 0.1]).log()
    by_hand = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
    assert kl_divergence(p, q) == pytest.approx(by_hand)
    assert kl_divergence(p + 3, p) == pytest.approx(0, abs=1e-12)


def test_a_repeated_cache_grows_apart_from_what_it_was_made_of(prefill: Prefill) -> None:
    cache = repeated(prefill.kept, 3)
    size = prefill.kept[0][0].shape
    cache.update(torch.ones(3, size[1], 1, size[3]), torch.ones(3, size[1], 1, size[3]), 0)
    assert prefill.kept[0][0].shape == size
    assert cache.layers[0].keys.shape[:3] == (3, size[1], size[2] + 1)


def test_public_names_are_not_hidden_by_modules() -> None:
    """A module that bears a function's name takes its place once it is imported."""
    import importlib
    import pkgutil
    from types import ModuleType

    import modgap

    for found in pkgutil.iter_modules(modgap.__path__):
        if found.name in modgap.__all__:
            importlib.import_module(f"modgap.{found.name}")
    assert not [n for n in modgap.__all__ if isinstance(getattr(modgap, n), ModuleType)]
