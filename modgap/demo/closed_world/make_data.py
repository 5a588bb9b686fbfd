"""Make the small shipped data: the manifest, the real digits for evaluation, the examples.

``python -m modgap.demo.closed_world.make_data --fsdd DIR --speech DIR`` where the second
folder holds the read speech (``dev/manifest.csv``). Deterministic: the same inputs give the same
files.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from modgap.audio.conditions import RATE
from modgap.demo.clips import ClipSpec, digit_plan, manifest
from modgap.demo.corpus import Question, heldout_questions
from modgap.demo.voices import FAST_RATE
from modgap.demo.waveforms import waveform

HERE = Path(__file__).parents[1]
PER_DIGIT_AND_SPEAKER = 5

FSDD_CREDIT = """\
Free Spoken Digit Dataset (FSDD), by Zohar Jackson and contributors,
https://github.com/Jakobovski/free-spoken-digit-dataset
Licence: Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0),
https://creativecommons.org/licenses/by-sa/4.0/
"""

#: Facts whose held-out questions become examples: (question id, voice, rate, condition, title).
SYNTHETIC: tuple[tuple[str, str, int, str, str, str], ...] = (
    ("capital-France/open", "en-us+m4", 165, "clean", "A capital, clean",
     "An unseen voice, no noise: typed it is answered right, said it is not. On the Interventions "
     "page, angle projection of all tokens repairs the answer."),
    ("opposite-hot/open", "en+f2", 165, "clean", "An opposite, another voice",
     "The same model on a higher, British voice that it never heard in training."),
    ("colour-banana/open", "en-us+f3", 165, "noisy", "A colour, in noise",
     "Pink noise at 10 dB: watch where the alignment blurs."),
    ("month_after-March/open", "en-gb-x-rp+m5", FAST_RATE, "fast", "A month, spoken fast",
     "250 words a minute, faster than any training clip. Angle projection of "
     "the bottom 3, the source's own setting, repairs the spoken answer."),
    ("add-three-four/open", "en-us+adam", 165, "reverberant", "A sum, in a room",
     "Reverberation smears each word over the next ones."),
    ("capital-Italy/choice", "en-us+m4", 200, "clean", "A spoken multiple choice",
     "Long clip, four options. The spoken answer is right; "
     "angle projection of all tokens breaks it."),
)  # fmt: skip

#: Real digits: (digit, speaker, take, held-out task).
DIGIT_EXAMPLES = (("7", "theo", 11, "digit_same"), ("3", "yweweler", 12, "digit_after"),
                  ("4", "theo", 13, "digit_double"))  # fmt: skip

READ = (
    ("lj001-0013.flac", "Read speech, LJSpeech",
     "A real reader and words outside the model's closed world: speech and text drift apart."),
    ("ls-3005-163389-0007.flac", "Read speech, LibriSpeech",
     "A volunteer's recording from an audio book; the transcript has no punctuation."),
    ("vctk-p225_020.wav", "Read speech, VCTK",
     "A long sentence from a studio; look at how far alignment survives unknown words."),
)  # fmt: skip


def make_manifest(fsdd: Path) -> Path:
    """Write ``data/manifest.parquet``: every clip of training and evaluation."""
    path = HERE / "data" / "manifest.parquet"
    path.parent.mkdir(exist_ok=True)
    manifest(fsdd).to_parquet(path, compression="zstd", index=False)
    return path


def make_digits(fsdd: Path) -> Path:
    """Copy about 100 recordings of the held-out speakers to ``data/digits``."""
    out = HERE / "data" / "digits"
    shutil.rmtree(out, ignore_errors=True)
    (out / "recordings").mkdir(parents=True)
    taken: dict[tuple[str, str], int] = {}
    rows = []
    for spec in digit_plan(fsdd):
        key = (spec.transcript, spec.voice)
        if taken.get(key, 0) < PER_DIGIT_AND_SPEAKER:
            taken[key] = taken.get(key, 0) + 1
            shutil.copy(fsdd / spec.file, out / spec.file)
            rows.append([spec.file, spec.transcript.rstrip(".").lower(), spec.voice])
    with (out / "manifest.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file", "transcript", "speaker"])
        writer.writerows(rows)
    (out / "ATTRIBUTION.md").write_text(
        f"# Attribution\n\n{FSDD_CREDIT}\nThe {len(rows)} recordings in this folder are unchanged "
        "copies of two of its speakers\n(theo, yweweler). Anything derived from them is under the "
        "same licence.\n"
    )
    return out


def _held(prefix: str) -> Question:
    fact, form = prefix.split("/")
    return next(q for q in heldout_questions(form) if q.fact == fact)


def _write(path: Path, samples: np.ndarray) -> None:
    import soundfile

    soundfile.write(path, samples, RATE, subtype="PCM_16")


def make_examples(fsdd: Path, speech: Path) -> Path:
    """Write ``examples/``: clips, ``examples.json`` and ``ATTRIBUTION.md``."""
    out = HERE / "examples"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    entries: list[dict[str, Any]] = []
    for prefix, voice, rate, condition, title, shows in SYNTHETIC:
        q = _held(prefix)
        spec = ClipSpec(f"example/{prefix}", q.id, q.form, "heldout", q.transcript, voice, rate, 50,
                        condition)  # fmt: skip
        name = prefix.replace("/", "-") + ".flac"
        _write(out / name, waveform(spec))
        entries.append({
            "id": name.removesuffix(".flac"), "file": name, "title": title,
            "transcript": q.transcript, "instruction": "", "reference": q.answer,
            "source": f"synthesized with espeak-ng, voice {voice}, {rate} words a minute",
            "licence": "CC0-1.0", "shows": shows,
        })  # fmt: skip
    from modgap.demo.corpus import ask, capitalise, facts
    from modgap.demo.facts import DIGITS
    from modgap.demo.phrasings import TYPE_BY_NAME

    for digit, speaker, take, task in DIGIT_EXAMPLES:
        word = DIGITS[int(digit)]
        fact = next(f for f in facts() if f.type == task and dict(f.slots)["x"] == word)
        file = f"recordings/{digit}_{speaker}_{take}.wav"
        spec = ClipSpec(f"digit/{file}", "digit", "digit", "heldout", capitalise(word) + ".",
                        speaker, 0, 0, "real", file)  # fmt: skip
        name = f"digit-{digit}-{speaker}.flac"
        _write(out / name, waveform(spec, fsdd))
        entries.append({
            "id": name.removesuffix(".flac"), "file": name,
            "title": f"A real spoken digit ({speaker})", "transcript": spec.transcript,
            "instruction": ask(fact, TYPE_BY_NAME[task].heldout), "reference": fact.answer,
            "source": f"Free Spoken Digit Dataset, {file}, resampled to 16 kHz",
            "licence": "CC BY-SA 4.0",
            "shows": "A human voice that training never heard; the task is typed, the digit heard.",
        })  # fmt: skip
    with (speech / "dev" / "manifest.csv").open(newline="") as handle:
        rows = {r["file"]: r for r in csv.DictReader(handle)}
    for file, title, shows in READ:
        row = rows[file]
        shutil.copy(speech / "dev" / file, out / file)
        entries.append({
            "id": Path(file).stem, "file": file, "title": title, "transcript": row["transcript"],
            "instruction": "Write down what you hear.", "reference": None,
            "source": f"{row['speaker']}, copied from {row['source_repo']}",
            "licence": row["licence"], "shows": shows,
        })  # fmt: skip
    (out / "examples.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    (out / "ATTRIBUTION.md").write_text(
        "# Attribution of the example clips\n\n"
        "- Synthetic clips: made with espeak-ng by `modgap.demo.closed_world.make_data`; dedicated "
        "to the public domain (CC0 1.0).\n"
        f"- `digit-*.flac`: resampled and padded from the\n{FSDD_CREDIT}"
        "  These adapted copies are under the same licence.\n"
        "- `lj001-*.flac`: LJSpeech, Keith Ito and Linda Johnson, public domain; resampled to "
        "16 kHz.\n"
        "- `ls-*.flac`: LibriSpeech ASR corpus, (c) 2014 Vassil Panayotov, CC BY 4.0 "
        "(https://creativecommons.org/licenses/by/4.0/), https://www.openslr.org/12.\n"
        "- `vctk-*.wav`: CSTR VCTK Corpus, Yamagishi, Veaux, MacDonald, University of Edinburgh, "
        "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/); 16 kHz copy.\n"
    )
    return out


def main() -> None:
    """Command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--fsdd", type=Path, required=True)
    parser.add_argument("--speech", type=Path, required=True)
    args = parser.parse_args()
    print(make_manifest(args.fsdd))
    print(make_digits(args.fsdd))
    print(make_examples(args.fsdd, args.speech))


if __name__ == "__main__":
    main()
