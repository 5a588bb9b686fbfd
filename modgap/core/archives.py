"""A zip from anyone: its files are read one by one, within limits, and never by their names.

Nothing is unpacked into folders. Who asks gets the bytes of one entry at a time, and stores them
under names of its own: so no entry can lie outside of a folder, replace a file, or be a link.
"""

from __future__ import annotations

import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator

from modgap.core.errors import SettingsError

__all__ = ["Archive", "is_zip"]

#: Entries that a zip may have: each costs memory before any of it is read.
MOST_ENTRIES = 20_000
#: Others may want gigabytes for unpacking alone (the dictionary of LZMA).
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MARK = b"PK\x01\x02"  # before each entry of the list at a zip's end
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError,
    NotImplementedError, ValueError, UnicodeError,
)  # fmt: skip


def is_zip(data: bytes) -> bool:
    """Whether the bytes begin as a zip, an empty one included."""
    return data[:4] in (b"PK\x03\x04", b"PK\x05\x06")


class Archive:
    """A zip in memory.

    Parameters
    ----------
    data : bytes
    name : str
        For sentences.
    limit : int
        Bytes that all entries together may have, unpacked; counted as they are read, whatever the
        zip says of their sizes.

    Raises
    ------
    SettingsError
        It is damaged, or has too many entries.
    """

    def __init__(self, data: bytes, name: str, limit: int) -> None:
        self.name, self.left, self.limit = name, limit, limit
        # Before the list is read: a zip of 25 MB may list half a million entries.
        if data.count(_MARK) > MOST_ENTRIES:
            raise SettingsError(f"{name} has more than {MOST_ENTRIES:,} entries: make several.")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as problem:
            raise self._damaged() from problem
        self._entries = dict(self._files())

    @property
    def names(self) -> list[str]:
        """Names of its files, as the zip has them with ``/`` between folders."""
        return list(self._entries)

    def _files(self) -> Iterator[tuple[str, zipfile.ZipInfo]]:
        """Regular files; no folders, no links, nothing that a system put there for itself."""
        for entry in self._zip.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            parts = entry.filename.replace("\\", "/").split("/")
            if entry.is_dir() or kind not in (0, stat.S_IFREG):
                continue
            if parts[0] == "__MACOSX" or parts[-1].startswith("."):
                continue
            yield "/".join(part for part in parts if part not in ("", ".")), entry

    def read(self, name: str, most: int) -> bytes:
        """The bytes of one of `names`, at most `most`.

        Raises
        ------
        SettingsError
            It is larger, encrypted, packed in a way that is not taken, or damaged; or the entries
            together are larger than the limit.
        """
        entry = self._entries[name]
        if entry.flag_bits & 1:
            raise SettingsError(f"{self.name} is encrypted: make a zip without a password.")
        if entry.compress_type not in _METHODS:
            raise SettingsError(
                f"{name} in {self.name} is packed by a method that is not taken: make the zip with "
                "deflate, the usual one, or without compression."
            )
        allowed = min(most, self.left)
        try:
            with self._zip.open(entry) as file:
                data = file.read(allowed + 1)
        except _BROKEN as problem:
            raise self._damaged() from problem
        if len(data) > self.left:
            raise SettingsError(
                f"{self.name} is larger than {self.limit >> 20} MB unpacked: make several."
            )
        if len(data) > most:
            raise SettingsError(f"{name} in {self.name} is larger than {most >> 20} MB.")
        self.left -= len(data)
        return data

    def _damaged(self) -> SettingsError:
        return SettingsError(f"{self.name} is damaged or no zip: make it again.")
