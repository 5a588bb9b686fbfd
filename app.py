"""The explorer's server: `streamlit run app.py`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

import modgap.ui
from modgap.ui.server.history import OneEntryPerPage
from modgap.ui.server.logs import bound_logs
from modgap.ui.server.security import SecurityHeaders

# The entry script lies away from pages/: beside it, Streamlit would take that folder for its older
# way of listing pages and open deep links under a "Page not found" dialog.
ENTRY = Path(modgap.ui.__file__).resolve().with_name("main.py")

bound_logs()
app = st.App(ENTRY, middleware=[Middleware(SecurityHeaders), Middleware(OneEntryPerPage)])
