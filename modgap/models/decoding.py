"""Token by token: greedy or sampled answers with a key-value cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from modgap.core.errors import SettingsError
from modgap.models.drafts import Ahead
from modgap.models.hooks import holding_lock
from modgap.models.prompt import Generation, Prompt
from modgap.models.sampling import Sampling

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
    sampling: Sampling | None = None,
) -> Generation:
    """See `SpeechLM.generate`, which is the way in."""
    check_decoding(max_new_tokens, temperature)
    report = progress or (lambda *_: None)
    with model.lock:
        report(0.0, "answer, token 1")
        out = model.trunk(**prompt.inputs, use_cache=True)
        scores = model.logits(out.last_hidden_state[:, -1])
        (made,) = decode_rows(
            model,
            out.past_key_values,
            scores.float(),
            prompt.length,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            progress=progress,
            sampling=sampling,
            prompts=list(prompt.inputs["input_ids"]),
        )
    return made


def check_decoding(max_new_tokens: int, temperature: float) -> None:
    """Raise `SettingsError` for settings that no decoding can follow."""
    if max_new_tokens < 1:
        raise SettingsError(f"max_new_tokens must be at least 1, not {max_new_tokens}.")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise SettingsError(f"temperature must be 0 or more, not {temperature}.")


@holding_lock
@torch.no_grad()
def decode_rows(
    model: SpeechLM,
    cache: Any,
    scores: torch.Tensor,
    length: int | Sequence[int],
    *,
    mask: torch.Tensor | None = None,
    max_new_tokens: int,
    temperature: float = 0.0,
    seed: int | Sequence[int] = 0,
    progress: Progress | None = None,
    sampling: Sampling | None = None,
    prompts: Sequence[torch.Tensor] | None = None,
    drafts: Sequence[Sequence[int]] = (),
) -> list[Generation]:
    """Go on after a prefill, several sequences side by side.

    Parameters
    ----------
    model : SpeechLM
    cache : transformers cache
        Of B rows; it grows.
    scores : Tensor, shape (B, vocabulary)
        float32 logits of the first token.
    length : int or sequence of B int
        Positions of each prompt.
    mask : LongTensor (B, S), optional
        1 where the cache holds a prompt, 0 on the padding before it.
    max_new_tokens, temperature, seed, progress
        See `SpeechLM.generate`; every row has a generator of its own with this seed, or its own.
    sampling : Sampling, optional
        Takes the place of `temperature`.
    prompts : sequence of B LongTensor (S,), optional
        Ids of the prompts, which `sampling` may have to know.
    drafts : sequence of sequences of int
        Ids of answers that may be given again. They only save time, to a single greedy row.

    Returns
    -------
    list of B Generation
    """
    rows = len(scores)
    lengths = [length] * rows if isinstance(length, int) else list(length)
    # On the CPU, so that a seed means the same on every device.
    seeds = [seed] * rows if isinstance(seed, int) else seed
    random = [torch.Generator().manual_seed(s) for s in seeds]
    said = list(prompts) if prompts is not None else [torch.empty(0, dtype=torch.long)] * rows
    ids: list[list[int]] = [[] for _ in range(rows)]
    logprobs: list[list[float]] = [[] for _ in range(rows)]
    finished = [False] * rows
    first = _likeliest(scores)
    going = list(range(rows))
    greedy = rows == 1 and sampling is None and temperature == 0 and mask is None
    ahead = Ahead(model, cache, lengths[0], drafts, max_new_tokens) if drafts and greedy else None
    for step in range(max_new_tokens):
        if progress is not None and step:
            progress(step / max_new_tokens, f"answer, token {step + 1}")
        normed = scores - scores.logsumexp(-1, keepdim=True)
        for n, row in enumerate(going):
            if sampling is None:
                token = _choose(scores[n], temperature, random[row])
            else:
                before = said[row].new_empty(0)
                if sampling.repetition_penalty != 1:  # else nobody asks for them
                    before = torch.cat([said[row], said[row].new_tensor(ids[row])])
                token = sampling.choose(scores[n], before.to(scores.device), random[row])
            ids[row].append(token)
            logprobs[row].append(float(normed[n, token]))
            finished[row] = token in model.eos_ids
        left = [n for n, row in enumerate(going) if not finished[row]]
        if not left or step + 1 == max_new_tokens:
            break
        if len(left) < len(going):
            # On the CPU: with a device map the layers' keys lie on several devices, and an index
            # may be on the CPU or beside what it picks from.
            chosen = torch.tensor(left)
            cache.batch_select_indices(chosen)
            going = [going[n] for n in left]
            mask = None if mask is None else mask[chosen]
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(len(going), 1)], dim=1)
        if ahead is not None and (known := ahead.after(ids[0])) is not None:
            scores = known
            continue
        masked = {} if mask is None else {"attention_mask": mask}
        out = model.trunk(
            input_ids=torch.tensor([[ids[row][-1]] for row in going], device=model.device),
            position_ids=torch.tensor([[lengths[r] + step] for r in going], device=model.device),
            past_key_values=cache,
            use_cache=True,
            **masked,
        )
        scores = model.logits(out.last_hidden_state[:, -1]).float()
    if progress is not None:
        progress(1.0, "answer")
    return [
        Generation(
            text=model.tokenizer.decode(
                ids[row], skip_special_tokens=True, clean_up_tokenization_spaces=False
            ),
            tokens=pieces(model.tokenizer, ids[row]),
            token_ids=tuple(ids[row]),
            logprobs=tuple(logprobs[row]),
            finished=finished[row],
            first=first[row],
        )
        for row in range(rows)
    ]


def _likeliest(scores: torch.Tensor, count: int = 8) -> list[tuple[tuple[int, float], ...]]:
    top = scores.log_softmax(-1).topk(min(count, scores.shape[-1]))
    both = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    return [tuple(zip(ids, values, strict=True)) for ids, values in both]


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
