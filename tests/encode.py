"""Valid audio files made in memory, each format by a real encoder."""

from __future__ import annotations

import io
from fractions import Fraction
from functools import cache

import numpy as np

RATES = {"opus": 48_000, "m4a": 44_100, "mp4_opus": 48_000, "webm": 48_000, "aac": 44_100}
SUFFIX = {"vorbis": ".ogg", "opus": ".ogg", "mp4_opus": ".mp4", "aac": ".aac"}
FORMATS = ("wav", "flac", "mp3", "vorbis", "opus", "m4a", "mp4_opus", "webm", "aac")


def tone(seconds: float, rate: int, hz: float = 440.0, peak: float = 0.3) -> np.ndarray:
    """A sine as float32 (n,)."""
    return (peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("f4")


def with_soundfile(samples: np.ndarray, rate: int, kind: str, subtype: str | None = None) -> bytes:
    """Samples (n,) or (n, channels) as a file of libsndfile's format `kind`."""
    import soundfile as sf

    out = io.BytesIO()
    with sf.SoundFile(
        out, "w", rate, 1 if samples.ndim == 1 else samples.shape[1], subtype, format=kind
    ) as file:
        for at in range(0, len(samples), 1 << 16):  # one long Vorbis write crashes libsndfile
            file.write(samples[at : at + (1 << 16)])
    return out.getvalue()


def with_pyav(
    samples: np.ndarray, rate: int, muxer: str, codec: str, layout: str = "mono"
) -> bytes:
    """Samples (n,) or (n, channels) as a file of ffmpeg's `muxer` and `codec`."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        # Interleaved: PyAV's frames of eight planes are broken. The encoder's own form is made.
        packed = np.ascontiguousarray(samples.reshape(1, -1), dtype="f4")
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return out.getvalue()


def video_only(muxer: str, codec: str) -> bytes:
    """Four black frames without sound."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), format="yuv420p")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out.getvalue()


@cache
def sample_file(kind: str, seconds: float = 0.5, hz: float = 440.0) -> bytes:
    """A tone as a file of one of `FORMATS`; at 22,050 Hz unless `RATES` says otherwise."""
    samples = tone(seconds, RATES.get(kind, 22_050), hz)
    rate = RATES.get(kind, 22_050)
    if kind in ("wav", "flac", "mp3"):
        return with_soundfile(samples, rate, kind.upper())
    if kind in ("vorbis", "opus"):
        return with_soundfile(samples, rate, "OGG", kind.upper())
    muxer, codec = {
        "m4a": ("ipod", "aac"),
        "mp4_opus": ("mp4", "libopus"),
        "webm": ("webm", "libopus"),
        "aac": ("adts", "aac"),
    }[kind]
    return with_pyav(samples, rate, muxer, codec)
