"""Aligned columns and readable numbers, within 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 100
_SMALL = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def columns(
    rows: Sequence[Sequence[str]], right: str = "", indent: int = 2, width: int | None = WIDTH
) -> str:
    """Return rows aligned and cut at `width`; `right` names columns flushed right (`"12"`)."""
    if not rows:
        return ""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            c.rjust(w) if str(i) in right else c.ljust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((" " * indent + "  ".join(cells)).rstrip()[:width])
    return "\n".join(lines)


def facts(rows: Sequence[tuple[str, str]], indent: int = 2) -> list[str]:
    """Return names beside what is said of them, which goes on below itself where it is long."""
    width = max((len(k) for k, _ in rows), default=0) + indent + 2
    lines: list[str] = []
    for key, value in rows:
        lines += textwrap.wrap(value, WIDTH, initial_indent=(" " * indent + key).ljust(width),
                               subsequent_indent=" " * width, break_on_hyphens=False)
    return lines


def wrapped(text: str, indent: int = 2) -> list[str]:
    """Return a sentence as lines, the later ones further in."""
    return textwrap.wrap(text, WIDTH, initial_indent=" " * indent, break_on_hyphens=False,
                         subsequent_indent=" " * (indent + 2))


def seconds(value: float) -> str:
    """Return a duration with three significant digits and a fitting unit."""
    if value >= 2 * 86400:
        return f"{value / 86400:,.1f} days"
    if value >= 7200:
        return f"{value / 3600:.1f} h"
    if value >= 600:
        return f"{value / 60:.0f} min"
    for unit, name in _SMALL:
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value * 1e6:.2g} us" if value > 0 else "0 s"


def gib(size: float) -> str:
    """Return bytes as GiB."""
    return f"{size / 2**30:.2f} GiB" if size < 2**40 else f"{size / 2**40:.2f} TiB"


def number(value: float) -> str:
    """Return a number with thousands separated and at most four significant digits."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def bar(share: float, width: int = 24) -> str:
    """Return a bar of `#`."""
    return "#" * round(max(0.0, min(1.0, share)) * width)


def money(value: float) -> str:
    """Return US dollars."""
    if value >= 1e6:
        return f"${value / 1e6:,.2f} M"
    return f"${value:,.2f}" if value >= 0.1 else f"${value:.3g}"
