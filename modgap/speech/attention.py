"""Word times from a Whisper's cross-attention.

The path is that of OpenAI's `whisper/timing.py`: the attention of the heads that follow the sound,
normed over the tokens, smoothed, averaged, and a monotone path through it. Two things are put right
that it gets wrong: it is late, and it knows no silence.
"""

from __future__ import annotations

import numpy as np

__all__ = ["FRAME", "LATE", "TAIL", "silent", "times_of_words", "token_starts"]

MEDIAN_WIDTH = 7  # frames, as in OpenAI's
#: Seconds by which the attention reaches a word after the word begins. A head looks where the sound
#: says which word it is, and that is inside the word, not at its edge. Measured for tiny.en on
#: espeak-ng's own times and on people (docs/results.md), alike for begins and ends.
LATE = 0.1
#: Seconds that the last word may go on after the attention has left it: it goes to the end of the
#: text before the word's sound is over. Where the sound ends is seen in the sound.
TAIL = 0.2
FRAME = 0.01  # seconds of sound that are judged together
_QUIET, _ABOVE_NOISE, _AT_MOST = 0.01, 2.0, 0.25
PAUSE = 0.08  # seconds; a shorter silence between two words may be the closure of a stop


def token_starts(weights: np.ndarray, rows: slice) -> np.ndarray:
    """The frame where each token begins, by OpenAI's method.

    Parameters
    ----------
    weights : float ndarray (heads, tokens, frames)
        Cross-attention; each row sums to 1.
    rows : slice
        The tokens that are timed; the others only count in the norm.

    Returns
    -------
    int64 ndarray (tokens in `rows`,)
        Never falling; the first is 0.
    """
    from scipy.ndimage import median_filter

    from modgap.measures.alignment import dtw_paths

    spread = np.maximum(weights.std(axis=1, keepdims=True), 1e-12)
    normed = (weights - weights.mean(axis=1, keepdims=True)) / spread
    smooth = median_filter(normed, size=(1, 1, MEDIAN_WIDTH), mode="reflect")
    matrix = smooth.mean(axis=0)[rows]
    path = dtw_paths(-matrix[None])[0]
    return np.array([path[path[:, 0] == k, 1].min() for k in range(len(matrix))], np.int64)


def silent(samples: np.ndarray, rate: int) -> np.ndarray:
    """Which frames of `FRAME` seconds hold no speech, bool (frames,).

    A frame is silent below 1 % of the loudest frame's amplitude (40 dB), or below twice the
    quietest tenth's where there is noise, but never from a quarter (12 dB) on.
    """
    size = max(1, round(rate * FRAME))
    padded = np.pad(np.asarray(samples, np.float64), (0, -len(samples) % size))
    level = np.sqrt((padded.reshape(-1, size) ** 2).mean(1))
    peak = level.max(initial=0.0)
    noise = np.quantile(level, 0.1) if len(level) else 0.0
    return level < np.clip(_ABOVE_NOISE * noise, _QUIET * peak, _AT_MOST * peak)


def times_of_words(
    starts: np.ndarray, tokens: list[list[int]], spacing: float, quiet: np.ndarray, seconds: float
) -> np.ndarray:
    """Begin and end of each word.

    Parameters
    ----------
    starts : int ndarray (T + 1,)
        Frame where each token begins (`token_starts`), and where what follows the last one does.
    tokens : list of W lists of int
        The tokens of each word, in order.
    spacing : float
        Seconds between two frames of the attention.
    quiet : bool ndarray
        See `silent`.
    seconds : float
        Length of the clip.

    Returns
    -------
    float64 ndarray (W, 2)
        Seconds. Words follow each other; no word begins or ends in a silence that it can avoid.
    """
    edges = np.clip(np.asarray(starts, np.float64) * spacing - LATE, 0.0, seconds)
    times = np.array([(edges[at[0]], edges[at[-1] + 1]) for at in tokens], np.float64)
    times = times.reshape(-1, 2)
    times[:1, 0] = 0.0  # the path's first token has all that comes before it
    times[-1:, 1] = min(seconds, starts[-1] * spacing + TAIL)
    return _out_of_silence(times, quiet, seconds)


def _out_of_silence(times: np.ndarray, quiet: np.ndarray, seconds: float) -> np.ndarray:
    """Begins moved to where a silence ends, and ends to where it began."""
    out = times.copy()
    for first, last in _runs(quiet):
        a, b = first * FRAME, min(last * FRAME, seconds)
        if b - a < PAUSE and first > 0 and last < len(quiet):
            continue
        # A word all of which is silent keeps its place: it was said too softly to be seen.
        begins = (a <= times[:, 0]) & (times[:, 0] < b) & (times[:, 1] > b)
        ends = (a < times[:, 1]) & (times[:, 1] <= b) & (times[:, 0] < a)
        out[begins, 0], out[ends, 1] = b, a
    return out


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """First index and the one after the last of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
