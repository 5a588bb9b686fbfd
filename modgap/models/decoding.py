"""Token by token: greedy or sampled answers with a key-value cache."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from modgap.errors import SettingsError
from modgap.models.prompt import Generation, Prompt

if TYPE_CHECKING:
    from modgap.models.base import Progress, SpeechLM


@torch.no_grad()
def decode(
    model: SpeechLM,
    prompt: Prompt,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    progress: Progress | None,
) -> Generation:
    """See `SpeechLM.generate`, which is the way in."""
    if max_new_tokens < 1:
        raise SettingsError(f"max_new_tokens must be at least 1, not {max_new_tokens}.")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise SettingsError(f"temperature must be 0 or more, not {temperature}.")
    # On the CPU, so that a seed means the same on every device.
    rng = torch.Generator().manual_seed(seed)
    ids: list[int] = []
    logprobs: list[float] = []
    finished = False
    with model.lock:
        out: Any = None
        for step in range(max_new_tokens):
            if progress is not None:
                progress(step / max_new_tokens, f"answer, token {step + 1}")
            if out is None:
                out = model.trunk(**prompt.inputs, use_cache=True)
            else:
                out = model.trunk(
                    input_ids=torch.tensor([[ids[-1]]], device=model.device),
                    position_ids=torch.tensor([[prompt.length + step - 1]], device=model.device),
                    past_key_values=out.past_key_values,
                    use_cache=True,
                )
            scores = model.logits(out.last_hidden_state[:, -1])[0].float()
            token = _choose(scores, temperature, rng)
            ids.append(token)
            logprobs.append(float(scores[token] - scores.logsumexp(-1)))
            if token in model.eos_ids:
                finished = True
                break
    if progress is not None:
        progress(1.0, "answer")
    return Generation(
        text=model.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        ),
        tokens=pieces(model.tokenizer, ids),
        token_ids=tuple(ids),
        logprobs=tuple(logprobs),
        finished=finished,
    )


def _choose(scores: torch.Tensor, temperature: float, rng: torch.Generator) -> int:
    if temperature == 0:
        return int(scores.argmax())
    probabilities = torch.softmax(scores.cpu().double() / temperature, dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=rng))


def pieces(tokenizer: Any, ids: list[int]) -> tuple[str, ...]:
    """What each token adds to the decoded text; joined, they are the text.

    A token that ends inside a character adds nothing until the character is complete.
    """
    out: list[str] = []
    done = ""
    for end in range(1, len(ids) + 1):
        text = tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False)
        if end < len(ids) and text.endswith("\N{REPLACEMENT CHARACTER}"):
            out.append("")
            continue
        out.append(text[len(done) :])
        done = text
    return tuple(out)
