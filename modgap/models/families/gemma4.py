"""Gemma 4 with an audio encoder (the E models): shared keys and values, inputs to every layer.

Two things set it apart. The last `num_kv_shared_layers` layers take keys and values from earlier
ones, so what becomes of the speech positions there reaches no answer. And every layer has an input
of its own, made of the token ids and embeddings before the first layer: an edit of level 0 changes
the states, not those inputs, and a pass cannot be taken up in its middle.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from modgap.models.families.gemma4_unified import Gemma4Unified
from modgap.models.prompt import AudioInput


class Gemma4(Gemma4Unified):
    """The adapter of ``Gemma4ForConditionalGeneration``."""

    model_type = "gemma4"
    model_class = "Gemma4ForConditionalGeneration"
    extractor_class = "Gemma4AudioFeatureExtractor"
    checkpoints: ClassVar[dict[str, str]] = {
        "google/gemma-4-e2b-it": "Gemma 4 E2B, with restrictions, wants a GPU",
        "google/gemma-4-e4b-it": "Gemma 4 E4B, with restrictions, wants a GPU",
    }

    @property
    def shared(self) -> int:
        """Layers at the end that take keys and values from earlier ones."""
        return int(self.decoder.config.num_kv_shared_layers or 0)

    @property
    def resumable(self) -> bool:
        return not self.shared and not self.decoder.config.hidden_size_per_layer_input

    @property
    def editable_levels(self) -> range:
        return range(self.n_layers - self.shared)

    def support(self) -> dict[str, str | None]:
        """See the base class."""
        found = super().support()
        if self.shared:
            found["edit_every_level"] = (
                f"from layer {self.n_layers - self.shared} on this model takes keys and values "
                "from earlier layers, and a change reaches no answer."
            )
        if not self.resumable:
            found["batch"] = "its layers take inputs made of the token ids, too."
        return found

    @property
    def seconds_per_position(self) -> float:
        # Two convolutions' stride.
        return 4 * self.extractor.hop_length / self.sampling_rate

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class; counted as the processor does, on the mask in strides of 4."""
        batch = self.extractor([wave], return_tensors="pt")
        features = {k: batch[k] for k in ("input_features", "input_features_mask")}
        n = int(batch["input_features_mask"][0, ::2][::2].sum())
        return AudioInput.of(features, self.placeholder, n)


ADAPTER = Gemma4
