"""What from_pretrained may raise, which is nearly anything, in one sentence each."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from modgap.core.errors import ModelError

_NO_MEMORY = ("not enough memory", "can't allocate memory", "Cannot allocate memory")


@contextmanager
def explained(name: str, folder: Path | None) -> Iterator[None]:
    """Turn what goes wrong inside into a `ModelError` that says what to do."""
    try:
        yield
    except ModelError:
        raise
    except Exception as err:
        raise ModelError(_explain(name, folder, err)) from err


def _explain(name: str, folder: Path | None, err: Exception) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    causes: list[BaseException] = []
    cause: BaseException | None = err
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__

    def caused(*kinds: type[BaseException]) -> bool:
        return any(isinstance(c, kinds) for c in causes)

    text = first_line(err)
    if caused(torch.OutOfMemoryError):
        return (
            f"{name} does not fit into the GPU's memory: try quantize 8bit or 4bit, a device map, "
            "or a smaller model; `modgap models info` tells what it needs."
        )
    # The CPU's allocator says it in words of its own, which are not the same on every system.
    if caused(MemoryError) or any(words in str(err) for words in _NO_MEMORY):
        return (
            f"{name} does not fit into memory: try dtype bfloat16, a smaller model or a device "
            "map; `modgap models info` tells what it needs."
        )
    if any(isinstance(c, OSError) and c.errno == errno.ENOSPC for c in causes):
        return (
            f"The disk is full, so {name} cannot be fetched: free some space, or set HF_HOME to a "
            "folder on another disk."
        )
    if caused(json.JSONDecodeError) or "not a valid JSON" in str(err):
        return f"A JSON file of {name} is damaged: get the checkpoint's files again."
    if folder is None:
        if caused(GatedRepoError):
            return (
                f"{name} is gated: accept its terms on the hub, then log in with `hf auth login`."
            )
        if caused(RevisionNotFoundError):
            return f"{name} has no such revision: name one of its branches, tags or commits."
        if caused(RepositoryNotFoundError):
            return f"The hub knows no model {name} (or it is private): check the id."
        refusal = next((c for c in causes if isinstance(c, HfHubHTTPError)), None)
        if refusal is not None:
            return _refused(name, refusal)
        if caused(LocalEntryNotFoundError, OfflineModeIsEnabled):
            return (
                f"{name} is not on this machine and the hub cannot be reached: check the network, "
                "or name a folder that holds the checkpoint."
            )
    if "safetensors" in str(err) and isinstance(err, OSError):
        return f"{name} has no weights in safetensors files; other formats are not loaded."
    if any("tokenizer" in str(c).lower() for c in causes):
        return (
            f"The tokenizer of {name} cannot be read: are its tokenizer files there? ({text[:150]})"
        )
    if "feature extractor" in str(err):
        return f"{name} has no readable feature extractor: is its preprocessor_config.json there?"
    return f"{name} cannot be loaded: {text[:200]}"


def _refused(name: str, err: Any) -> str:
    """The hub, or what stands before it, gave an error that says nothing of the model."""
    status = getattr(err.response, "status_code", 0)
    advice = (
        "try again later"
        if status == 429 or status >= 500
        else "check your access to the hub (`hf auth login`, the proxy)"
    )
    return (
        f"{name} is not on this machine as a whole, and the hub answered {status}: {advice}, or "
        "name a folder that holds the checkpoint."
    )


def first_line(err: BaseException) -> str:
    """Return the first line of an error's message, without its full stop."""
    lines = str(err).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(err).__name__
