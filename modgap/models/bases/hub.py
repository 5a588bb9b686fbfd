"""The publishers' repositories: addresses and logins by the hub's client, bytes by `transfer`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from modgap.core.errors import ModelError
from modgap.models.bases.sources import Held, Hub, check

__all__ = ["address", "already_here", "check_online"]


def check_online() -> None:
    """Refuse where the hub's client is set to stay offline.

    Raises
    ------
    ModelError
        It is.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise ModelError(
            "The hub's client is set to stay offline: unset HF_HUB_OFFLINE, or use `modgap fetch` "
            "without --from hub."
        )


def address(hub: Hub, held: Held) -> tuple[str, dict[str, str]]:
    """Where a file is asked for (``HF_ENDPOINT`` counts), and what is sent along."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers

    url = f"{constants.ENDPOINT}/{hub.repo}/resolve/{hub.revision}/{held.path}"
    headers = {k: v for k, v in build_hf_headers(library_name="modgap").items() if v is not None}
    return url, headers


def already_here(hub: Hub, held: Held) -> Path | None:
    """The right file in the cache of the hub's client, if another program has fetched it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub.repo, held.path, revision=hub.revision)
    if isinstance(found, str):
        with contextlib.suppress(ModelError, OSError):
            return check(Path(found), held.size, held.sha256)
    return None
