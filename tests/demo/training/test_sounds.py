"""How texts sound."""

from __future__ import annotations

from typing import Any

from modgap.demo.training.sounds import SOUNDS, sounds


class Teller:
    """Says of each clause what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def phonemes(self, words: Any) -> list[str]:
        self.asked += words
        return [f"t\u02c8u\u02d0 {n}" for n in range(len(words))]


def test_words_are_said_as_espeak_says_them() -> None:
    plain, number = sounds(["The ship, at sea.", "It has 15 sails."])
    assert plain.split() == ["ðə", "ʃɪp", "æt", "si"]
    assert "fɪftin" in number.split()
    assert set(plain + number) <= set(SOUNDS)


def test_clauses_go_back_to_their_texts() -> None:
    teller: Any = Teller()
    found = sounds(["one, two: three.", "", "well-known (so) 1.5", "..."], teller)
    assert teller.asked == ["one", "two", "three", "well-known", "so", "1.5"]
    assert found == ["tu tu tu", "", "tu tu tu", ""]
