"""A tiny random Whisper where `modgap fetch` would have put the embedded recogniser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from modgap.models.bases.local import NOTE, Note, find
from modgap.models.bases.sources import WHISPER, digest
from tests.tiny_whisper import make_tiny_whisper

_here = find(WHISPER.name)  # before a test has a cache of its own
#: The real one, where it was fetched.
REAL = None if _here is None else _here.resolve()


def make_ears(folder: Path) -> Path:
    """The checkpoint with a note of origin, as a base model's folder."""
    make_tiny_whisper(folder, multilingual=False)
    # It always hears something: no mark or time stamp at all, no blank and no end may come first.
    settings = folder / "generation_config.json"
    values = json.loads(settings.read_text())
    blank = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]["Ġ"]
    values["begin_suppress_tokens"] = [blank, values["eos_token_id"]]
    marks = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    values["suppress_tokens"] = [m["id"] for m in marks if m["id"] != values["eos_token_id"]]
    settings.write_text(json.dumps(values))
    files = {f.name: (f.stat().st_size, digest(f)) for f in sorted(folder.iterdir())}
    (folder / NOTE).write_bytes(Note(WHISPER.name, "index", {"project": "tiny"}, files).to_json())
    return folder


def put_ears(ears: Path, cache: Path) -> Path:
    """A copy of that folder in a cache's folder of models."""
    target = cache / "models" / WHISPER.name
    shutil.copytree(ears, target, dirs_exist_ok=True)
    return target
