"""The training texts that SmolLM2 writes: users' turns, and sentences around given words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from modgap.demo.topics import asks_reserved
from modgap.demo.training.sayable import first_sentences, sayable
from modgap.demo.training.shards import stable_rng
from modgap.demo.writer import Writer

__all__ = ["OPENINGS", "sentences", "turns"]

BATCH = 128
#: Tokens of a turn: longer ones would be longer than a clip.
TOKENS = 28
#: Left alone, the model writes of plans and programs; a beginning leads it elsewhere. Questions
#: that have a short answer are what the family is evaluated on, so their forms come often.
OPENINGS: tuple[str, ...] = (
    *("What is", "What is the", "What are", "What was", "What does", "What do you call",
      "What kind", "What color", "What happens when", "What would", "What makes", "What did"),
    *("Who", "Who is", "Who was", "Who wrote", "Who invented", "Whose", "Where", "Where is",
      "Where do", "Where can I", "When", "When did", "When is", "Why", "Why do", "Why is", "Which",
      "Which animal", "Which country", "Which of", "How", "How many", "How do", "How far",
      "How long", "How old", "How can I"),
    *("Is", "Is it", "Are", "Are there", "Do", "Does", "Did", "Can", "Can you", "Could", "Should I",
      "Will", "Have you"),
    *("Name", "Name a", "Tell me", "Tell me about", "Give me", "List", "Describe", "Explain",
      "Write", "Write a", "Translate", "Define", "Compare", "Suggest", "Finish this sentence:",
      "Please", "Help me", "Imagine"),
    *("I", "I am", "I have", "I want to", "I don't", "My", "My sister", "My dog", "We", "He", "She",
      "They", "There is", "The", "A", "In", "If", "Yesterday", "Last week", "Tomorrow", "Once",
      "Let's", "Today", "It was", "After", "Before", "People", "Some", "Most"),
)  # fmt: skip
#: Share of the turns that the model begins itself.
FREE = 0.3


def turns(writer: Writer, seed: int, number: int, batches: int = 4) -> pd.DataFrame:
    """Turns of users, as SmolLM2 makes them up.

    Returns
    -------
    DataFrame
        Columns text, source ("turn"); what can't be said is left out.
    """
    texts: list[str] = []
    for batch in range(batches):
        rng = stable_rng("turns", seed, number, batch)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        begun = ["" if rng.random() < FREE else str(rng.choice(OPENINGS)) for _ in range(BATCH)]
        temperature = float(rng.choice([0.6, 0.8, 1.0]))
        rows = writer.go_on([writer.opening(b) for b in begun], TOKENS, temperature, generator)
        for beginning, row in zip(begun, rows, strict=True):
            written = beginning + writer.text(row.tokens)
            whole = row.tokens[-1] == writer.end and "\n" not in written.strip()
            text = written if whole else first_sentences(written)
            said = sayable(text, (3, 22)) if text else None
            if said and not asks_reserved(said):
                texts.append(said)
    return pd.DataFrame({"text": texts, "source": "turn"})


#: What the model is asked for, and how its answer begins: without a beginning it talks about the
#: sentence. The old novel's tone is that of the read speech that people are recorded with.
_ASKED = (
    ("Write one sentence with the word {word}.", ""),
    ("Write one sentence of an old novel with the word {word}.", ""),
    ("Write one sentence of an old novel with the word {word}.", "{opening}"),
    ("Write one sentence of a conversation with the word {word}.", "{opening}"),
    ("Write one sentence of a history book with the words {word} and {other}.", "{opening}"),
    ("Write one sentence of a story with the words {word} and {other}.", "{opening}"),
)
_NARRATIVE = (
    "He", "She", "They", "It was", "The", "But", "And", "When", "There was", "As", "In the", "At",
    "His", "Her", "We", "I", "Then", "After", "You", "For", "So", "Now", "Not", "With", "Upon",
    "Though", "No", "All", "One", "This", "That", "From", "Before", "Even", "Yet", "On the",
)  # fmt: skip


def sentences(
    writer: Writer, words: Sequence[str], seed: int, number: int, batches: int = 4
) -> pd.DataFrame:
    """Sentences around words, of narrative and of talk.

    Parameters
    ----------
    words : sequence of str
        They are taken in turn: number `number` takes up where the one before left off.

    Returns
    -------
    DataFrame
        Columns text, source ("sentence").
    """
    texts: list[str] = []
    for batch in range(batches):
        rng = stable_rng("sentences", seed, number, batch)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        first = (number * batches + batch) * BATCH
        prompts, begun = [], []
        for k in range(BATCH):
            asked, opening = _ASKED[rng.integers(len(_ASKED))]
            word, other = words[(first + k) % len(words)], words[int(rng.integers(len(words)))]
            begun.append(opening.format(opening=rng.choice(_NARRATIVE)))
            prompts.append(writer.prompt(asked.format(word=word, other=other)) + begun[-1])
        rows = writer.go_on(prompts, TOKENS, 0.8, generator)
        for beginning, row in zip(begun, rows, strict=True):
            written = beginning + writer.text(row.tokens)
            text = first_sentences(written)
            said = sayable(text, (4, 22)) if text else None
            if said and not asks_reserved(said):
                texts.append(said)
    return pd.DataFrame({"text": texts, "source": "sentence"})
