"""Where modgap's own files lie and where it keeps results: in a checkout, or installed."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder", "checkout", "explorer_folder", "shipped_runs_folder"]

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
