"""The entry script of every run: settings, address, sidebar, page, and the running job.

The order matters. What has finished or come by the address is taken over before any widget is made;
what polls is called last, since Streamlit may lose elements that come after it.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from modgap.ui import PAGES, deferred, jobs_panel, navigation, sidebar
from modgap.ui.model_info import about_model
from modgap.ui.server.service import service
from modgap.ui.session import address, result_shown

STYLE = Path(__file__).parent / "static" / "page.css"
ICON = Path(__file__).parent / "static" / "icon.svg"

pages = [
    st.Page(PAGES / "clip.py", title="Clip", default=True),
    st.Page(PAGES / "layers.py", title="Layers"),
    st.Page(PAGES / "alignment.py", title="Alignment"),
    st.Page(PAGES / "interventions.py", title="Interventions"),
    st.Page(PAGES / "decided.py", title="Localize"),
    st.Page(PAGES / "compare.py", title="Compare"),
    st.Page(PAGES / "gap.py", title="Modality gap"),
    st.Page(PAGES / "correlation.py", title="Similarity vs gap"),
]
page = st.navigation(pages, position="hidden")
st.set_page_config(page_title=f"{page.title} · modgap", page_icon=ICON, layout="wide")

address.turn_page(page.url_path)
address.restore()
result_shown.collect()
st.html(f"<style>{STYLE.read_text('utf-8')}</style>")
about = sidebar.sidebar()
navigation.navigation(pages)
panel = st.container(key="job_panel")
page.run()
sidebar.permalink(address.publish())
service()  # begins to import what the first analysis needs, now that the page has been sent
sidebar.not_kept()
with about:
    about_model()
with panel:
    jobs_panel.jobs_panel()
deferred.watch()
