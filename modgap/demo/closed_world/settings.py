"""Settings of the recipe: one dataclass for library, command line and stage processes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modgap.demo.closed_world.batches import SpeechMix
from modgap.demo.closed_world.model import Shape

FSDD_ADDRESS = "https://github.com/Jakobovski/free-spoken-digit-dataset"


def default_work() -> Path:
    """Folder for everything the recipe makes on its way: features, states, logs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "modgap" / "demo-training"


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides the result of ``modgap demo train``.

    Attributes
    ----------
    work : Path
        Folder for features, states and logs; a second call with the same folder resumes.
    fsdd : Path or None
        The Free Spoken Digit Dataset; ``None`` fetches it into ``work``.
    seed : int
    text_steps, encoder_steps, spread_steps, bridge_steps, full_steps, lora_steps : int
        Lengths of the stages.
    text_lr, encoder_lr, spread_lr, bridge_lr, full_lr, lora_lr, speech_lr : float
        Peak learning rates; in stage C ``full_lr`` is that of the LLM, ``lora_lr`` that of the
        adapter matrices, ``speech_lr`` that of encoder and projector.
    text_batch : int
        Sequences a step in stage A.
    spread_share : float
        Share of the questions at the pace of speech at the end of stage A.
    replay : int
        Text sequences a step in stage C.
    replay_weight, ctc_weight : float
        Weights of the auxiliary losses in stage C.
    rank, lora_scale : int, float
        The adapters add ``lora_scale * B @ A``.
    snapshots : int
        Snapshots along stage C, denser at its start (some are picked for shipping).
    save_seconds : float
        Time between two saved states: what a kill can cost.
    clips_limit : int or None
        Only the first so many training clips (tests).
    """

    work: Path = field(default_factory=default_work)
    fsdd: Path | None = None
    seed: int = 1
    text_steps: int = 2800
    encoder_steps: int = 4000
    spread_steps: int = 500
    bridge_steps: int = 2000
    full_steps: int = 1700
    lora_steps: int = 1700
    text_lr: float = 2e-3
    encoder_lr: float = 1.5e-3
    spread_lr: float = 1e-3
    bridge_lr: float = 1e-3
    full_lr: float = 1e-3
    lora_lr: float = 2e-3
    speech_lr: float = 2e-4
    text_batch: int = 48
    spread_share: float = 0.6
    replay: int = 16
    replay_weight: float = 0.4
    ctc_weight: float = 1.0
    rank: int = 24
    lora_scale: float = 2.0
    snapshots: int = 12
    save_seconds: float = 120.0
    clips_limit: int | None = None
    shape: Shape = field(default_factory=Shape)
    # The encoder of stage B shall hear words, not guess them from the sentence around them.
    warm_mix: SpeechMix = field(
        default_factory=lambda: SpeechMix(open=7, choice=1, digit=4, word=3, jumble=17)
    )
    mix: SpeechMix = field(default_factory=SpeechMix)

    def save(self) -> Path:
        """Write ``work/settings.json``, which the stage processes read."""
        data = asdict(self)
        data["work"] = str(self.work)
        data["fsdd"] = None if self.fsdd is None else str(self.fsdd)
        self.work.mkdir(parents=True, exist_ok=True)
        path = self.work / "settings.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(data, indent=1))
        temporary.replace(path)
        return path

    @classmethod
    def load(cls, work: Path) -> TrainSettings:
        """Read the settings of a work folder."""
        data: dict[str, Any] = json.loads((work / "settings.json").read_text())
        data["work"] = Path(data["work"])
        data["fsdd"] = None if data["fsdd"] is None else Path(data["fsdd"])
        data["shape"] = Shape(**data["shape"])
        for name in ("mix", "warm_mix"):
            data[name] = SpeechMix(**data[name])
        return cls(**data)
