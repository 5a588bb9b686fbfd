"""Runs on the pages: which one is looked at, its filters, and results that sessions share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.core.errors import ModgapError
from modgap.core.names import seen, unused_name
from modgap.ui import widgets
from modgap.ui.server.operator_models import model_options
from modgap.ui.server.shared_cache import SharedCache
from modgap.ui.session import clip_in_use, inputs
from modgap.ui.session.inputs import RUN, RUN_PATH, only
from modgap.ui.session.state import ClipRef, visit

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from modgap.gap.run_data import Run

OPEN_RUNS = 4
NO_GROUP = "none"
PATHS = "MODGAP_RUN_PATHS"  # 0: visitors may open no run by its path


class RunCache:
    """Open runs and what was asked of them, for all sessions."""

    def __init__(self) -> None:
        self.runs: SharedCache[str, Run] = SharedCache(OPEN_RUNS)
        self.results: SharedCache[str, Any] = SharedCache(256)


@st.cache_resource(show_spinner=False)
def run_cache() -> RunCache:
    """What this server process keeps."""
    return RunCache()


def may_open_paths() -> bool:
    """Whether a visitor may name a folder: only where nobody but this machine's user can be one."""
    from modgap.core.network import is_loopback

    address = str(st.get_option("server.address") or "")
    return is_loopback(address) and os.environ.get(PATHS, "1") != "0"


def opened(folder: Path) -> Run:
    """A run, opened again when its files have changed.

    Raises
    ------
    ModgapError
        It cannot be read.
    """
    from modgap.gap.run_data import open_run
    from modgap.gap.run_database import signature_of

    key = f"{folder}|{signature_of(folder)}"
    return run_cache().runs.once(key, lambda: open_run(folder))


def ask(run: Run, name: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``call(run, *args, **kwargs)``, kept under `name` and the arguments."""
    said = json.dumps([args, kwargs], sort_keys=True, default=str)
    key = f"{run.path}|{run.signature}|{name}|{said}"
    return run_cache().results.once(key, lambda: call(run, *args, **kwargs))


def choose(purpose: str, row: DeltaGenerator) -> Run | None:
    """The run that is looked at, chosen in `row`, or None after a word on why there is none."""
    from modgap.gap.run_folders import known_runs

    known = known_runs()
    here = visit().runs
    folders = known | {name: Path(path) for name, path in here.own.items() if name not in known}
    if here.next is not None:
        RUN.value, here.next = here.next, None
    named = visit().link.get("set")
    if not RUN.is_set and named is not None:
        if named in folders:
            RUN.value = named
        else:
            visit().notice = (
                f"The run {named} of this link is not on this server. Open its folder by its path, "
                "or name it with `modgap app --run FOLDER`."
            )
    if RUN.get("") not in folders:
        RUN.drop()
    with row:
        if folders:
            st.selectbox(
                "Run", list(folders), key=RUN.key, width=200, persist_state="session",
                format_func=seen,
                help="Answers and similarities of models on a data set, as `modgap eval` "
                "writes them.",
            )  # fmt: skip
        if may_open_paths():
            with st.popover("By path"):
                st.text_input(
                    "Folder of a run", key=RUN_PATH.key, placeholder="/data/runs/mine",
                    max_chars=1000,
                )  # fmt: skip
                st.button("Open", on_click=_open_path, key="run_open")
    if here.problem is not None:
        widgets.error(here.problem)
        here.problem = None
    if not folders:
        st.info(
            f"**No run to {purpose} yet.** Make one with `modgap eval --data demo --model "
            "demo:lora@1 --model demo --inputs text,speech --out runs/mine`, and start the "
            "explorer with `modgap app --run runs/mine`."
        )
        return None
    try:
        run = opened(folders[RUN.value])
    except ModgapError as problem:
        widgets.error(str(problem))
        return None
    if not run.models:
        widgets.notice(f"The run {run.name} has no answers yet.")
        return None
    return run


def _open_path() -> None:
    from modgap.gap.run_database import is_run

    here = visit().runs
    text = RUN_PATH.get("").strip()
    folder = Path(text).expanduser()
    if not text or not folder.is_absolute():
        here.problem = "Give the whole path of the run's folder."
        return
    try:
        there = is_run(folder)
    except (OSError, ValueError):
        there = False
    if not there:
        here.problem = f"There is no run in {folder.name}: it has no run.json."
        return
    from modgap.gap.run_folders import known_runs

    others = {name for name, path in here.own.items() if path != str(folder)}
    name = unused_name(folder.name or "run", others | set(known_runs()))
    here.own[name] = str(folder)
    here.next = name


def facets(run: Run) -> dict[str, tuple[str, ...]]:
    """Facets that tell questions apart: those with more than one value."""
    return {f: v for f, v in run.facets.items() if len(v) > 1}


def filters(run: Run) -> dict[str, list[str]]:
    """A button with a choice of values for each facet."""
    known, here = facets(run), visit().runs
    if here.filters_of != run.name:
        wanted: dict[str, list[str]] = {}
        if here.filters_of is None:
            for text in visit().link.get("only", ()):
                facet, _, value = text.partition(":")
                if value in known.get(facet, ()):
                    wanted.setdefault(facet, []).append(value)
        for facet in known:
            only(facet).value = wanted.get(facet, [])
        here.filters_of = run.name
    chosen = {f: list(only(f).get([]) or ()) for f in known}
    count = sum(map(len, chosen.values()))
    if not known:
        return {}
    with st.popover(f"Filters ({count})" if count else "Filters"):
        for facet, values in known.items():
            st.multiselect(
                seen(facet).capitalize(), values, key=only(facet).key, placeholder="all",
                persist_state="session", format_func=seen,
            )  # fmt: skip
    return {f: v for f, v in chosen.items() if v}


def stem(run: Run, *parts: str, where: dict[str, list[str]] | None = None) -> str:
    """The beginning of the names of files saved from a run: its name, parts, and filters."""
    from modgap.figures.text import file_name

    chosen = [value for values in (where or {}).values() for value in values]
    return "-".join(["modgap", *(file_name(p) for p in (run.name, *parts, *chosen) if p)])[:120]


def subject(run: Run, *more: str, where: dict[str, list[str]] | None = None) -> str:
    """What files of a run are of, for their titles."""
    chosen = [f"{f}: {', '.join(values)}" for f, values in (where or {}).items()]
    return " · ".join((f"run {run.name}", *(m for m in more if m), *chosen))


def link_of(run: Run, where: dict[str, list[str]]) -> dict[str, Any]:
    """What the address says of run and filters."""
    only = tuple(f"{facet}:{value}" for facet, values in where.items() for value in values)
    return {"set": run.name, "only": only}


def finals(run: Run, models: Sequence[str] | None = None) -> list[str]:
    """Checkpoints that are not on the way to another."""
    from modgap.gap import run_data

    return run_data.finals(models or run.models)


def open_clip(run: Run, question: str, model: str) -> bool:
    """Make a question's clip the one in use on all pages; False if it is not there."""
    from modgap.gap.run_folders import find_question

    try:
        with st.spinner("Getting the clip ..."):
            found = find_question(run, question)
            sound = found.load()
        name = f"{question.replace('/', '-')}.wav"[:80]
        ref = ClipRef(
            "question", question, name, sound.wav_bytes(), found.reference or None,
            found.instruction, run.name,
        )  # fmt: skip
        clip_in_use.use_clip(ref, found.transcript, found.instruction)
    except (ModgapError, OSError) as problem:
        visit().runs.clip_problem = f"The clip cannot be opened: {problem}"
        return False
    use_model(model)
    return True


def show_clips_of(model: str) -> None:
    """Have the Modality gap page open with a checkpoint and its clips."""
    inputs.SUBJECT.value = model
    for widget, value in ((inputs.CHANGE, "LOST"), (inputs.SORT, "question")):
        widget.value = widget.get(value)
    visit().runs.models_of = RUN.value
    inputs.CHECKPOINTS.value, inputs.GROUP.value = [model], NO_GROUP


def use_model(model: str) -> bool:
    """Make a checkpoint the sidebar's, if this server has it."""
    if model not in model_options():
        return False
    visit().next_model = model
    return True
