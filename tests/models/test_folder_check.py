"""Checkpoint folders whose files come from anyone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from modgap.core.errors import ModelError
from modgap.models.loading.folder_check import check_folder
from modgap.models.loading.load import load_model

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A checkpoint of the test's own."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "mine"))


def write_index(folder: Path, weight_map: Any) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_an_index_of_another_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (folder / "model.safetensors").rename(other / "model.safetensors")
    write_index(folder, {"lm_head.weight": "../other/model.safetensors"})
    with pytest.raises(
        ModelError, match=r"names '\.\./other/model\.safetensors', which"
    ) as problem:
        load_model(folder)
    assert "get the checkpoint's files again" in str(problem.value)


@pytest.mark.parametrize(
    "file",
    ["../x.safetensors", "/x.safetensors", "a/x.safetensors", "..\\x", "C:\\x", "C:x", "..", "", 5],
)
def test_only_files_beside_the_index_may_be_named(tmp_path: Path, file: Any) -> None:
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "config.json").write_text("{}")
    for place in (tmp_path, tmp_path / "llm"):
        write_index(place, {"a": "model-00001-of-00002.safetensors", "b": file})
        with pytest.raises(ModelError, match="which is not a file beside it"):
            check_folder("m", tmp_path)
        write_index(place, {"a": "model-00001-of-00002.safetensors"})
        check_folder("m", tmp_path)


@pytest.mark.parametrize(
    "text", ["5", "{", '{"weight_map": 5}', '{"weight_map": {"a": [1]}}', "[" * 9000]
)
def test_a_damaged_index_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(ModelError, match="is damaged: get the checkpoint's files again"):
        check_folder("m", tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_a_pipe_among_the_files_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ModelError, match=f"{name} of .* is not a plain file"):
        load_model(folder)
