"""The tokens that speech is written with: few enough that each is said often.

A text LLM has ten thousands of tokens, most of which a training of some thousand utterances says
once or never: an adapter can't learn from which sounds they come. Speech is therefore written with
a small part of the LLM's own tokens, chosen as a unigram model chooses its vocabulary (Kudo 2018):
from all tokens that occur in the texts, those are dropped again and again that are missed least.
Frequent words stay whole; rare ones are spelt in pieces that the LLM knows as well.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["SPACE", "Pieces"]

#: How the byte-level vocabulary writes a space.
SPACE = "\u0120"
#: Share of the pieces that one round keeps.
_KEPT = 0.7


class Pieces:
    """A small vocabulary and the way of writing with it.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Of byte-level BPE.
    texts : iterable of str
        What is said in training.
    size : int
        Pieces beside single characters.

    Attributes
    ----------
    ids : list of int
        The tokens of the vocabulary, rising.
    """

    def __init__(self, tokenizer: Any, texts: Iterable[str], size: int) -> None:
        self._split: Any = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str
        self._token: dict[str, int] = {
            name: i for name, i in tokenizer.get_vocab().items() if name != SPACE
        }
        self._cost: dict[str, float] = {}
        self._written: dict[str, list[int]] = {}
        self._choose(Counter(w for text in texts for w in self._words(text)), size)
        self.ids = sorted(self._token[p] for p in self._cost)

    def _words(self, text: str) -> list[str]:
        """Words with the space before them; a lone space, as before a number, is not written."""
        return [w for w, _ in self._split(text) if w.strip(SPACE)]

    def _choose(self, words: Counter[str], size: int) -> None:
        counts: Counter[str] = Counter()
        for word, n in words.items():
            for i in range(len(word)):
                for j in range(i + 1, len(word) + 1):
                    if word[i:j] in self._token:
                        counts[word[i:j]] += n
        single = {p for p in counts if len(p.lstrip(SPACE)) <= 1}
        self._price(counts)
        while True:
            used: Counter[str] = Counter()
            for word, n in words.items():
                for piece in self._cut(word):
                    used[piece] += n
            rest = [p for p in used if p not in single]
            # What a piece saves: its uses, by what else its letters would cost.
            saved = {p: used[p] * (self._without(p) - self._cost[p]) for p in rest}
            count = max(size, int(_KEPT * len(rest)))
            kept = set(sorted(rest, key=lambda p: (-saved[p], p))[:count]) | single
            self._price(Counter({p: used[p] for p in kept}))
            if len(kept - single) <= size:
                break
        self._written.clear()

    def _price(self, counts: Counter[str]) -> None:
        """Costs are negative logarithms of shares; what never occurs is as if it had once."""
        total = math.log(sum(counts.values()) + len(counts))
        self._cost = {p: total - math.log(n + 1) for p, n in counts.items()}

    def _without(self, piece: str) -> float:
        return sum(self._cost[p] for p in self._cut(piece, whole=False))

    def _cut(self, word: str, *, whole: bool = True) -> list[str]:
        """The cheapest pieces of a word; characters that the texts never had are left out."""
        best: list[tuple[float, int, str]] = [(0.0, 0, "")]
        for end in range(1, len(word) + 1):
            found = (best[end - 1][0] + 50.0, end - 1, "")
            for start in range(end):
                part = word[start:end]
                if part in self._cost and (whole or end - start < len(word)):
                    cost = best[start][0] + self._cost[part]
                    found = min(found, (cost, start, part))
            best.append(found)
        out, at = [], len(word)
        while at:
            _, at, part = best[at]
            out.append(part)
        return [p for p in reversed(out) if p]

    def write(self, text: str) -> list[int]:
        """The tokens of a text."""
        out: list[int] = []
        for word in self._words(text):
            if word not in self._written:
                self._written[word] = [self._token[p] for p in self._cut(word)]
            out += self._written[word]
        return out

    @staticmethod
    def text(tokens: Sequence[int], tokenizer: Any) -> str:
        """What tokens say, with the spaces before numbers that are not written."""
        out = ""
        for part in (str(tokenizer.decode([t])) for t in tokens):
            apart = part[:1].isdigit() and out[-1:].isalpha()
            out += f" {part}" if apart else part
        return out.strip()
