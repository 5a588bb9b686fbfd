"""Chat templates, rendered in a process of their own: they are programs, and come from anyone.

One that loops for ever, or doubles a string until the memory is full, ends in a sentence; see
`modgap.models.template_worker` for the other side.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from modgap.core.errors import ModelError

__all__ = ["EndlessTemplateError", "Renderer", "renderer"]

SECONDS = 10.0  # for one prompt; they take milliseconds
START_SECONDS = 180.0  # for the process, on a machine that is busy or reads from a slow disk
_ADVICE = "use the template that came with the checkpoint."


class EndlessTemplateError(ModelError):
    """The template takes too long, whatever it is given: nobody should wait for it twice."""


class _EndedError(Exception):
    """The process is gone."""


class Renderer:
    """Renders templates by one process, which is started when it is needed and ends when idle.

    Usable from several threads, one of which is served at a time.

    Parameters
    ----------
    seconds : float
        That one prompt may take.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner, self._ready, self._registered = 0, False, False

    def start(self) -> None:
        """Begin to start the process, without waiting for it."""
        if self._lock.acquire(blocking=False):  # else it is in use, so it is there
            with contextlib.suppress(OSError):  # which the first prompt says
                self._started()
            self._lock.release()

    def render(
        self, template: str, messages: Sequence[Mapping[str, Any]], special: Mapping[str, Any]
    ) -> str:
        """Render a conversation, with the beginning of the model's turn.

        Parameters
        ----------
        template : str
        messages : sequence of dict
            Of plain JSON values.
        special : mapping
            What else the template is told: a tokenizer's ``special_tokens_map``.

        Raises
        ------
        EndlessTemplateError
            The template takes too long, or ends the process.
        ModelError
            The template refuses the conversation, or takes too much memory; or no process can be
            started.
        """
        asked = {"template": template, "messages": list(messages), "special": dict(special)}
        line = json.dumps({**asked, "seconds": self._seconds}, default=str).encode() + b"\n"
        with self._lock:
            try:
                reply = self._ask(line)
            except _EndedError:
                raise EndlessTemplateError(
                    "The model's chat template ends the process that renders it: " + _ADVICE
                ) from None
            except BaseException:
                self.close()  # else an interrupted request's answer would be the next one's
                raise
        if "text" not in reply:
            raise ModelError(
                f"The model's chat template refuses this prompt ({reply['refused']}); try it "
                f"without a system message, or {_ADVICE}"
            )
        return str(reply["text"])

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        self._ready = False
        if process is None or self._owner != os.getpid():
            return  # a copy of this process does not end what is another's
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _started(self) -> subprocess.Popen[bytes]:
        alive = self._process is not None and self._owner == os.getpid()
        if self._process is None or not alive or self._process.poll() is not None:
            self.close()
            paths = [str(Path(__file__).resolve().parents[2]), *(p for p in sys.path if p)]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "modgap.models.template_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
            self._owner = os.getpid()
            if not self._registered:
                atexit.register(self.close)
                self._registered = True
        return self._process

    def _ask(self, line: bytes) -> dict[str, str]:
        try:
            return self._told(line)
        except _EndedError:  # idle for too long just now; a template that ends it will again
            return self._told(line)

    def _told(self, line: bytes) -> dict[str, str]:
        try:
            process = self._started()
        except OSError as problem:
            raise ModelError(
                "The process that renders chat templates cannot be started "
                f"({problem.strerror or problem}): free some memory, or end other processes."
            ) from problem
        if not self._ready:
            try:
                self._line(process, START_SECONDS)
            except (_EndedError, TimeoutError):
                raise ModelError(
                    "The process that renders chat templates does not start: reinstall "
                    "transformers and jinja2 (pip install --force-reinstall transformers jinja2)."
                ) from None
            self._ready = True
        assert process.stdin is not None
        try:
            process.stdin.write(line)
            process.stdin.flush()
        except OSError:
            self.close()
            raise _EndedError from None
        try:
            reply: dict[str, str] = json.loads(self._line(process, self._seconds))
        except TimeoutError:
            raise EndlessTemplateError(
                f"The model's chat template does not end within {self._seconds:g} s: " + _ADVICE
            ) from None
        return reply

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        """One line of what the process says; without one in time it is ended."""
        assert process.stdout is not None
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            line = process.stdout.readline()
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            return line
        self.close()
        raise TimeoutError if late.is_set() else _EndedError


@lru_cache(maxsize=1)
def renderer() -> Renderer:
    """The one that all models of this process share."""
    return Renderer()
