"""What an intervention costs: against a bare answer, by layer, in a batch, and against nnsight.

    python -m benchmarks.interventions
    python -m benchmarks.interventions --model demo --rounds 15

All ways run in turn in one process on one clip; what counts are the ratios of their medians. The
comparison with nnsight (``pip install nnsight``) is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from modgap.analysis.comparison import compare_variants
from modgap.analysis.examples import example
from modgap.audio.clip import load_clip
from modgap.core.settings import AnalysisSettings
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.models.decoding import decode_rows
from modgap.models.loading.load import load_model
from modgap.models.resume import repeated

RULES = ("angle", "length", "patch", "mean")


def in_turn(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, taken in turn after one warm round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for n in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if n:
                times[name].append(time.perf_counter() - began)
    return times


def generator(model: Any, prompt: Any) -> tuple[Any, Callable[[], dict[str, Any]]]:
    """The transformers model that generates, and what it is given of a prompt."""
    hf = model.hf
    if hasattr(hf, "generate"):
        return hf, lambda: dict(prompt.inputs)
    # A composite embeds ids and speech itself, for each answer anew.
    names = ("input_ids", "input_features", "speech_mask")

    def embedded() -> dict[str, Any]:
        with torch.inference_mode():
            embeds = hf.embed(*(prompt.inputs.get(name) for name in names))
        return {"inputs_embeds": embeds, "attention_mask": torch.ones(embeds.shape[:2]).long()}

    return hf.llm, embedded


def nnsight_answer(model: Any, prompt: Any, kept: Prefill, it: Intervention, tokens: int) -> Any:
    """The same toggle with nnsight on the same checkpoint: embeddings edited, greedy answer."""
    from nnsight import NNsight

    from modgap.interventions.rules import apply_edit

    (edit,) = kept.plan((it,))
    hf, inputs = generator(model, prompt)
    net = NNsight(hf)
    where = next(name for name, module in hf.named_modules() if module is model.layers[0])
    at = prompt.content
    rows = at[torch.as_tensor(edit.rows)]
    new = apply_edit(edit, 0, kept.speech[0], kept.text[0])

    def run() -> list[int]:
        with net.trace(
            fn=hf.generate, max_new_tokens=tokens, do_sample=False, **inputs()
        ) as tracer:
            net.get(where).input[0, rows] = new
            out = tracer.result.save()
        return out[0].tolist()[-tokens:]

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what interventions cost.")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--example", default="capital-Greece-open")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    found = example(args.example)
    assert found is not None
    model = load_model(args.model)
    pair = model.prepare(load_clip(found.path), found.transcript, instruction=found.instruction)
    kept = Prefill.of(model, pair)
    speech = pair.speech
    settings = AnalysisSettings(max_new_tokens=8)
    threads, L = torch.get_num_threads(), model.n_layers
    n = len(speech.content)

    (first,) = compare_variants(kept, [()], settings)
    expected = [first.before.token_ids, first.text.token_ids if first.text else ()]

    def edited(it: Intervention, drafts: Any = ()) -> Callable[[], Any]:
        def run() -> Any:
            made = kept.run([(it,)])
            return decode_rows(
                model, made.cache, made.logits[:, 0], speech.length, max_new_tokens=8,
                drafts=drafts,
            )  # fmt: skip

        return run

    def from_nothing() -> Any:
        fresh = Prefill.of(model, pair)
        made = fresh.run([(Intervention(tokens="all"),)])
        return decode_rows(model, made.cache, made.logits[:, 0], speech.length, max_new_tokens=8)

    def plain() -> Any:
        return decode_rows(
            model, repeated(kept.kept, 1), kept.logits[:1], speech.length, max_new_tokens=8
        )

    hf, inputs = generator(model, speech)
    whole = Intervention(tokens="all")
    (after,) = compare_variants(kept, [(whole,)], settings)
    ways: dict[str, Callable[[], Any]] = {
        "bare `generate` of the clip": lambda: model.generate(speech, max_new_tokens=8),
        "transformers' own `generate`": lambda: hf.generate(
            **inputs(), max_new_tokens=8, do_sample=False
        ),
        "answer with an intervention at layer 0, clip warm": edited(whole, expected),
        "the same, the plain answers not tried first": edited(whole),
        "the same from nothing (both plain runs first)": from_nothing,
        "decoding alone, prefill kept": plain,
    }
    if importlib.util.find_spec("nnsight"):
        toggle = nnsight_answer(model, speech, kept, whole, 8)
        ids = list(edited(whole)()[0].token_ids)
        assert toggle()[-len(ids) :] == ids, "nnsight gives another answer"
        ways["the same toggle in nnsight"] = toggle
    times = in_turn(ways, args.rounds)
    bare = statistics.median(times["bare `generate` of the clip"])
    print(
        f"| one clip on {model.name}, {n} speech positions of {speech.length}, {L} layers, "
        f"{threads} threads | ms | against bare |\n|---|---:|---:|"
    )
    for name, seconds in times.items():
        print(f"| {name} | {1e3 * statistics.median(seconds):.1f} "
              f"| {statistics.median(seconds) / bare:.2f} |")  # fmt: skip
    ours = statistics.median(times["answer with an intervention at layer 0, clip warm"])
    print(f"\nBefore: {first.before.text!r}, after: {after.after.text!r}.")
    print(f"At layer 0 {ours / bare:.2f} times a bare answer (target: at most 1.05).", end=" ")
    if "the same toggle in nnsight" in times:
        theirs = statistics.median(times["the same toggle in nnsight"])
        print(f"nnsight takes {theirs / ours:.1f} times as long (target: at least 3).")
    else:
        print("nnsight is not installed: not compared.")

    curve = in_turn(
        {str(k): (lambda k=k: kept.run([(Intervention(tokens="all", layers=(k,)),)]))  # type: ignore[misc]
         for k in range(L)},
        args.rounds,
    )  # fmt: skip
    first = statistics.median(curve["0"])
    print("\n| prefill edited at layer | " + " | ".join(curve) + " |")
    print("|---|" + "---:|" * L)
    shares = [f"{statistics.median(s) / first:.2f}" for s in curve.values()]
    print("| against layer 0 | " + " | ".join(shares) + " |")
    print("| (L - l) / L | " + " | ".join(f"{(L - k) / L:.2f}" for k in range(L)) + " |")

    variants = [
        (Intervention(rule=rule, tokens=tokens, strength=alpha),)  # type: ignore[arg-type]
        for rule in RULES
        for tokens, alpha in (("bottom-3", 1.0), ("all", 1.0), ("all", 0.5))
    ]
    both = in_turn(
        {
            "one by one": lambda: [compare_variants(kept, [v], settings) for v in variants],
            "as a batch": lambda: compare_variants(kept, variants, settings),
            "prefill, one by one": lambda: [kept.run([v]) for v in variants],
            "prefill, as a batch": lambda: kept.run(variants),
        },
        max(3, args.rounds // 3),
    )
    single = statistics.median(both["one by one"])
    print(f"\n| {len(variants)} variants | ms | speed-up |\n|---|---:|---:|")
    for name, seconds in both.items():
        reference = "prefill, one by one" if name.startswith("prefill") else "one by one"
        base = statistics.median(both[reference])
        print(f"| {name} | {1e3 * statistics.median(seconds):.1f} "
              f"| {base / statistics.median(seconds):.1f} |")  # fmt: skip
    batch = single / statistics.median(both["as a batch"])
    print(f"\nA batch is {batch:.1f} times as fast as one by one (target: at least 4).")


if __name__ == "__main__":
    main()
