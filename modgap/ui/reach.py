"""A banner where the clip in use is outside of what the chosen model can do."""

from __future__ import annotations

import re

import streamlit as st

from modgap.audio.clip import Clip
from modgap.core.errors import AudioError
from modgap.ui.first_steps import is_embedded
from modgap.ui.server.shared_cache import SharedCache
from modgap.ui.session import clip_in_use, model_in_use
from modgap.ui.session.state import visit

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
#: The commonest words of English: a sentence of some length has one of them.
_COMMON_WORDS = """
the of and a to in is it you that he was for on are as with his they at be this from i have or by
one had not but what all were when we there can an your which their said if do will each about how
up out them then she many some so these would other into has more her two like him see time could
no make than first been its who now my over did down only way find use may long where me us our does
why say please tell name give am
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_LONGEST_WITHOUT = 7  # words


def not_english(text: str) -> bool:
    """Whether words are surely not English: another script, or none of its commonest words.

    >>> not_english("Wie gross ist die Hauptstadt von Frankreich heute"), not_english("apples")
    (True, False)
    """
    words = [word.lower() for word in _WORD.findall(text)]
    letters = "".join(words)
    foreign = sum(not ("a" <= c <= "z" or c in "'’éèêëïöüñç") for c in letters)
    if foreign > 0.2 * len(letters):
        return True
    known = sum(word in _COMMON for word in words)
    return len(words) > _LONGEST_WITHOUT and known < 0.1 * len(words)


def reach() -> None:
    """Say what of the clip in use is beyond the model; nothing for the shipped examples."""
    ref = visit().clip
    if ref is None or ref.source == "example":
        return
    try:
        clip = clip_in_use.clip()
    except AudioError:  # said where the part is chosen
        return
    if clip is None:
        return
    told = []
    longest = model_in_use.longest_clip()
    if clip.seconds > longest + 0.005:
        told.append(
            f"The clip is longer than the {longest:g} s that this model hears: choose a part of it."
        )
    voiced = _voiced().once(clip.sha256, lambda: _has_voice(clip))
    if not voiced:
        told.append(
            "No speech was found in the clip: similarities to a transcript mean nothing without it."
        )
    option = model_in_use.option()
    if option is not None and is_embedded(option.name) and not_english(clip_in_use.transcript()):
        told.append(
            "The transcript does not look like English, and the embedded model hears English only: "
            "its answers and paths will say nothing of the clip."
        )
    if told:
        with st.container(key="reach"):
            st.warning("Outside of what this model can do. " + " ".join(told))


def _has_voice(clip: Clip) -> bool:
    from modgap.audio.speech_activity import MIN_VOICED, voiced_seconds

    return voiced_seconds(clip) >= MIN_VOICED


@st.cache_resource(show_spinner=False)
def _voiced() -> SharedCache[str, bool]:
    return SharedCache(256)
