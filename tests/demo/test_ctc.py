"""The heads of the encoder's training, and the clips that make it listen."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from modgap.demo.clips import ClipSpec, all_words, content_words, train_plan
from modgap.demo.closed_world.batches import SpeechMix, SpeechSampler, TextSampler
from modgap.demo.closed_world.ctc import TokenHead, characters, ctc_loss
from modgap.demo.closed_world.features import EXTRA, FeatureSet
from modgap.demo.closed_world.tokens import Prompts, build_tokenizer, said_tokens
from modgap.demo.corpus import train_questions


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts(build_tokenizer())


def _frames(positions: int) -> int:
    """Mel frames that give so many speech positions."""
    return 4 * positions


def test_the_loss_is_the_sum_over_all_alignments() -> None:
    logits = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0))
    p = logits[0].double().softmax(-1)
    target = [1, 2]
    total = 0.0
    for path in itertools.product(range(3), repeat=4):
        squeezed = [a for a, b in zip(path, (None, *path), strict=False) if a != b]
        if [a for a in squeezed if a] == target:
            total += math.prod(float(p[t, a]) for t, a in enumerate(path))
    loss = ctc_loss(logits, torch.tensor([_frames(4)]), [target])
    assert float(loss) == pytest.approx(-math.log(total) / 2, rel=1e-5)


def test_targets_are_what_is_heard(prompts: Prompts) -> None:
    assert characters("It's A, B?") == [10, 21, 28, 20, 1, 2, 1, 3]
    said = said_tokens(prompts, "Hot or cold, which is it?")
    assert prompts.tokenizer.decode(said) == " Hot or cold which is it"


def test_an_exact_hit_starts_with_a_logit_of_five() -> None:
    table = 0.02 * torch.randn(50, 64, generator=torch.Generator().manual_seed(1))
    head = TokenHead(table, blank=7)
    logits = head.scale.exp() * (table @ table.T)
    assert float(logits.diagonal().mean().detach()) == pytest.approx(5, rel=1e-4)
    projected = table[:4][None].clone().requires_grad_()
    frozen = table.clone().requires_grad_()
    head.ctc(projected, frozen, torch.tensor([_frames(4)]), [[1, 2]]).backward()
    assert projected.grad is not None
    assert frozen.grad is None
    # Where nothing new is said, speech looks like the placeholder: then the blank is likeliest.
    with torch.no_grad():
        head.scale += math.log(4)  # as sharp as training makes it
    silent = table[[7, 3, 7, 7]][None]
    right = head.ctc(silent, table, torch.tensor([_frames(4)]), [[3]])
    wrong = head.ctc(silent, table, torch.tensor([_frames(4)]), [[4]])
    # The placeholder is a token, too, and shares its probability with the blank: ln 2 a frame.
    assert float(right.detach()) == pytest.approx(3 * math.log(2), rel=0.05)
    assert float(wrong.detach()) > 10


def test_spread_questions_hold_the_words_among_placeholders(prompts: Prompts) -> None:
    sampler = TextSampler(prompts, 3)
    plain = sampler.batch(0, 6)
    assert all(prompts.audio_id not in s.prompt.content for s in plain)
    lost = 0
    for s in sampler.batch(0, 40, spread_share=1.0):
        words = [i for i in s.prompt.content if i != prompts.audio_id]
        assert prompts.audio_id in s.prompt.content
        text = prompts.tokenizer.decode(words)
        assert "?" not in text
        lost += not words
        assert s.prompt.prefix == prompts.speech(3).prefix
        assert s.target[-1] == prompts.end_id
    assert lost == 0


def test_jumbled_words_are_the_worlds_and_in_no_order(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "1_george_0.wav").write_bytes(b"")
    plan = train_plan(tmp_path, copies=1, jumbles=400)
    jumbles = [c for c in plan if c.form == "jumble"]
    assert len(jumbles) == 400
    assert len({c.id for c in plan}) == len(plan)
    assert {c.voice for c in jumbles} == {c.voice for c in plan if c.form == "word"}
    known = set(all_words())
    counts: Counter[str] = Counter()
    for c in jumbles:
        words = c.transcript.rstrip(".").split()
        assert 2 <= len(words) <= 6
        assert set(words) <= known
        counts.update(words)
    assert len(counts) > 0.6 * len(known)
    assert {w for phrase in content_words() for w in phrase.split()} <= known
    asked = {q.transcript.rstrip("?.") for q in train_questions("open")}
    assert not asked & {c.transcript.rstrip(".") for c in jumbles}


def test_a_step_has_the_clips_that_its_mix_says(prompts: Prompts) -> None:
    questions = [q for q in train_questions("open") if q.type in ("add", "capital")]
    specs = [ClipSpec(q.id, q.id, "open", "train", q.transcript, "v", 1, 1, "train")
             for q in questions]  # fmt: skip
    for form in ("digit", "word", "jumble"):
        specs += [ClipSpec(f"{form}{n}", form, form, "train", "Seven.", "v", 1, 1, "train")
                  for n in range(9)]  # fmt: skip
    lengths = np.arange(len(specs)) % 50 + 60 + EXTRA
    where, start = [], 0
    for n in lengths:
        where.append((0, start, start + int(n)))
        start += int(n)
    data = FeatureSet(specs, [np.zeros((start, 80), np.float16)], where)
    mix = SpeechMix(open=10, choice=0, digit=3, word=2, jumble=5, content=0.6)
    sampler = SpeechSampler(data, prompts, mix, seed=0)
    for step in range(4):
        drawn = sampler.draw(step, 0.5)
        assert drawn == sampler.draw(step, 0.5)
        forms = Counter(specs[i].form for i in drawn)
        assert forms == {"open": 10, "digit": 3, "word": 2, "jumble": 5}
        capitals = sum(specs[i].question.startswith("capital") for i in drawn)
        assert capitals == 6
        groups = sampler.groups(step, 0.5)
        assert sorted(i for g in groups for i in g.clips) == sorted(drawn)
        for g in groups:
            for i, sequence in zip(g.clips, g.sequences, strict=True):
                if specs[i].form in ("word", "jumble"):
                    assert sequence.target == prompts.answer("Seven.")
    early = sampler.draw(0, 0.01)
    median = np.median(lengths[: len(questions)])
    assert all(lengths[i] <= median for i in early if specs[i].form == "open")
