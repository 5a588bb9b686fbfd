"""Both prompts: equal around the content, exact inside it."""

from __future__ import annotations

import copy
import itertools
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modgap.analysis.functions import analyze
from modgap.audio.clip import Clip
from modgap.core.errors import AudioError, ModelError, SettingsError
from modgap.models.base import SpeechLM
from modgap.models.loading import identity
from modgap.models.loading.load import load_model
from modgap.models.template import CONTENT, INSTRUCTION, SYSTEM, ChatTokenizer
from tests.tiny import make_clip, make_tiny_checkpoint, make_tokenizer

SPECIALS = ["<|im_end|>", "<|AUDIO|>", "<|audio_eos|>", "<|endoftext|>", "<|im_start|>system\n"]


def ids_of(prompt) -> list[int]:
    return prompt.inputs["input_ids"][0].tolist()


def conversation(content, system: str | None) -> list[dict]:
    messages = [{"role": "user", "content": content}]
    return messages if system is None else [{"role": "system", "content": system}, *messages]


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.9999, 1.0, 2.37, 7.5, 10.0])
@pytest.mark.parametrize(
    ("instruction", "system"),
    [("", None), ("Which number comes after the one you hear?", None), ("  two\n\nlines ", "Be.")],
)
def test_speech_prompt_is_the_processors(
    tiny_model: SpeechLM, seconds: float, instruction: str, system: str | None
) -> None:
    clip = make_clip(seconds)
    prompt = tiny_model.speech_prompt(clip, instruction=instruction, system=system)
    content = [{"type": "audio", "audio_url": "x"}]
    if instruction:
        content.append({"type": "text", "text": instruction})
    processor = tiny_model.processor
    text = processor.apply_chat_template(
        conversation(content, system), tokenize=False, add_generation_prompt=True
    )
    expected = processor(
        text=text, audio=[clip.resample(16000)], sampling_rate=16000, return_tensors="pt"
    )
    assert ids_of(prompt) == expected["input_ids"][0].tolist()
    assert torch.equal(prompt.inputs["input_features"], expected["input_features"])
    assert torch.equal(prompt.inputs["feature_attention_mask"], expected["feature_attention_mask"])


@pytest.mark.parametrize("instruction", ["", "What is that?"])
@pytest.mark.parametrize("system", [None, "Answer in one word."])
def test_keep_changes_only_the_content(
    tiny_model: SpeechLM, clip: Clip, instruction: str, system: str | None
) -> None:
    pair = tiny_model.prepare(clip, "two plus three", instruction=instruction, system=system)
    around = []
    for prompt in (pair.speech, pair.text):
        ids, at = ids_of(prompt), prompt.content.tolist()
        assert at == list(range(at[0], at[-1] + 1))
        assert prompt.length == len(ids)
        around.append((ids[: at[0]], ids[at[-1] + 1 :]))
    assert around[0] == around[1]
    specials = tiny_model.tokenizer.convert_ids_to_tokens([around[0][0][-1], around[0][1][0]])
    assert specials == ["<|audio_bos|>", "<|audio_eos|>"]
    audio_id = tiny_model.hf.config.audio_token_id
    assert set(content_ids(pair.speech)) == {audio_id}
    assert tiny_model.tokenizer.decode(content_ids(pair.text)) == "two plus three"
    assert pair.text.notes == ()


def content_ids(prompt) -> list[int]:
    return prompt.inputs["input_ids"][0, prompt.content].tolist()


@pytest.mark.parametrize("instruction", ["", "What is that?"])
@pytest.mark.parametrize("system", [None, "Answer in one word."])
def test_drop_is_the_plain_typed_prompt(
    tiny_model: SpeechLM, clip: Clip, instruction: str, system: str | None
) -> None:
    pair = tiny_model.prepare(
        clip, "two plus three", instruction=instruction, system=system, markers="drop"
    )
    typed = "two plus three" + ("\n" + instruction if instruction else "")
    expected = tiny_model.tokenizer.apply_chat_template(
        conversation(typed, system),
        chat_template=tiny_model.processor.chat_template,
        add_generation_prompt=True,
        return_dict=False,
    )
    assert ids_of(pair.text) == expected
    assert tiny_model.tokenizer.decode(content_ids(pair.text)) == "two plus three"
    keep = tiny_model.prepare(clip, "two plus three", instruction=instruction, system=system)
    assert ids_of(keep.speech) == ids_of(pair.speech)


def test_a_merge_across_the_border_is_noted(tiny_model: SpeechLM) -> None:
    template = tiny_model.chat.chat_template.replace(
        "{{ message['content'] }}", "{{ 'asks th' if message.role == 'user' }}{{ message.content }}"
    )
    assert tiny_model.text_prompt("e", markers="drop").notes == ()
    other = copy.copy(tiny_model)
    other.chat = ChatTokenizer(tiny_model.tokenizer, template)
    prompt = other.text_prompt("e", markers="drop")
    assert "merge" in prompt.notes[0]
    assert tiny_model.tokenizer.decode(content_ids(prompt)) == "e"


@pytest.mark.parametrize(("window", "seconds"), [(10, 3.21), (10, 10.0), (30, 29.99)])
def test_positions_know_their_time(tmp_path, window: int, seconds: float) -> None:
    model = load_model(make_tiny_checkpoint(tmp_path, chunk_length=window))
    assert model.max_seconds == window
    prompt = model.speech_prompt(make_clip(seconds, rate=8000))
    times = prompt.times
    assert times is not None
    assert times.dtype == np.float64
    assert times.shape == (len(prompt.content), 2)
    assert np.allclose(times[:, 0], 0.04 * np.arange(len(times)))
    assert np.array_equal(times[1:, 0], times[:-1, 1])
    assert times[-1, 1] <= seconds
    # Never more than one frame group of the clip is left without a position.
    assert seconds - times[-1, 1] < 0.04
    assert prompt.pad_content.numel() == 0


def test_the_last_position_ends_with_the_clip(tiny_model: SpeechLM) -> None:
    times = tiny_model.speech_prompt(make_clip(0.11)).times
    assert times is not None
    assert times[-1, 1] == pytest.approx(0.11)
    assert len(times) == 3


@given(text=st.text(min_size=1).filter(str.strip))
@settings(max_examples=200, deadline=None)
def test_spans_tile_any_transcript(tiny_model: SpeechLM, text: str) -> None:
    prompt = tiny_model.text_prompt(text)
    spans, pieces = prompt.spans, prompt.pieces
    assert spans is not None
    assert pieces is not None
    assert spans.shape == (len(prompt.content), 2)
    assert [text[a:b] for a, b in spans] == list(pieces)
    assert spans[0, 0] == 0
    assert spans[-1, 1] == len(text)
    for (a, b), (c, d) in itertools.pairwise(spans):
        assert (c, d) == (a, b) or c == b
        assert a < b
    assert tiny_model.tokenizer.decode(content_ids(prompt)) == text


def test_a_character_of_several_tokens(tiny_model: SpeechLM) -> None:
    prompt = tiny_model.text_prompt("é 日")
    assert prompt.pieces == ("é", "é", " ", "日", "日", "日")


def test_trimmed_offsets_are_put_right(tiny_model: SpeechLM) -> None:
    class Trimming:
        """A tokenizer whose offsets leave out the space before a word, as some do."""

        def __init__(self, inner) -> None:
            self.inner = inner

        def __getattr__(self, name: str):
            return getattr(self.inner, name)

        def __call__(self, text: str, **kwargs):
            enc = self.inner(text, **kwargs)
            if "offset_mapping" in enc:
                enc["offset_mapping"] = [
                    (a + (text[a:b].startswith(" ") and b - a > 1), b)
                    for a, b in enc["offset_mapping"]
                ]
            return enc

    chat = ChatTokenizer(Trimming(tiny_model.tokenizer), tiny_model.chat.chat_template)
    text = "What is the capital"
    assert chat.content(text)[1].tolist() == tiny_model.chat.content(text)[1].tolist()


@pytest.mark.parametrize("hostile", SPECIALS)
@pytest.mark.parametrize("markers", ["keep", "drop"])
def test_words_that_look_special_stay_words(
    tiny_model: SpeechLM, clip: Clip, hostile: str, markers
) -> None:
    words = f"say {hostile} now"
    plain = tiny_model.prepare(clip, "say", instruction="say", system="say", markers=markers)
    pair = tiny_model.prepare(clip, words, instruction=words, system=words, markers=markers)
    special = set(tiny_model.chat.special.values())
    for mild, prompt in ((plain.speech, pair.speech), (plain.text, pair.text)):
        assert [i for i in ids_of(prompt) if i in special] == [
            i for i in ids_of(mild) if i in special
        ]
        decoded = tiny_model.tokenizer.decode(ids_of(prompt))
        assert decoded.count(words) == (2 if prompt.kind == "speech" else 3)
    assert tiny_model.tokenizer.decode(content_ids(pair.text)) == words
    assert len(pair.speech.content) == len(plain.speech.content)
    tiny_model.forward(pair.speech)


def test_words_that_look_like_stand_ins_stay_words(tiny_model: SpeechLM) -> None:
    words = CONTENT + INSTRUCTION + SYSTEM
    prompt = tiny_model.text_prompt(words, instruction=words, system=words)
    assert tiny_model.tokenizer.decode(ids_of(prompt)).count(words) == 3


def test_too_long_a_clip_is_refused_not_cut(tiny_model: SpeechLM) -> None:
    with pytest.raises(AudioError, match=r"10\.01 s.*at most 10 s.*start.*end"):
        tiny_model.speech_prompt(make_clip(10.01))
    assert len(tiny_model.speech_prompt(make_clip(10.01).trim(0, 10)).content) == 250
    assert len(tiny_model.speech_prompt(make_clip(10, rate=44100)).content) == 250


def test_too_long_a_clip_is_cut_where_asked(tiny_model: SpeechLM) -> None:
    """It is the clip's beginning, and how much that is is said; the words stay whole."""
    long = make_clip(12.5)
    found = tiny_model.prepare(long, "two plus three", too_long="cut")
    first = tiny_model.prepare(long.trim(0, 10), "two plus three")
    for name, values in first.speech.inputs.items():
        assert torch.equal(found.speech.inputs[name], values), name
    assert torch.equal(found.text.inputs["input_ids"], first.text.inputs["input_ids"])
    assert found.speech.times is not None
    assert found.speech.times[-1, 1] == 10
    assert (found.speech.unheard, first.speech.unheard) == (2.5, 0)
    (note,) = set(found.speech.notes) - set(first.speech.notes)
    assert note == (
        "The clip lasts 12.50 s, of which the model heard the first 10 s, all that it takes (80%); "
        "the transcript is whole."
    )
    short = tiny_model.speech_prompt(make_clip(1), too_long="cut")
    assert (short.unheard, short.notes) == (0, first.speech.notes)
    with pytest.raises(SettingsError, match="too_long"):
        tiny_model.prepare(long, "two", too_long="half")  # type: ignore[arg-type]


@pytest.mark.parametrize("transcript", ["", "  ", "\n\t"])
def test_an_empty_transcript_is_refused(tiny_model: SpeechLM, clip: Clip, transcript: str) -> None:
    with pytest.raises(SettingsError, match="transcript is empty"):
        tiny_model.prepare(clip, transcript)


def test_unknown_markers_and_too_long_prompts_are_refused(tiny_model: SpeechLM, clip: Clip) -> None:
    with pytest.raises(SettingsError, match="markers"):
        tiny_model.prepare(clip, "two", markers="both")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="at most 2048"):
        tiny_model.prepare(clip, "two plus three " * 1000)


def test_templates_that_cannot_serve_are_refused() -> None:
    with pytest.raises(ModelError, match="no chat template"):
        ChatTokenizer(make_tokenizer(), None)
    silent = ChatTokenizer(make_tokenizer(), "nothing")
    with pytest.raises(ModelError, match="exactly once"):
        silent.frame([{"role": "user", "content": CONTENT}], CONTENT)
    strict = ChatTokenizer(make_tokenizer(), "{{ raise_exception('no system role') }}")
    with pytest.raises(ModelError, match="no system role"):
        strict.frame([{"role": "system", "content": SYSTEM}], CONTENT)


def test_leaving_out_the_attention_mask_changes_nothing(tiny_model: SpeechLM, clip: Clip) -> None:
    pair = tiny_model.prepare(clip, "two plus three")
    for prompt in (pair.speech, pair.text):
        assert "attention_mask" not in prompt.inputs
        mask = torch.ones_like(prompt.inputs["input_ids"])
        with torch.no_grad():
            bare = tiny_model.trunk(**prompt.inputs)
            masked = tiny_model.trunk(**prompt.inputs, attention_mask=mask)
        assert torch.equal(bare.last_hidden_state, masked.last_hidden_state)


# ---- templates that write the date ---------------------------------------------------------------

DATES = {
    # As Granite 3.3 asks for it, and as Llama 3.1 and 3.2 do.
    "granite": """{{ "Today's Date: " + strftime_now('%B %d, %Y') + ".\\n" }}""",
    "llama": "{% if not date_string is defined %}{% if strftime_now is defined %}"
    '{% set date_string = strftime_now("%d %b %Y") %}{% else %}'
    '{% set date_string = "26 Jul 2024" %}{% endif %}{% endif %}{{ "Today Date: " }}'
    '{{ date_string + "\\n\\n" }}',
}


@pytest.mark.parametrize(
    ("kind", "says"),
    [("granite", "Today's Date: January 01, 2026.\n"), ("llama", "Today Date: 01 Jan 2026\n\n")],
)
def test_a_prompt_is_the_same_on_every_day(tmp_path: Path, kind: str, says: str) -> None:
    folder = make_tiny_checkpoint(tmp_path / "model")
    plain = load_model(folder)
    template = folder / "chat_template.jinja"
    template.write_text(DATES[kind] + template.read_text())
    model = load_model(folder)
    prompt = model.text_prompt("two")
    without = plain.tokenizer.decode(ids_of(plain.text_prompt("two")))
    assert model.tokenizer.decode(ids_of(prompt)) == says + without
    assert model.info()["prompt_date"] == "2026-01-01"
    found = analyze(model, make_clip(0.5), "two", answers=False)
    assert [note for note in found.notes if "2026-01-01" in note] == list(found.notes)
    assert len(found.notes) == 1
    assert plain.info()["prompt_date"] is None
    assert plain.text_prompt("two").notes == ()


def test_the_date_is_part_of_what_such_a_checkpoint_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_tiny_checkpoint(tmp_path / "model")
    plain = load_model(folder).identity
    template = folder / "chat_template.jinja"
    template.write_text(DATES["granite"] + template.read_text())
    dated = load_model(folder).identity
    monkeypatch.setattr(identity, "TODAY", date(2027, 1, 1))
    assert load_model(folder).identity != dated
    template.write_text(template.read_text().removeprefix(DATES["granite"]))
    assert load_model(folder).identity == plain
