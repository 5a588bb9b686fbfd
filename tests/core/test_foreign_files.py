"""Files that may come from anyone are read within bounds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modgap.core.foreign_files import is_plain, read_bounded, read_json

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")


def nested(depth: int, leaf: str = "1") -> str:
    return "[" * depth + leaf + "]" * depth


def test_a_file_within_the_bounds_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    value = {"é": [1, {"b": None}], "c": nested(500)}
    file.write_text(json.dumps(value), "utf-8")
    assert read_json(file) == value
    assert read_bounded(file, file.stat().st_size) == file.read_bytes()
    file.write_text(nested(64))
    assert read_json(file) == json.loads(nested(64))


@pytest.mark.parametrize("text", [nested(66), '{"a":' * 66 + "1" + "}" * 66, nested(100_000)])
def test_deep_nesting_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(ValueError, match="nested deeper than 64 levels"):
        read_json(file)


def test_what_is_too_large_or_no_json_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b" " * (1 << 20) + b"1")
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        read_bounded(file, 1 << 20)
    for bad in (b"{", b"", b"\xff\xfe\x00"):
        file.write_bytes(bad)
        with pytest.raises(ValueError):
            read_json(file)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none")


@needs_pipes
def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    pipe, device = tmp_path / "pipe", tmp_path / "zeros"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device):
        assert not is_plain(path)
        with pytest.raises(ValueError, match="not a plain file"):
            read_bounded(path)
    with pytest.raises((OSError, ValueError)):
        read_bounded(tmp_path)


def test_a_link_may_not_lead_out(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out.txt"
    inside.mkdir()
    outside.write_text("x")
    (inside / "own.txt").write_text("x")
    (inside / "link.txt").symlink_to(outside)
    assert is_plain(inside / "own.txt", inside)
    assert is_plain(inside / "link.txt")
    assert not is_plain(inside / "link.txt", inside)
    assert not is_plain(inside / "none.txt", inside)
