"""Tokenizer, chat template and the token ids of prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from modgap.demo.corpus import questions
from modgap.demo.phrasings import ANSWER_INSTRUCTIONS, TRANSCRIBE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 1200
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>",
)  # fmt: skip

#: Qwen2's form, as Qwen2-Audio uses it. A system message is written only when one is given: the
#: family was trained without, and a default one would cost a tenth of its context.
CHAT_TEMPLATE = (
    "{% set audio_count = namespace(value=0) %}"
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}"
    "{{ message['content'] }}<|im_end|>\n"
    "{% else %}"
    "{% for content in message['content'] %}"
    "{% if 'audio' in content or 'audio_url' in content or content['type'] == 'audio' %}"
    "{% set audio_count.value = audio_count.value + 1 %}"
    "Audio {{ audio_count.value }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n"
    "{% elif 'text' in content %}"
    "{{ content['text'] }}"
    "{% endif %}"
    "{% endfor %}"
    "<|im_end|>\n"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}"
    "<|im_start|>assistant\n"
    "{% endif %}"
)


def _lines() -> Iterator[str]:
    """What the tokenizer sees: training questions, and answers as they stand in a sentence."""
    for q in questions():
        # A multiple choice is said once, whether its words or its letter answer it.
        if q.split == "train" and q.form != "choice":
            yield q.transcript
            yield " " + q.transcript
            yield " " + q.answer
            if q.form == "digit":
                yield q.instruction
    yield from (TRANSCRIBE, *ANSWER_INSTRUCTIONS)
    yield from ["user\nAudio 1: ", "assistant\n", "system\n"] * 200


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE trained on the training phrasings; deterministic."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    core.train_from_iterator(_lines(), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=[s for s in SPECIAL if s not in ("<|im_end|>", "<|endoftext|>")],
        model_max_length=512, clean_up_tokenization_spaces=False, padding_side="left",
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@dataclass(frozen=True)
class Prompt:
    """A prompt as three lists of ids; the content stands between prefix and suffix."""

    prefix: list[int]
    content: list[int]
    suffix: list[int]

    @property
    def ids(self) -> list[int]:
        """The whole prompt."""
        return self.prefix + self.content + self.suffix


class Prompts:
    """Builds prompts and answers as ids, the same way for training and evaluation.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.audio_id: int = tokenizer.convert_tokens_to_ids("<|AUDIO|>")
        self.end_id: int = tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.pad_id: int = tokenizer.convert_tokens_to_ids("<|endoftext|>")
        self._encode = lru_cache(maxsize=50_000)(self._encode_uncached)

    def _encode_uncached(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def encode(self, text: str) -> list[int]:
        """Ids of a text."""
        return list(self._encode(text))

    def speech(self, positions: int, instruction: str = "") -> Prompt:
        """Prompt with ``positions`` audio placeholders as content."""
        return self.spoken([self.audio_id] * positions, instruction)

    def spoken(self, content: list[int], instruction: str = "") -> Prompt:
        """Prompt with any ids where the clip stands."""
        return self._keep(content, instruction)

    def text(
        self, transcript: str, instruction: str = "", markers: str = "keep", newline: bool = True
    ) -> Prompt:
        """Prompt with the transcript as content.

        Parameters
        ----------
        markers : {"keep", "drop"}
            Leave the audio markers around the transcript, or give the natural text prompt.
        newline : bool
            With ``"drop"`` and no instruction: whether the newline after the transcript stays.
        """
        content = self.encode(transcript)
        if markers == "keep":
            return self._keep(content, instruction)
        tail = "\n" + instruction if instruction or newline else ""
        return Prompt(
            self.encode("<|im_start|>user\n"),
            content,
            self.encode(tail + "<|im_end|>\n<|im_start|>assistant\n"),
        )

    def _keep(self, content: list[int], instruction: str) -> Prompt:
        return Prompt(
            self.encode("<|im_start|>user\nAudio 1: <|audio_bos|>"),
            content,
            self.encode(f"<|audio_eos|>\n{instruction}<|im_end|>\n<|im_start|>assistant\n"),
        )

    def answer(self, text: str) -> list[int]:
        """Ids of an answer and the end mark.

        The leading space makes an answer the same tokens as the same word inside a question.
        """
        return [*self.encode(" " + text), self.end_id]


def said_tokens(prompts: Prompts, text: str) -> list[int]:
    """Ids of the words of a text as they stand in a sentence, without marks that nobody hears."""
    said = "".join(c for c in text if c.isalpha() or c in " '")
    return prompts.encode(" " + " ".join(said.split()))
