"""The libraries that models need: seconds to import, so never while a page is being drawn."""

from __future__ import annotations

import importlib
import logging
import threading

log = logging.getLogger("modgap.ui")

_LOCK = threading.Lock()
_done = False


def import_heavy() -> None:
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

            import modgap.analysis
            import modgap.models.memory  # noqa: F401
            from modgap.models.loading import known_types

            for model_type in known_types():
                adapter = importlib.import_module(f"modgap.models.{model_type}").ADAPTER
                for name in filter(None, (adapter.model_class, adapter.processor_class)):
                    getattr(transformers, name)
        except Exception:  # the job will say it again, to a user
            log.exception("The models cannot be imported")
        else:
            _done = True
