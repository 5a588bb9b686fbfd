"""The tests that every family must pass, written once.

A family's test class inherits `FamilySuite`, makes a `folder` and says what its numbers are.
Everything else is compared with transformers' own output on a tiny random checkpoint that was saved
to a folder and loaded as a user would.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, dynamic_module_utils

from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import AudioError, ModelError, SettingsError
from modgap.interventions.editing import editing
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.models.base import SpeechLM
from modgap.models.capture import capture_states
from modgap.models.decoding import decode_rows
from modgap.models.loading.load import load_model
from modgap.models.vendor import STYLES, Style
from modgap.testing.batching import generate_batch, states_batch
from modgap.testing.tiny import make_clip

WORDS = "What is two plus three?"
QUESTION = "Which number comes after?"


def clicks(*times: float, seconds: float = 2.0, rate: int = 16000) -> Clip:
    """Clicks of 20 ms in faint noise."""
    rng = np.random.default_rng(3)
    wave = 0.002 * rng.standard_normal(round(seconds * rate))
    for time in times:
        at = round(time * rate)
        wave[at : at + rate // 50] += 0.5 * rng.standard_normal(rate // 50)
    return load_clip(wave.astype(np.float32), rate=rate, name="clicks")


def ids_of(prompt: Any) -> list[int]:
    return prompt.inputs["input_ids"][0].tolist()


class FamilySuite:
    """Class attributes say what a family is known to do."""

    #: What `load_model` takes as ``family``: a class, a file, an installed name.
    adapter: ClassVar[Any] = None
    #: Speech positions of clips by their seconds, and the padding silence behind them.
    positions: ClassVar[dict[float, int]]
    padding: ClassVar[dict[float, int]] = {}
    #: Width of a position's stretch of sound.
    seconds: ClassVar[float]
    #: Longest clip.
    longest: ClassVar[float | None] = None
    #: What the text prompt keeps of the audio's markers, before and behind the transcript.
    markers: ClassVar[tuple[str, str]] = ("", "")
    #: Whether the chat template has a place for a system message.
    takes_system: ClassVar[bool] = True
    #: What transformers leaves out: its logits are this many times too large.
    scaling: ClassVar[float] = 1.0
    #: Whether transformers' generate can be compared with.
    generates: ClassVar[bool] = True
    #: How far from a click the position that changes most may be, in seconds.
    slack: ClassVar[float] = 0.0

    #: Whether the model's own forward takes ``output_hidden_states``, so that states are compared.
    tells_states: ClassVar[bool] = True

    @pytest.fixture(scope="class", autouse=True)
    def own_modules(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """Where transformers copies the code that a checkpoint brings: not among the user's own."""
        place = tmp_path_factory.mktemp("modules")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(place))
            patch.setattr(sys, "path", [*sys.path])  # transformers adds the place to it
            yield place

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The tiny checkpoint; every test class makes its own."""
        raise NotImplementedError("give the class a fixture `folder` that makes a checkpoint")

    def load(self, folder: Path, **options: Any) -> SpeechLM:
        """The checkpoint, on the CPU."""
        return load_model(folder, family=self.adapter, device="cpu", **options)

    @pytest.fixture(scope="class")
    def model(self, folder: Path) -> SpeechLM:
        return self.load(folder)

    @pytest.fixture(scope="class")
    def pair(self, model: SpeechLM) -> Any:
        return model.prepare(make_clip(1.3), WORDS, instruction=QUESTION)

    @pytest.fixture(scope="class")
    def prefill(self, model: SpeechLM, pair: Any) -> Prefill:
        return Prefill.of(model, pair)

    # ---- loading and prompts ---------------------------------------------------------------------

    def test_is_what_it_says(self, model: SpeechLM) -> None:
        assert model.max_seconds == self.longest
        assert model.support()["speech"] is None
        assert all(reason is None or reason for reason in model.support().values())
        assert model.info()["lora"] == model.lora

    def test_speech_positions(self, model: SpeechLM) -> None:
        for seconds, n in self.positions.items():
            prompt = model.speech_prompt(make_clip(seconds))
            assert len(prompt.content) == n, seconds
            assert len(prompt.pad_content) == self.padding.get(seconds, 0), seconds
            assert not set(prompt.content.tolist()) & set(prompt.pad_content.tolist())
            times = prompt.times
            assert times is not None
            assert times.shape == (n, 2)
            assert (np.diff(times, axis=0) >= 0).all()
            assert (times[:, 1] > times[:, 0]).all()
            assert times[0, 0] == 0
            # No more than one position's sound at the end of the clip is without a position.
            assert seconds - self.seconds <= times[-1, 1] <= seconds + 1e-9
        model.forward(prompt)

    def test_too_long_a_clip(self, model: SpeechLM) -> None:
        if self.longest is None or self.longest > 60:
            pytest.skip("takes any clip that modgap takes, or nearly")
        with pytest.raises(AudioError, match="at most"):
            model.speech_prompt(make_clip(self.longest + 0.01))

    def test_a_click_lights_up_its_position(self, model: SpeechLM) -> None:
        prompts = [model.speech_prompt(clicks(0.3, 1.6)), model.speech_prompt(clicks(1.0, 1.6))]
        first, second = (capture_states(model, p, layers=[0])[0] for p in prompts)
        change = (first - second).norm(dim=-1).numpy()
        times = prompts[0].times
        assert times is not None
        for click in (0.3, 1.0):
            near = (times[:, 0] < click + 0.4) & (times[:, 1] > click - 0.4)
            best = times[np.where(near, change, 0).argmax()]
            assert best[0] - self.slack <= click + 0.02, (click, best)
            assert best[1] + self.slack >= click, (click, best)
            far = (times[:, 1] < 0.2) | (times[:, 0] > 1.2)
            assert np.where(near, change, 0).max() > 1.2 * change[far].max()

    def processor(self, model: SpeechLM) -> Any:
        """transformers' own processor, where it can be built here."""
        return None

    @pytest.mark.parametrize("seconds", [0.51, 1.3, 10.7])
    def test_inputs_are_those_of_the_processor(self, model: SpeechLM, seconds: float) -> None:
        processor = self.processor(model)
        if processor is None:
            pytest.skip("transformers' processor needs torchvision, torchaudio or mistral-common")
        if self.longest is not None and seconds > self.longest:
            pytest.skip("longer than this checkpoint takes")
        clip = make_clip(seconds)
        text = model.tokenizer.apply_chat_template(
            [{"role": "user", "content": [{"type": "audio", "audio_url": "clip"}]}],
            chat_template=model.chat.chat_template,
            tokenize=False,
            add_generation_prompt=True,
        )
        rate = model.sampling_rate
        theirs = processor(
            text=[text], audio=[clip.resample(rate)], sampling_rate=rate, return_tensors="pt"
        )
        ours = model.speech_prompt(clip).inputs
        assert ours["input_ids"][0].tolist() == list(theirs["input_ids"][0])
        for name, value in ours.items():
            assert np.array_equal(value, np.asarray(theirs[name])), name

    @pytest.mark.parametrize("style", STYLES)
    @pytest.mark.parametrize("instruction", ["", QUESTION])
    def test_prompts_differ_in_the_content_alone(
        self, model: SpeechLM, instruction: str, style: Style
    ) -> None:
        pair = model.prepare(make_clip(), WORDS, instruction=instruction, style=style)
        around = []
        for prompt in (pair.speech, pair.text):
            ids = ids_of(prompt)
            inside = {*prompt.content.tolist(), *prompt.pad_content.tolist()}
            first, last = min(inside), max(inside)
            around.append((ids[:first], ids[last + 1 :]))
            assert prompt.length == len(ids)
        assert around[0] == around[1]
        text = model.tokenizer.decode(ids_of(pair.text))
        before, after = self.markers
        assert f"{before}{WORDS}{after}" in text
        assert model.tokenizer.decode(pair.text.inputs["input_ids"][0, pair.text.content]) == WORDS
        assert text.count(instruction) == 1 or not instruction
        dropped = model.tokenizer.decode(
            ids_of(model.text_prompt(WORDS, instruction=instruction, markers="drop", style=style))
        )
        assert not any(marker and marker in dropped for marker in self.markers)

    def test_system_message(self, model: SpeechLM) -> None:
        if not self.takes_system:
            with pytest.raises((SettingsError, ModelError), match="system message"):
                model.prepare(make_clip(), WORDS, system="Be brief.")
            return
        pair = model.prepare(make_clip(), WORDS, system="Be brief.")
        for prompt in (pair.speech, pair.text):
            assert model.tokenizer.decode(ids_of(prompt)).count("Be brief.") == 1

    def states_of(self, model: SpeechLM, out: Any) -> Sequence[torch.Tensor]:
        """The levels 0 to L, (B, S, d), of what the model's own forward gave, the last one normed.

        For a model that gives them otherwise than transformers' usual ones.
        """
        return out.hidden_states

    # ---- states and logits -----------------------------------------------------------------------

    def test_states_are_those_of_transformers(self, model: SpeechLM, pair: Any) -> None:
        for prompt in (pair.speech, pair.text):
            ours = capture_states(model, prompt)
            more = {"output_hidden_states": True} if self.tells_states else {}
            with torch.no_grad():
                out = model.hf(**prompt.inputs, **more)
            if self.tells_states:
                theirs = torch.stack([h[0, prompt.content] for h in self.states_of(model, out)])
                assert torch.equal(ours, theirs)
            with torch.no_grad():
                logits = model.logits(model.trunk(**prompt.inputs).last_hidden_state)
            expected = out.logits / self.scaling
            assert torch.allclose(logits, expected, atol=1e-5, rtol=1e-5)
            assert expected[0, -1].std() > 1e-2

    def test_greedy_is_transformers_greedy(self, model: SpeechLM, pair: Any) -> None:
        if not self.generates:
            pytest.skip("transformers' generate does not take this")
        eos, model.eos_ids = model.eos_ids, frozenset()
        try:
            for prompt in (pair.speech, pair.text):
                made = model.generate(prompt, max_new_tokens=8)
                assert made.token_ids == self.oracle(model, prompt, 8)
        finally:
            model.eos_ids = eos

    def oracle(self, model: SpeechLM, prompt: Any, n: int) -> tuple[int, ...]:
        ids = prompt.inputs["input_ids"]
        kept, model.hf.generation_config = (
            model.hf.generation_config,
            GenerationConfig(do_sample=False, max_new_tokens=n, min_new_tokens=n, pad_token_id=0),
        )
        try:
            out = model.hf.generate(**prompt.inputs, attention_mask=torch.ones_like(ids))
        finally:
            model.hf.generation_config = kept
        return tuple(out[0, -n:].tolist())

    # ---- interventions ---------------------------------------------------------------------------

    @pytest.mark.parametrize("where", ["first", "middle", "last"])
    def test_interventions(self, model: SpeechLM, prefill: Prefill, where: str) -> None:
        last = model.editable_levels[-1]
        level = {"first": 0, "middle": last // 2 + last % 2, "last": last}[where]
        prompt = prefill.pair.speech
        stack = (Intervention(rule="patch", tokens="all", layers=(level,)),)
        edited = prefill.run([stack], states=True)
        assert not torch.allclose(edited.logits[0], prefill.logits, atol=1e-3)
        # The same by hooks over a whole pass of transformers' own.
        with torch.no_grad():
            plain = model.hf(**prompt.inputs).logits[0]
            with editing(prefill, stack):
                under = model.hf(
                    **prompt.inputs, **({"output_hidden_states": True} if self.tells_states else {})
                )
        assert torch.allclose(edited.logits[0, 0], under.logits[0, -1] / self.scaling, atol=1e-4)
        begin = int(prompt.content[0])
        assert torch.equal(under.logits[0, :begin], plain[:begin])
        assert edited.states is not None
        if not self.tells_states:
            return
        for k, theirs in enumerate(self.states_of(model, under)[:-1]):
            assert torch.allclose(edited.states[k][0], theirs[0, prompt.content], atol=1e-4)

    def test_strength_0_changes_no_bit(self, model: SpeechLM, prefill: Prefill) -> None:
        prompt = prefill.pair.speech
        with torch.no_grad():
            plain = model.hf(**prompt.inputs).logits
        for rule in ("angle", "length", "mean", "patch"):
            stack = (Intervention(rule=rule, tokens="all", strength=0.0, layers=(1,)),)
            assert torch.equal(prefill.run([stack]).logits[0], prefill.logits)
            with torch.no_grad(), editing(prefill, stack):
                assert torch.equal(model.hf(**prompt.inputs).logits, plain)

    def test_variants_and_continuations(self, model: SpeechLM, pair: Any) -> None:
        tail = tuple(ids_of(pair.text)[-3:])
        prefill = Prefill.of(model, pair, continuation=tail)
        angle, patch = (Intervention(rule=r, tokens="all", layers=(1,)) for r in ("angle", "patch"))
        together = prefill.run([(angle,), (), (patch,)])
        assert together.logits.shape[:2] == (3, len(tail))
        assert torch.equal(together.logits[1], prefill.logits)
        for row, stack in ((0, (angle,)), (2, (patch,))):
            alone = prefill.run([stack])
            assert torch.allclose(together.logits[row], alone.logits[0], atol=1e-4)
            for both, one in zip(together.cache.layers, alone.cache.layers, strict=True):
                assert torch.allclose(both.keys[row], one.keys[0], atol=1e-4)
        # The answer after an edit, on the edited cache, is that of decoding under hooks.
        short = Prefill.of(model, pair)
        edited = short.run([(patch,)])
        (ours,) = decode_rows(
            model, edited.cache, edited.logits[:, 0], pair.speech.length, max_new_tokens=4
        )
        with editing(short, (patch,)):
            theirs = model.generate(pair.speech, max_new_tokens=4)
        assert ours.token_ids == theirs.token_ids

    # ---- batches and dtypes ----------------------------------------------------------------------

    def test_a_batch_of_unequal_clips_equals_singles(self, model: SpeechLM) -> None:
        prompts = [
            model.speech_prompt(make_clip(1.9, seed=1), instruction=QUESTION),
            model.speech_prompt(make_clip(0.6, seed=2)),
            model.text_prompt(WORDS, instruction=QUESTION),
        ]
        for prompt, together in zip(prompts, states_batch(model, prompts), strict=True):
            alone = capture_states(model, prompt)
            scale = alone.norm(dim=-1).mean()
            assert (together - alone).norm(dim=-1).max() < 1e-4 * scale
        for prompt, answer in zip(
            prompts, generate_batch(model, prompts, max_new_tokens=4), strict=True
        ):
            single = model.generate(prompt, max_new_tokens=4)
            assert answer.token_ids == single.token_ids
            assert answer.logprobs == pytest.approx(single.logprobs, abs=1e-3)

    def test_bfloat16(self, folder: Path, model: SpeechLM, prefill: Prefill) -> None:
        half = self.load(folder, dtype="bfloat16")
        pair = half.prepare(make_clip(1.3), WORDS, instruction=QUESTION)
        states = capture_states(half, pair.speech)
        assert states.dtype == torch.bfloat16
        assert torch.isfinite(states).all()
        exact = capture_states(model, prefill.pair.speech)
        near = torch.nn.functional.cosine_similarity(states.float(), exact, dim=-1)
        assert near[0].min() > 0.97
        assert near.mean() > 0.97
        other = Prefill.of(half, pair)
        stack = (Intervention(rule="patch", tokens="all", layers=(1,)),)
        assert torch.isfinite(other.run([stack]).logits).all()
        assert torch.equal(other.run([()]).logits[0], other.logits)
        assert half.identity == model.identity

    def test_identity_is_of_all_weights(self, folder: Path, model: SpeechLM) -> None:
        assert self.load(folder).identity == model.identity
