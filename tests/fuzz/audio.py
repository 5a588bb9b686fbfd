"""Mutated files of every kind through `load_clip`.

Each input must end within `SECONDS` of the processor and `MEGABYTES` more memory, and either raise
`AudioError` in one or two sentences or give a clip of finite samples that is not longer than its
bytes can hold, nor than what was put into it can be. Inputs are decoded in a process of their own:
one that dies or hangs is a find, and the input is kept.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from modgap.audio.formats import kind_at
from tests.audio.test_joined import mp3, piece
from tests.crafted import wav
from tests.encode import FORMATS, tone, with_pyav, with_soundfile

SECONDS, MEGABYTES, BATCH = 5.0, 700, 200
PATIENCE = 120  # seconds of the wall's clock without a word, then it hangs
SPECIAL = (
    b"\0" * 4,
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80\0\0\0",
    b"\0\0\0\x01",
)
#: Samples that a byte can hold at most; FLAC and Opus write silence in next to nothing.
PER_BYTE = {"WAV": 6, "AIFF": 6, "CAF": 6, "W64": 6, "AU": 6, "NIST": 2, "MP3": 64, "AMR": 400}


def seeds() -> dict[str, bytes]:
    """Small valid files, the longest of 0.3 s, of each kind and of kinds of a kind."""
    sound = tone(0.3, 16_000)
    both = np.stack([sound, -0.5 * sound], 1)
    files = {kind: piece(kind, 0.3) for kind in FORMATS}
    files |= {
        kind: piece(kind, 0.3) for kind in ("aiff", "caf", "w64", "au", "nist", "amr", "rf64")
    }
    files |= {
        "wav_stereo_float": with_soundfile(both, 16_000, "WAV", "FLOAT"),
        "wav_ima": with_soundfile(sound, 16_000, "WAV", "IMA_ADPCM"),
        "wav_gsm": with_soundfile(sound, 16_000, "WAV", "GSM610"),
        "wav_streamed": wav(size=0),
        "flac_24": with_soundfile(both, 16_000, "FLAC", "PCM_24"),
        "mp3_bare": mp3(0.3, header=False),
        "ogg_flac": with_pyav(sound, 16_000, "ogg", "flac"),
        "mov_pcm": with_pyav(sound, 16_000, "mov", "pcm_s16be"),
        "mov_ima": with_pyav(sound, 16_000, "mov", "adpcm_ima_qt"),
        "mka_vorbis": with_pyav(both, 16_000, "matroska", "libopus", "stereo"),
        "caf_alac": with_pyav(sound, 16_000, "caf", "alac"),
        "3gp": with_pyav(tone(0.3, 8_000), 8_000, "3gp", "libopencore_amrnb"),
    }
    data = Path(__file__).parents[1] / "data"
    for name in ("browser.webm", "browser.mp4"):
        files[name] = (data / name).read_bytes()
    return files


def mutate(rng: random.Random, files: list[bytes]) -> bytes:
    """A file with one to six things done to it, mostly in its header."""
    data = bytearray(rng.choice(files))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(min(len(data), rng.choice((64, 600, len(data) + 1))) or 1)
        match rng.randrange(11):
            case 0:
                data[at : at + 1] = bytes([(data[at] if data else 0) ^ 1 << rng.randrange(8)])
            case 1:
                data[at : at + 4] = rng.randbytes(rng.randint(1, 4))
            case 2:
                data[at : at + 4] = rng.choice(SPECIAL)
            case 3:
                size = rng.choice((len(data), len(data) - at, 1 << rng.randrange(32)))
                data[at : at + 4] = size.to_bytes(4, rng.choice(("little", "big")))
            case 4:
                del data[at : at + rng.randint(1, 400)]
            case 5:
                data[at:at] = data[at : at + rng.randint(1, 400)]
            case 6:
                data[at:at] = rng.randbytes(rng.randint(1, 60)) * rng.randint(1, 40)
            case 7:
                data += rng.choice(files)
            case 8:
                other = rng.choice(files)
                data[at:] = other[rng.randrange(len(other)) :]
            case 9:
                data[:0] = rng.choice(
                    (bytes(rng.randint(1, 700)), b"ID3\x04\0\0\0\0\0\x0a" + bytes(10))
                )
            case _:
                del data[rng.randrange(len(data) + 1) :]
    return bytes(data)


Known = dict[bytes, tuple[int, int]]


def joined(rng: random.Random, known: Known) -> tuple[bytes, int]:
    """Whole files of one kind and rate, one after the other, and the samples that are in them.

    Of those kinds only that say where they end; zeros are frames of AMR and sound of a streamed
    WAV.
    """
    open_ended = (b"#!AMR", b"NIST", b"\xff\xf1", wav(size=0)[:44])
    first = rng.choice([data for data in known if not data.startswith(open_ended)])
    same = [
        data
        for data in known
        if kind_at(data, 0) == kind_at(first, 0)
        and known[data][1] == known[first][1]
        and not data.startswith(open_ended)
    ]
    parts = [rng.choice(same) for _ in range(rng.randint(2, 4))]
    tags = b"TAG" + bytes(125), b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
    between = rng.choice((b"", *tags, bytes(rng.randint(1, 5_000))))
    return between.join(parts), sum(known[part][0] for part in parts)


def wrong(data: bytes, clip: Any, samples: int = 0) -> str:
    """What is not right with a clip that came out of these bytes, or of which these are known."""
    if samples and abs(len(clip.samples) - samples) > 2_400:  # a frame at each of three joints
        return f"{len(clip.samples):,} samples of {samples:,} in a joined {clip.kind}"
    if not np.isfinite(clip.samples).all():
        return "samples are not finite"
    per_byte = PER_BYTE.get(clip.kind, 6_000 if clip.kind == "OGG" else 70_000)
    several = any("recordings" in note for note in clip.notes)
    if len(clip.samples) > per_byte * len(data) + 5_000 and not several:
        return f"{len(clip.samples):,} samples of {clip.kind} out of {len(data):,} bytes"
    return ""


def attempt(
    data: bytes, load: Callable[[bytes], Any], error: type[Exception], samples: int = 0
) -> tuple[str, str]:
    """How an input ended: its kind and, where it is wrong, what is wrong."""
    begun = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        clip = load(data)
        ended, said = clip.kind, wrong(data, clip, samples)
    except error as problem:
        ended, text = "refused", str(problem)
        said = "" if text.endswith(".") and len(text) < 400 else f"message {text!r}"
    except BaseException as problem:
        ended, said = "crash", f"{type(problem).__name__}: {problem}"
    if time.process_time() - begun > SECONDS:
        said = f"took {time.process_time() - begun:.1f} s"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > MEGABYTES:
        said = f"took {grown:.0f} MB"
    return ended, said


def _work(batch_seed: int, known: Known, pipe: Any) -> None:
    from modgap.audio.clip import load_clip
    from modgap.core.errors import AudioError

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # the decoders' own remarks
    limit = 6 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    rng, files = random.Random(batch_seed), list(known)
    for _ in range(BATCH):
        data, samples = (mutate(rng, files), 0) if rng.random() < 0.8 else joined(rng, known)
        pipe.send((data, None))
        pipe.send((data, attempt(data, load_clip, AudioError, samples)))
    pipe.send(None)


def main(minutes: float = 5.0, seed: int = 0) -> int:
    """Try inputs for so long; the number that did not end as they should."""
    context = multiprocessing.get_context("fork")
    from modgap.audio.clip import load_clip  # once, before the processes part

    end, tried, finds = time.monotonic() + 60 * minutes, Counter[str](), 0
    keep = Path(tempfile.gettempdir()) / "modgap-fuzz-audio"
    whole = [(data, load_clip(data)) for data in seeds().values()]
    known, batch = {data: (len(clip.samples), clip.rate) for data, clip in whole}, 0
    while time.monotonic() < end:
        receive, send = context.Pipe(duplex=False)
        process = context.Process(
            target=_work, args=(seed * 1_000_003 + batch, known, send), daemon=True
        )
        process.start()
        send.close()
        batch += 1
        last, how = b"", ""
        with contextlib.suppress(EOFError):
            while receive.poll(PATIENCE):
                got = receive.recv()
                if got is None:
                    how = "done"
                    break
                last, result = got
                if result is None:
                    continue
                tried[result[0]] += 1
                if result[1]:
                    finds += _report(keep, last, ": ".join(result))
                if time.monotonic() > end:
                    how = "done"
                    break
            else:
                how = "hangs"
        process.join(5) if how == "" else process.kill()
        process.join(5)
        if how != "done":
            tried["crash"] += 1
            finds += _report(keep, last, how or f"the process died ({process.exitcode})")
    total = sum(tried.values())
    print(f"audio: {total:,} inputs, {tried.pop('refused', 0):,} refused, {tried.pop('crash', 0)} "
          f"crashes, {finds} wrong; read: {dict(tried.most_common())}")  # fmt: skip
    return finds


def _report(folder: Path, data: bytes, what: str) -> int:
    folder.mkdir(exist_ok=True)
    path = folder / f"{abs(hash(data)):x}.bin"
    path.write_bytes(data)
    print(f"audio: {what}\n  kept as {path}", flush=True)
    return 1
