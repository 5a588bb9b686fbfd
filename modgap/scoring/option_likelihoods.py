"""Multiple choice: how likely the model finds each of the options that a question names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from modgap.models.hooks import holding_lock
from modgap.models.resume import KeysValues, repeated
from modgap.scoring.named_options import named_options

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM


def choice_probabilities(
    model: SpeechLM, kept: Sequence[KeysValues], first: Tensor, length: int, question: str
) -> dict[str, float]:
    """Probability of each option that a question names, as ``"A, down"``; empty without options.

    See `option_probabilities` for the arguments.
    """
    options = named_options(question)
    if not options:
        return {}
    words = list(options.values())
    shares = option_probabilities(model, kept, first, length, words)
    return {f"{letter}, {word}": shares[word] for letter, word in options.items()}


def option_probabilities(
    model: SpeechLM,
    kept: Sequence[KeysValues],
    first: Tensor,
    length: int,
    options: Sequence[str],
) -> dict[str, float]:
    """Probability of each option as the beginning of the answer, among the options.

    See `option_logprobs` for the arguments.
    """
    logps = option_logprobs(model, kept, first, length, options)
    shares = torch.tensor(logps, dtype=torch.float64).softmax(-1).tolist()
    return dict(zip(options, shares, strict=True))


@holding_lock
@torch.no_grad()
def option_logprobs(
    model: SpeechLM,
    kept: Sequence[KeysValues],
    first: Tensor,
    length: int,
    options: Sequence[str],
) -> list[float]:
    """Log-probability of each option as the beginning of the answer, in nats.

    Parameters
    ----------
    model : SpeechLM
    kept : keys and values of the prompt, of shape (1, H, length, D)
    first : Tensor, shape (vocabulary,)
        Logits of the first token.
    length : int
    options : sequence of str
        A leading space is added where the likeliest first token begins with one.
    """
    start = model.tokenizer.decode([int(first.argmax())], clean_up_tokenization_spaces=False)
    space = " " if start.startswith(" ") else ""
    logps = []
    for option in options:
        ids = model.tokenizer.encode(space + option, add_special_tokens=False)
        total = float(first.float().log_softmax(-1)[ids[0]])
        if len(ids) > 1:
            out = model.trunk(
                input_ids=torch.tensor([ids[:-1]], device=model.device),
                position_ids=torch.arange(length, length + len(ids) - 1, device=model.device)[None],
                past_key_values=repeated(kept, 1),
                use_cache=True,
            )
            rest = model.logits(out.last_hidden_state[0]).float().log_softmax(-1)
            total += float(rest[torch.arange(len(ids) - 1), ids[1:]].sum())
        logps.append(total)
    return logps
