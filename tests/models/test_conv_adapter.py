"""The larger adapter of composites: its weights say what it is; a batch changes nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from modgap.core.errors import ModelError
from modgap.models.composite_net import CompositeConfig, encode
from modgap.models.conv_adapter import ConvTransformerAdapter
from modgap.models.loading.load import load_model
from tests.families.build import edit_json
from tests.families.makers import text_model, whisper_encoder
from tests.tiny import make_clip

WORDS = "What is two plus three?"


def _adapter(layers: int = 2) -> ConvTransformerAdapter:
    torch.manual_seed(3)
    made = ConvTransformerAdapter(4 * 32, 16, 32, layers=layers, heads=4, inner=24).eval()
    return made.requires_grad_(False)


def _reference(a: ConvTransformerAdapter, x: torch.Tensor) -> torch.Tensor:
    """The same computation by torch's own attention, a clip (n, inputs) by itself."""
    h = functional.linear(a.norm_in(x), a.linear_in.weight, a.linear_in.bias)
    h = h + functional.gelu(a.conv(h.T[None])[0].T)
    for layer in a.layers:
        h = h + layer.near(layer.norm_conv(h).T[None])[0].T
        attention = nn.MultiheadAttention(16, 4, batch_first=True)
        attention.in_proj_weight.data = layer.qkv.weight
        attention.in_proj_bias.data = layer.qkv.bias
        attention.out_proj.load_state_dict(layer.out.state_dict())
        y = layer.norm_attention(h)[None]
        h = h + attention(y, y, y, need_weights=False)[0][0]
        h = h + layer.fc2(functional.gelu(layer.fc1(layer.norm_inner(h))))
    return a.linear_out(a.norm_out(h))


def test_it_is_what_its_parts_are() -> None:
    adapter = _adapter()
    x = torch.randn(9, 128)
    torch.testing.assert_close(adapter(x[None])[0], _reference(adapter, x))


def test_a_batch_changes_nothing() -> None:
    adapter = _adapter()
    clips = [torch.randn(n, 128) for n in (9, 4, 1)]
    mask = torch.zeros(3, 9, dtype=torch.bool)
    batch = torch.randn(3, 9, 128)  # what lies beside the clips is not zero
    for k, clip in enumerate(clips):
        batch[k, : len(clip)], mask[k, : len(clip)] = clip, True
    made = adapter(batch, mask)
    for row, clip in zip(made, clips, strict=True):
        torch.testing.assert_close(row[: len(clip)], adapter(clip[None])[0])


@pytest.mark.parametrize("layers", [0, 2])
def test_the_weights_say_all_sizes(layers: int) -> None:
    adapter = _adapter(layers)
    again = ConvTransformerAdapter.of_weights(adapter.state_dict(), heads=4).eval()
    x = torch.randn(2, 5, 128)
    assert torch.equal(again(x), adapter(x))
    assert again.widths == (128, 32)


def test_a_position_is_a_mixture_of_what_was_read() -> None:
    torch.manual_seed(4)
    adapter = ConvTransformerAdapter(8, 16, 6, layers=1, heads=4, inner=8, read=2).eval()
    adapter.blank.data.normal_()
    x, read = torch.randn(2, 5, 8), torch.randn(2, 5, 2, 6)
    with torch.no_grad():
        state = adapter.norm_out(adapter.layer_states(x)[-1])
        shares = adapter.mix(state).softmax(-1)
        made = adapter.linear_out(state)
        made = made / made.square().sum(-1, keepdim=True).sqrt()  # as long as "nothing new"
        made = made * adapter.blank.square().sum().sqrt()
        parts = torch.cat([adapter.blank.expand(2, 5, 1, 6), made[:, :, None], read], 2)
        wanted = torch.einsum("bnk,bnkd->bnd", shares, parts)
        torch.testing.assert_close(adapter(x, None, read), wanted)
        again = ConvTransformerAdapter.of_weights(adapter.state_dict(), heads=4).eval()
        assert torch.equal(again(x, None, read), adapter(x, None, read))


def test_weights_that_do_not_fit_are_told() -> None:
    weights = _adapter().state_dict()
    with pytest.raises(ModelError, match="heads in config"):
        ConvTransformerAdapter.of_weights(weights, heads=3)
    with pytest.raises(ModelError, match=r"does not fit.*layers\.1\.fc2\.bias"):
        ConvTransformerAdapter.of_weights(
            {k: v for k, v in weights.items() if k != "layers.1.fc2.bias"}, heads=4
        )
    with pytest.raises(ModelError, match=r"lacks linear_in\.weight"):
        ConvTransformerAdapter.of_weights({}, heads=4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A composite with this adapter, which hears the clip alone."""
    whisper_encoder(tmp_path / "encoder")
    text_model(tmp_path / "llm")
    save_file(_adapter().state_dict(), tmp_path / "adapter.safetensors")
    settings = CompositeConfig(4, "conv_transformer", heads=4, last="pad", hears="clip")
    (tmp_path / "config.json").write_text(settings.to_json())
    return tmp_path


def test_a_composite_with_it(folder: Path) -> None:
    model: Any = load_model(folder)
    clip = make_clip(1.01, rate=16_000)
    prompt = model.prepare(clip, WORDS).speech
    frames = encode(model.hf.encoder, prompt.inputs["input_features"])
    n = -(-frames.shape[1] // 4)
    assert len(prompt.content) == n
    padded = functional.pad(frames[0], (0, 0, 0, 4 * n - frames.shape[1]))
    wanted = _reference(_adapter(), padded.reshape(n, 128))
    torch.testing.assert_close(
        model.hf.speech(prompt.inputs["input_features"]), wanted, rtol=1e-4, atol=1e-4
    )
    assert torch.isfinite(model.generate(prompt, max_new_tokens=3).first[0][1] * torch.ones(1))


def test_a_kind_that_is_not_known(folder: Path) -> None:
    edit_json(folder / "config.json", adapter="qformer")
    with pytest.raises(ModelError, match="adapter in the composite's config"):
        load_model(folder)


def test_positions_in_words_are_weighted_by_their_cosines() -> None:
    torch.manual_seed(5)
    adapter = ConvTransformerAdapter(8, 16, 6, layers=1, heads=4, inner=8, read=2).eval()
    adapter.blank.data.normal_()
    adapter.sharpness.data.fill_(1.3)
    adapter.often.data.fill_(-0.4)
    made, table = torch.randn(2, 3, 6), torch.randn(9, 6)
    with torch.no_grad():
        found = adapter.in_words(made, table, 4)
        whole = adapter.in_words(made, table, 20)  # more than there are: all
    blank = adapter.blank.detach()
    for b in range(2):
        for n in range(3):
            near = torch.cosine_similarity(table, made[b, n], dim=-1)
            for count, got in ((4, found), (9, whole)):
                order = near.argsort(descending=True)[:count]
                zero = torch.cosine_similarity(blank, made[b, n], dim=0)
                odds = torch.cat([zero[None], near[order]]).double() * math.exp(1.3)
                odds[0] -= 0.4
                weights = odds.exp() / odds.exp().sum()
                wanted = weights @ torch.cat([blank[None], table[order]]).double()
                torch.testing.assert_close(got[b, n].double(), wanted, rtol=1e-4, atol=1e-5)


def test_all_of_the_adapter_learns_through_positions_in_words() -> None:
    torch.manual_seed(6)
    adapter = ConvTransformerAdapter(8, 16, 6, layers=1, heads=4, inner=8, read=2)
    adapter.blank.data.normal_()
    read = torch.randn(1, 5, 2, 6)
    made = adapter(torch.randn(1, 5, 8), None, read)
    adapter.in_words(made, torch.randn(9, 6), 3).sum().backward()
    for name, p in adapter.named_parameters():
        assert p.grad is not None, name
