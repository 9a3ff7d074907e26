"""How much of its sustained rate a matrix product of some shape reaches.

A product [m x k] x [k x n] is cut into output tiles, each computed by one multiprocessor. Tiles
that stick out of the matrix and a last wave that leaves multiprocessors idle are lost (NVIDIA, Deep
Learning Performance: Matrix Multiplication Background, sections on tile and wave quantization).
A tile's first loads and its write-back are not overlapped with its arithmetic, so short k is slow.
"""

from __future__ import annotations

from functools import lru_cache

#: Output tiles a library chooses from, and the share of the rate that each reaches: a tile of a x b
#: loads a + b values for a * b products, so small tiles wait for the cache.
TILES = (
    (256, 128, 1.0),
    (128, 256, 1.0),
    (128, 128, 0.94),
    (128, 64, 0.80),
    (64, 128, 0.80),
    (64, 64, 0.62),
    (32, 64, 0.40),
    (16, 64, 0.25),
)
#: Steps of k that a tile's prologue and epilogue cost.
K_RAMP = 160.0
#: Ways to split k over multiprocessors when there are few tiles.
SPLITS = (1, 2, 4, 8)
#: Further share lost by each doubling of the split: partial sums are written and added.
SPLIT_LOSS = 0.06


@lru_cache(maxsize=65536)
def shape_efficiency(m: float, n: int, k: float, batch: int, multiprocessors: int) -> float:
    """Return the share (0 to 1] of the sustained rate that the best tiling of a shape reaches.

    Args:
        m, n, k: shape of each product; `batch` products run side by side.
        multiprocessors: that compute one tile at a time each.

    """
    if m <= 0 or n <= 0 or k <= 0:
        return 1.0
    best = 0.0
    useful = m * n * batch
    for rows, columns, quality in TILES:
        tiles = _over(m, rows) * _over(n, columns) * batch
        area = rows * columns
        for index, split in enumerate(SPLITS):
            if index and (tiles * SPLITS[index - 1] >= multiprocessors or k < 512 * split):
                break
            waves = _over(tiles * split, multiprocessors)
            share = useful * split / (waves * multiprocessors * area)
            part = k / split
            share *= quality * part / (part + K_RAMP) * (1 - SPLIT_LOSS * index)
            best = max(best, share)
    return min(1.0, best)


def _over(a: float, b: float) -> int:
    return max(1, -int(-a // b))
