"""The fidelity report: a model's numbers here against plain transformers, kept with the results."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.analysis.fidelity_checks import Check, run_checks
from modgap.analysis.listening import Listening, listen
from modgap.analysis.measure import model_info, versions
from modgap.analysis.vendor_prompt import vendor_prompt
from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import ModelError, SettingsError, StoreError
from modgap.core.memory import free_memory
from modgap.core.progress import Progress, Steps
from modgap.core.settings import digest
from modgap.models.loading.hardware import Machine
from modgap.models.loading.reference import load_plain, load_processor
from modgap.store.lookup import keep, look_up
from modgap.store.record import Record

if TYPE_CHECKING:
    from modgap.models.base import PromptPair, SpeechLM
    from modgap.models.prompt import Prompt
    from modgap.store.cache import Store

__all__ = ["Check", "CheckReport", "cached_report", "check_model"]

#: Goes up when the same model may get another report than before.
VERSION = 2
DTYPES = ("float32", "bfloat16")
TRANSCRIPT = "What is the capital of France?"


@dataclass(frozen=True)
class CheckReport:
    """What the checks of a model found.

    Attributes
    ----------
    model : dict
        Name, identity, quantization, adapter, family and sizes of the model, and the device's kind.
    checks : tuple of Check
    created : str
        UTC, ISO.
    versions : dict
        Of modgap and the libraries.
    from_cache : bool
    listening : Listening or None
        What it wrote down and answered of shipped clips; None if it was not asked.
    """

    model: dict[str, Any]
    checks: tuple[Check, ...]
    created: str
    versions: dict[str, str]
    from_cache: bool = False
    listening: Listening | None = None

    @property
    def accepted(self) -> bool:
        """Whether the checks passed and, if it was asked to listen, the model hears."""
        return self.passed and (self.listening is None or self.listening.plausible)

    @property
    def passed(self) -> bool:
        """Whether no check failed, and some passed."""
        results = [check.passed for check in self.checks]
        return True in results and False not in results

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many passed, failed, and did not apply."""
        results = [check.passed for check in self.checks]
        return results.count(True), results.count(False), results.count(None)

    @property
    def sentence(self) -> str:
        """The outcome in one line."""
        passed, failed, skipped = self.counts
        tail = f", {skipped} not run" if skipped else ""
        which = ", ".join(dict.fromkeys(check.dtype for check in self.checks))
        if failed:
            return f"{failed} of {passed + failed} checks failed ({which}){tail}"
        return f"all {passed} checks passed ({which}){tail}"

    def to_dict(self) -> dict[str, Any]:
        """The report in JSON's terms; infinite differences are None."""
        checks = []
        for check in self.checks:
            values = dataclasses.asdict(check) | {"levels": [_finite(v) for v in check.levels]}
            for name in ("difference", "epsilons"):
                values[name] = _finite(values[name])
            checks.append(values)
        return {
            "model": self.model, "passed": self.passed, "checks": checks,
            "created": self.created, "versions": self.versions,
            "accepted": self.accepted, "listening": _listening(self.listening),
        }  # fmt: skip


def check_model(
    name: str | Path,
    *,
    dtypes: tuple[str, ...] | None = None,
    clip: Clip | None = None,
    transcript: str = TRANSCRIPT,
    listens: bool = False,
    store: Store | None = None,
    progress: Progress | None = None,
    loader: Any = None,
    **options: Any,
) -> CheckReport:
    """Check a model against plain transformers, in each dtype that the machine has room for.

    Parameters
    ----------
    name : str or Path
        As for `load_model`.
    dtypes : tuple of str, optional
        By default float32 and bfloat16; for quantized weights the one that they compute in.
    clip, transcript : Clip and str, optional
        What the prompts hold; by default 1.5 s of gliding tones and a question. Only the default's
        report is kept.
    listens : bool
        Whether it is also asked to write down shipped clips and to answer a spoken question
        (`listen`), in the last of the dtypes that it could be loaded in.
    store : Store, optional
        A cache to look in first and to keep the report in.
    progress : callable (fraction, note), optional
    loader : callable, optional
        Instead of `load_model`.
    **options
        Of `load_model`, but for `dtype`.

    Returns
    -------
    CheckReport

    Raises
    ------
    ModelError
        The model cannot be loaded in any of the dtypes.
    SettingsError
        No dtype is named.
    """
    from modgap.models.loading.load import load_model

    wanted = (("auto",) if options.get("quantize") else DTYPES) if dtypes is None else dtypes
    if not wanted:
        raise SettingsError("Name at least one dtype to check the model in.")
    steps = Steps(progress)
    load = loader or load_model
    default = clip is None and transcript == TRANSCRIPT
    checks: list[Check] = []
    about: dict[str, Any] | None = None
    problem: ModelError | None = None
    listening: Listening | None = None
    for n, dtype in enumerate(wanted):
        start = n / len(wanted)
        steps(start, f"loading it in {dtype}")
        began = time.perf_counter()
        try:
            model = load(name, dtype=dtype, **options)
        except ModelError as error:  # one that is too large in float32 may be checked in bfloat16
            checks.append(Check("loading", "both", dtype, note=str(error)))
            problem = error
            continue
        if about is None:
            about = model_info(model)
            del about["dtype"]
            key = report_key(model.identity, model.device.type, wanted, listens)
            found = look_up(store, key, from_record) if default else None
            if found is not None:
                return dataclasses.replace(found, model=about, from_cache=True)
        if listens and model.support().get("speech") is None:  # before there is a second model
            steps(start, f"{dtype}, listening")
            listening = listen(model, time.perf_counter() - began)
        fresh, why = _fresh(model, str(name), dtype, options)
        sound = clip or _tones()
        pair, dropped, prompts = _prompts(model, sound, transcript)
        processor, lacks = load_processor(str(name), **options)
        heard = None if pair is None else pair.speech
        checks.append(vendor_prompt(model, heard, sound, processor, lacks))
        for made, check in enumerate(run_checks(model, prompts, pair, dropped, fresh, why), 1):
            steps(start + min(made, 13) / 14 / len(wanted), f"{dtype}, {check.name}")
            checks.append(check)
        del model, fresh, pair, dropped, prompts
        free_memory()
    if about is None:
        assert problem is not None
        raise problem
    created = datetime.now(UTC).isoformat(timespec="seconds")
    report = CheckReport(about, tuple(checks), created, versions(), listening=listening)
    if default:
        keep(store, key, lambda: to_record(report))
    steps(1.0, "done")
    return report


def cached_report(identity: str, device: str, store: Store) -> CheckReport | None:
    """The report of a model from the cache: of both dtypes, else of one.

    Parameters
    ----------
    identity : str
        Of the model.
    device : str
        Its kind, such as "cpu".
    store : Store
    """
    for dtypes in (DTYPES, ("auto",), *((dtype,) for dtype in reversed(DTYPES))):
        for listens in (True, False):
            found = look_up(store, report_key(identity, device, dtypes, listens), from_record)
            if found is not None:
                return dataclasses.replace(found, from_cache=True)
    return None


def report_key(identity: str, device: str, dtypes: tuple[str, ...], listens: bool = False) -> str:
    """Key of a report: the model, where it ran, in which dtypes, whether it listened, by what."""
    return digest("check", VERSION, identity, device, list(dtypes), listens, versions())


def to_record(report: CheckReport) -> Record:
    """The report as a record of the cache."""
    return Record({}, {}, report.to_dict())


def from_record(record: Record) -> CheckReport:
    """Build the report that `to_record` was given.

    Raises
    ------
    StoreError
        The record is not one of a report.
    """
    try:
        meta = record.meta
        checks = tuple(
            Check(**{**values, "levels": tuple(values["levels"])}) for values in meta["checks"]
        )
        told = meta.get("listening")
        listening = None if told is None else Listening.from_dict(told)
        return CheckReport(
            meta["model"], checks, meta["created"], meta["versions"], listening=listening
        )
    except (KeyError, TypeError) as problem:
        raise StoreError(f"This record is not a fidelity report ({problem}).") from problem


def _prompts(
    model: SpeechLM, sound: Clip, transcript: str
) -> tuple[PromptPair | None, PromptPair | None, tuple[Prompt, ...]]:
    """The pairs with markers and without, and all prompts to compare; of a text model, its own."""
    can = model.support()
    if can.get("speech"):
        return None, None, (model.text_prompt(transcript),)
    pair, dropped = model.prepare(sound, transcript), None
    if can.get("markers_drop") is None:
        dropped = model.prepare(sound, transcript, markers="drop")
    return pair, dropped, (pair.speech, pair.text)


def _fresh(
    model: SpeechLM, name: str, dtype: str, options: dict[str, Any]
) -> tuple[Any | None, str]:
    """The model as transformers alone loads it, if there is room for a second one."""
    needed = sum(p.numel() * p.element_size() for p in model.hf.parameters())
    device = str(options.get("device", "auto"))
    place, free = Machine.here().place(device, options.get("device_map"))
    if needed > free:
        return None, f"no room for a second model ({place})"
    plain = {k: v for k, v in options.items() if k != "family"}  # it goes by the model's class
    fresh = load_plain(model, name, dtype=dtype, **plain)
    return fresh, "" if fresh is not None else "transformers alone does not load this checkpoint"


def _tones() -> Clip:
    """A second and a half that changes all the time: gliding tones under an envelope."""
    rate = 16000
    t = np.arange(rate * 3 // 2) / rate
    tones = [np.sin(2 * np.pi * (f * t + g * t**2)) for f, g in ((140, 60), (450, 25), (900, 80))]
    wave = 0.1 * np.sum(tones, axis=0) * (1 + np.sin(2 * np.pi * 3 * t))
    return load_clip(wave.astype(np.float32), rate=rate, name="tones")


def _listening(found: Listening | None) -> dict[str, Any] | None:
    return None if found is None else dataclasses.asdict(found)


def _finite(value: float | None) -> float | None:
    return value if value is None or np.isfinite(value) else None
