"""A zip from anyone: what is listed, what is refused, and what is never believed."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.core import archives
from modgap.core.archives import Archive, is_zip
from modgap.core.errors import SettingsError

MB = 1 << 20


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = 8) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in entries:
            file.writestr(name, data)
    return out.getvalue()


def link(name: str, to: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, to.encode()


def test_files_are_read_by_their_names() -> None:
    data = zipped(("a/one.wav", b"1"), ("./b\\two.wav", b"22"), ("a/", b""))
    found = Archive(data, "x.zip", MB)
    assert found.names == ["a/one.wav", "b/two.wav"]
    assert [found.read(name, MB) for name in found.names] == [b"1", b"22"]
    assert is_zip(data)
    assert not is_zip(b"RIFF")


def test_links_folders_and_a_systems_own_files_are_not_there() -> None:
    data = zipped(link("out.wav", "/etc/passwd"), ("__MACOSX/a.wav", b"x"), (".DS_Store", b"x"),
                  ("a/.hidden", b"x"), ("b.wav", b"b"))  # fmt: skip
    assert Archive(data, "x.zip", MB).names == ["b.wav"]


def test_a_bomb_is_read_no_further_than_the_limit() -> None:
    data = zipped(("bomb", b"\0" * (50 * MB)))
    assert len(data) < MB
    found = Archive(data, "x.zip", 10 * MB)
    with pytest.raises(SettingsError, match="larger than 10 MB unpacked"):
        found.read("bomb", 25 * MB)
    with pytest.raises(SettingsError, match="is larger than 1 MB"):
        Archive(data, "x.zip", 100 * MB).read("bomb", MB)


def test_all_entries_together_count() -> None:
    found = Archive(zipped(*((f"{n}", b"\0" * MB) for n in range(4))), "x.zip", 3 * MB)
    for n in range(3):
        found.read(f"{n}", MB)
    with pytest.raises(SettingsError, match="larger than 3 MB unpacked"):
        found.read("3", MB)


def test_a_size_that_lies_is_not_believed() -> None:
    data = bytearray(zipped(("bomb", b"\0" * (4 * MB))))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(mark) + at, 10)
    found = Archive(bytes(data), "x.zip", MB)
    with pytest.raises(SettingsError):
        found.read("bomb", MB)
    assert found.left == MB


def test_too_many_entries_are_refused_before_they_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archives, "MOST_ENTRIES", 20)
    data = zipped(*((f"{n}", b"") for n in range(21)))
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(SettingsError, match="more than 20 entries"):
        Archive(data, "x.zip", MB)


def encrypted() -> bytes:
    data = bytearray(zipped(("a", b"x")))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (encrypted, "x.zip is encrypted"),
        (lambda: zipped(("a", b"x" * 1000), method=zipfile.ZIP_LZMA), "not taken"),
        (lambda: zipped(("a", b"x" * 1000), method=zipfile.ZIP_BZIP2), "not taken"),
        (lambda: zipped(("a", b"x" * 1000))[:-30], "damaged or no zip"),
        (lambda: b"PK\x03\x04 no zip", "damaged or no zip"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(make: Callable[[], bytes], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Archive(make(), "x.zip", MB).read("a", MB)


@given(st.data())
def test_a_damaged_zip_gives_its_bytes_or_one_kind_of_error(data: st.DataObject) -> None:
    blob = bytearray(zipped(("a.csv", b"audio,transcript"), ("b.wav", bytes(range(256)))))
    for _ in range(data.draw(st.integers(1, 8))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SettingsError):
        found = Archive(bytes(blob), "x.zip", 4096)
        for name in found.names:
            assert not name.startswith("/")
            assert len(found.read(name, 1024)) <= 1024
