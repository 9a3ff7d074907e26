"""Points at which a serving step is costed, and sums of steps that lie between them."""

from __future__ import annotations

import math

#: Grid points to a doubling: four keep the steps that matmuls take by tiles within a few percent.
TOKEN_STEPS = 4
KV_STEPS = 8

#: A fixed part's grid point: phase, tokens, sequences.
Corner = tuple[str, float, float]


def grid(value: float, steps: int) -> tuple[float, float]:
    """Return the grid points on both sides of a value, whole numbers, `steps` a doubling."""
    if value <= 1:
        return (0.0, 1.0) if value < 1 else (1.0, 1.0)
    octave = 1 << (int(value).bit_length() - 1)
    if octave < steps:
        low = float(int(value))
        return (low, low) if low == value else (low, low + 1)
    width = octave / steps
    low = octave + int((value - octave) / width) * width
    return (low, low) if low == value else (low, low + width)


def above(point: float, steps: int) -> float:
    """Return the next grid point above one."""
    octave = 1 << max(0, int(point).bit_length() - 1)
    return point + max(1.0, octave / steps)


def cached_below(value: float) -> float:
    """Return the last grid point of cached tokens that is not above a value."""
    if value < KV_STEPS:
        return float(int(value))
    octave = 1 << (int(value).bit_length() - 1)
    width = octave / KV_STEPS
    return octave + int((value - octave) / width) * width


def steps_until(seconds: float, first: float, rise: float, most: int) -> int:
    """Return the fewest steps that take so long: `first`, and `rise` more each."""
    half = first - rise * 0.5
    root = half * half + 2 * rise * seconds
    if rise > 1e-9 * first and root > 0:
        count = math.ceil((math.sqrt(root) - half) / rise)
    else:
        count = math.ceil(seconds / first) if first > 0 else most
    count = max(1, min(most, count))
    while count > 1 and (count - 1) * (first + rise * (count - 2) * 0.5) >= seconds:
        count -= 1
    while count < most and count * (first + rise * (count - 1) * 0.5) < seconds:
        count += 1
    return count


def corners_around(phase: str, tokens: float, sequences: float) -> dict[Corner, float]:
    """Return the grid points around a step and how much each counts."""
    low, high = grid(tokens, TOKEN_STEPS)
    few, many = grid(sequences, 1)
    across = (tokens - low) / (high - low) if high > low else 0.0
    # Sequences change the logits alone, whatever the tokens are.
    up = (sequences - few) / (many - few) if many > few else 0.0
    found: dict[Corner, float] = {}
    for corner, share in (
        ((phase, low, few), 1.0 - across - up), ((phase, high, few), across),
        ((phase, low, many), up),
    ):
        if share:
            found[corner] = found.get(corner, 0.0) + share
    return found
