"""From a trace to Arrow tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import pyarrow as pa

from llamasim import __version__
from llamasim.simulate.trace import CATEGORIES, Ints, Trace
from llamasim.tables.goodput import goodput_summary, goodput_tables
from llamasim.tables.ops import Words, op_table
from llamasim.tables.reach import reaches
from llamasim.tables.schemas import (
    CLAIMS,
    COSTS,
    FITS,
    ITERATIONS,
    LEDGER,
    LINKS,
    MEASURED,
    MEMORY,
    REJECTED,
    REQUESTS,
    SUMMARY,
    VERSION,
)
from llamasim.tables.summary import summarize

Tables = dict[str, pa.Table]


def tabulate(trace: Trace) -> Tables:
    """Return all tables of a run, each stamped with what made it."""
    goodput = _goodput(trace) if trace.scenario.reliability is not None else {}
    tables = {
        "summary": summary_table(summarize(trace) | goodput_summary(goodput)),
        "ops": op_table(trace),
        "memory": _memory(trace),
        "links": _links(trace),
        "claims": _rows(trace.plan.claims, CLAIMS),
        "ledger": _rows(trace.plan.ledger, LEDGER),
        "costs": _costs(trace),
        "fits": _fits(trace),
        "measured": _rows(reaches(trace.plan, trace.scenario), MEASURED),
        **goodput,
    }
    if trace.requests is not None:
        tables["requests"] = _requests(trace)
        tables["rejected"] = _rejected(trace)
    if trace.plan.mode == "inference":
        tables["iterations"] = _iterations(trace)
    stamp = {
        "scenario": trace.scenario.name, "plan_hash": trace.plan.hash,
        "seed": str(trace.scenario.seed), "llamasim": __version__, "schema": VERSION,
    }
    return {k: t.replace_schema_metadata(stamp) for k, t in tables.items()}


def _goodput(trace: Trace) -> Tables:
    from llamasim.simulate.goodput import endure

    found = endure(trace)
    return {} if found is None else goodput_tables(trace, found)


def summary_table(row: Mapping[str, Any]) -> pa.Table:
    """Return a one-row table of a summary; every run's has the same columns and types."""
    return pa.table([[row[f.name]] for f in SUMMARY], schema=SUMMARY)


def _words(values: Any, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(values, pa.int32()), pa.array(names))


def _encoded(values: Sequence[str], numbers: Ints) -> pa.Array:
    """Return the values by their numbers, each word once."""
    words = Words()
    return words.array(np.array([words.code(v) for v in values], dtype=np.int32)[numbers])


def _memory(trace: Trace) -> pa.Table:
    m = trace.memory
    columns = [m.rank, _words(m.category, CATEGORIES), m.time, m.bytes]
    return pa.table(columns, schema=MEMORY)


def _links(trace: Trace) -> pa.Table:
    links = trace.links
    words = (_encoded([f[k] for f in links.flows], links.flow) for k in range(2))
    columns = [links.rank, *words, links.start, links.end, links.bytes]
    return pa.table(columns, schema=LINKS)


def _requests(trace: Trace) -> pa.Table:
    r = trace.requests
    assert r is not None
    several = trace.scenario.workload.variants > 1
    variant = pa.array(r.variant, mask=(r.variant < 0) | (not several))
    columns = [r.number, r.arrived, r.admitted, r.first_token, r.finished, r.prompt, r.output,
               r.preemptions, r.cached, variant, r.replica]
    return pa.table(columns, schema=REQUESTS)


def _iterations(trace: Trace) -> pa.Table:
    """Return a batch for each piece, without copies of those that lie on disk."""
    lanes = max(1, len(trace.plan.ranks))
    batches = [
        pa.record_batch([
            i.start, i.end, i.steps, i.prefill_tokens, i.decode_sequences, i.kv_tokens,
            i.waiting, i.running, i.kv_blocks, i.server // lanes,
        ], schema=ITERATIONS)
        for i in trace.iterations
    ]
    return pa.Table.from_batches(batches, schema=ITERATIONS)


def _rejected(trace: Trace) -> pa.Table:
    rows = [(r.request, r.arrived, r.prompt, r.output, r.reason) for r in trace.rejected]
    names = REJECTED.names
    return pa.Table.from_pylist([dict(zip(names, r, strict=True)) for r in rows], schema=REJECTED)


def _rows(records: Sequence[Any], schema: pa.Schema) -> pa.Table:
    rows = [attrs.asdict(r) for r in records]
    return pa.Table.from_pylist([{f.name: r[f.name] for f in schema} for r in rows], schema=schema)


def _costs(trace: Trace) -> pa.Table:
    if trace.makespan <= 0:
        return COSTS.empty_table()
    hourly = trace.scenario.cluster.usd_per_hour
    causes = dict(trace.exposed)
    causes = {"compute": max(0.0, trace.makespan - sum(causes.values())), **causes}
    rows = [
        {
            "cause": cause, "seconds": seconds,
            "share": seconds / trace.makespan,
            "usd": None if hourly is None
            else hourly * trace.scenario.cluster.nodes * seconds / 3600,
        }
        for cause, seconds in causes.items()
    ]
    return pa.Table.from_pylist(rows, schema=COSTS)


def _fits(trace: Trace) -> pa.Table:
    rows: list[dict[str, Any]] = []
    for fit, rank in zip(trace.fits, trace.plan.ranks, strict=True):
        parts = {**fit.by_category, "total": fit.peak_bytes}
        rows += [
            {"rank_class": fit.rank, "devices": rank.multiplicity, "category": name,
             "peak_bytes": size, "capacity_bytes": fit.capacity_bytes}
            for name, size in parts.items()
        ]
        rows.append({"rank_class": fit.rank, "devices": rank.multiplicity, "category": "host",
                     "peak_bytes": fit.host_bytes, "capacity_bytes": fit.host_capacity_bytes})
    return pa.Table.from_pylist(rows, schema=FITS)
