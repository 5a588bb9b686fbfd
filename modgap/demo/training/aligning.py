"""The second stages: the LLM answers and writes down what the adapter makes of speech.

Two strategies from the same start: ``adapter`` leaves the LLM as it was released, ``lora`` also
gives it low-rank adapters. The targets are the LLM's own answers to the transcript.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modgap.core.errors import SettingsError
from modgap.demo.checkpoints import read_tensors, write_tensors
from modgap.demo.compose import NEAREST, shared_tokens
from modgap.demo.training.answers import read_answers
from modgap.demo.training.batches import collate
from modgap.demo.training.features import Heard, positions
from modgap.demo.training.heldout import error_rate, heldout_sets
from modgap.demo.training.listening import HEADS, Listener, measured, training_set
from modgap.demo.training.loop import LoopSettings, Run
from modgap.demo.training.low_rank import add_low_rank
from modgap.demo.training.settings import TrainSettings
from modgap.demo.training.shards import stable_rng
from modgap.demo.training.speaking import Prompts, Task, pack, target_loss

__all__ = ["STRATEGIES", "Aligner", "run_alignment"]

STRATEGIES = ("adapter", "lora")
#: Utterances of a step are about equally long, so that little is padded: within this share of all.
_NEAR = 0.1


class Aligner:
    """The whole speech LLM in training.

    Parameters
    ----------
    s : TrainSettings
    strategy : {"adapter", "lora"}
    heard : Heard
        The training utterances.
    """

    def __init__(self, s: TrainSettings, strategy: str, heard: Heard) -> None:
        self.s, self.strategy, self.heard = s, strategy, heard
        self.listener = Listener(s, heard)
        self.llm = text_model(s, strategy)
        self.prompts = Prompts(self.listener.tokenizer, self.llm.get_input_embeddings())
        self.answers = read_answers(s)
        told = shared_tokens(s.encoder, s.llm)[1].long()
        self.table = self.listener.table[told].bfloat16()
        lengths = heard.table.frames.to_numpy()
        self._all = np.argsort(lengths, kind="stable")
        has = heard.table.text.isin(self.answers.keys()).to_numpy()
        self._asked = self._all[has[self._all]]
        if len(self._asked) < max(s.answered, s.typed):
            raise SettingsError(
                f"Only {len(self._asked)} utterances have an answer: do the stage answers first."
            )
        self._start()

    def _start(self) -> None:
        """Adapter and heads as the first stage left them; as sharply as it read is passed on."""
        tensors, _ = read_tensors(self.s.work / "listen" / "state.safetensors")
        with torch.no_grad():
            for name, p in self.listener.parameters().items():
                p.copy_(tensors[f"w.{name}"])
            adapter, reader = self.listener.adapter, self.listener.reader
            assert adapter.sharpness is not None
            assert adapter.often is not None
            adapter.sharpness.copy_(reader.sharpness)
            adapter.often.copy_(reader.often)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """All that is trained, by name."""
        lora = {f"llm.{n}": p for n, p in self.llm.named_parameters() if p.requires_grad}
        return self.listener.parameters() | lora

    def draw(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
        """Utterances to answer and to write down, utterances whose texts are copied, and typed
        texts to answer at step `n`."""
        rng = stable_rng("align", self.s.seed, n)
        place = rng.random()

        def near(order: np.ndarray, count: int) -> np.ndarray:
            window = max(count, int(_NEAR * len(order)))
            start = int(place * max(1, len(order) - window))
            return rng.choice(order[start : start + window], count, replace=False)

        s = self.s
        typed = self.heard.table.text.iloc[near(self._asked, s.typed)].to_list() if s.typed else []
        answered, written = near(self._asked, s.answered), near(self._all, s.transcribed)
        return answered, written, near(self._all, s.copied), typed

    def faultless(self, i: int, rng: np.random.Generator) -> Tensor:
        """Positions (n, d) of an utterance's text as an adapter without fault would make them.

        Its tokens, with blanks between them: an LLM's own way to copy looks for what followed the
        token before, and has to learn to do so over blanks. Here nothing else is to be learned.
        """
        tokens = self.listener.tokens[i]
        blank = self.listener.adapter.blank
        assert blank is not None
        count = max(len(tokens), positions(int(self.heard.table.frames.iloc[i])))
        at = np.sort(rng.choice(count, len(tokens), replace=False))
        made = blank.detach().expand(count, -1).clone()
        made[torch.from_numpy(at)] = self.prompts.embed(tokens).float()
        return made

    def loss(self, n: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of step `n`, and its parts."""
        answered, written, copied, typed = self.draw(n)
        rows = np.concatenate([answered, written])
        made, mask, read = self.listener.hear(rows, stable_rng("noise", self.s.seed, n))
        ctc = torch.stack(list(read.values())).sum()
        # Not in words, as `write_down` has them: 250 steps of a training on those made the word
        # error rate on people worse (41 % in place of 32).
        heard = [m[there] for m, there in zip(made.float(), mask, strict=True)]
        texts = self.heard.table.text
        tasks = [
            self.prompts.answer(p, self.answers[texts.iloc[i]])
            for p, i in zip(heard, answered, strict=False)
        ]
        tasks += [
            self.prompts.transcript(p, self.prompts.ids(texts.iloc[i]))
            for p, i in zip(heard[len(answered) :], written, strict=True)
        ]
        rng = stable_rng("copies", self.s.seed, n)
        tasks += [
            self.prompts.transcript(self.faultless(int(i), rng), self.prompts.ids(texts.iloc[i]))
            for i in copied
        ]
        for text in typed:
            content = self.prompts.embed(self.prompts.ids(text)).float()
            tasks.append(self.prompts.answer(content, self.answers[text]))
        losses = target_loss(self.logits(tasks), tasks)
        total = torch.stack(losses).mean() + self.s.ctc_weight * ctc
        first, second = len(answered), len(rows)
        third = second + len(copied)
        parts = {"answers": losses[:first], "transcripts": losses[first:second],
                 "copies": losses[second:third], "typed": losses[third:]}  # fmt: skip
        numbers = {
            name: float(torch.stack(part).mean().detach()) for name, part in parts.items() if part
        }
        return total, {**numbers, "ctc": float(ctc.detach())}

    def logits(self, tasks: Sequence[Task]) -> Tensor:
        """Logits (N, V) of all targets."""
        packed = pack(tasks, self.prompts)
        states = self.llm.get_decoder()(
            inputs_embeds=packed.embeds.to(self.llm.dtype), attention_mask=packed.mask,
            use_cache=False,
        ).last_hidden_state  # fmt: skip
        return self.llm.get_output_embeddings()(states[packed.rows, packed.columns])

    @torch.inference_mode()
    def write_down(self, heard: Heard, rows: np.ndarray, batch: int = 32) -> list[str]:
        """What the model writes when it is asked for what it hears."""
        self.listener.adapter.eval()
        self.llm.eval()
        out: list[str] = []
        order = rows[np.argsort(heard.table.frames.to_numpy()[rows], kind="stable")]
        for start in range(0, len(order), batch):
            stacked, mask, words = collate(heard, order[start : start + batch], self.listener.table)
            with torch.autocast("cpu", torch.bfloat16):
                made = self.listener.adapter(stacked, mask, words)
            made = self.listener.adapter.in_words(made, self.table, NEAREST)
            prompts = [
                self.prompts.around(m[there].float(), transcribe=True)
                for m, there in zip(made, mask, strict=True)
            ]
            out += self._generate(prompts)
        self.listener.adapter.train()
        self.llm.train()
        return [out[k] for k in np.argsort(np.argsort(heard.table.frames.to_numpy()[rows],
                                                      kind="stable"))]  # fmt: skip

    def _generate(self, prompts: list[Tensor], tokens: int = 48) -> list[str]:
        width = max(map(len, prompts))
        x = torch.stack([torch.nn.functional.pad(p, (0, 0, width - len(p), 0)) for p in prompts])
        mask = torch.stack([(torch.arange(width) >= width - len(p)).long() for p in prompts])
        ids = self.llm.generate(
            inputs_embeds=x.to(self.llm.dtype), attention_mask=mask, max_new_tokens=tokens,
            do_sample=False, eos_token_id=self.prompts.end, pad_token_id=self.prompts.end,
        )  # fmt: skip
        return list(self.prompts.tokenizer.batch_decode(ids, skip_special_tokens=True))

    @torch.compiler.set_stance("force_eager")  # generation has other shapes at every step
    def errors(self, most: int = 48) -> dict[str, float]:
        """Word error rate on each held-out set, by the reader and by the whole model."""
        found = {}
        for name, held in heldout_sets(self.s).items():
            rows = np.arange(min(most, len(held)))
            said = held.table.text.iloc[rows].to_list()
            found[name] = error_rate(said, self.write_down(held, rows))
            found[f"{name}_ctc"] = error_rate(said, self.listener.read(held)[0][: len(rows)])
        return found


def text_model(s: TrainSettings, strategy: str) -> Any:
    """The frozen text model, with low-rank adapters where the strategy has them.

    Attention is written out: its backward pass is twice as fast on a CPU as the fused one's.
    """
    from transformers import AutoModelForCausalLM

    llm: Any = AutoModelForCausalLM.from_pretrained(
        s.llm, dtype=torch.bfloat16, attn_implementation="eager"
    )
    if strategy == "lora":
        llm = add_low_rank(llm, s.rank, s.seed + 1)
    else:
        llm.requires_grad_(False)
    if s.compiled and shutil.which("g++"):  # torch writes C++: a step takes 0.6 times as long
        for layer in llm.get_decoder().layers:
            layer.forward = torch.compile(layer.forward, dynamic=True)
    return llm


def run_alignment(s: TrainSettings, strategy: str, stop: int | None = None) -> None:
    """Train by one strategy."""
    aligner = Aligner(s, strategy, training_set(s))
    parameters = aligner.parameters()
    rates = {n: s.lora_rate if n.startswith("llm.") else s.align_rate for n in parameters}
    steps = s.lora_steps if strategy == "lora" else s.adapter_steps
    # Most is learned early: the first snapshots lie close together.
    shots = tuple(round(steps * ((i + 1) / s.snapshots) ** 2) for i in range(s.snapshots))
    settings = LoopSettings(
        strategy, steps, min(60, steps // 10 + 1), snapshots=shots, log_every=10
    )
    run = Run(s.work / strategy, parameters, rates, settings, s.seed)

    def step(n: int) -> dict[str, float]:
        total, numbers = aligner.loss(n)
        total.backward()
        return numbers | measured(n + 1, steps, s.measure_every, aligner.errors)

    def snapshot(done: int) -> None:
        path = s.work / strategy / "snapshots" / f"{done:06d}.safetensors"
        kept = {n: p.half() for n, p in parameters.items() if not n.startswith(HEADS)}
        write_tensors(path, kept, {"strategy": strategy, "step": str(done)})

    run.run(step, snapshot, stop)
