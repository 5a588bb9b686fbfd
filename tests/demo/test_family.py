"""The family's names, and the folders that they lead to."""

from __future__ import annotations

import errno
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from modgap.core.errors import ModelError
from modgap.demo import compose, family
from modgap.demo.compact import read_compact
from modgap.models.loading.load import list_models, load_model
from tests.tiny import make_clip


def test_names(tiny_family: Path) -> None:
    listed = family.names()
    assert listed[:2] == ["demo", "demo:adapter"]
    assert "demo:lora" not in listed, "it is demo: one model, listed once"
    assert listed[2:] == ["demo:adapter@1", *(f"demo:lora@{k}" for k in (1, 2, 3, 4))]
    assert family.describe("demo")["name"] == "demo:lora"
    assert [m.name for m in list_models()][: len(listed)] == listed
    with pytest.raises(ModelError, match=r"demo:lora@9.*demo:adapter.*demo:base"):
        family.describe("demo:lora@9")


def test_the_lora_is_in_the_weights(tiny_family: Path, tmp_path: Path) -> None:
    model, base = (
        load_model(n, cache_dir=tmp_path, dtype="float32") for n in ("demo", "demo:base")
    )
    trained = read_compact(tiny_family / "lora.safetensors")
    name = "model.layers.3.mlp.up_proj"
    b, a = (trained[f"llm.{name}.lora_{x}"].half().float() for x in "BA")
    plain = base.hf.get_submodule(name).weight
    merged = model.hf.llm.get_submodule(name).weight
    torch.testing.assert_close(merged, plain + 2.0 * b @ a, rtol=1e-5, atol=1e-6)
    assert not any("lora" in n for n, _ in model.hf.named_parameters())


def test_members_differ_and_answer(tiny_family: Path, tmp_path: Path) -> None:
    models = [load_model(n, cache_dir=tmp_path) for n in family.names()]
    assert len({m.identity for m in models}) == len(models)
    assert load_model("demo:lora", cache_dir=tmp_path).identity == models[0].identity
    pair = models[0].prepare(make_clip(1.3, rate=16_000), "Is it cold?")
    assert models[0].generate(pair.speech, max_new_tokens=3).tokens


def test_a_snapshot_is_what_was_written(tiny_family: Path, tmp_path: Path) -> None:
    folder = family.resolve("demo:adapter@1", tmp_path)
    assert family.resolve("demo:adapter@1", tmp_path) == folder
    from safetensors.torch import load_file

    made = load_file(folder / "adapter.safetensors")
    final = read_compact(tiny_family / "adapter.safetensors")
    wanted = read_compact(tiny_family / "adapter-1.safetensors", final)
    assert all(torch.equal(made[k], wanted[f"adapter.{k}"].half()) for k in made)


def test_two_threads_may_put_it_together_at_once(tiny_family: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: family.resolve("demo", tmp_path), range(4)))
    assert len(set(folders)) == 1
    assert load_model(folders[0]).identity
    assert [p.name for p in tmp_path.iterdir()] == [folders[0].name]


def test_other_base_models_make_another_folder(tiny_family: Path, tmp_path: Path) -> None:
    here = shutil.copytree(tiny_family, tmp_path / "weights")
    first = family.resolve("demo", tmp_path, here)
    file = here / "llm" / "config.json"
    file.write_text(file.read_text() + " ")
    assert family.resolve("demo", tmp_path, here) != first


def test_what_is_missing_is_told(
    tiny_family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match="modgap demo train"):
        family.names(tmp_path)
    (tmp_path / "family.json").write_text('{"default": "demo:adapter"}')
    with pytest.raises(ModelError, match="another version"):
        family.names(tmp_path)
    family_json = json.loads((tiny_family / "family.json").read_text())
    released = family_json | {"encoder": "whisper-tiny.en", "llm": "SmolLM2-135M-Instruct"}
    (tmp_path / "family.json").write_text(json.dumps(released))
    with pytest.raises(ModelError, match="modgap fetch"):
        family.resolve("demo", tmp_path / "models", tmp_path)


def test_a_cache_that_cannot_hold_a_member_is_a_sentence(
    tiny_family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "models"
    place.write_text("a file")
    with pytest.raises(ModelError, match=r"models is there, and is no folder\. Move it away"):
        load_model("demo", cache_dir=place)
    place.unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compose, "write_tensors", full)
    with pytest.raises(ModelError, match=r"is full \(No space left on device\): free some space"):
        load_model("demo", cache_dir=place)
    assert not list(place.iterdir()), "nothing half is left"
