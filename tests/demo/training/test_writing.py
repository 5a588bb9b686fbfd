"""What the LLM writes, and the sequences that are made of it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoTokenizer

from modgap.demo.training import written
from modgap.demo.training.answers import Answer, asked_texts
from modgap.demo.training.ctc import Speller, TokenReader, letters
from modgap.demo.training.settings import TrainSettings
from modgap.demo.training.shards import read
from modgap.demo.training.speaking import TRANSCRIBE, Prompts, Task, pack, target_loss
from modgap.demo.training.written import sentences, turns
from modgap.demo.writer import Writer


def test_a_batch_goes_on_as_each_alone(micro: TrainSettings) -> None:
    writer = Writer(micro.llm)
    writer.model.float()  # in 16 bit padding rounds otherwise
    prompts = [writer.prompt("Is it cold?"), writer.prompt("What is two plus three? Two.")]
    together = writer.go_on(prompts, 6)
    for prompt, made in zip(prompts, together, strict=True):
        (alone,) = writer.go_on([prompt], 6)
        assert alone.tokens == made.tokens
        ids = writer.tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        whole = writer.model.generate(**ids, max_new_tokens=6, do_sample=False,
                                      eos_token_id=writer.end)[0]  # fmt: skip
        assert whole[ids["input_ids"].shape[1] :].tolist() == made.tokens


def test_drawing_depends_on_the_generator_alone(micro: TrainSettings) -> None:
    writer = Writer(micro.llm)

    def drawn(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return writer.go_on([writer.opening("What")], 8, 1.0, generator)[0].tokens

    torch.manual_seed(7)
    first = drawn(1)
    assert drawn(1) == first
    assert drawn(2) != first


def test_the_opening_is_the_prompt_s(micro: TrainSettings) -> None:
    writer = Writer(micro.llm)
    assert writer.prompt("Who is it?").startswith(writer.opening("Who is"))


def test_written_texts_can_be_said(micro: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "BATCH", 16)
    writer = Writer(micro.llm)  # random: next to nothing of it is a sentence
    for table in (turns(writer, 1, 0, 1), sentences(writer, ["river", "stone"], 1, 0, 1)):
        assert list(table.columns) == ["text", "source"]
        assert all(re.fullmatch(r"[A-Za-z0-9 ,.?!':;-]+", text) for text in table.text)


def test_only_turns_are_asked(micro: TrainSettings) -> None:
    table = read(micro.work / "features" / "turns.0")
    assert asked_texts(table) == table.text.to_list()
    assert asked_texts(table.assign(source="example")) == []


def test_the_prompt_is_the_chat_s_own(micro: TrainSettings) -> None:
    tokenizer = AutoTokenizer.from_pretrained(micro.llm)
    table = torch.nn.Embedding(len(tokenizer), 1)
    table.weight.data[:, 0] = torch.arange(len(tokenizer))
    prompts = Prompts(tokenizer, table)
    content = prompts.embed(prompts.ids("Is it cold?"))
    for transcribe, text in ((False, "Is it cold?"), (True, f"Is it cold?\n{TRANSCRIBE}")):
        wanted = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=True
        )["input_ids"]
        assert prompts.around(content, transcribe=transcribe)[:, 0].int().tolist() == wanted


def test_targets_lie_where_they_are_predicted(micro: TrainSettings) -> None:
    tokenizer = AutoTokenizer.from_pretrained(micro.llm)
    table = torch.nn.Embedding(len(tokenizer), 1)
    table.weight.data[:, 0] = torch.arange(len(tokenizer))
    prompts = Prompts(tokenizer, table)
    likely = np.array([[5, 6], [7, 8]])
    shares = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
    tasks = [
        prompts.transcript(torch.full((4, 1), -1.0), [9, 10, 11]),
        prompts.answer(torch.full((2, 1), -1.0), Answer(np.array([5, 7]), likely, shares)),
    ]
    packed = pack(tasks, prompts)
    seen = packed.embeds[packed.rows, packed.columns, 0].int().tolist()
    # What stands where a target is predicted is the target before it, or the prompt's end.
    last = [int(t.prompt[-1, 0]) for t in tasks]
    assert seen == [last[0], 9, 10, 11, last[1], 5]
    assert packed.mask.sum(1).tolist() == [len(t.prompt) + len(t.tokens) - 1 for t in tasks]
    logits = torch.randn(6, len(tokenizer))
    logp = logits.log_softmax(-1)
    first, second = target_loss(logits, tasks)
    target = torch.tensor([9, 10, 11, prompts.end])
    torch.testing.assert_close(first, functional.cross_entropy(logits[:4], target))
    wanted = -(0.75 * logp[4, 5] + 0.25 * logp[4, 6] + 0.5 * logp[5, 7] + 0.5 * logp[5, 8]) / 2
    torch.testing.assert_close(second, wanted)


def test_the_reader_s_loss_is_ctc_s() -> None:
    torch.manual_seed(0)
    reader = TokenReader(torch.randn(30, 8), 11)
    reader.often.data.fill_(0.7)
    positions, mask = torch.randn(2, 9, 8), torch.ones(2, 9, dtype=torch.bool)
    mask[1, 6:] = False
    targets = [[3, 3, 29], [7]]
    table = functional.normalize(reader.table, dim=-1)
    near = functional.normalize(positions, dim=-1) @ table.T * reader.sharpness.exp()
    whole = torch.cat([near[..., 11:12] + 0.7, near], -1).log_softmax(-1)
    wanted = functional.ctc_loss(
        whole.transpose(0, 1), torch.tensor([4, 4, 30, 8]), mask.sum(1), torch.tensor([3, 1])
    )
    made = reader.loss(positions, mask, targets, torch.arange(30))
    torch.testing.assert_close(made, wanted, rtol=2e-2, atol=2e-2)  # cosines in 16 bit


def test_the_reader_reads_what_positions_are() -> None:
    torch.manual_seed(0)
    table = torch.randn(30, 8)
    reader = TokenReader(table, 20)
    rows = torch.stack([table[3], table[3], 9 * table[20], table[3], table[5], table[9]])
    mask = torch.tensor([[True] * 5 + [False]])
    assert reader.read(rows[None], mask, torch.arange(20)) == [[3, 3, 5]]


@pytest.mark.parametrize("field", ["likely", "shares"])
def test_a_task_without_a_distribution_is_hard(field: str) -> None:
    task = Task(torch.zeros(1, 1), np.array([2]), np.array([[2]]), np.ones((1, 1), np.float32))
    setattr(task, field, None)
    logits = torch.randn(1, 4)
    (loss,) = target_loss(logits, [task])
    torch.testing.assert_close(loss, functional.cross_entropy(logits, torch.tensor([2])))


def test_letters_are_read_from_the_likeliest_places() -> None:
    speller = Speller(4, 2)
    assert letters("It's 3, ok?") == letters("IT'S   3 OK") == "it's 3 ok"
    signs = speller.numbers("it's")
    # A state that points to one letter in each of its two places: those of "it" and "'s".
    with torch.no_grad():
        speller.norm = torch.nn.Identity()
        speller.linear.bias.zero_()
        speller.linear.weight.zero_()
        weight = speller.linear.weight.view(2, -1, 4)
        weight[0, signs[0], 0] = weight[1, signs[1], 0] = 9.0
        weight[0, signs[2], 1] = weight[1, signs[3], 1] = 9.0
    states, mask = torch.eye(4)[None, :3], torch.tensor([[True, True, False]])
    assert speller.read(states, mask) == ["it's"]
    # The third place says nothing in particular; it is not there, so it costs nothing.
    loss = speller.loss(states, mask, [signs])
    alone = speller.loss(states[:, :2], mask[:, :2], [signs])
    assert loss == alone
    assert loss < speller.loss(states, mask, [signs[1:5]])
