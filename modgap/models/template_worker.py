"""A small program that renders chat templates, which come from anyone, within bounds.

It is meant to run as a process of its own (``python -m modgap.models.template_worker``): a template
that never ends is stopped by ending the process, and one that fills the memory fills only what this
process may have. The rendering is transformers' own, in its sandbox.

Protocol: ``"ready"`` in a line once, then for each line of standard input, ``{"template",
"messages", "special", "seconds"}``, one line: ``{"text"}`` or ``{"refused"}`` with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["MOST_CHARACTERS", "answer"]

MEMORY = 512 << 20  # bytes that a template may take beside what the libraries hold
MOST_CHARACTERS = 1_000_000  # of a prompt
IDLE = 60  # seconds without a request after which the process ends


def answer(line: bytes) -> dict[str, str]:
    """Render what a line asks for."""
    from transformers.utils.chat_template_utils import render_jinja_template

    asked = json.loads(line)
    _bound_time(asked["seconds"])
    try:
        rendered: Any = render_jinja_template(
            conversations=[asked["messages"]],
            chat_template=asked["template"],
            add_generation_prompt=True,
            **asked["special"],
        )
        text = rendered[0][0]
    except MemoryError:
        return {"refused": "it needs too much memory"}
    except RecursionError:
        return {"refused": "it is nested too deeply"}
    except Exception as problem:  # a template may raise whatever the operations in it do
        return {"refused": (str(problem) or type(problem).__name__)[:500]}
    if len(text) > MOST_CHARACTERS:
        return {"refused": f"it writes {len(text):,} characters"}
    return {"text": text}


def _bound_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _bound_time(seconds: float) -> None:
    """End this process by itself, should the one that waits for it have been killed."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime + 2 * seconds + 1)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _wake(seconds: int) -> None:
    """End this process in so many seconds; 0: not any more."""
    import signal

    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def serve() -> None:
    """Answer requests until the input ends, or none comes for a while."""
    # Whatever a library prints is no answer.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Before the first request, so that its time is the template's own.
    from transformers.utils import chat_template_utils  # noqa: F401

    _bound_memory()
    reply: Any = "ready"
    while True:
        out.write(json.dumps(reply).encode() + b"\n")
        out.flush()
        _wake(IDLE)
        line = sys.stdin.buffer.readline()
        _wake(0)
        if not line:
            return
        reply = answer(line)


if __name__ == "__main__":
    serve()
