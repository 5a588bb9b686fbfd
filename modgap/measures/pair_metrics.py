"""Measures of one clip, taken while its hidden states pass by: what stands behind `analyze`."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from modgap.core.errors import ModgapError
from modgap.measures.alignment import Alignment, align_checked
from modgap.measures.similarity import Coarse, coarse_of
from modgap.measures.similarity_matrices import LayerStack

__all__ = ["PairMetrics"]


class PairMetrics:
    """Measures of one clip, taken layer by layer while the states are there.

    ``add`` does what needs the states, on their device, and keeps only the two matrices and a few
    vectors; ``finish`` takes them off the device at once and does the rest for all layers together.
    """

    def __init__(self, n_layers: int | None = None) -> None:
        """``n_layers``: how many layers will come, where that is known (saves memory)."""
        self.layers: list[int] = []
        self._stack = LayerStack() if n_layers is None else LayerStack(n_layers)

    def add(self, layer: int, H_s: Tensor, H_t: Tensor) -> None:
        """Take one layer's states; they are not kept.

        Parameters
        ----------
        layer : int
        H_s : Tensor, shape (T_s, d)
        H_t : Tensor, shape (T_t, d)
            Hidden states of any floating dtype.

        Raises
        ------
        ModgapError
            Shapes that do not fit each other or the layers before, a layer given twice.
        """
        if layer in self.layers:
            raise ModgapError(f"Layer {layer} was already measured.")
        self._stack.add(H_s, H_t)
        self.layers.append(layer)

    def finish(self) -> tuple[Coarse, Alignment, np.ndarray, np.ndarray]:
        """All measures of the layers added, in the order they were added.

        Returns
        -------
        coarse : Coarse
        alignment : Alignment
        pooled_speech, pooled_text : ndarray float32, shape (K, d)
            s[l] and t[l].

        Raises
        ------
        ModgapError
            No layer was added; NaN or infinite states.
        """
        products = self._stack.products()
        S, D, s, t = (
            x.float().cpu().numpy()
            for x in (
                products.similarity,
                products.distance,
                products.speech_mean,
                products.text_mean,
            )
        )
        return coarse_of(products), align_checked(S, D), s, t
