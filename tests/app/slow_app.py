"""The explorer with a model that needs minutes: for what happens while it works."""

from __future__ import annotations

import logging
import time
from typing import Any

import streamlit as st

from modgap.ui.server.jobs import Progress
from modgap.ui.server.requests import AnalysisRequest

logging.basicConfig()
logging.getLogger("modgap.ui").setLevel(logging.INFO)


def make(self: AnalysisRequest, server: Any, progress: Progress) -> None:
    for step in range(6000):
        time.sleep(0.05)
        progress(step / 6000, "slow work")


AnalysisRequest.make = make  # type: ignore[method-assign, assignment]
app = st.App("../../modgap/ui/main.py")
