"""English words as phones of the CMU dictionary, by way of espeak-ng's International Phonetics."""

from __future__ import annotations

import re
import unicodedata

from modgap.core.errors import SettingsError

# What espeak-ng's American English writes, to the 39 phones of the CMU dictionary; the longest
# match counts. A flap is a D, as the dictionary's model was trained on what was said.
_PHONES = {
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "tʃ": "CH", "dʒ": "JH",
    "f": "F", "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH",
    "m": "M", "n": "N", "ŋ": "NG", "l": "L", "ɫ": "L", "ɹ": "R", "r": "R", "w": "W", "j": "Y",
    "ɾ": "D", "ʔ": "T", "x": "K", "ç": "HH", "ɬ": "L", "ɲ": "N Y", "n̩": "AH N", "l̩": "AH L",
    "əl": "AH L", "ʍ": "W", "ɣ": "G", "β": "V", "q": "K", "c": "K", "ʎ": "L Y", "ɕ": "SH",
    "i": "IY", "iː": "IY", "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "e": "EY", "eː": "EY", "eɪ": "EY",
    "ɛ": "EH", "ɛː": "EH", "æ": "AE", "a": "AE", "aː": "AA", "ɑ": "AA", "ɑː": "AA", "ɒ": "AA",
    "ɔ": "AO", "ɔː": "AO", "o": "OW", "oː": "AO", "oʊ": "OW", "əʊ": "OW", "ʊ": "UH", "u": "UW",
    "uː": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɜ": "ER", "ɜː": "ER", "ɝ": "ER", "ɚ": "ER",
    "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "y": "UW", "yː": "UW", "ø": "ER", "øː": "ER", "œ": "ER",
    "ɪɹ": "IH R", "ɑ̃": "AA N", "ɔ̃": "AO N", "æ̃": "AE N", "ɜːɹ": "ER", "ɚɹ": "ER R", "aɪɚ": "AY ER",
}  # fmt: skip
_LONGEST = max(map(len, _PHONES))
_MARKS = "ˈˌ‍ "  # stress, joiner, the blank between the words of a number
_LANGUAGE = re.compile(r"\([a-z-]+\)")


def pronounce(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The phones of each word, as espeak-ng's American English says it; numbers are read out.

    Parameters
    ----------
    words : tuple of str

    Raises
    ------
    SettingsError
        Words that cannot be pronounced in English; the message names them.
    """
    from modgap.speech.synthesis import wheel_synthesizer

    found: list[tuple[str, ...]] = []
    odd = []
    # The system's program gives no phonemes to others.
    spoken = wheel_synthesizer().phonemes(words) if words else []
    for word, ipa in zip(words, spoken, strict=True):
        phones = arpabet(ipa) if _is_latin(word) else None
        if phones:
            found.append(phones)
        else:
            odd.append(word)
    if odd:
        some = ", ".join(repr(word) for word in odd[:5]) + (", ..." if len(odd) > 5 else "")
        raise SettingsError(
            f"These words cannot be pronounced in English: {some}. Write them as they are said."
        )
    return found


def arpabet(ipa: str) -> tuple[str, ...] | None:
    """Phones of a pronunciation in the International Phonetic Alphabet; None if one is unknown.

    >>> arpabet("fɹˈæns")
    ('F', 'R', 'AE', 'N', 'S')
    """
    text = "".join(c for c in _LANGUAGE.sub("", ipa) if c not in _MARKS)
    out: list[str] = []
    at = 0
    while at < len(text):
        for size in range(min(_LONGEST, len(text) - at), 0, -1):
            phones = _PHONES.get(text[at : at + size])
            if phones is not None:
                out += phones.split()
                at += size
                break
        else:
            if text[at] != "ː" and not unicodedata.combining(text[at]):
                return None
            at += 1
    return tuple(out)


def _is_latin(word: str) -> bool:
    return all(not c.isalpha() or "LATIN" in unicodedata.name(c, "") for c in word)
