"""From names to models, and what is said when there is no way."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors.torch import load_file, save_file

from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.loading import identity as identity_module
from modgap.models.loading.load import list_models, load_model
from modgap.models.loading.load_errors import explained
from modgap.models.loading.registry import known_types
from tests.families.makers import MAKERS
from tests.tiny import make_tiny_checkpoint


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint to damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refused(name: Any, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_loads_a_folder(tiny_model: SpeechLM, tiny_folder: Path) -> None:
    assert tiny_model.name == str(tiny_folder)
    assert tiny_model.revision is None
    assert (tiny_model.n_layers, tiny_model.hidden_size) == (4, 32)
    assert tiny_model.dtype == torch.float32
    assert tiny_model.device.type == "cpu"
    assert tiny_model.sampling_rate == 16000
    assert not tiny_model.hf.training
    assert not any(p.requires_grad for p in tiny_model.hf.parameters())


def test_info_and_support_are_plain(tiny_model: SpeechLM) -> None:
    info = json.loads(json.dumps(tiny_model.info()))
    assert info["identity"] == tiny_model.identity
    assert info["dtype"] == "float32"
    assert info["seconds_per_position"] == 0.04
    assert info["parameters"] == sum(p.numel() for p in tiny_model.hf.parameters())
    assert all(reason is None or reason for reason in tiny_model.support().values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_files_become_float32_on_a_cpu(tmp_path: Path, dtype: torch.dtype) -> None:
    model = load_model(make_tiny_checkpoint(tmp_path, dtype=dtype), device="cpu")
    assert {p.dtype for p in model.hf.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", ["bfloat16", torch.float16, "torch.float32"])
def test_dtype_can_be_chosen(tiny_folder: Path, dtype: Any) -> None:
    model = load_model(tiny_folder, dtype=dtype, device="cpu")
    assert str(model.dtype).endswith(str(dtype).removeprefix("torch."))


# ---- identity ---------------------------------------------------------------------------------


def test_identity_is_of_the_content(tiny_model: SpeechLM, folder: Path) -> None:
    assert len(tiny_model.identity) == 64
    assert load_model(folder).identity == tiny_model.identity
    assert load_model(folder, dtype="bfloat16").identity == tiny_model.identity
    change(folder / "config.json", _name_or_path="/elsewhere", transformers_version="4.0")
    assert load_model(folder).identity == tiny_model.identity


@pytest.mark.parametrize("what", ["weights", "config", "template", "tokenizer", "extractor"])
def test_identity_changes_with_the_content(tiny_model: SpeechLM, folder: Path, what: str) -> None:
    if what == "weights":
        tensors = load_file(folder / "model.safetensors")
        tensors["lm_head.weight" if "lm_head.weight" in tensors else min(tensors)][0] += 1e-3
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    elif what == "config":
        config = json.loads((folder / "config.json").read_text())
        change(folder / "config.json", text_config={**config["text_config"], "rms_norm_eps": 1e-5})
    elif what == "template":
        path = folder / "chat_template.jinja"
        path.write_text(path.read_text().replace("helpful", "good"))
    elif what == "tokenizer":
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        tokenizer["model"]["merges"].pop()
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    else:
        config = json.loads((folder / "processor_config.json").read_text())
        extractor = {**config["feature_extractor"], "dither": 0.5}
        change(folder / "processor_config.json", feature_extractor=extractor)
    assert load_model(folder).identity != tiny_model.identity


def test_identity_of_large_folders_reads_headers_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_module, "FULL_HASH_BYTES", 0)
    first = load_model(folder).identity
    assert load_model(folder).identity == first
    weights = folder / "model.safetensors"
    stat = weights.stat()
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
    assert load_model(folder).identity != first


# ---- refusals ---------------------------------------------------------------------------------


def test_no_such_folder_or_id() -> None:
    for name in ("./nowhere", "/no/where/else", "nowhere", "a/b/c", "../x", "", "demos"):
        assert "no folder" in refused(name) or "config.json" in refused(name)


def test_folder_without_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "config.json" in refused(folder)


def test_folders_have_no_revisions(folder: Path) -> None:
    assert "revision" in refused(folder, revision="main")


@pytest.mark.parametrize("model_type", ["whisper", "made_up", "base", "loading", None, 7])
def test_unknown_family(folder: Path, model_type: Any) -> None:
    change(folder / "config.json", model_type=model_type)
    message = refused(folder)
    assert "qwen2_audio" in message
    assert repr(model_type) in message


@pytest.mark.parametrize(
    ("model_type", "says"),
    [
        ("phi4mm", "microsoft/Phi-4-multimodal-instruct@refs/pr/70"),
        ("ultravox", "`modgap convert`"),
        ("omni_speech_llama", "`modgap convert`"),
    ],
)
def test_types_that_can_be_had_otherwise(folder: Path, model_type: str, says: str) -> None:
    change(folder / "config.json", model_type=model_type)
    assert says in refused(folder)


def test_known_types_are_the_modules() -> None:
    assert set(known_types()) == set(MAKERS)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"model_type": "qwen2_audio"'])
def test_damaged_config(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    refused(folder)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("model.safetensors", "safetensors"),
        ("tokenizer.json", "tokenizer"),
        ("processor_config.json", "feature extractor"),
    ],
)
def test_missing_files(folder: Path, file: str, says: str) -> None:
    (folder / file).unlink()
    assert says in refused(folder).lower()


def test_pickled_weights_are_not_loaded(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "safetensors" in refused(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, 50_000])
def test_truncated_weights(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    refused(folder)


def test_weights_that_lack_a_tensor(folder: Path) -> None:
    # transformers would fill the gap with random numbers and go on.
    path = folder / "model.safetensors"
    tensors = load_file(path)
    gone = next(name for name in tensors if "projector" in name)
    del tensors[gone]
    save_file(tensors, path, metadata={"format": "pt"})
    assert "projector" in refused(folder)


def test_weights_of_another_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(folder / "config.json", text_config={**config["text_config"], "intermediate_size": 65})
    refused(folder)


def test_window_that_does_not_fit_the_encoder(folder: Path) -> None:
    config = json.loads((folder / "processor_config.json").read_text())
    extractor = {**config["feature_extractor"], "chunk_length": 30}
    change(folder / "processor_config.json", feature_extractor=extractor)
    assert "chunk_length" in refused(folder)


def test_no_chat_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    # The processor has its family's template as a default; without either nothing could be built.
    model = load_model(folder)
    assert model.text_prompt("two").length > 10


def test_devices_and_dtypes_that_are_not_there(tiny_folder: Path) -> None:
    assert "device" in refused(tiny_folder, device="gpu")
    assert "device" in refused(tiny_folder, device="cuda:99")
    assert "float32" in refused(tiny_folder, dtype="int8")


@pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is not None, reason="accelerate is installed"
)
def test_device_map_without_accelerate(tiny_folder: Path) -> None:
    assert "pip install accelerate" in refused(tiny_folder, device_map="auto")


@pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed"
)
def test_device_map_with_accelerate(tiny_folder: Path, tiny_model: SpeechLM) -> None:
    model = load_model(tiny_folder, device_map={"": "cpu"})
    prompt = tiny_model.text_prompt("two")
    assert model.generate(prompt) == tiny_model.generate(prompt)


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[str] = []

    def no_network(self: HfApi, name: str, **_: Any) -> None:
        calls.append(name)
        raise OSError("no network here")

    monkeypatch.setattr(HfApi, "model_info", no_network)
    message = refused("nobody/nothing", cache_dir=tmp_path)
    assert "cannot be reached" in message
    assert "folder" in message
    assert calls == ["nobody/nothing"]


class Response:
    """As much of a response as the hub's errors keep."""

    headers: dict[str, str] = {}  # noqa: RUF012
    status_code = 403
    request = None


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (GatedRepoError, "gated"),
        (RepositoryNotFoundError, "no model"),
        (RevisionNotFoundError, "revision"),
    ],
)
def test_what_the_hub_refuses(error: type[Exception], says: str) -> None:
    with pytest.raises(ModelError, match=says), explained("some/model", None):
        raise error("403 Client Error", response=Response())  # type: ignore[call-arg]


def test_out_of_memory_is_explained() -> None:
    with pytest.raises(ModelError, match=r"GPU's memory.*8bit"), explained("some/model", None):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


def test_listed_models_name_what_they_are() -> None:
    entries = list_models()
    assert "Qwen/Qwen2-Audio-7B-Instruct" in [entry.name for entry in entries]
    assert len({entry.name for entry in entries}) == len(entries)
    assert all(entry.description and "\n" not in entry.description for entry in entries)


def test_a_release_in_another_layout_names_the_way(tmp_path: Path) -> None:
    """Qwen3-ASR-1.7B, without -hf: its config holds a thinker, as Qwen's own package saves it."""
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "qwen3_asr", "thinker_config": {"audio_config": {}}})
    )
    assert "Qwen/Qwen3-ASR-1.7B-hf" in refused(tmp_path)
