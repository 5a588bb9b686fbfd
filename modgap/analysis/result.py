"""What an analysis holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modgap.analysis import export
from modgap.analysis import record as analysis_record
from modgap.core.settings import AnalysisSettings
from modgap.measures.alignment import Alignment
from modgap.models.capture import PairedStates
from modgap.scoring.answers import Answer

if TYPE_CHECKING:
    from modgap.store.record import Record


@dataclass(frozen=True, eq=False)
class Analysis:
    """What one clip and its transcript give in one model.

    K layers are measured, the clip has T_s speech positions and the transcript T_t tokens. Arrays
    are read-only. An analysis from the cache is equal to the computed one, bit by bit: matrices
    are cached in float32, since float16 cannot hold the distances of large models.

    Attributes
    ----------
    key : str
        Hash of everything the numbers depend on (`analysis_key`); names the entry in the cache.
    model : dict
        ``name``, ``identity``, ``dtype``, ``device``, ``revision``, ``model_type``, ``n_layers``,
        ``hidden_size``. The name of a local folder is its last part.
    clip : dict
        ``sha256`` (of the decoded sound), ``seconds``, ``name``, ``rate`` (Hz, of the source).
    transcript : str
    settings : AnalysisSettings
    speech_times : float64 ndarray (T_s, 2)
        Start and end of each speech position, in seconds.
    pieces : tuple of T_t str
        What each text token covers of the transcript.
    spans : int ndarray (T_t, 2)
        The same as offsets: ``transcript[start:end] == piece``.
    layer_ids : int ndarray (K,)
        0 is what enters the first decoder layer, k is the output of layer k.
    layers : DataFrame, K rows
        See `analysis_tables.layer_table`.
    tokens : DataFrame, K * T_t rows
        See `analysis_tables.token_table`.
    alignment : Alignment
        Matrices, paths and scores.
    pooled_speech, pooled_text : float32 ndarray (K, d)
        Means over positions, s[l] and t[l] of the method.
    audio : int16 ndarray (n,)
        The clip at `audio_rate` Hz, mono, as the model heard it.
    audio_rate : int
    answers : dict with "text" and "speech" of Answer, or None
        None if they were not asked for.
    states : PairedStates or None
        On the CPU; only with ``settings.states``.
    from_cache : bool
        Whether the numbers were read, not computed, this time.
    created : str
        When they were computed (UTC, ISO 8601).
    versions : dict of str
        Of modgap, of the method's code, and of the libraries that made the numbers.
    notes : tuple of str
        What a reader of the numbers should know of this run; usually empty.
    """

    key: str
    model: dict[str, Any]
    clip: dict[str, Any]
    transcript: str
    settings: AnalysisSettings
    speech_times: np.ndarray
    pieces: tuple[str, ...]
    spans: np.ndarray
    layer_ids: np.ndarray
    layers: pd.DataFrame
    tokens: pd.DataFrame
    alignment: Alignment
    pooled_speech: np.ndarray
    pooled_text: np.ndarray
    audio: np.ndarray
    audio_rate: int
    answers: dict[str, Answer] | None
    states: PairedStates | None
    from_cache: bool
    created: str
    versions: dict[str, str]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The content of ``analysis.json``: no matrices, undefined numbers as None."""
        return export.to_dict(self)

    def save(self, folder: str | Path, *, states: bool = False) -> tuple[Path, ...]:
        """Write the analysis into a folder and return the files' paths.

        ``analysis.json`` (`to_dict`, and the SHA-256 of the others), ``layers.parquet``,
        ``tokens.parquet``, ``matrices.safetensors`` (``similarity`` and ``distance``, float32
        (K, T_s, T_t)) and, with `states`, ``states.safetensors`` (``speech`` (K, T_s, d) and
        ``text`` (K, T_t, d), in the model's dtype). Each file appears whole or not at all; an
        older analysis in the folder is replaced, other files stay.

        Raises
        ------
        StoreError
            The folder cannot be written, or holds files of these names that modgap did not write;
            or `states` are asked for and were not kept.
        """
        return export.save(self, folder, states=states)

    def record(self) -> Record:
        """The analysis, without hidden states, as an entry of the cache."""
        return analysis_record.record(self)

    @classmethod
    def from_record(cls, record: Record) -> Analysis:
        """The analysis that `record` was made of.

        Raises
        ------
        StoreError
            The record is not one of an analysis.
        """
        return analysis_record.from_record(record)
