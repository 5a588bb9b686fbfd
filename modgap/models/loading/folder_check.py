"""A checkpoint's folder before anything reads it: plain files, and weights of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from modgap.core.errors import ModelError
from modgap.core.foreign_files import read_json

__all__ = ["check_folder"]

_READ = (".json", ".jinja", ".model", ".safetensors", ".txt")
_INDEX = ".safetensors.index.json"
_AGAIN = "get the checkpoint's files again"


def check_folder(name: str, folder: Path) -> None:
    """Refuse a checkpoint with pipes among its files, or with an index that leads out of it.

    transformers reads whatever file an index names. Weights of another folder would be none that
    the checkpoint's identity is of, so that their numbers would be kept under a wrong key.

    Parameters
    ----------
    name : str
        For the message.
    folder : Path
        It and its own folders with a config, the parts of a composite, are looked at.

    Raises
    ------
    ModelError
        With the file that is wrong.
    """
    for path in _files(folder):
        if path.exists() and not path.is_file():  # it would be waited for without end
            raise ModelError(f"{path.name} of {name} is not a plain file: {_AGAIN}.")
        if path.name.endswith(_INDEX):
            _check_index(name, path)


def _files(folder: Path) -> Iterator[Path]:
    parts = [p for p in folder.iterdir() if p.is_dir()]
    configs = ("config.json", "adapter_config.json")
    for part in (folder, *(p for p in parts if any((p / c).exists() for c in configs))):
        yield from (p for p in part.iterdir() if p.suffix in _READ and not p.is_dir())


def _check_index(name: str, path: Path) -> None:
    try:
        found = read_json(path)
        files = set(found["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ModelError(f"The index {path.name} of {name} is damaged: {_AGAIN}.") from problem
    for file in files:
        # Both separators are known to it, whatever this system takes for one.
        named = isinstance(file, str) and file not in ("", ".", "..")
        if not named or PureWindowsPath(file).name != file:
            raise ModelError(
                f"The index {path.name} of {name} names {str(file)[:80]!r}, which is not a file "
                f"beside it: {_AGAIN}."
            )
