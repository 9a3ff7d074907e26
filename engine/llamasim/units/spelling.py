"""Which unit a name that is not one stands for elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from llamasim.units.quantity import UNITS

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "bits": "bit", "byte": "B", "bytes": "B", "kilobytes": "kB", "megabytes": "MB",
        "gigabyte": "GB", "gigabytes": "GB", "terabytes": "TB", "ko": "kB", "mo": "MB",
        "go": "GB", "to": "TB", "gig": "GB", "gigs": "GB", "sec": "s", "secs": "s",
        "second": "s", "seconds": "s", "msec": "ms", "millis": "ms", "milliseconds": "ms",
        "usec": "us", "micros": "us", "microseconds": "us", "minute": "min", "minutes": "min",
        "mins": "min", "hour": "h", "hours": "h", "hr": "h", "hrs": "h", "days": "day",
        "percent": "%", "pct": "%", "dollar": "USD", "dollars": "USD", "usd": "USD",
        "toks": "tok", "watt": "W", "watts": "W", "joule": "J", "joules": "J", "flops": "FLOPS",
    }
)
_BYTES_OR_BITS = re.compile(r"([kMGTPE])(byte|Byte|bit|Bit)s?")
#: Letters that turn an amount into a rate.
_PER_SECOND = ("ps", "/s")


def units_meant(name: str) -> tuple[str, ...]:
    """Return the units that a misspelt one may stand for: `GB` and `Gb` for `gb`, `GB / s` for
    `GBps`; empty where none has such a name.
    """
    if name.lower() in _WORDS:
        return (_WORDS[name.lower()],)
    prefixed = _BYTES_OR_BITS.fullmatch(name)
    if prefixed is not None:
        return (prefixed[1] + ("B" if prefixed[2].lower() == "byte" else "bit"),)
    same = tuple(u for u in UNITS if u.lower() == name.lower())
    if same:
        return same
    for ending in _PER_SECOND:
        amount = name.removesuffix(ending)
        if amount != name and amount in UNITS:
            return (f"{amount} / s",)
    return ()


def or_list(units: tuple[str, ...]) -> str:
    """Return units as a question names them: "`GB` or `Gb`"."""
    return " or ".join(f"`{u}`" for u in units)
