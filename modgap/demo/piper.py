"""The Piper voice, by onnxruntime on its own file.

A Piper voice is a network from phonemes to samples (VITS). espeak-ng tells the phonemes, in its own
process; here they become the ids that the voice's settings file lists, with a pad between each two.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from modgap.core.errors import ModelError
from modgap.speech.synthesis import Synthesizer, wheel_synthesizer

__all__ = ["Piper"]

_CLAUSE = re.compile(r"\s*([,.;:?!]+)\s*")
_BEGIN, _PAD, _END = "^", "_", "$"


class Piper:
    """A voice that is loaded.

    Parameters
    ----------
    folder : Path
        Holds one ``.onnx`` file and its ``.onnx.json``.
    threads : int
        That one utterance may use.
    synthesizer : Synthesizer, optional
        Tells phonemes; by default this process's one.
    """

    def __init__(
        self, folder: Path, threads: int = 1, synthesizer: Synthesizer | None = None
    ) -> None:
        try:
            import onnxruntime
        except ImportError as problem:
            raise ModelError(
                "The neural voice needs onnxruntime: pip install onnxruntime"
            ) from problem
        files = sorted(folder.glob("*.onnx"))
        if not files:
            raise ModelError(f"{folder} holds no voice of Piper (an .onnx file).")
        settings = json.loads(files[0].with_name(files[0].name + ".json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(
            str(files[0]), options, providers=["CPUExecutionProvider"]
        )
        self._ids: dict[str, list[int]] = settings["phoneme_id_map"]
        self._scales: dict[str, float] = settings["inference"]
        self.sampling_rate = int(settings["audio"]["sample_rate"])
        self._synthesizer = synthesizer or wheel_synthesizer()

    def phonemes(self, text: str) -> str:
        """The text in the phonetic alphabet, punctuation in its place: the voice pauses there."""
        parts = _CLAUSE.split(text)
        clauses, marks = parts[::2], [*parts[1::2], ""]
        said = iter(self._synthesizer.phonemes([c for c in clauses if c]))
        out = ""
        for clause, mark in zip(clauses, marks, strict=True):
            out += (next(said) if clause else "") + mark[:1] + " "
        return unicodedata.normalize("NFD", " ".join(out.split()))

    def ids(self, phonemes: str) -> np.ndarray:
        """Input of the network, int64, shape (n,); phonemes that it doesn't know are left out."""
        out = [*self._ids[_BEGIN], *self._ids[_PAD]]
        for symbol in phonemes:
            if symbol in self._ids:
                out += [*self._ids[symbol], *self._ids[_PAD]]
        return np.array([*out, *self._ids[_END]], dtype=np.int64)

    def speak(
        self, text: str, length: float = 1.0, noise: float | None = None
    ) -> tuple[np.ndarray, int]:
        """Synthesize a text.

        Parameters
        ----------
        text : str
        length : float
            1.2 is a fifth slower than the voice's own rate.
        noise : float, optional
            How much the voice varies; its own setting by default. The network draws it anew each
            time: the same text never gives the same samples twice.

        Returns
        -------
        samples : numpy.ndarray, float32, shape (n,)
        sampling_rate : int
        """
        ids = self.ids(self.phonemes(text))
        own = self._scales
        scales = [own["noise_scale"] if noise is None else noise, length, own["noise_w"]]
        (samples,) = self._session.run(
            None,
            {
                "input": ids[None],
                "input_lengths": np.array([len(ids)], dtype=np.int64),
                "scales": np.array(scales, dtype=np.float32),
            },
        )
        return samples.reshape(-1).astype(np.float32), self.sampling_rate
