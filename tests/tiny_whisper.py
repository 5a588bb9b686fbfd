"""A tiny random Whisper checkpoint, saved as a user's folder would be."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from tests.tiny import SENTENCES

LANGUAGES = ["<|en|>", "<|de|>"]
TASKS = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
MAX_TOKENS = 60


def make_tiny_whisper(
    folder: str | Path, seed: int = 0, *, multilingual: bool = True, heads: bool = True
) -> Path:
    """Save a random checkpoint with Whisper's special tokens in Whisper's order.

    Parameters
    ----------
    multilingual : bool
        Without, it is like the checkpoints whose names end in ".en".
    heads : bool
        Whether the generation config names the heads that follow the sound.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False),
    )
    languages = LANGUAGES if multilingual else []
    stamps = [f"<|{n * 0.02:.2f}|>" for n in range(1501)]
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages, *TASKS, "<|notimestamps|>"]
    core.add_special_tokens(special)
    core.add_tokens(stamps)
    tokenizer = WhisperTokenizer(tokenizer_object=core, unk_token="<|endoftext|>")
    ids = {token: core.token_to_id(token) for token in special}
    config = WhisperConfig(
        vocab_size=core.get_vocab_size(),
        num_mel_bins=80,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_target_positions=MAX_TOKENS,
        decoder_start_token_id=ids["<|startoftranscript|>"],
        pad_token_id=ids["<|endoftext|>"],
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"],
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=rng) * 0.15
            weight.copy_(1 + noise if name.endswith("norm.weight") else noise)
    values = {
        "decoder_start_token_id": ids["<|startoftranscript|>"],
        "eos_token_id": ids["<|endoftext|>"],
        "pad_token_id": ids["<|endoftext|>"],
        "bos_token_id": ids["<|endoftext|>"],
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "max_length": MAX_TOKENS,
        "is_multilingual": multilingual,
        "return_timestamps": False,
        "suppress_tokens": [*(ids[t] for t in TASKS)],
        "begin_suppress_tokens": [],
    }
    if multilingual:
        values |= {
            "lang_to_id": {token: ids[token] for token in LANGUAGES},
            "task_to_id": {"translate": ids["<|translate|>"], "transcribe": ids["<|transcribe|>"]},
        }
    if heads:
        values["alignment_heads"] = [[0, 1], [1, 0], [1, 1]]
    model.generation_config = GenerationConfig(**values)
    folder = Path(folder)
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder
