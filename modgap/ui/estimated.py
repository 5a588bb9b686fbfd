"""What takes long is begun by a click, once its cost is known; what is there is shown at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.ui import first_fetch, guards, widgets
from modgap.ui.server.requests import EditRequest, EstimateRequest
from modgap.ui.server.service import service
from modgap.ui.session import asking
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    from modgap.analysis.estimate import Estimate

#: Seconds up to which something is begun unasked.
UNASKED = 5.0


def ask(wanted: EditRequest, *, key: str, what: str, way_on: str = "") -> Any | None:
    """The result; else None after a word on what is done or what it would cost.

    Parameters
    ----------
    wanted : EditRequest
    key : str
        Of the buttons.
    what : str
        On the button, such as "the map".
    way_on : str
        Said where it failed: what can be done instead.
    """
    here = visit()
    # The estimate, too, asks where the words are.
    unaligned = wanted.needs_words and service().found(wanted) is None
    if unaligned and not first_fetch.is_here("Aligned spans need a recogniser", key=key):
        return None
    if wanted.signature not in here.started and service().found(wanted) is None:
        estimate = EstimateRequest(wanted)
        costs: Estimate | None = asking.ask(estimate)
        if costs is None:
            failed = guards.failed(estimate, key=f"{key}_estimate_again")
            st.caption(way_on if failed else "Estimating the cost …")
            return None
        if not costs.cached and costs.seconds > UNASKED:
            with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_costs"):
                st.button(
                    f"Compute {what}", type="primary", key=f"{key}_start",
                    on_click=here.started.add, args=(wanted.signature,),
                )  # fmt: skip
                st.caption(
                    f"{costs.passes:,} passes through the model, about "
                    f"{widgets.seconds(costs.seconds)} by the rate of the last ones."
                )
            return None
    found = asking.ask(wanted)
    if found is None:
        failed = guards.failed(wanted, key=f"{key}_again")
        st.caption(way_on if failed else "Computing…")
    return found
