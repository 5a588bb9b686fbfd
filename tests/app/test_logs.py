"""What a browser sends ends in one line of the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from modgap.ui.server.logs import FRAMES, LOGGERS, MOST, OneLine, bound_logs

HUGE = "<b>\x1b[31m" + "x" * 1_500_000


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What Streamlit's loggers write, as their own handlers would."""
    said: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    kept = Kept()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger, list(logger.filters)) for logger in loggers]
    for logger in loggers:
        logger.addHandler(kept)
    bound_logs()
    bound_logs()
    yield said
    for logger, filters in before:
        logger.removeHandler(kept)
        logger.filters[:] = filters


def tell(problem: BaseException) -> None:
    logging.getLogger(LOGGERS[0]).error("Uncaught app execution", exc_info=problem)


def raised(make: Callable[[], object]) -> BaseException:
    try:
        make()
    except BaseException as problem:
        return problem
    raise AssertionError("it raised nothing")


def test_what_streamlit_refuses_is_one_line(log: list[str]) -> None:
    slider: Any = st.slider
    tell(raised(lambda: slider(HUGE, 0, 1, value=HUGE)))
    (line,) = log
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 2 * MOST
    assert line.startswith("Uncaught app execution: ")


def test_frames_of_modgaps_own_failures_stay_within_bounds(log: list[str]) -> None:
    def deep(n: int) -> None:
        if n:
            deep(n - 1)
        raise KeyError(HUGE)

    tell(raised(lambda: deep(50)))
    (text,) = log
    assert text.startswith("Uncaught app execution: KeyError: ")
    assert "1,500,0" in text.splitlines()[0], "how much there was"
    assert "in deep" in text
    assert len(text) < 2 * MOST + FRAMES * (MOST + 10)


def test_messages_are_cut_and_stay_on_a_line(log: list[str]) -> None:
    logging.getLogger(LOGGERS[1]).warning("told %s\nand %r", HUGE, HUGE)
    (line,) = log
    assert line.startswith("told <b>\\x1b[31mxxx")
    assert "\n" not in line
    assert len(line) < 2 * MOST
    logging.getLogger(LOGGERS[1]).warning("a short one")
    assert log[1] == "a short one"


def test_the_filter_is_put_on_once(log: list[str]) -> None:
    for name in LOGGERS:
        assert sum(isinstance(f, OneLine) for f in logging.getLogger(name).filters) == 1


FORGED = [
    ("string_value", HUGE),
    ("int_value", 1 << 60),
    ("double_value", float("nan")),
    ("json_value", "[" * 100_000),
    ("json_value", json.dumps([HUGE])),
    ("json_value", json.dumps({"selection": HUGE, "value": {"layer": HUGE}})),
    ("trigger_value", True),
]


@pytest.mark.parametrize(("kind", "value"), FORGED)
def test_forged_values_of_widgets_end_in_one_line(
    open_app: Callable[..., AppTest], log: list[str], kind: str, value: object
) -> None:
    at = open_app()
    ids = sorted({w.id for w in at._tree.get_widget_states().widgets})
    id = next(i for i in ids if i.endswith("-device"))
    for _ in range(2):  # and again, in the run after it
        log.clear()
        states = at._tree.get_widget_states()
        kept = [w for w in states.widgets if w.id != id]
        del states.widgets[:]
        states.widgets.extend(kept)
        setattr(states.widgets.add(id=id), kind, value)
        at._run(states)
        assert sum(map(len, log)) < 4 * MOST
        assert all("\n" not in line for line in log)
    log.clear()
    other = open_app()
    assert not other.exception, "another visitor sees nothing of it"
    assert not log
