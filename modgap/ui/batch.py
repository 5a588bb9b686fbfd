"""A new run of a visitor's own files: sounds and a manifest, asked as `modgap eval` asks them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from modgap.audio.clip import MAX_BYTES
from modgap.audio.formats import SUFFIXES
from modgap.core.errors import ModgapError
from modgap.core.folders import cache_folder
from modgap.core.names import unused_name
from modgap.evaluation.data.uploaded import TABLES, Laid, UploadLimits, lay_down
from modgap.speech.base import EMBEDDED
from modgap.ui import first_fetch, runs, widgets
from modgap.ui.server.operator_models import model_options
from modgap.ui.server.service import service
from modgap.ui.session import asking, inputs, model_in_use
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    from modgap.evaluation.runs.run_settings import RunSettings
    from modgap.ui.server.batch_request import BatchRequest

MOST_MODELS = 4
TEMPLATE = (
    "audio,transcript,reference\r\n"
    "sound-1.wav,What is two plus two?,4\r\n"
    'sound-2.wav,"Which is larger, a mouse or an elephant?",elephant\r\n'
)


def section() -> None:
    """Where a run of own files begins, and what became of the last one; call it before `choose`."""
    follow()
    limits = UploadLimits.of_operator()
    if not limits.clips:
        return
    here = visit().runs
    with st.expander("New run of your own files", key="batch"):
        st.markdown(
            f"Sounds and **one manifest** ({', '.join(TABLES)}), or a zip of both: up to "
            f"{limits.clips:,} clips and {limits.megabytes:,} MB, each file up to "
            f"{min(MAX_BYTES >> 20, int(st.get_option('server.maxUploadSize')))} MB. The manifest "
            "has a row for each clip with the columns `audio` (the file's name), `transcript` and "
            "`reference` (the right answer); `id`, `instruction`, `scorer`, `choices`, and groups "
            "such as `voice` or `condition` may be there, too. Every clip is asked as speech and "
            "as text, as by `modgap eval`."
        )
        st.file_uploader(
            "Files",
            type=["zip", *(t[1:] for t in TABLES), *SUFFIXES],
            accept_multiple_files=True,
            key=inputs.BATCH_FILES.key,
            label_visibility="collapsed",
        )
        _settings()
        with st.container(horizontal=True, vertical_alignment="center"):
            busy = here.batch is not None and _stopped(here.batch) is None
            st.button(
                "Run", type="primary", key="batch_start", on_click=_start,
                disabled=busy or not inputs.BATCH_FILES.get([]),
            )  # fmt: skip
            st.download_button(
                "An example manifest", TEMPLATE.encode(), "manifest.csv", "text/csv",
                key="batch_template", on_click="ignore", type="tertiary",
            )  # fmt: skip
            if inputs.BATCH_PIPELINE.get(False):
                first_fetch.remark()
    _state()


def _settings() -> None:
    options, chosen = list(model_options()), model_in_use.option()
    if not inputs.BATCH_MODELS.is_set:
        inputs.BATCH_MODELS.value = [chosen.id] if chosen else []
    inputs.BATCH_MODELS.value = [m for m in inputs.BATCH_MODELS.value if m in options]
    left, middle, right = st.columns([2, 3, 3], vertical_alignment="bottom")
    left.text_input(
        "Name of the run", key=inputs.BATCH_NAME.key, max_chars=60,
        placeholder="that of the manifest", persist_state="session",
    )  # fmt: skip
    middle.multiselect(
        "Models", options, key=inputs.BATCH_MODELS.key, max_selections=MOST_MODELS,
        placeholder="Choose models", persist_state="session",
    )  # fmt: skip
    right.text_input(
        "Typed instruction (optional)", key=inputs.BATCH_INSTRUCTION.key, max_chars=1000,
        placeholder="Beside each clip that brings none", persist_state="session",
    )  # fmt: skip
    st.checkbox(
        f"Also a pipeline: {EMBEDDED} writes each clip down, the model answers what it wrote",
        key=inputs.BATCH_PIPELINE.key, persist_state="session",
    )  # fmt: skip


def _state() -> None:
    """How the run stands that was begun last."""
    here = visit().runs
    if here.batch_problem is not None:
        widgets.error(here.batch_problem)
        here.batch_problem = None
    if here.batch is None:
        return
    name, problem = widgets.plain(here.batch.name), _stopped(here.batch)
    with st.container(horizontal=True, vertical_alignment="center", key="batch_state"):
        if problem is None:
            st.caption(f"The run {name} is being made; it is shown here when it is whole.")
            return
        st.caption(f"The run {name} is not whole: {widgets.plain(problem)}")
        st.button("Go on with it", key="batch_again", on_click=_ask, args=(here.batch,))
        st.button("Leave it", key="batch_leave", on_click=_leave, type="tertiary")


def _stopped(request: BatchRequest) -> str | None:
    """Why a run is not being made, and not whole either."""
    made = service().found(request) is not None
    if made or service().jobs.find(request.signature) is not None:
        return None
    return asking.failure(request) or "It was stopped."


def follow() -> None:
    """Have a run that is whole by now chosen."""
    here = visit().runs
    wanted = here.batch
    made = service().found(wanted) if wanted is not None else None
    if wanted is None or made is None:
        return
    from modgap.gap.run_folders import known_runs

    known = known_runs()
    names = {folder: name for name, folder in known.items()}
    others = {n for n, path in here.own.items() if path != str(wanted.folder)}
    name = names.get(wanted.folder) or unused_name(wanted.name, {*known, *others})
    here.batch, here.next, here.own[name] = None, name, str(wanted.folder)
    failed = f", {made.failures} of their answers failed (Counts)" if made.failures else ""
    lost = "".join(f" {model} was left out: {why}" for model, why in made.unloadable.items())
    visit().notice = f"The run {name} is whole: {made.questions} clips{failed}.{lost}"


def _start() -> None:
    """Lay the files down, and ask for their run."""
    visit().forget_remarks()
    here = visit().runs
    files = [(file.name, file.getvalue()) for file in inputs.BATCH_FILES.get([])]
    try:
        laid = lay_down(files, cache_folder() / "uploads", UploadLimits.of_operator())
        _ask(_request(laid))
        if laid.unused:
            visit().notice = f"{laid.unused} of the files are named by no row: they are left out."
    except ModgapError as problem:
        here.batch_problem = str(problem)


def _request(laid: Laid) -> BatchRequest:
    from modgap.evaluation.runs.run_settings import RunSettings
    from modgap.ui.server.batch_request import BatchRequest

    options = model_options()
    models = [
        (id, choice)
        for id in inputs.BATCH_MODELS.get([])
        if id in options and (choice := model_in_use.choice(options[id])) is not None
    ]
    if not models:
        raise ModgapError("Choose at least one model.")
    piped = ("pipeline",) if inputs.BATCH_PIPELINE.get(False) else ()
    settings = RunSettings(
        inputs=("text", "speech", *piped),
        instruction=(inputs.BATCH_INSTRUCTION.get("") or "").strip(),
        pipeline_llm="own",
    )
    # Where nobody but this machine's user can be a visitor, the run is there the next time, too,
    # and for `modgap gap`; else it is this visitor's.
    alone = runs.may_open_paths()
    root = cache_folder() / "runs" if alone else laid.manifest.parent / "runs"
    wanted = re.sub(r"[^\w.-]+", "-", inputs.BATCH_NAME.get("") or laid.name).strip("-._")[:60]
    folder = _folder(root.resolve(), wanted or "run", laid.manifest.resolve(), settings)
    return BatchRequest(folder.name, folder, laid.manifest.resolve(), tuple(models), settings)


def _folder(root: Path, name: str, data: Path, settings: RunSettings) -> Path:
    """The run of these data that goes by this name, or a new one."""
    number = 1
    while True:
        folder = root / (name if number == 1 else f"{name}-{number}")
        if not folder.exists() or _is_that(folder, data, settings):
            return folder
        number += 1


def _is_that(folder: Path, data: Path, settings: RunSettings) -> bool:
    from modgap.evaluation.runs.record import read_run
    from modgap.evaluation.runs.run_settings import RunSettings

    try:
        run = read_run(folder)
        if run is None or run["data"]["name"] != str(data):
            return False
        said = RunSettings.from_dict(run)
    except (ModgapError, OSError, KeyError, TypeError, ValueError):
        return False
    return said.to_dict() == settings.for_data(str(data)).to_dict()


def _ask(request: BatchRequest) -> None:
    here = visit().runs
    if "pipeline" in request.settings.inputs:
        first_fetch.agree()
    asking.forget_failure(request)
    try:
        asking.ask(request)
    except ModgapError as problem:
        here.batch_problem = str(problem)
        return
    here.batch = request


def _leave() -> None:
    visit().runs.batch = None
