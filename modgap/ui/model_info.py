"""What the sidebar says of the chosen model: what it needs here, and how it was checked."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.core.errors import ModgapError
from modgap.ui.server.models import ModelChoice, ModelPool
from modgap.ui.server.preload import import_libraries, imported
from modgap.ui.server.service import service
from modgap.ui.server.shared_cache import SharedCache
from modgap.ui.session import model_in_use
from modgap.ui.widgets import plain

if TYPE_CHECKING:
    from modgap.analysis.fidelity_checks import Check
    from modgap.analysis.fidelity_report import CheckReport
    from modgap.models.loading.memory import Fit, MemoryEstimate

POLL_SECONDS = 1.0
PATIENCE = 0.4  # seconds that a script run waits for an estimate
RETRY_SECONDS = 60.0  # a hub out of reach may be back


@dataclass(frozen=True)
class Known:
    """An estimate, or why there is none."""

    estimate: MemoryEstimate | None
    error: str = ""
    when: float = field(default_factory=time.monotonic)

    @property
    def stale(self) -> bool:
        """Whether it is time to try again."""
        return bool(self.error) and time.monotonic() - self.when > RETRY_SECONDS


class Estimates:
    """Estimates of models, made one after the other beside the pages; a config may be far away."""

    def __init__(self) -> None:
        self._found: SharedCache[ModelChoice, Known] = SharedCache(256)
        self._asked: set[ModelChoice] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="modgap-estimate")

    def get(self, choice: ModelChoice) -> Known | None:
        """What is known of a model; None while it is being found out."""
        found = self._found.get(choice)
        if found is None or found.stale:
            with self._lock:
                if choice not in self._asked:
                    self._asked.add(choice)
                    self._threads.submit(self._find, choice)
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _find(self, choice: ModelChoice) -> None:
        try:
            import_libraries()
            from modgap.models.loading.memory import estimate_memory

            options: dict[str, Any] = choice.options
            found = Known(estimate_memory(choice.name, **options))
        except ModgapError as problem:
            found = Known(None, str(problem))
        except Exception as problem:
            found = Known(None, f"Its memory cannot be estimated ({type(problem).__name__}).")
        self._found.put(choice, found)
        with self._lock:
            self._asked.discard(choice)


@st.cache_resource(show_spinner=False, on_release=Estimates.close)
def estimates() -> Estimates:
    """The estimates of this server process."""
    return Estimates()


def about_model() -> None:
    """Say it; called late in the script: it polls until the estimate has come."""
    option, choice = model_in_use.option(), model_in_use.choice()
    if option is None or choice is None:
        return
    known = _soon(choice)
    if known is not None:
        _needs(choice, option.id, known)
        _checked(choice)
        _offers(choice)
        return
    _checked(choice)
    _offers(choice)

    @st.fragment(run_every=POLL_SECONDS)
    def wait() -> None:
        if estimates().get(choice) is not None:
            st.rerun()  # a whole run draws it, and polls no longer

    wait()


def _soon(choice: ModelChoice) -> Known | None:
    """The estimate, if it is there at once: most take less than a blink, a far config does not."""
    end = time.monotonic() + PATIENCE
    while (known := estimates().get(choice)) is None and time.monotonic() < end and imported():
        time.sleep(0.01)
    return known


def fit_here(pool: ModelPool, choice: ModelChoice, estimate: MemoryEstimate) -> Fit:
    """Compare with this machine, once the models in memory have gone."""
    from modgap.models.loading.memory import Machine

    machine = Machine.here().with_more(pool.held())
    return estimate.fit(machine, choice.options["device"], choice.device_map)


def report_of(choice: ModelChoice) -> CheckReport | None:
    """The fidelity report of a model that was loaded before, if the cache has one."""
    info = service().pool.info(choice)
    if info is None:
        return None
    from modgap.analysis.fidelity_report import cached_report

    device = str(info["device"]).partition(":")[0]
    return cached_report(info["identity"], device, service().store)


def _needs(choice: ModelChoice, label: str, known: Known) -> None:
    if known.estimate is None:
        st.warning(plain(known.error.replace(choice.name, label)))
        return
    fit = fit_here(service().pool, choice, known.estimate)
    if fit.verdict == "fits":
        st.caption(plain(fit.sentence))
    else:
        st.warning(plain(fit.sentence))


def _offers(choice: ModelChoice) -> None:
    """What a model that was loaded cannot do, and why; nothing for one that does everything."""
    info = service().pool.info(choice)
    missing = {} if info is None else info["unsupported"]
    if missing:
        with st.expander(f"Not offered by this checkpoint: {len(missing)}"):
            for name, why in missing.items():
                st.caption(f"**{plain(name.replace('_', ' '))}**: {plain(why)}")


def _checked(choice: ModelChoice) -> None:
    report = report_of(choice)
    if report is None:
        return
    text = f"Checked {report.created[:10]}: {report.sentence}."
    if report.listening is not None:
        text += f" In {report.listening.dtype} {report.listening.sentence}."
    if report.accepted:
        st.caption(plain(text))
    else:
        st.warning(plain(text))
    with st.popover("What was checked", width="stretch"):
        st.caption(
            "Against plain transformers; differences in units of the dtype's epsilon. "
            "The same on the command line: `modgap check`."
        )
        # A plain table: the other kind comes with a library that the first page would wait for.
        st.table([_row(check) for check in report.checks])


def _row(check: Check) -> dict[str, str]:
    ran = check.epsilons is not None
    return {
        "check": plain(check.name),
        "prompt": check.prompt,
        "dtype": check.dtype,
        "epsilons": f"{check.epsilons:.3g}" if ran else "",
        "limit": f"{check.limit:g}" if ran else "",
        "result": {True: "pass", False: "fail", None: "not run"}[check.passed],
        "note": plain(check.note),
    }
