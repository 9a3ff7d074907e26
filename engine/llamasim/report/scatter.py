"""Predicted against measured as a picture: one panel a metric, both axes logarithmic, in SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamasim.validate.score import Scored

SIDE, GAP, LEFT, TOP = 300, 74, 66, 84
COLUMNS = 3
#: Half the width of the band that is drawn about equality.
BAND = 0.2
#: Dark enough on white, and apart for people who see few colours (Okabe and Ito, 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
INK, FAINT = "#222222", "#d9d9d9"


def svg(rows: Sequence[Scored], by: str) -> str:
    """Return the picture; points are coloured by a group, and named when pointed at."""
    scored = [r for r in rows if r.predicted and r.measured > 0 and r.predicted > 0]
    metrics = sorted({r.metric for r in scored})
    groups = _by_size(scored, by)
    lines = -(-len(metrics) // COLUMNS)
    legend = 22 * -(-len(groups) // 4)
    width = LEFT + min(COLUMNS, max(1, len(metrics))) * (SIDE + GAP)
    height = TOP + legend + lines * (SIDE + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<text x="20" y="28" font-size="17">Predicted against measured</text>',
        f'<text x="20" y="48">{len(scored):,} figures; the line is equality, the band '
        f"&#177;{BAND:.0%}</text>",
        *_legend(groups, width),
    ]
    for number, metric in enumerate(metrics):
        x = LEFT + (number % COLUMNS) * (SIDE + GAP)
        y = TOP + legend + (number // COLUMNS) * (SIDE + GAP)
        parts += _panel([r for r in scored if r.metric == metric], metric, by, groups, x, y)
    return "\n".join([*parts, "</svg>", ""])


def _by_size(rows: Sequence[Scored], by: str) -> dict[str, str]:
    """Return a colour for each group, the largest first; small ones share the last."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.groups.get(by, "")] = counts.get(row.groups.get(by, ""), 0) + 1
    order = sorted(counts, key=lambda g: (-counts[g], g))
    last = len(COLOURS) - 1
    return {g: COLOURS[min(i, last)] for i, g in enumerate(order)}


def _legend(groups: dict[str, str], width: int) -> Iterator[str]:
    named = list(groups.items())
    shown = named if len(named) <= len(COLOURS) else [
        *named[: len(COLOURS) - 1], (f"{len(named) - len(COLOURS) + 1} others", COLOURS[-1])]
    each = (width - 40) / 4
    for i, (group, colour) in enumerate(shown):
        x, y = 20 + (i % 4) * each, 66 + 22 * (i // 4)
        yield f'<circle cx="{x + 5:.0f}" cy="{y}" r="4" fill="{colour}"/>'
        yield f'<text x="{x + 15:.0f}" y="{y + 4}">{escape(group[:34])}</text>'


def _panel(
    rows: Sequence[Scored], metric: str, by: str, groups: dict[str, str], x: int, y: int
) -> Iterator[str]:
    low, high = _range(rows)

    def at(value: float) -> float:
        return SIDE * (math.log10(value) - low) / (high - low)

    wide = (SIDE / (high - low)) * math.log10(1 + BAND)
    name = f"clip-{metric}"
    yield f'<clipPath id="{name}"><rect x="{x}" y="{y}" width="{SIDE}" height="{SIDE}"/></clipPath>'
    yield f'<g clip-path="url(#{name})">'
    yield (f'<path d="M{x} {y + SIDE} L{x + SIDE} {y}" stroke="#f0f0f0" '
           f'stroke-width="{2 * wide / math.sqrt(2):.1f}"/>')
    yield f'<path d="M{x} {y + SIDE} L{x + SIDE} {y}" stroke="{INK}" stroke-width="0.8"/>'
    for row in rows:
        px, py = x + at(row.measured), y + SIDE - at(row.predicted or 1.0)
        colour = groups[row.groups.get(by, "")]
        hollow = row.status == "infeasible"
        style = f'fill="none" stroke="{colour}"' if hollow else f'fill="{colour}"'
        tip = f"{row.row}: measured {row.measured:,.4g}, predicted {row.predicted:,.4g}"
        yield (f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.6" fill-opacity="0.65" {style}>'
               f"<title>{escape(tip)}</title></circle>")
    yield "</g>"
    yield from _axes(low, high, x, y)
    yield f'<text x="{x}" y="{y - 8}" font-size="13">{escape(metric)}</text>'
    yield f'<text x="{x + SIDE / 2}" y="{y + SIDE + 34}" text-anchor="middle">measured</text>'
    yield (f'<text transform="translate({x - 46} {y + SIDE / 2}) rotate(-90)" '
           'text-anchor="middle">predicted</text>')


def _range(rows: Sequence[Scored]) -> tuple[float, float]:
    """Return the powers of ten between which all values lie, a little room included."""
    values = [math.log10(v) for r in rows for v in (r.measured, r.predicted or r.measured)]
    low, high = min(values), max(values)
    room = max(0.05, 0.05 * (high - low))
    return low - room, max(high + room, low + 0.3)


def _axes(low: float, high: float, x: int, y: int) -> Iterator[str]:
    yield (f'<rect x="{x}" y="{y}" width="{SIDE}" height="{SIDE}" fill="none" '
           f'stroke="{INK}" stroke-width="0.8"/>')
    steps = (1.0,) if high - low > 2 else (1.0, 2.0, 5.0)
    for power in range(math.floor(low), math.ceil(high) + 1):
        for step in steps:
            place = power + math.log10(step)
            if not low <= place <= high:
                continue
            offset = SIDE * (place - low) / (high - low)
            value = step * 10.0**power
            label = f"{value:,.0f}" if value >= 1 else f"{value:.4g}"
            yield (f'<path d="M{x + offset:.1f} {y + SIDE} v5 M{x} {y + SIDE - offset:.1f} h-5" '
                   f'stroke="{INK}" stroke-width="0.8"/>')
            yield (f'<text x="{x + offset:.1f}" y="{y + SIDE + 18}" text-anchor="middle" '
                   f'font-size="11">{label}</text>')
            yield (f'<text x="{x - 8}" y="{y + SIDE - offset + 4:.1f}" text-anchor="end" '
                   f'font-size="11">{label}</text>')
