"""Where modgap's own files lie and where it keeps results: in a checkout, or installed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["cache_folder", "checkout", "explorer_folder", "in_the_way", "not_written",
           "shipped_runs_folder"]  # fmt: skip

PACKAGE = Path(__file__).resolve().parents[1]
#: Inside an installed package: what lies beside it in a checkout. `setup.py` puts it there.
CARRIED = "explorer"


def checkout() -> Path | None:
    """The checkout that this package is imported from; None where it was installed from a wheel."""
    beside = PACKAGE.parent
    installed = (PACKAGE / CARRIED).is_dir() or not (beside / "app.py").is_file()
    return None if installed else beside


def explorer_folder() -> Path:
    """The folder of ``app.py``, ``pages/`` and ``.streamlit/``; only to read where installed."""
    return checkout() or PACKAGE / CARRIED


def shipped_runs_folder() -> Path:
    """The folder of the runs that came with modgap; only to read where it is installed."""
    return explorer_folder() / "cache" / "runs"


def cache_folder() -> Path:
    """The folder for results, whether it exists or not.

    ``$MODGAP_CACHE`` where that is set. Else, from a checkout, ``cache`` in the working directory,
    and from an installed package this user's cache folder.
    """
    named = os.environ.get("MODGAP_CACHE")
    if named:
        return Path(named)
    if checkout() is not None:
        return Path("cache")
    from platformdirs import user_cache_path

    return user_cache_path("modgap", appauthor=False)


def in_the_way(folder: Path) -> Path | None:
    """What stands where a folder should be: itself or one that it lies in, and is no folder."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            return None if place.is_dir() else place
    return None


def not_written(folder: Path, problem: OSError) -> str:
    """Why the cache cannot be written, and what to do: two sentences at most.

    Parameters
    ----------
    folder : Path
        Of the cache, or in it.
    problem : OSError
        What the system says.
    """
    place = in_the_way(folder)
    if place is not None:
        return (
            f"The cache folder {folder} cannot be written: {place.name} is there, and is no "
            "folder. Move it away, or set MODGAP_CACHE to a folder of your own."
        )
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"The disk of the cache folder {folder} is full ({problem.strerror}): free some space, "
            "run `modgap cache clear`, or set MODGAP_CACHE to a folder on another disk."
        )
    return (
        f"The cache folder {folder} cannot be written ({problem.strerror or problem}): check who "
        "may write there, or set MODGAP_CACHE to a folder of your own."
    )
