"""The first stage: the adapter learns to put the LLM's own tokens where they are said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modgap.demo.checkpoints import read_tensors
from modgap.demo.compose import ATTENTION_HEADS, SPACE, STACK, composite
from modgap.demo.training import features
from modgap.demo.training.batches import Epochs, collate
from modgap.demo.training.ctc import Speller, TokenReader, letters
from modgap.demo.training.features import Heard
from modgap.demo.training.heldout import error_rate, heldout_sets
from modgap.demo.training.loop import LoopSettings, Run
from modgap.demo.training.settings import TrainSettings
from modgap.demo.training.shards import stable_rng
from modgap.demo.training.shared_tokens import SharedTokens, spoken
from modgap.demo.training.sounds import SOUNDS, sounds
from modgap.models.conv_adapter import ConvTransformerAdapter

__all__ = ["HEADS", "Listener", "new_adapter", "run_listening", "tokenizer_of", "training_set"]

#: Beginnings of the names of what only trains the adapter.
HEADS = ("reader.", "speller.", "phones.")
#: Wrong tokens that a position chooses among, beside the batch's own.
OTHERS = 3000


def new_adapter(s: TrainSettings, frames: int, llm: int) -> ConvTransformerAdapter:
    """The adapter before any training.

    Parameters
    ----------
    s : TrainSettings
    frames, llm : int
        Widths of the encoder and of the text model.
    """
    torch.manual_seed(s.seed)
    reads = composite(s.encoder).reads
    return ConvTransformerAdapter(
        (STACK + reads) * frames, s.width, llm, layers=s.layers,
        heads=ATTENTION_HEADS, inner=s.inner, dropout=s.dropout, read=reads,
    )  # fmt: skip


def tokenizer_of(s: TrainSettings) -> Any:
    """SmolLM2's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(s.llm)


def training_set(s: TrainSettings) -> Heard:
    """Every utterance that was made so far."""
    folders = sorted(f for f in (s.work / "features").glob("*.*") if f.is_dir())
    return features.load(features.files_of(folders))


class Listener:
    """Adapter, reader and spellers with what they need to be trained and measured.

    Parameters
    ----------
    s : TrainSettings
    heard : Heard
        The training utterances; their tokens are the vocabulary.
    """

    def __init__(self, s: TrainSettings, heard: Heard) -> None:
        self.s, self.heard = s, heard
        self.tokenizer = tokenizer_of(s)
        texts = heard.table.text.to_list()
        shared = SharedTokens(s.encoder, self.tokenizer)
        self.tokens = [shared.write(text) for text in texts]
        self.vocabulary = torch.tensor(sorted({t for row in self.tokens for t in row}))
        self.table = table = embeddings(s)
        self.adapter = new_adapter(s, heard.frames(0).shape[1], table.shape[1])
        space = self.tokenizer.convert_tokens_to_ids(SPACE)
        self.reader = TokenReader(table, space)
        with torch.no_grad():
            assert self.adapter.blank is not None
            self.adapter.blank.copy_(table[space])
        self.speller = Speller(s.width, STACK)
        self.letters = [self.speller.numbers(letters(text)) for text in texts]
        self.phones = Speller(s.width, STACK, SOUNDS)
        self.sounds = [self.phones.numbers(said) for said in sounds(texts)]
        self.half = (s.layers + 1) // 2
        self.later = min(s.layers, self.half + 1)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """All that is trained, by name."""
        named = {f"adapter.{n}": p for n, p in self.adapter.named_parameters()}
        heads = {"reader": self.reader, "speller": self.speller, "phones": self.phones}
        for head, module in heads.items():
            named |= {f"{head}.{n}": p for n, p in module.named_parameters()}
        return named

    def hear(
        self, rows: np.ndarray, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Positions of utterances, and the losses of reading them.

        Returns
        -------
        positions : Tensor, shape (B, n, d)
        mask : Tensor of bool, shape (B, n)
        losses : dict of str to Tensor
            "tokens", "letters" and "sounds", per token, letter and sound.
        """
        stacked, mask, words = collate(self.heard, rows, self.table, rng)
        with torch.autocast("cpu", torch.bfloat16):
            states = self.adapter.layer_states(stacked, mask)
            made = self.adapter.positions(states[-1], words)
        tokens = [self.tokens[int(i)] for i in rows]
        spelt = [self.letters[int(i)] for i in rows]
        heard = [self.sounds[int(i)] for i in rows]
        return made, mask, {
            "tokens": self.reader.loss(made, mask, tokens, self.others(rng)),
            "letters": self.speller.loss(states[self.later], mask, spelt),
            "sounds": self.phones.loss(states[self.half], mask, heard),
        }  # fmt: skip

    def others(self, rng: np.random.Generator) -> Tensor:
        """Some tokens of the vocabulary."""
        count = min(OTHERS, len(self.vocabulary))
        return self.vocabulary[rng.choice(len(self.vocabulary), count, replace=False)]

    @torch.inference_mode()
    def read(self, heard: Heard, batch: int = 32) -> tuple[list[str], list[str]]:
        """What reader and speller make of utterances."""
        self.adapter.eval()
        read: list[str] = []
        spelt: list[str] = []
        for start in range(0, len(heard), batch):
            rows = np.arange(start, min(start + batch, len(heard)))
            stacked, mask, words = collate(heard, rows, self.table)
            with torch.autocast("cpu", torch.bfloat16):
                states = self.adapter.layer_states(stacked, mask)
                made = self.adapter.positions(states[-1], words)
            tokens = self.reader.read(made, mask, self.vocabulary)
            read += [spoken(row, self.tokenizer) for row in tokens]
            spelt += self.speller.read(states[self.later], mask)
        self.adapter.train()
        return read, spelt

    def errors(self) -> dict[str, float]:
        """Word error rate on each held-out set, by the reader and by the speller."""
        found = {}
        for name, held in heldout_sets(self.s).items():
            said = held.table.text.to_list()
            read, spelt = self.read(held)
            found[name], found[f"{name}_spelt"] = error_rate(said, read), error_rate(said, spelt)
        return found


def embeddings(s: TrainSettings) -> Tensor:
    """The text model's token embeddings (V, d), float32."""
    return read_tensors(s.llm / "model.safetensors")[0]["model.embed_tokens.weight"].float()


def run_listening(s: TrainSettings, stop: int | None = None) -> None:
    """Train the adapter with its reader and its speller."""
    listener = Listener(s, training_set(s))
    epochs = Epochs(listener.heard.table.frames.to_numpy(), s.listen_batch, s.seed, "listen")
    parameters = listener.parameters()
    # How sharp the reading is, and how often nothing is said: two numbers that must move first.
    quick = ("reader.sharpness", "reader.often")
    rates = {n: s.listen_rate * (10 if n in quick else 1) for n in parameters}
    settings = LoopSettings("listen", s.listen_steps, min(200, s.listen_steps // 10 + 1))
    run = Run(s.work / "listen", parameters, rates, settings, s.seed)

    def step(n: int) -> dict[str, float]:
        losses = listener.hear(epochs.step(n), stable_rng("listen", s.seed, n))[2]
        torch.stack(list(losses.values())).sum().backward()
        numbers = {name: float(loss.detach()) for name, loss in losses.items()}
        return numbers | measured(n + 1, s.listen_steps, s.measure_every, listener.errors)

    run.run(step, stop_after=stop)


def measured(
    done: int, steps: int, every: int, measure: Callable[[], dict[str, float]]
) -> dict[str, float]:
    """What is measured now and then, and after the last step."""
    return measure() if done % every == 0 or done == steps else {}
