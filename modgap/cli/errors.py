"""What every command shares: one line on stderr and exit code 2 when something is wrong."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from modgap.core.errors import Cancelled, ModgapError

FAILED, INTERRUPTED = 2, 130
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


class Commands(TyperGroup):
    """The root group: turns every exception into one line, or with ``--debug`` into a traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; ends in SystemExit as click's own `main` does."""
        words = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in words
        _never_fail_to_print(sys.stdout, sys.stderr)
        with _quiet(debug):
            try:
                code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
                if code == INTERRUPTED:
                    say("stopped")
            except BaseException as problem:
                code = self._report(problem, debug)
        sys.exit(code if isinstance(code, int) else 0)

    def _report(self, problem: BaseException, debug: bool) -> int:
        if isinstance(problem, SystemExit):
            return problem.code if isinstance(problem.code, int) else FAILED
        if isinstance(problem, KeyboardInterrupt | typer.Abort | Cancelled):
            say("stopped")
            return INTERRUPTED
        if debug:
            traceback.print_exception(problem)
            return FAILED
        say(f"error: {explain(problem)}")
        return FAILED


def explain(problem: BaseException) -> str:
    """One sentence about an exception, and what to do."""
    if hasattr(problem, "format_message"):  # a wrong option or argument, from click
        context = getattr(problem, "ctx", None)
        where = context.command_path if context is not None else "modgap"
        return f"{problem.format_message().rstrip('.')}. See `{where} --help`."
    if isinstance(problem, ModgapError):
        return str(problem)
    if isinstance(problem, MemoryError) or "out of memory" in str(problem).lower():
        return "Out of memory: use a shorter clip (--start, --end) or a smaller model."
    if isinstance(problem, OSError):
        if problem.strerror is None:
            return str(problem) or type(problem).__name__
        where = f": {problem.filename}" if problem.filename else ""
        return (
            f"{problem.strerror}{where}. Check the path, its permissions and the free disk space."
        )
    said = f" ({problem})" if str(problem) else ""
    return (
        f"Unexpected {type(problem).__name__}{said}. Run the same command with --debug and report "
        "what it prints."
    )


def say(text: str) -> None:
    """Print one line on stderr, whatever the text holds."""
    print(f"modgap: {one_line(text)}", file=sys.stderr, flush=True)


def one_line(text: str) -> str:
    """The text without line breaks and without what would command the terminal."""
    return literal(" ".join(text.split()))


def literal(text: str) -> str:
    """The text with control and other invisible characters written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def _quiet(debug: bool) -> Iterator[None]:
    """Libraries say nothing unless asked to; modgap's warnings are a line each."""
    handler = _OneLine()
    logger = logging.getLogger("modgap")
    logger.addHandler(handler)
    passed_on, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = passed_on


class _OneLine(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {record.getMessage()}")


def _never_fail_to_print(*streams: TextIO) -> None:
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
