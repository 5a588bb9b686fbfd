"""Where the browser of the browser tests is."""

from __future__ import annotations

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
ADVICE = "No Chromium found: install it (Debian: apt install chromium), or set MODGAP_CHROMIUM."


def find_chromium() -> str:
    """Path of Chromium or Chrome; without one the test is skipped, or fails where it must run."""
    named = os.environ.get("MODGAP_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if os.environ.get("MODGAP_REQUIRE_BROWSER"):
            pytest.fail(ADVICE)
        pytest.skip(ADVICE)
    return path
