"""The prompts and the decoding of those who published a model, against what they wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from modgap.core.errors import SettingsError
from modgap.core.settings import AnalysisSettings, analysis_key
from modgap.models.families.modgap_composite import VENDORS
from modgap.models.loading.load import load_model
from modgap.models.sampling import Sampling
from tests.families.build import edit_json
from tests.models.suite import ids_of
from tests.tiny import make_clip

ASK = "Answer in one word."


def shown(model: Any, prompt: Any) -> str:
    """A speech prompt as text, its positions as one <clip>."""
    ids = ids_of(prompt)
    at = prompt.content.tolist()
    behind = max([*at, *prompt.pad_content.tolist()]) + 1
    decode = model.tokenizer.decode
    return decode(ids[: at[0]]) + "<clip>" + decode(ids[behind:])


@pytest.mark.parametrize(
    ("family", "plain", "vendor"),
    [
        ("audioflamingo3", f"<clip>\n{ASK}<", f"<clip>{ASK}<"),
        ("phi4_multimodal", f"<|user|><clip>\n{ASK}<|end|>", f"<|user|><clip>{ASK}<|end|>"),
        ("voxtral", f"[BEGIN_AUDIO]<clip>\n{ASK}[/INST]", f"[BEGIN_AUDIO]<clip>{ASK}[/INST]"),
    ],
)
def test_nothing_stands_between_clip_and_instruction(
    family_folder: Any, family: str, plain: str, vendor: str
) -> None:
    model, clip = load_model(family_folder(family)), make_clip(0.8)
    said = model.speech_prompt(clip, instruction=ASK)
    told = model.speech_prompt(clip, instruction=ASK, style="vendor")
    assert plain in shown(model, said)
    assert vendor in shown(model, told)
    assert told.length < said.length
    # Without an instruction there is nothing to stand between, and typed words stay apart.
    bare = [ids_of(model.speech_prompt(clip, style=style)) for style in ("plain", "vendor")]
    assert bare[0] == bare[1]
    typed = model.text_prompt("who", instruction=ASK, markers="drop", style="vendor")
    assert f"who\n{ASK}" in model.tokenizer.decode(ids_of(typed))


def test_the_order_of_gemma_4_and_the_system_text_of_qwen_omni(family_folder: Any) -> None:
    gemma = load_model(family_folder("gemma4_unified"))
    pair = gemma.prepare(make_clip(0.8), "who is it", instruction=ASK, style="vendor")
    text = shown(gemma, pair.speech)
    assert text.index(ASK) < text.index("<clip>")
    around = [
        (ids_of(p)[: int(p.content[0])], ids_of(p)[int(p.content[-1]) + 1 :])
        for p in (pair.speech, pair.text)
    ]
    assert around[0] == around[1]  # the pair is as strict as the plain one
    omni = load_model(family_folder("qwen2_5_omni"))
    clip, mine = make_clip(0.8), "You are Qwen, a virtual human"
    assert mine not in shown(omni, omni.speech_prompt(clip))
    assert mine in shown(omni, omni.speech_prompt(clip, style="vendor"))
    own = omni.speech_prompt(clip, style="vendor", system="Be.")
    assert mine not in shown(omni, own)
    assert "Be." in shown(omni, own)
    with pytest.raises(SettingsError, match="plain or vendor"):
        omni.speech_prompt(clip, style="theirs")  # type: ignore[arg-type]


def test_a_composite_is_asked_as_its_project_asks(family_folder: Any, tmp_path: Path) -> None:
    """Ultravox's pipeline: the clip behind the words, its example's system text, penalty 1.1."""
    import shutil

    folder = Path(shutil.copytree(family_folder("modgap_composite"), tmp_path / "ultravox"))
    edit_json(folder / "config.json", source="ultravox", before="", after="")
    model = load_model(folder)
    assert model.published_as == "ultravox"
    text = shown(model, model.speech_prompt(make_clip(0.8), instruction=ASK, style="vendor"))
    assert f"{ASK} <clip>" in text
    assert str(VENDORS["ultravox"].system) in text
    assert model.vendor_sampling == Sampling(repetition_penalty=1.1)


def test_the_style_is_part_of_an_analysis_key() -> None:
    plain, vendor = AnalysisSettings(), AnalysisSettings(prompt_style="vendor")
    keys = [analysis_key("m", "float32", "clip", "words", s) for s in (plain, vendor)]
    assert keys[0] != keys[1]
    # The plain key is that of before there was another: what is kept is found.
    assert keys[0] == "8d05b042be0aebc34aecdddcccb3f89b926195a210c5b006e16975b1281a8f17"


# ---- decoding ------------------------------------------------------------------------------------


@pytest.fixture
def configured(tiny_model: Any) -> Iterator[Any]:
    """The tiny model, whose generation_config is the test's to change."""
    kept = tiny_model.hf.generation_config
    yield tiny_model
    tiny_model.hf.generation_config = kept


def test_qwen3_omni_is_greedy_but_where_it_thinks(family_folder: Any, tmp_path: Path) -> None:
    """As its README evaluates: Instruct greedily, Thinking by the file."""
    import shutil

    for talks, expected in (
        (True, Sampling()),
        (False, Sampling(temperature=0.6, top_k=20, top_p=0.95)),
    ):
        folder = Path(shutil.copytree(family_folder("qwen3_omni_moe"), tmp_path / str(talks)))
        edit_json(folder / "config.json", enable_audio_output=talks)
        said = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95}
        (folder / "generation_config.json").write_text(json.dumps(said))
        assert load_model(folder).vendor_sampling == expected


@pytest.mark.parametrize(
    "said",
    [
        {"repetition_penalty": 1.4},
        {"do_sample": True, "top_k": 1, "temperature": 0.7, "repetition_penalty": 1.2},
        {"do_sample": True, "top_p": 1e-6, "temperature": 0.5},
        {"do_sample": False, "temperature": 0.7, "top_p": 0.2},
    ],
)
def test_decoding_is_that_of_transformers_generate(configured: Any, said: dict[str, Any]) -> None:
    """Settings under which sampling, too, has one outcome."""
    model, n = configured, 12
    model.hf.generation_config = GenerationConfig(
        **said, max_new_tokens=n, pad_token_id=0, eos_token_id=sorted(model.eos_ids)
    )
    pair = model.prepare(make_clip(0.8), "What is two plus three?")
    for prompt in (pair.speech, pair.text):
        ids = prompt.inputs["input_ids"]
        out = model.hf.generate(**prompt.inputs, attention_mask=torch.ones_like(ids))
        made = model.generate(prompt, max_new_tokens=n, sampling=model.vendor_sampling, seed=3)
        assert made.token_ids == tuple(out[0, ids.shape[1] :].tolist())


def test_what_a_generation_config_says() -> None:
    of = Sampling.of_config
    assert of(GenerationConfig()) == Sampling()
    assert of(GenerationConfig(do_sample=True)) == Sampling(temperature=1.0, top_k=50)
    read = of(GenerationConfig(do_sample=True, top_p=0.8, top_k=0, num_beams=3, min_p=0.1))
    assert read == Sampling(temperature=1.0, top_p=0.8, ignored=("num_beams", "min_p"))
    told = of(GenerationConfig(do_sample=True), {"do_sample": False, "repetition_penalty": 1.1})
    assert told == Sampling(repetition_penalty=1.1)
