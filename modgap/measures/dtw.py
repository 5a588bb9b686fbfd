"""Paths through similarity and distance matrices: the compiled core, all layers at once.

The kernels release the interpreter lock and are spread over layers with plain threads: numba's own
parallel loops abort the process where its fallback threading layer is entered from two threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from modgap.measures.kernels import compiled

# Below this number of matrix cells, threads cost more than they save.
_THREADED_CELLS = 1 << 19


class Traced(NamedTuple):
    """What ``trace`` finds in K matrices of shape (N, M).

    Attributes
    ----------
    best : ndarray int32, shape (K, M)
        Per column, the row of the best entry; ties: the first.
    paths : ndarray int32, shape (K, N + M - 1, 2)
        Warping paths, start first; ``paths[k, : lengths[k]]`` holds.
    lengths : ndarray int32, shape (K,)
    totals : ndarray float64, shape (K,)
        Summed cost of each path.
    pairs : ndarray int32, shape (K, M)
        Per column, the row of the best entry on the path; ties: the first.
    """

    best: np.ndarray
    paths: np.ndarray
    lengths: np.ndarray
    totals: np.ndarray
    pairs: np.ndarray


def trace(*problems: tuple[np.ndarray, bool]) -> list[Traced]:
    """Best entries and warping paths of stacks of matrices, spread over torch's thread count.

    Parameters
    ----------
    *problems : (ndarray float32 or float64 of shape (K, N, M), bool)
        C-contiguous matrices, and whether they are similarities (high is good, cost 1 - value)
        rather than costs (low is good).
    """
    results = [_room(matrices) for matrices, _ in problems]
    cells = sum(matrices.size for matrices, _ in problems)
    workers = torch.get_num_threads() if cells >= _THREADED_CELLS else 1
    jobs = [
        (matrices, similar, result, slice(start, stop))
        for (matrices, similar), result in zip(problems, results, strict=True)
        for start, stop in pairwise(np.linspace(0, len(matrices), workers + 1).astype(int))
    ]
    # Each job writes its own layers of the results, which are there already: no lock is needed.
    if workers == 1:
        for job in jobs:
            _trace_layers(*job)
    else:
        with ThreadPoolExecutor(workers) as pool:
            for done in [pool.submit(_trace_layers, *job) for job in jobs]:
                done.result()  # what a thread has raised is raised here
    return results


def _room(matrices: np.ndarray) -> Traced:
    k, n, m = matrices.shape
    return Traced(
        best=np.empty((k, m), np.int32),
        paths=np.empty((k, n + m - 1, 2), np.int32),
        lengths=np.empty(k, np.int32),
        totals=np.empty(k, np.float64),
        pairs=np.empty((k, m), np.int32),
    )


def _trace_layers(matrices: np.ndarray, similar: bool, out: Traced, layers: slice) -> None:
    part, (best, paths, lengths, totals, pairs) = matrices[layers], (x[layers] for x in out)
    best_rows(part, similar, best)
    shortest_paths(part, similar, paths, lengths, totals)
    best_on_paths(part, similar, paths, lengths, pairs)


@compiled()
def best_rows(matrices, highest, best):
    """``best[k, j]`` = the row with the highest (lowest) entry of column j; ties: the first."""
    sign = np.float32(1 if highest else -1)
    for k in range(matrices.shape[0]):
        matrix = matrices[k]
        n_rows, n_cols = matrix.shape
        # Row by row, as the matrix lies in memory, and without a branch: the compiler makes vectors
        # of columns.
        top = np.empty(n_cols, matrices.dtype)
        row = best[k]
        for j in range(n_cols):
            top[j] = sign * matrix[0, j]
            row[j] = 0
        for i in range(1, n_rows):
            for j in range(n_cols):
                value = sign * matrix[i, j]
                better = value > top[j]
                top[j] = value if better else top[j]
                row[j] = i if better else row[j]


@compiled()
def shortest_paths(matrices, similar, paths, lengths, totals):
    """Dynamic time warping of every matrix, equal to ``librosa.sequence.dtw`` in cost and path.

    ``similar``: the cost is 1 - matrix (in its dtype) instead of the matrix. ``paths[k]`` (room for
    N + M - 1 pairs) is filled start first, ``lengths[k]`` says how far, ``totals[k]`` is the cost.

    librosa adds float32 costs up in float64, and keeps the first of the steps (1,1), (0,1), (1,0)
    whose sum is the smallest. ``min(a, b) + c`` rounds to ``min(a + c, b + c)``, so the sums can be
    had from the smallest predecessor; the step is then chosen by the sums, as librosa does.
    """
    n_rows, n_cols = matrices.shape[1:]
    # Two rows of sums, shifted by one: entry j + 1 is column j, entry 0 a border without a way in.
    above = np.empty(n_cols + 1, np.float64)
    here = np.empty(n_cols + 1, np.float64)
    costs = np.empty(n_cols, np.float64)
    steps = np.empty((n_rows, n_cols), np.int8)
    for k in range(matrices.shape[0]):
        matrix = matrices[k]
        above[:] = np.inf
        here[0] = np.inf
        for i in range(n_rows):
            for j in range(n_cols):
                cost = matrix[i, j]
                costs[j] = np.float32(1) - cost if similar else cost
            if i == 0:
                here[1] = costs[0]
                for j in range(1, n_cols):
                    here[j + 1] = here[j] + costs[j]
            else:
                # Apart from the next loop, in which each column waits for the one before it: here
                # columns are independent, and become vectors.
                for j in range(n_cols):
                    here[j + 1] = min(above[j], above[j + 1])
                for j in range(n_cols):
                    here[j + 1] = min(here[j + 1], here[j]) + costs[j]
            step = steps[i]
            for j in range(n_cols):
                diagonal = above[j] + costs[j]
                left = here[j] + costs[j]
                up = above[j + 1] + costs[j]
                sideways = 1 if left <= up else 2
                step[j] = 0 if diagonal <= min(left, up) else sideways
            above, here = here, above
            here[0] = np.inf
        totals[k] = above[n_cols]
        path = paths[k]  # walked from the end, and turned round below
        i, j = n_rows - 1, n_cols - 1
        length = 0
        while True:
            path[length, 0] = i
            path[length, 1] = j
            length += 1
            if i == 0 and j == 0:
                break
            if i == 0:
                j -= 1
            elif j == 0:
                i -= 1
            else:
                move = steps[i, j]
                if move != 1:
                    i -= 1
                if move != 2:
                    j -= 1
        lengths[k] = length
        for p in range(length // 2):
            q = length - 1 - p
            for axis in range(2):
                path[p, axis], path[q, axis] = path[q, axis], path[p, axis]


@compiled()
def best_on_paths(matrices, highest, paths, lengths, pairs):
    """``pairs[k, j]``: the best of the rows that path k visits in column j; ties: the first."""
    sign = np.float32(1 if highest else -1)
    for k in range(matrices.shape[0]):
        matrix = matrices[k]
        pairs[k, :] = -1
        for p in range(lengths[k]):
            i, j = paths[k, p]
            held = pairs[k, j]  # of an earlier row: paths rise, so ">" keeps the first of ties
            if held < 0 or sign * matrix[i, j] > sign * matrix[held, j]:
                pairs[k, j] = i
