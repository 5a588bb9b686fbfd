"""What a model's similarities are to be held against, over a set of clips (method, section 2)."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from modgap.analysis.session import Session
from modgap.core.errors import ModgapError, SettingsError, StoreError
from modgap.core.files import table_bytes, write_atomic
from modgap.core.foreign_files import is_plain, read_json
from modgap.measures.baselines import COLUMNS, PAIRED, layer_table
from modgap.measures.cka import BATCH, CkaMap, CkaStream

if TYPE_CHECKING:
    from modgap.models.base import Progress, SpeechLM
    from modgap.scoring.question import Question

__all__ = [
    "Controls",
    "folder_in_run",
    "kept_controls",
    "made_again",
    "read_controls",
    "set_controls",
    "write_controls",
]

log = logging.getLogger(__name__)

RECORD, LAYERS, CKA = "controls.json", "controls.parquet", "cka.parquet"
#: 1: without `PAIRED`, always with the default prompt; 2: with them, and saying the prompt;
#: 3: saying which path pairs the tokens, which was the argmax path before.
VERSION = 3
PATHS = ("argmax", "dtw")
MOST_POOLED = 256  # clips whose pooled states are kept for the controls that compare clips


@dataclass(frozen=True, eq=False)
class Controls:
    """Controls of one model on one set.

    Attributes
    ----------
    layers : DataFrame
        A row a layer: ``layer``; ``cosine``, ``euclidean`` (means over matched pairs);
        ``cosine_null``, ``cosine_null_low``, ``cosine_null_high`` and the same of ``euclidean``
        (speech of one clip, text of another: mean and the 5 % and 95 % quantiles of single
        pairs); ``centred``, ``centred_q25``, ``centred_q75`` (cosine after each modality's mean
        over the set is removed). Of both measures ``..._diff`` (matched minus the clip's own
        mismatched mean), ``..._auc`` (share of mismatched pairs that are less similar), each with
        ``..._low`` and ``..._high`` (95 %, bootstrap over clips, layer by layer): see
        `modgap.measures.baselines.own_against_others`; missing in controls of version 1.
    cka : CkaMap
    clips, left_out : int
        Clips that were run, and that could not be.
    pooled : int
        Clips that the controls in `layers` are made of.
    path_layer : int
        Whose path says which tokens are aligned.
    markers : "keep" or "drop"
    system : str or None
        Of the prompt, as in `SpeechLM.prepare`.
    path : "argmax" or "dtw"
        Which path that is.
    """

    layers: pd.DataFrame
    cka: CkaMap
    clips: int
    left_out: int
    pooled: int
    path_layer: int
    markers: str = "keep"
    system: str | None = None
    path: str = "argmax"

    @property
    def pairing(self) -> str:
        """What pairs the tokens of the CKA, in words."""
        name = {"argmax": "argmax path", "dtw": "DTW path, one pair a text token,"}[self.path]
        return f"{name} of layer {self.path_layer}"

    @property
    def paired(self) -> bool:
        """Whether ``layers`` holds each clip against its own mismatched pairs."""
        return set(PAIRED) <= set(self.layers.columns)


def set_controls(
    model: SpeechLM,
    questions: Iterable[Question],
    *,
    path_layer: int | None = None,
    path: str = "argmax",
    batch: int = BATCH,
    seed: int = 0,
    markers: str = "keep",
    system: str | None = None,
    progress: Progress | None = None,
) -> Controls:
    """Run clips and their transcripts through a model, one after the other, and take the controls.

    Parameters
    ----------
    model : SpeechLM
    questions : iterable of Question
        At least two of different words that can be run; one that cannot is left out, with a
        warning.
    path_layer : int, optional
        The pairs (i(j), j) of all layers come from this layer's path; by default the middle one.
    path : "argmax" or "dtw"
        i(j) is the speech position of the highest cosine, or the one of the highest cosine among
        those that the monotone path of least cost 1 - cosine pairs with j (method, section 3;
        arXiv 2603.01502 aligns by DTW).
    batch : int
        Tokens of a minibatch of the CKA.
    seed : int
        Of the mismatched pairs, where there are too many, and of the intervals.
    markers : "keep" or "drop"
    system : str, optional
        As in `SpeechLM.prepare`.
    progress : callable (fraction, note), optional
        Called before each clip; may raise `Cancelled`.

    Raises
    ------
    SettingsError
        The layer or the path does not exist, or fewer than two clips of different words could be
        run.
    """
    from modgap.measures.alignment import argmax_path, dtw_paths, path_pairs
    from modgap.measures.similarity_matrices import similarity_matrices
    from modgap.models.capture import capture_pair

    if path not in PATHS:
        raise SettingsError(f"The path is argmax or dtw, not {path!r}.")
    level = model.n_layers // 2 if path_layer is None else path_layer
    if not 0 <= level <= model.n_layers:
        raise SettingsError(f"Layer {level} does not exist: there are 0 to {model.n_layers}.")
    asked = list(questions)
    stream = CkaStream(batch)
    speech_means: list[np.ndarray] = []
    text_means: list[np.ndarray] = []
    texts: list[str] = []
    run = 0
    for number, question in enumerate(asked):
        if progress is not None:
            progress(number / len(asked), f"clip {number + 1} of {len(asked)}")
        try:
            session = Session(
                model, question.load(), question.transcript, instruction=question.instruction,
                system=system, markers=markers,
            )  # fmt: skip
            states = capture_pair(model, session.pair)
        except ModgapError as problem:
            log.warning("%s is left out: %s", question.id, problem)
            continue
        run += 1
        S, _ = similarity_matrices(
            states.speech[level : level + 1].float(), states.text[level : level + 1].float()
        )
        best = argmax_path(S)[0] if path == "argmax" else path_pairs(dtw_paths(1 - S)[0], S[0])
        rows = torch.from_numpy(best.astype(np.int64)).to(states.speech.device)
        stream.add(states.speech.index_select(1, rows).float(), states.text.float())
        if run <= MOST_POOLED:
            speech_means.append(states.speech.float().mean(1).cpu().numpy())
            text_means.append(states.text.float().mean(1).cpu().numpy())
            texts.append(question.transcript)
    if len(set(texts)) < 2:
        raise SettingsError(
            "Controls compare clips: at least two that say different words must be run."
        )
    table = layer_table(np.stack(speech_means), np.stack(text_means), texts, seed=seed)
    return Controls(
        table, stream.finish(), run, len(asked) - run, len(texts), level, markers, system, path
    )


def write_controls(folder: Path, model: str, data: str, made: Controls) -> None:
    """Keep controls in a folder: ``controls.parquet``, ``cka.parquet`` and, last, a record."""
    about = {
        "format": "modgap-controls", "version": VERSION, "model": model, "data": data,
        "clips": made.clips, "left_out": made.left_out, "pooled": made.pooled,
        "path": made.path, "path_layer": made.path_layer,
        "markers": made.markers, "system": made.system,
        "pairs": made.cka.pairs, "batches": made.cka.batches,
    }  # fmt: skip
    write_atomic(folder / LAYERS, table_bytes(made.layers))
    write_atomic(folder / CKA, table_bytes(made.cka.table()))
    write_atomic(folder / RECORD, (json.dumps(about, indent=1) + "\n").encode())


def read_controls(folder: Path) -> tuple[str, str, Controls]:
    """The model, the data set and the controls that `write_controls` kept.

    Raises
    ------
    StoreError
        There are none, a file is damaged, or they are of a version that is not known here.
    """
    try:
        about = read_json(folder / RECORD)
        version = int(about["version"])
        if not 1 <= version <= VERSION:
            raise ValueError(f"version {version} is not known here")
        columns = COLUMNS if version == 1 else COLUMNS + PAIRED
        for name in (LAYERS, CKA):
            if not is_plain(folder / name, folder):
                raise ValueError(f"{name} is missing, or not a plain file")
        layers, cells = pd.read_parquet(folder / LAYERS), pd.read_parquet(folder / CKA)
        layers = layers[list(columns)].astype(dict.fromkeys(columns[1:], "float64"))
        named = tuple(int(n) for n in layers["layer"])
        values = cells["cka"].to_numpy(dtype=float).reshape(len(named), len(named))
        cka = CkaMap(values, named, int(about["pairs"]), int(about["batches"]))
        counts = {n: int(about[n]) for n in ("clips", "left_out", "pooled", "path_layer")}
        model, data = str(about["model"]), str(about["data"])
        markers, path = str(about.get("markers", "keep")), str(about.get("path", PATHS[0]))
        if path not in PATHS:
            raise ValueError(f"path {path!r} is not known here")
        system = None if about.get("system") is None else str(about["system"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as problem:
        raise StoreError(
            f"The controls in {folder.name} cannot be read ({problem}). Make them again with "
            "`modgap controls`."
        ) from problem
    return model, data, Controls(layers, cka, **counts, markers=markers, system=system, path=path)


def made_again(run: str) -> str:
    """What to say of a run's controls that are not `Controls.paired`."""
    return f"Made without the paired difference: run `modgap controls --run {run}` again."


def folder_in_run(run: Path, model: str) -> Path:
    """Where a run keeps the controls of a model: a name for people, and a hash against clashes."""
    readable = re.sub(r"[^\w.@-]+", "-", model).strip("-.")[-60:]
    return run / "controls" / f"{readable}-{hashlib.sha256(model.encode()).hexdigest()[:8]}"


def kept_controls(run: Path, models: Iterable[str]) -> dict[str, Path]:
    """The folders of the models whose controls a run has."""
    found = {model: folder_in_run(run, model) for model in models}
    return {model: folder for model, folder in found.items() if (folder / RECORD).is_file()}
