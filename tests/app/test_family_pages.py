"""The pages on a folder of every family."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from modgap.interventions.intervention import Intervention
from modgap.models.loading.load import load_model
from modgap.ui.server.service import service
from modgap.ui.session import asking
from tests.app.conftest import finish, go, visit_of
from tests.families.makers import MAKERS


@pytest.mark.parametrize("family", sorted(MAKERS))
def test_every_page_shows_a_tiny_checkpoint(
    family: str,
    open_app: Callable[..., Any],
    family_folder: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = family_folder(family)
    monkeypatch.setenv("MODGAP_MODELS", json.dumps([str(folder)]))
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    st.cache_resource.clear()
    at = finish(open_app(example="ex0", model=folder.name))
    assert not at.error, [e.value for e in at.error]
    analysis = service().result(visit_of(at).shown.key)
    assert analysis is not None
    assert analysis.model["model_type"] == family
    missing = {name: why for name, why in load_model(folder).support().items() if why}
    said = " ".join(c.value for c in at.sidebar.caption)
    for name in missing:
        assert f"**{name.replace('_', ' ')}**" in said
    for page in ("layers", "alignment", "interventions", "decided"):
        go(at, page)
        assert not at.error, (page, [e.value for e in at.error])
        assert at.get("plotly_chart") or at.get("bidi_component")
    at.segmented_control(key="wd_show").set_value("lens").run()
    assert not at.error
    lens = list(service()._made._items.values())[-1][0]
    assert lens.speech.tokens.shape[1] == len(analysis.speech_times)
    go(at, "interventions")
    at.segmented_control(key="iv_rule").set_value("patch").run()
    assert not at.error
    found = list(service()._made._items.values())[-1][0]
    assert found.interventions == (Intervention(rule="patch"),)
    assert found.before.text == analysis.answers["speech"].text
