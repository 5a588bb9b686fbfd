"""The explorer with a model that needs minutes: for what happens while it works."""

from __future__ import annotations

import logging
import time
from typing import Any

import streamlit as st

import modgap.ui.server.service
from modgap.ui.server.jobs import Progress

logging.basicConfig()
logging.getLogger("modgap.ui").setLevel(logging.INFO)


def run(self: Any, request: Any, progress: Progress) -> None:
    for step in range(6000):
        time.sleep(0.05)
        progress(step / 6000, "slow work")


modgap.ui.server.service.Service._run = run  # type: ignore[method-assign, assignment]
app = st.App("../../modgap/ui/main.py")
