"""What the tiny checkpoints share beside `modgap.testing`: Whisper's features, changed files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import WhisperFeatureExtractor

from modgap.testing.tiny import fill, make_tokenizer, save
from modgap.testing.tiny import text_config as llm

__all__ = ["MELS", "WINDOW", "edit_json", "fill", "llm", "make_tokenizer", "save",
           "whisper_features"]  # fmt: skip

MELS, WINDOW = 16, 10


def whisper_features(**more: Any) -> WhisperFeatureExtractor:
    """Mel features in windows of 10 s."""
    return WhisperFeatureExtractor(feature_size=MELS, chunk_length=WINDOW, **more)


def edit_json(path: Path, **values: Any) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
