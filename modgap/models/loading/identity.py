"""A fingerprint of everything in a checkpoint that decides the numbers."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modgap.models.template import TODAY, is_dated

#: Weights of folders up to this size are hashed in full, larger ones by what is known of them.
FULL_HASH_BYTES = 512 * 2**20

# Where a checkpoint came from and what wrote it does not change what it computes.
_IGNORED = frozenset({"_name_or_path", "name_or_path", "transformers_version", "_commit_hash"})


def identity(
    config: dict[str, Any],
    processor: Any,
    folder: Path | None,
    commit: str | None,
    parts: Sequence[str] = (),
) -> str:
    """Hash a checkpoint's config, weights, tokenizer, chat template and feature extractor.

    The weights count in full up to `FULL_HASH_BYTES`; above it as the headers (names, shapes,
    offsets), sizes and modification times of the safetensors files, so a large folder that is
    copied counts as another model. A checkpoint from the hub counts as its commit.

    Parameters
    ----------
    config : dict
        The checkpoint's config.json, as read.
    processor : transformers.ProcessorMixin
    folder : Path or None
        A local checkpoint's folder.
    commit : str or None
        A hub checkpoint's commit hash.
    parts : sequence of str
        Subfolders of the folder that hold weights, too.

    Returns
    -------
    str
        SHA-256 in hexadecimal. The same weights under another name have the same.
    """
    digest = hashlib.sha256()

    def feed(part: bytes) -> None:
        digest.update(struct.pack("<Q", len(part)))
        digest.update(part)

    feed(_canonical(config))
    feed(processor.tokenizer.backend_tokenizer.to_str().encode())
    feed(str(processor.chat_template).encode())
    if is_dated(processor.chat_template):
        feed(TODAY.isoformat().encode())
    if processor.feature_extractor is not None:
        extractor = processor.feature_extractor.to_dict()
        extractor.pop("mel_filters", None)
        feed(_canonical(extractor))
    if folder is None:
        feed(f"commit {commit}".encode())
        return digest.hexdigest()
    files = [f for part in ("", *parts) for f in sorted((folder / part).glob("*.safetensors"))]
    if sum(f.stat().st_size for f in files) <= FULL_HASH_BYTES:
        for file in files:
            feed(hashlib.sha256(file.read_bytes()).digest())
    else:
        for file in files:
            stat = file.stat()
            feed(_header(file) + struct.pack("<QQ", stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest()


def held_identity(
    plain: str, *, quantize: str | None, adapter: str | None, code: str | None = None
) -> str:
    """The fingerprint of a checkpoint as it is held: with rounded weights, an adapter, own code.

    Parameters
    ----------
    plain : str
        What `identity` gives; also the result where neither is asked for.
    quantize : "8bit", "4bit" or None
    adapter : str or None
        Fingerprint of the adapter.
    code : str, optional
        Fingerprint of the code of a family that is not of the package.
    """
    if quantize is None and adapter is None and code is None:
        return plain
    parts = [plain, quantize, adapter, *([code] if code else [])]
    return hashlib.sha256(_canonical(parts)).hexdigest()


def _header(file: Path) -> bytes:
    with file.open("rb") as stream:
        (size,) = struct.unpack("<Q", stream.read(8))
        return stream.read(size)


def _canonical(value: Any) -> bytes:
    def clean(node: Any) -> Any:
        if isinstance(node, dict):
            return {str(k): clean(v) for k, v in node.items() if k not in _IGNORED}
        return [clean(v) for v in node] if isinstance(node, list | tuple) else node

    return json.dumps(clean(value), sort_keys=True, default=str).encode()
