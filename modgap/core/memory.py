"""Memory that is given back."""

from __future__ import annotations

import gc
import sys


def free_memory() -> None:
    """Give memory back at once: modules and hooks make cycles, and CUDA keeps what it has had.

    Where torch is not imported yet, it has nothing to give back and stays out.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
