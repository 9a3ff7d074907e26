"""Two runs compared, as text: what changed, by cause, and what the scenarios say differently."""

from __future__ import annotations

from collections.abc import Sequence

from llamasim.report.layout import WIDTH, columns, gib, number, seconds
from llamasim.report.summary import cause_name
from llamasim.study.diff import COMPUTE, Diff, Part

#: How a result is called, and told: by `seconds` of so many, as a share, bytes, or a number.
RESULTS: dict[str, tuple[str, float | str]] = {
    "step_time_s": ("step time", 1.0), "tokens_per_s": ("tokens/s", ""),
    "prefill_tok_s": ("prefill tok/s", ""), "decode_tok_s": ("decode tok/s", ""),
    "output_tok_s": ("output tok/s", ""), "queue_s_mean": ("queue, mean", 1.0),
    "ttft_ms_mean": ("time to first token, mean", 1e-3),
    "ttft_ms_p99": ("time to first token, p99", 1e-3),
    "tpot_ms_mean": ("time per output token, mean", 1e-3),
    "tpot_ms_p99": ("time per output token, p99", 1e-3),
    "itl_ms_p99": ("between tokens, p99", 1e-3),
    "latency_s_mean": ("whole request, mean", 1.0),
    "handover_ms_mean": ("cache sent between pools, mean", 1e-3),
    "slo_attained": ("requests within the slo", "share"), "preemptions": ("preemptions", ""),
    "cached_prompt": ("of prompts found in the cache", "share"),
    "usd_per_million_tokens": ("dollars per million tokens", ""),
    "joules_per_token": ("joules per token", ""),
    "host_bytes": ("host memory of a device", "bytes"),
}
#: Parts smaller than this share of the larger whole are told together.
LEAST = 0.002
#: Changes below this share of the whole are those of rounding.
SAME = 1e-9


def diff_text(found: Diff, first: str, second: str) -> str:
    """Return the comparison of two runs."""
    lines = [f"{first} -> {second}", ""]
    if found.results:
        lines += [*_results(found.results, (first, second)), ""]
    lines += _table("Time", found.time, found.seconds, _time_of, (first, second))
    lines += ["", *_table("Memory of the fullest device", found.memory, found.bytes, _size_of,
                          (first, second))]
    if found.said:
        lines += ["", "What the scenarios say differently"]
        for where, a, b in found.said:
            lines += [f"  {where}"[:WIDTH], f"    {a}"[:WIDTH], f"    -> {b}"[:WIDTH]]
    else:
        lines += ["", "The scenarios say the same."]
    return "\n".join(lines)


def _results(parts: Sequence[Part], names: tuple[str, str]) -> list[str]:
    rows = [("What comes out", names[0][:16], names[1][:16], "change")]
    for part in parts:
        label, how = RESULTS[part.cause]
        same = abs(part.change) <= SAME * max(abs(part.first), abs(part.second))
        change = f"{part.change / part.first:+.1%}" if part.first else "new"
        rows.append((f"  {label}", _told(part.first, how), _told(part.second, how),
                     "0" if same else change))
    return columns(rows, right="123", indent=0).splitlines()


def _told(value: float, how: float | str) -> str:
    if isinstance(how, float):
        return seconds(value * how)
    if how == "bytes":
        return gib(value)
    return f"{value:.1%}" if how == "share" else number(value)


def _table(
    title: str, parts: Sequence[Part], whole: Part, show: object, names: tuple[str, str]
) -> list[str]:
    assert callable(show)
    least = LEAST * max(whole.first, whole.second)
    large = [p for p in parts if max(p.first, p.second) >= least]
    small = [p for p in parts if max(p.first, p.second) < least]
    if small:
        large.append(Part("the rest", sum(p.first for p in small), sum(p.second for p in small)))
    head = (title, names[0][:16], names[1][:16], "change", "of the whole")
    rows = [head, *(_row(p, whole, show) for p in (*large, Part("all", whole.first, whole.second)))]
    return columns(rows, right="1234", indent=0).splitlines()


def _row(part: Part, whole: Part, show: object) -> tuple[str, ...]:
    assert callable(show)
    share = part.change / whole.first if whole.first else 0.0
    same = abs(part.change) < SAME * max(whole.first, whole.second)
    change = f"{'+' if part.change > 0 else '-'}{show(abs(part.change))}"
    return (f"  {words(part.cause)}", show(part.first), show(part.second),
            *(("0", "") if same else (change, f"{share:+.1%}")))


def words(cause: str) -> str:
    """Return a cause in words."""
    head, _, what = cause.partition(": ")
    return f"computing: {what}" if head == COMPUTE and what else cause_name(cause)


def _time_of(value: float) -> str:
    return seconds(value)


def _size_of(value: float) -> str:
    return gib(value)
