"""The parts of the training by name, each in a process of its own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from modgap.demo.training import shards, wordnet
from modgap.demo.training.aligning import STRATEGIES, run_alignment
from modgap.demo.training.answers import answer_texts, asked_texts
from modgap.demo.training.features import Hearing, speak_texts
from modgap.demo.training.heldout import make_people, make_voices
from modgap.demo.training.listening import run_listening
from modgap.demo.training.plain import SHARD, texts
from modgap.demo.training.settings import TrainSettings
from modgap.demo.training.speakers import Speakers
from modgap.demo.training.written import sentences, turns
from modgap.demo.writer import Writer

__all__ = ["STAGES", "main", "run"]

Part = tuple[int, int]
#: Texts by rule that nobody says in training.
HELDOUT = 128
#: Kinds of texts.
BOOKS = ("plain", "turns", "sentences")


def _say(name: str) -> Callable[[int, int], None]:
    return lambda number, count: print(f"{name}: {number} of {count}", flush=True)


def run_plain(s: TrainSettings, part: Part) -> None:
    """Texts of WordNet and by rule."""
    table = texts(s.wordnet, s.seed)
    shards.fill(
        s.work / "texts" / "plain", (len(table) - HELDOUT) // SHARD,
        lambda n: table[n * SHARD : (n + 1) * SHARD], _say("plain"), part,
    )  # fmt: skip


def run_turns(s: TrainSettings, part: Part) -> None:
    """SmolLM2 makes up what users say."""
    writer = Writer(s.llm)
    shards.fill(
        s.work / "texts" / "turns", s.turn_shards, lambda n: turns(writer, s.seed, n),
        _say("turns"), part,
    )  # fmt: skip


def run_sentences(s: TrainSettings, part: Part) -> None:
    """SmolLM2 makes up sentences around the words that people use."""
    if s.wordnet is None:
        return
    words = wordnet.words(list(wordnet.senses(s.wordnet)))
    shards.stable_rng("words", s.seed).shuffle(words)
    writer = Writer(s.llm)
    shards.fill(
        s.work / "texts" / "sentences", s.sentence_shards,
        lambda n: sentences(writer, words, s.seed, n), _say("sentences"), part,
    )  # fmt: skip


def run_answers(s: TrainSettings, part: Part) -> None:
    """SmolLM2 answers the texts that are turns of a conversation."""
    writer = Writer(s.llm)
    for book in BOOKS:
        asked = asked_texts(shards.read(s.work / "texts" / book))
        shards.fill(
            s.work / "answers" / book, len(asked) // SHARD,
            partial(_answered, writer, asked),
            _say(f"answers {book}"), part,
        )  # fmt: skip


def _answered(writer: Writer, asked: list[str], n: int) -> pd.DataFrame:
    """The answers of one shard."""
    return answer_texts(writer, asked[n * SHARD : (n + 1) * SHARD])


def run_heldout(s: TrainSettings, part: Part) -> None:
    """What is measured on: texts and voices that are left out, and people."""
    hearing = Hearing(s.encoder, s.llm)
    left = texts(s.wordnet, s.seed).text[-HELDOUT:].to_list()
    make_voices(s, left, Speakers(None, None), hearing)
    if s.people is not None:
        make_people(s, s.people, hearing)


def run_speech(s: TrainSettings, part: Part) -> None:
    """Every text that is there is said and heard, round by round, each time by another voice.

    A file of each kind of texts in turn, so that what is there at any time is a fair sample.
    """
    speakers, hearing = Speakers(s.voice, s.flite), Hearing(s.encoder, s.llm)
    files = {b: sorted((s.work / "texts" / b).glob("[0-9]*.parquet")) for b in BOOKS}
    longest = max(map(len, files.values()))
    for again in range(s.rounds):
        for n in range(part[0], longest, part[1]):
            for book in BOOKS:
                if n >= len(files[book]):
                    continue
                folder, file = s.work / "features" / f"{book}.{again}", files[book][n]

                def heard(n: int, folder: Path = folder, file: Path = file) -> pd.DataFrame:
                    key = f"{s.seed}/{folder.name}/{file.stem}"
                    frames = folder / f"{n:05d}.npy"
                    return speak_texts(pd.read_parquet(file), key, speakers, hearing, frames)

                if shards.fill_one(folder, n, heard):
                    _say(folder.name)(n, len(files[book]))


def _aligning(strategy: str) -> Callable[[TrainSettings, Part], None]:
    return lambda s, part: run_alignment(s, strategy)


STAGES: dict[str, Callable[[TrainSettings, Part], None]] = {
    "plain": run_plain,
    "turns": run_turns,
    "sentences": run_sentences,
    "speech": run_speech,
    "answers": run_answers,
    "heldout": run_heldout,
    "listen": lambda s, part: run_listening(s),
    **{name: _aligning(name) for name in STRATEGIES},
}


def run(s: TrainSettings, name: str, part: Part = (0, 1)) -> None:
    """Do what is left to do of one stage, or of one process's part of it."""
    STAGES[name](s, part)


def main() -> None:
    """Entry of a part's process."""
    parser = argparse.ArgumentParser(description="Do one part of the embedded family's training.")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("K", "N"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # tiny numbers cost a CPU a hundred times their worth
    run(TrainSettings.load(args.work), args.stage, tuple(args.part))


if __name__ == "__main__":
    main()
