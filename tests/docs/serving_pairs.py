"""Writes the tables of docs/serving-techniques.md: `python -m tests.docs.serving_pairs`.

Each pair of scenarios is run without a technique and with it, and along what decides between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import attrs

from llamasim.cli.support import shipped
from llamasim.plan import compile_plan
from llamasim.report.layout import number
from llamasim.scenario import read
from llamasim.simulate import run
from llamasim.tables import tabulate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "serving-techniques.md"
#: How a figure is called on the page, by column of `summary`, with the factor that it is told in.
FIGURES = {
    "output_tok_s": ("output tok/s", 1.0), "ttft_ms_mean": ("first token, mean, ms", 1.0),
    "ttft_ms_p99": ("first token, p99, ms", 1.0), "tpot_ms_mean": ("each token, mean, ms", 1.0),
    "tpot_ms_p99": ("each token, p99, ms", 1.0), "itl_ms_p99": ("between tokens, p99, ms", 1.0),
    "handover_ms_mean": ("cache sent, mean, ms", 1.0),
    "slo_attained": ("within both targets, %", 100.0),
    "cached_prompt": ("of prompts found, %", 100.0), "preemptions": ("preemptions", 1.0),
}


@attrs.frozen
class Pair:
    """Scenarios of one technique, the changes that bring it in, and the figures to show."""

    name: str
    cases: tuple[str, ...]
    adds: tuple[str, ...]
    shows: tuple[str, ...]
    #: Other changes for a case where they are not `adds`.
    other: tuple[str, tuple[str, ...]] = ("", ())

    def added(self, case: str) -> tuple[str, ...]:
        """Return the changes that bring the technique into a case."""
        return self.other[1] if case == self.other[0] else self.adds


@attrs.frozen
class Sweep:
    """A scenario along one field, without the technique and with it.

    `values` are shown as their keys say; `adds` may name the value in turn (`{}`).
    """

    name: str
    case: str
    along: str
    values: tuple[tuple[str, str], ...]
    field: str
    adds: tuple[str, ...]
    shows: str


def _same(*values: str, unit: str = "") -> tuple[tuple[str, str], ...]:
    return tuple((v, v + unit) for v in values)


DRAFT = "use.serving.speculative.draft_model={draft: llama-3.2-1b%s}"
KEPT = "use.serving.cache.prefix_cache={}"
ROUTED = ("use.least_busy_router=null", "use.serving.replicas.prefix_router={}")
POOLS = "use.serving.pools.disaggregated_pools={prefill_replicas: %d}"
WHOLE = "use.prefill_first_batching=null"
CHUNKS = "use.serving.batching.stall_free_batching={%s}"
EIGHT = "use.quantization.kv_cache.fp8_kv_cache={}"
APART = "use.quantization.kv_cache.int4_kv_cache={unpacking: apart}"
AWAY = "use.offload.cache.cache_to_host={share: 20 %}"
KEPT_AWAY = "use.serving.cache.host_prefix_cache={space: 128 GiB}"
SWAP = "use.serving.cache.swap_preemption={space: 32 GiB}"

PAIRS = (
    Pair("speculative", ("speculative-helps", "speculative-hurts"), (DRAFT % "",),
         ("output_tok_s", "tpot_ms_mean", "ttft_ms_mean")),
    Pair("prefix-cache", ("prefix-cache-helps", "prefix-cache-neutral"), (KEPT,),
         ("ttft_ms_mean", "tpot_ms_mean", "output_tok_s", "cached_prompt")),
    Pair("prefix-router", ("prefix-router-helps", "prefix-router-hurts"), ROUTED,
         ("ttft_ms_mean", "ttft_ms_p99", "tpot_ms_p99", "cached_prompt")),
    Pair("pools", ("pools-helps", "pools-hurts", "pools-hurts-short"), (POOLS % 2,),
         ("slo_attained", "tpot_ms_p99", "ttft_ms_mean", "handover_ms_mean", "output_tok_s"),
         ("pools-hurts-short", (POOLS % 1,))),
    Pair("chunked-prefill", ("chunked-prefill-helps", "chunked-prefill-hurts"),
         (WHOLE, CHUNKS % ""), ("itl_ms_p99", "ttft_ms_mean", "output_tok_s")),
    Pair("kv-quantization", ("kv-quantization-helps", "kv-quantization-hurts"), (EIGHT,),
         ("output_tok_s", "tpot_ms_mean", "preemptions"), ("kv-quantization-hurts", (APART,))),
    Pair("kv-offload", ("kv-offload-helps", "kv-offload-hurts"), (AWAY,),
         ("output_tok_s", "tpot_ms_mean", "ttft_ms_mean")),
    Pair("prefix-offload", ("prefix-offload-helps", "prefix-offload-hurts"), (KEPT_AWAY,),
         ("ttft_ms_mean", "tpot_ms_mean", "cached_prompt")),
    Pair("swap", ("swap-helps", "swap-hurts"), (SWAP,),
         ("output_tok_s", "itl_ms_p99", "preemptions")),
)

SWEEPS = (
    Sweep("speculative-users", "speculative-hurts", "users",
          _same("16", "64", "96", "128", "256"), "workload.arrivals.concurrency", (DRAFT % "",),
          "output_tok_s"),
    Sweep("speculative-acceptance", "speculative-helps", "accepted",
          _same("10 %", "20 %", "30 %", "50 %", "70 %", "90 %"), "", (DRAFT % ", acceptance: {}",),
          "output_tok_s"),
    Sweep("prefix-router-documents", "prefix-router-hurts", "documents",
          _same("4", "20", "50", "100"), "workload.prefixes", ROUTED, "ttft_ms_p99"),
    Sweep("pools-link", "pools-helps", "between nodes",
          (("InfiniBand, 50 GB/s", "ib-ndr400"), ("Ethernet, 12.5 GB/s", "ethernet-100g"),
           ("6 GB/s", "{base: ethernet-25g, bandwidth: 6 GB/s}"),
           ("3.1 GB/s", "ethernet-25g"), ("1.25 GB/s", "ethernet-10g")),
          "cluster.outer", (POOLS % 2,), "slo_attained"),
    Sweep("pools-rate", "pools-helps", "requests a second",
          _same("6", "10", "14", "18", "22", unit=" req/s"), "workload.arrivals.rate",
          (POOLS % 2,), "slo_attained"),
    Sweep("chunks-budget", "chunked-prefill-helps", "tokens of a step",
          _same("128", "512", "1024", "2048", "4096"), "",
          (WHOLE, CHUNKS % "token_budget: {} tok"), "itl_ms_p99"),
    Sweep("chunks-budget-long", "chunked-prefill-hurts", "tokens of a step",
          _same("128", "512", "1024", "2048", "4096"), "",
          (WHOLE, CHUNKS % "token_budget: {} tok"), "output_tok_s"),
    Sweep("kv-users", "kv-quantization-helps", "users", _same("1", "8", "12", "16", "64"),
          "workload.arrivals.concurrency", (EIGHT,), "output_tok_s"),
    Sweep("kv-unpacking", "kv-quantization-hurts", "unpacking", _same("fused", "apart"), "",
          ("use.quantization.kv_cache.int4_kv_cache={unpacking: {}}",), "output_tok_s"),
    Sweep("offload-link", "kv-offload-helps", "GB/s",
          tuple((b, f"{{base: c2c-grace, bandwidth: {b} GB/s}}")
                for b in ("450", "300", "200", "63")),
          "cluster.host_link", (AWAY,), "output_tok_s"),
    Sweep("offload-share", "kv-offload-helps", "share", _same("10 %", "20 %", "30 %", "50 %"), "",
          ("use.offload.cache.cache_to_host={share: {}}",), "output_tok_s"),
    Sweep("prefix-offload-link", "prefix-offload-helps", "GB/s",
          tuple((b, f"{{base: pcie4-x16, bandwidth: {b} GB/s}}")
                for b in ("63", "31", "16", "8", "4")),
          "cluster.host_link", (KEPT_AWAY,), "ttft_ms_mean"),
    Sweep("swap-block", "swap-hurts", "tokens of a block",
          tuple((b, f"{{block: {b} tok}}") for b in ("16", "64", "256")),
          "use.serving.cache.paged_cache", (SWAP,), "output_tok_s"),
)


@cache
def summary(case: str, changes: tuple[str, ...]) -> dict[str, float]:
    """Return what a shipped scenario comes to with some changes."""
    scenario, said = read(shipped()[f"serving/{case}"], changes)
    assert scenario is not None, said
    plan, found = compile_plan(scenario)
    assert plan is not None, found
    row: dict[str, float] = tabulate(run(plan, scenario))["summary"].to_pylist()[0]
    # Nothing is sent where there are no pools.
    return row | {"handover_ms_mean": row["handover_ms_mean"] or 0.0}


def both(sweep: Sweep, value: str) -> tuple[float, float]:
    """Return a sweep's figure at one of its values, without the technique and with it."""
    base = (f"{sweep.field}={value}",) if sweep.field else ()
    adds = tuple(a.replace("{}", value) if not sweep.field else a for a in sweep.adds)
    return (summary(sweep.case, base)[sweep.shows], summary(sweep.case, base + adds)[sweep.shows])


def tables() -> dict[str, str]:
    """Return the tables of the page by name."""
    return {p.name: _of_pair(p) for p in PAIRS} | {s.name: _of_sweep(s) for s in SWEEPS}


def _of_pair(pair: Pair) -> str:
    rows: list[Sequence[str]] = []
    for case in pair.cases:
        first, second = summary(case, ()), summary(case, pair.added(case))
        for name in pair.shows:
            if first[name] is None:
                continue
            label, factor = FIGURES[name]
            rows.append((f"`{case}`", label, *_compared(first[name], second[name], factor)))
    return _table(("scenario", "", "without", "with", "change"), rows)


def _of_sweep(sweep: Sweep) -> str:
    label, factor = FIGURES[sweep.shows]
    rows = [(shown, *_compared(*both(sweep, value), factor)) for shown, value in sweep.values]
    return _table((sweep.along, f"{label}: without", "with", "change"), rows)


def _compared(first: float, second: float, factor: float) -> tuple[str, str, str]:
    if first == second:
        return _told(first * factor), _told(second * factor), "0"
    change = f"{second / first - 1:+.0%}".replace("%", " %") if first else ""
    return _told(first * factor), _told(second * factor), change


def _told(value: float) -> str:
    return number(value) if value >= 1000 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def generated(page: str) -> str:
    """Return the page with its tables written anew."""
    for name, table in tables().items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        assert mark.search(page), f"the page has no place for {name}"
        page = mark.sub(lambda m, t=table: f"{m[1]}{t}\n{m[2]}", page)  # type: ignore[misc]
    return page


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
