"""modgap's suite, passed by a family that is not modgap's: `pytest examples/families`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import pytest

from modgap.models.loading.registry import named_family
from modgap.testing import FamilySuite, fill, make_tokenizer, save, text_config

FILE = Path(__file__).with_name("own_forward.py")


def make(folder: Path) -> Path:
    """A tiny random checkpoint, as the lab's training would save one."""
    own = sys.modules[named_family(FILE).__module__]
    tok = make_tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|clip|>"], "<|im_end|>", "<|endoftext|>"
    )
    config = own.MyConfig(
        text_config=text_config(tok), bins=20, slot_id=tok.convert_tokens_to_ids("<|clip|>")
    )
    return save(folder, fill(own.MyModel(config)), tok)


class TestMyFamily(FamilySuite):
    adapter = FILE
    positions: ClassVar[dict[float, int]] = {0.5: 12, 1: 25, 2.37: 59, 10: 250}
    seconds = 0.04

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return make(tmp_path_factory.mktemp("tiny"))
