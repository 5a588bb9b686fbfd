"""The libraries that models need: seconds to import, so never while a page is being drawn."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger("modgap.ui")

_LOCK = threading.Lock()
_done = False


def imported() -> bool:
    """Whether they are here."""
    return _done


def import_libraries() -> None:
    """Import them, once; who comes meanwhile waits.

    transformers resolves its names when they are first used, and two threads that do so at the same
    time may find one missing.
    """
    global _done
    with _LOCK:
        if _done:
            return
        try:
            import librosa.feature.spectral  # noqa: F401, the package loads its parts when touched
            import transformers

            import modgap.analysis.functions
            import modgap.models.loading.memory  # noqa: F401
            from modgap.models.families.qwen2_audio import ADAPTER  # the embedded models' family

            getattr(transformers, ADAPTER.model_class)
            getattr(transformers, str(ADAPTER.processor_class))
        except Exception:  # the job will say it again, to a user
            log.exception("The models cannot be imported")
        else:
            _done = True
