"""Speech comes from a process of its own, and errors say what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from modgap.demo.voices import HELDOUT_VOICES
from modgap.speech.synthesis import SpeechError, Synthesizer, speak, wheel_synthesizer


@pytest.fixture(scope="module")
def synthesizer():
    s = Synthesizer(program="")
    yield s
    s.close()


def test_speaks(synthesizer):
    samples, rate = synthesizer.speak("What is the capital of France?", "en-us+m4")
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 1.0 < samples.size / rate < 3.0
    assert 0.1 < np.abs(samples).max() <= 1.0


def test_fresh_synthesizers_agree_and_voices_differ():
    def fresh(voice: str) -> np.ndarray:
        s = Synthesizer(program="")
        samples, _ = s.speak("Ten.", voice)
        s.close()
        return samples

    one, breathy = fresh("en-us+m4"), fresh("en-us+f3")
    time.sleep(1.1)  # breath is noise, which espeak-ng seeds with the second that it is
    assert np.array_equal(one, fresh("en-us+m4"))
    other = fresh("en-us+f3")
    assert np.array_equal(breathy, other)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_what_was_said_before_changes_nothing(synthesizer):
    """espeak-ng itself keeps state: some voices say a sentence a little differently again."""
    sentences = ["What is the capital of France?", "Which month comes after March?"]
    asked = [(text, voice) for voice in ("en+f2", "en-us+m4") for text in sentences]
    first = [synthesizer.speak(*a)[0] for a in asked]
    again = [synthesizer.speak(*a)[0] for a in reversed(asked)]
    assert all(np.array_equal(a, b) for a, b in zip(first, reversed(again), strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot copy a process")
def test_a_forked_process_speaks_over_its_own_pipes():
    mine = wheel_synthesizer()
    assert wheel_synthesizer() is mine
    mine.speak("Two.", "en-us+m4")
    child = os.fork()
    if child == 0:
        os._exit(0 if wheel_synthesizer() is not mine else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert wheel_synthesizer() is mine


def test_every_voice_exists(synthesizer):
    for voice in HELDOUT_VOICES:
        samples, _ = synthesizer.speak("Two.", voice)
        assert samples.size > 1000


def test_library_is_not_in_this_process():
    code = (
        "from modgap.speech.synthesis import Synthesizer\n"
        "s = Synthesizer(program='')\n"
        "s.speak('Hello.')\n"
        "maps = open('/proc/self/maps').read() if __import__('os').path.exists('/proc/self/maps')"
        " else ''\n"
        "assert 'espeak' not in maps, 'loaded here'\n"
        "assert s._worker.pid != __import__('os').getpid()\n"
        "s.close()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_dead_worker_is_noticed_and_replaced(synthesizer):
    synthesizer.speak("One.")
    synthesizer._worker.kill()
    synthesizer._worker.wait()
    samples, _ = synthesizer.speak("One.")
    assert samples.size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "no text"),
        (("   \n",), "no text"),
        (("word " * 400,), "too long"),
        (("Hello.", "en-us+nobody"), "Could not speak with voice"),
        (("Hello.", "xx"), "Could not speak with voice"),
        (("Hello.", "en-us+../../etc"), "Could not speak with voice"),
        (("Hello.", "en-us", 10), "rate"),
        (("Hello.", "en-us", 170, 200), "pitch"),
    ],
)
def test_errors_say_what_to_do(synthesizer, arguments, message):
    with pytest.raises(SpeechError, match=message):
        synthesizer.speak(*arguments)


def test_speak_function():
    samples, rate = speak("Five.")
    assert samples.size / rate < 2
