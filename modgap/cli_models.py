"""The rows of `modgap models`."""

from __future__ import annotations

from .cli_render import size


def rows() -> list[tuple[str, str, str, str, str]]:
    """Name, kind, state, size and description of every model that can be named."""
    from .models import list_models

    cached = _downloaded()
    found = []
    for entry in list_models():
        kind, state, held = "embedded", "ready", "-"
        if not entry.shipped:
            kind, state = "hub", "fetched when first used"
            if entry.name in cached:
                state, held = "downloaded", size(cached[entry.name])
        found.append((entry.name, kind, state, held, entry.description))
    return found


def _downloaded() -> dict[str, int]:
    """Bytes on this machine of each model from the hub."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        return {repo.repo_id: repo.size_on_disk for repo in scan_cache_dir().repos}
    except (CacheNotFound, OSError, ValueError):
        return {}
