"""The tokens that Whisper and the text model share: what speech is written with in training.

Both vocabularies are byte-level BPE; three quarters of Whisper's tokens, and nearly all frequent
ones, are tokens of the text model, too. A text is cut as Whisper cuts it, and what the text model
lacks as the text model cuts that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modgap.demo.compose import SPACE

__all__ = ["SharedTokens", "spoken"]


class SharedTokens:
    """A way to write with the tokens of one model as another one cuts.

    Parameters
    ----------
    whisper : Path
        The checkpoint folder of Whisper, with its tokenizer.
    tokenizer : PreTrainedTokenizer
        The text model's.
    """

    def __init__(self, whisper: Path, tokenizer: Any) -> None:
        from transformers import AutoTokenizer

        self._whisper: Any = AutoTokenizer.from_pretrained(whisper)
        self._llm, self._ids = tokenizer, tokenizer.get_vocab()

    def write(self, text: str) -> list[int]:
        """The text model's tokens of a text; a lone space, as before a number, is not written."""
        out: list[int] = []
        for name in self._whisper.tokenize(text):
            if name in self._ids:
                out += [self._ids[name]] if name != SPACE else []
                continue
            part = self._whisper.convert_tokens_to_string([name])
            ids = self._llm(part, add_special_tokens=False)["input_ids"]
            out += [i for i in ids if i != self._ids.get(SPACE)]
        return out


def spoken(tokens: Sequence[int], tokenizer: Any) -> str:
    """What tokens say, with the spaces before numbers that are not written."""
    out = ""
    for part in (str(tokenizer.decode([t])) for t in tokens):
        apart = part[:1].isdigit() and out[-1:].isalpha()
        out += f" {part}" if apart else part
    return out.strip()
