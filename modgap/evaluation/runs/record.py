"""The `run.json` of a run: what it does to every question, written, read, and compared."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import StoreError
from modgap.core.files import write_atomic
from modgap.core.foreign_files import read_json
from modgap.core.locks import hold
from modgap.core.settings import METHOD_VERSION
from modgap.evaluation.runs.base_models import base_of
from modgap.evaluation.runs.run_settings import RunSettings, pipeline_llm, stated
from modgap.scoring.scorers import VERSIONS

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

__all__ = [
    "checked",
    "differences",
    "locked",
    "model_record",
    "read_run",
    "started",
    "the_run",
    "write_run",
]


FORMAT, VERSION = "modgap-run", 1
RUN, LOCK = "run.json", ".lock"
#: What the parts of a run.json are, where it has them.
_KINDS = {
    "models": dict | list, "bases": dict, "base": dict, "settings": dict, "protocol": dict,
    "interventions": dict, "scorers": dict, "versions": dict, "recognizer": dict, "judge": dict,
    "data": dict | str, "inputs": list, "pipeline_llm": str,
}  # fmt: skip


def model_record(model: SpeechLM) -> dict[str, Any]:
    """What run.json says of a model: all that its numbers depend on."""
    info = model.info()
    names = (
        *("identity", "revision", "model_type", "dtype", "n_layers", "hidden_size", "parameters"),
        "max_seconds",
    )
    return {name: info[name] for name in names} | {"device": model.device.type}


def read_run(folder: Path) -> dict[str, Any] | None:
    """The run.json of a folder, or None if there is none.

    Raises
    ------
    StoreError
        It is damaged or of another kind.
    """
    try:
        found = read_json(folder / RUN)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise StoreError(f"{folder / RUN} does not describe a run of modgap: name another folder.")
    if not isinstance(found.get("models", {}), dict):  # whoever only reads answers takes a list
        raise _damaged(str(folder), "models", found["models"])
    return checked(found, str(folder))


def checked(found: dict[str, Any], where: str) -> dict[str, Any]:
    """A run.json whose parts are of the kinds that its readers take them for.

    Parameters
    ----------
    found : dict
        Its content; what it does not say is not missed here.
    where : str
        The run, for the message.

    Raises
    ------
    StoreError
        It is of another version, or a part of it is something else.
    """
    version = found.get("version", VERSION)
    if version != VERSION:
        raise StoreError(
            f"The run in {where} is of version {_short(version)}, and this modgap reads version "
            f"{VERSION}: use the modgap that wrote it, or name another folder."
        )
    for name, kind in _KINDS.items():
        if found.get(name) is not None and not isinstance(found[name], kind):
            raise _damaged(where, name, found[name])
    for name, kind in (("models", dict), ("bases", dict), ("interventions", list)):
        parts = found.get(name)
        for key, part in parts.items() if isinstance(parts, dict) else ():
            if not isinstance(part, kind):
                raise _damaged(where, f"{_short(key)} among {name}", part)
    return found


def _damaged(where: str, name: str, value: Any) -> StoreError:
    return StoreError(
        f"The run in {where} is damaged: {name} in its run.json is {_short(value)}. Get the run's "
        "files again, or name another folder."
    )


def the_run(folder: Path) -> dict[str, Any]:
    """As `read_run`, of a folder that has to hold a run.

    Raises
    ------
    StoreError
        There is none.
    """
    found = read_run(folder)
    if found is None:
        raise StoreError(f"There is no run in {folder}: it would hold a run.json.")
    return found


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Write run.json, by one rename."""
    body = {"format": FORMAT, "version": VERSION, **run}
    write_atomic(folder / RUN, json.dumps(body, indent=1, ensure_ascii=False).encode())


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What keeps a run from being gone on with, one short text each.

    Models, a recogniser or a base that only one of the two knows more of are no difference; neither
    is a model that is new, with a base of its own or not.
    """
    found = []
    for name in ("data", "inputs", "interventions", "scorers", "recognizer"):
        found += _differ(name, before.get(name), now.get(name))
    said = [stated(run.get("settings", {})) for run in (before, now)]
    if any("transcribed" in one for one in said):  # a pipeline of before was never told
        said = [{"transcribed": False, **one} for one in said]
    found += _differ("settings", *said)
    if before.get("base") and now.get("base"):
        found += _differ("base", before["base"], now["base"])
    found += _differ("the pipeline's text model", pipeline_llm(before), pipeline_llm(now))
    for name, record in now["models"].items():
        known = before["models"].get(name)
        if known and record:
            # A run of an older version knows less of its models.
            shared = {k: v for k, v in record.items() if k in known}
            found += _differ(f"model {name}", known, shared)
        if known is not None and any(name in run.get("bases", {}) for run in (before, now)):
            found += _differ(f"base of {name}", base_of(before, name), base_of(now, name))
    return found


def _differ(name: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        if name == "data":
            keys = dict.fromkeys(["sha256", "name", "limit", "questions"])
            if before.get("sha256") == now.get("sha256"):
                return []  # the same questions, whatever they are called
            if all(before.get(k) == now.get(k) for k in list(keys)[1:]):
                return ["the questions themselves (their texts or references were changed)"]
            keys.pop("sha256")
        elif name == "recognizer" or name.startswith("base"):
            keys = dict.fromkeys(k for k in keys if k in before and k in now)
        return [x for k in keys for x in _differ(f"{name} {k}", before.get(k), now.get(k))]
    if before == now:
        return []
    return [f"{name} ({_short(before)} before, {_short(now)} now)"]


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return (
        text
        if len(text) <= 60
        else f"{text[:28]}...{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only writer of a run; the lock goes with the process, however it ends.

    Raises
    ------
    StoreError
        Another process of this machine, or of a file system that passes locks on, writes there, or
        nothing can be written there.
    """

    def refuse() -> None:
        raise StoreError(
            f"Another process is writing the run in {folder}: wait for it, or name another folder."
        )

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold(folder / LOCK, refuse))
        except OSError as problem:
            raise StoreError(
                f"The run in {folder} cannot be written ({problem.strerror or problem}): check who "
                f"may write there, and remove its {LOCK} if that is not a plain file."
            ) from problem
        yield


def started(
    settings: RunSettings, data: Mapping[str, Any], models: Sequence[str], scorers: Sequence[str]
) -> dict[str, Any]:
    """The run.json of a run that begins; `scorers` are those that its questions name."""
    from modgap.core.version import __version__

    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "finished": None,
        "versions": {"modgap": __version__, "method": str(METHOD_VERSION)}
        | {name: metadata.version(name) for name in ("torch", "transformers", "numpy")},
        "data": dict(data),
        "protocol": settings.protocol(scorers).record(),
        **settings.to_dict(),
        "scorers": {name: VERSIONS.get(name) for name in sorted(scorers)},
        "models": {name: {} for name in models},
    }
