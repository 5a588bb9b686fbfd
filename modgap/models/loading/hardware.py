"""What this machine has: memory that can be had now, on the CPU and on each GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

_CGROUP = Path("/sys/fs/cgroup")
# Folder, limit, what is used of it, and how the counts of a whole group begin: cgroup v2, then v1.
_LIMITS = (
    ("", "memory.max", "memory.current", ""),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)


@dataclass(frozen=True)
class Machine:
    """Free memory in bytes.

    Attributes
    ----------
    ram : int
        That a process can get without swapping; in a container with a limit, what is left of it.
    gpus : tuple of (str, int)
        Name and free memory of each CUDA device.
    """

    ram: int
    gpus: tuple[tuple[str, int], ...] = ()

    @classmethod
    def here(cls) -> Machine:
        """Look at this machine."""
        gpus = []
        if torch.cuda.is_available():
            for number in range(torch.cuda.device_count()):
                name = torch.cuda.get_device_name(number)
                gpus.append((name, int(torch.cuda.mem_get_info(number)[0])))
        return cls(_free_ram(_CGROUP), tuple(gpus))

    def with_more(self, held: int) -> Machine:
        """This machine once `held` bytes are given back: where models go by themselves."""
        if not self.gpus:
            return Machine(self.ram + held)
        (name, free), *others = self.gpus
        return Machine(self.ram, ((name, free + held), *others))

    def place(self, device: str, device_map: object = None) -> tuple[str, int]:
        """Where a model would go, in words, and the bytes that are free there.

        Parameters
        ----------
        device : str
            As `load_model` takes it: "auto", "cpu", "cuda", "cuda:1".
        device_map : optional
            Anything but None counts all GPUs and the CPU together.
        """
        if device_map is not None:
            names = [*(name for name, _ in self.gpus), "memory"]
            return " and ".join(names), self.ram + sum(free for _, free in self.gpus)
        kind, _, number = device.partition(":")
        if kind == "auto":
            kind = "cuda" if self.gpus else "cpu"
        if kind == "cuda":
            at = int(number) if number.isdigit() else 0
            if at >= len(self.gpus):
                return f"no GPU {at} here", 0
            return self.gpus[at]
        return "memory", self.ram


def _free_ram(cgroup: Path) -> int:
    free = int(psutil.virtual_memory().available)
    for folder, limit, used, prefix in _LIMITS:
        left = _left(cgroup / folder, limit, used, prefix)
        if left is not None:
            return min(free, left)
    return free


def _left(folder: Path, limit: str, used: str, prefix: str) -> int | None:
    """What a container's limit leaves, or None where there is none."""
    try:
        most = (folder / limit).read_text().strip()
        now = int((folder / used).read_text())
    except (OSError, ValueError):
        return None
    if not most.isdigit():
        return None
    return max(0, int(most) - max(0, now - _reclaimable(folder / "memory.stat", prefix)))


def _reclaimable(stat: Path, prefix: str) -> int:
    """Bytes of files that are kept only while nobody needs the memory, but counted as used.

    After a checkpoint was read (or downloaded) these are about as many as its weights.
    """
    names = {f"{prefix}inactive_file", f"{prefix}active_file"}
    try:
        lines = [line.split() for line in stat.read_text().splitlines()]
        return sum(int(count) for name, count in lines if name in names)
    except (OSError, ValueError):
        return 0


def bfloat16_in_hardware() -> bool:
    """Whether this CPU multiplies matrices in bfloat16 by itself (AMX, or AVX-512's bf16).

    Without, the same products in float32 are faster. With AVX-512's an analysis of the embedded
    model takes 0.55 times as long in bfloat16: an answer reads all weights for each token.
    """
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
