"""Speech recognisers: what is said in a clip, and when each word of a transcript is said."""

from modgap.recognition.base import Recognizer, load_recognizer
from modgap.recognition.words import Word, WordTimes, split_words

__all__ = ["Recognizer", "Word", "WordTimes", "load_recognizer", "split_words"]
