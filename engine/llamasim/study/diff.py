"""Why two runs differ: time and memory by cause, in parts that sum to the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from llamasim.scenario.spec import Scenario, Use

if TYPE_CHECKING:
    import pyarrow as pa

#: What a device does when it waits for nothing.
COMPUTE = "compute"
ONE = ("handover_ms_mean",)
#: What a device takes of its host's memory, which is none of its own.
HOST = "host"
#: Columns of `summary` that are compared, where both runs have them and one is not zero. Those that
#: `ONE` has are zero in a run that does not have them.
RESULTS = (
    "step_time_s", "tokens_per_s", "prefill_tok_s", "decode_tok_s", "output_tok_s", "queue_s_mean",
    "ttft_ms_mean", "ttft_ms_p99", "tpot_ms_mean", "tpot_ms_p99", "itl_ms_p99", "latency_s_mean",
    "handover_ms_mean", "slo_attained", "preemptions", "cached_prompt", "usd_per_million_tokens",
    "joules_per_token",
)


@attrs.frozen
class Part:
    """One cause: what it takes in the first run and in the second."""

    cause: str
    first: float
    second: float

    @property
    def change(self) -> float:
        """How much more it takes in the second run."""
        return self.second - self.first


@attrs.frozen
class Diff:
    """Two runs compared.

    Attributes:
        time: seconds, mean over devices; `compute: PHASE KIND` for work, else what was waited for.
        memory: bytes by category on each run's fullest device.
        said: what the scenarios say that is not the same: where, in the first, in the second.
        results: what comes out, by column of `summary`, and `host_bytes` that a device takes of
            its host's memory.

    """

    time: tuple[Part, ...]
    memory: tuple[Part, ...]
    said: tuple[tuple[str, str, str], ...]
    results: tuple[Part, ...] = ()

    @property
    def seconds(self) -> Part:
        """The whole time."""
        return _whole(self.time)

    @property
    def bytes(self) -> Part:
        """All memory of the fullest device."""
        return _whole(self.memory)


def _whole(parts: tuple[Part, ...]) -> Part:
    return Part("all", sum(p.first for p in parts), sum(p.second for p in parts))


def diff(
    first: tuple[Scenario, Mapping[str, pa.Table]], second: tuple[Scenario, Mapping[str, pa.Table]]
) -> Diff:
    """Compare the tables of two runs."""
    return Diff(
        _parts(times(first[1]), times(second[1])),
        _parts(memory(first[1]), memory(second[1])),
        tuple(said(first[0], second[0])),
        tuple(results(first[1], second[1])),
    )


def results(
    first: Mapping[str, pa.Table], second: Mapping[str, pa.Table]
) -> Iterator[Part]:
    """Yield what two runs come to, where it means something in both."""
    a, b = (t["summary"].to_pylist()[0] for t in (first, second))
    for name in RESULTS:
        x, y = ((row.get(name) or 0.0) if name in ONE else row.get(name) for row in (a, b))
        if x is not None and y is not None and (x or y):
            yield Part(name, float(x), float(y))
    hosts = [max((float(f["peak_bytes"]) for f in t["fits"].to_pylist()
                  if f["category"] == HOST), default=0.0) for t in (first, second)]
    if any(hosts):
        yield Part("host_bytes", hosts[0], hosts[1])


def _parts(first: Mapping[str, float], second: Mapping[str, float]) -> tuple[Part, ...]:
    parts = [Part(c, first.get(c, 0.0), second.get(c, 0.0)) for c in {**first, **second}]
    return tuple(sorted(parts, key=lambda p: (-abs(p.change), -p.second, p.cause)))


def times(tables: Mapping[str, pa.Table]) -> dict[str, float]:
    """Return a run's seconds by cause; they sum to its makespan.

    Computing is shared out by what ops of each phase and kind take on all devices.
    """
    found = {c["cause"]: float(c["seconds"]) for c in tables["costs"].to_pylist()}
    work = _by_kind(tables) or _by_iteration(tables)
    whole = sum(work.values())
    if whole <= 0 or COMPUTE not in found:
        return found
    computing = found.pop(COMPUTE)
    return {f"{COMPUTE}: {name}": computing * share / whole for name, share in work.items()} | found


def _by_kind(tables: Mapping[str, pa.Table]) -> dict[str, float]:
    """Return seconds of computing by phase and kind of op, summed over devices."""
    import pyarrow.compute as pc

    ops = tables["ops"]
    if not ops.num_rows:
        return {}
    devices = {f["rank_class"]: f["devices"] for f in tables["fits"].to_pylist()}
    spent = pc.subtract(ops["end_s"], ops["start_s"])
    ops = ops.select(["rank_class", "phase", "kind", "part"]).append_column("spent", spent)
    ops = ops.filter(pc.not_equal(ops["part"].cast("string"), "communication"))
    # One thread, so that equal rows are added in the same order each time.
    keys = ["rank_class", "phase", "kind", "part"]
    sums = ops.group_by(keys, use_threads=False).aggregate([("spent", "sum")])
    found: dict[str, float] = {}
    for row in sums.to_pylist():
        again = " again" if row["part"] == "recompute" else ""
        phase = f"{row['phase']} " if row["phase"] != row["kind"] else ""
        name = f"{phase}{row['kind']}{again}"
        found[name] = found.get(name, 0.0) + row["spent_sum"] * devices.get(row["rank_class"], 1)
    return found


def _by_iteration(tables: Mapping[str, pa.Table]) -> dict[str, float]:
    """Return seconds of a server's iterations by what is in them."""
    found: dict[str, float] = {}
    for row in tables["iterations"].to_pylist() if "iterations" in tables else ():
        if not row["prefill_tokens"]:
            name = "steps that decode"
        else:
            name = "steps of prompts" + (" and decodes" if row["decode_sequences"] else "")
        found[name] = found.get(name, 0.0) + row["end_s"] - row["start_s"]
    return found


def memory(tables: Mapping[str, pa.Table]) -> dict[str, float]:
    """Return the bytes of the fullest device by category."""
    ranks: dict[int, dict[str, float]] = {}
    for row in tables["fits"].to_pylist():
        if row["category"] not in ("total", HOST):
            ranks.setdefault(row["rank_class"], {})[row["category"]] = float(row["peak_bytes"])
    if not ranks:
        return {}
    return max(ranks.values(), key=lambda found: sum(found.values()))


def said(first: Scenario, second: Scenario) -> list[tuple[str, str, str]]:
    """Return what two scenarios say that is not the same."""
    found: list[tuple[str, str, str]] = []
    for part in ("model", "runtime"):
        a, b = getattr(first, part).name, getattr(second, part).name
        found += [(part, a, b)] if a != b else []
    for part in ("cluster", "workload"):
        found += _fields(part, getattr(first, part), getattr(second, part))
    mine, other = _uses(first), _uses(second)
    for name in sorted({*mine, *other}):
        a, b = mine.get(name, "not used"), other.get(name, "not used")
        found += [(f"use: {name}", a, b)] if a != b else []
    return found


def _fields(part: str, first: Any, second: Any) -> list[tuple[str, str, str]]:
    found = []
    for field in attrs.fields(type(first)):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if a != b:
            found.append((f"{part}.{field.name}", _short(a), _short(b)))
    return found


def _uses(scenario: Scenario) -> dict[str, str]:
    return {use.instance: _arguments(use) for use in scenario.use}


def _arguments(use: Use) -> str:
    given = ", ".join(f"{k}: {_short(v)}" for k, v in sorted(use.args.items()))
    scope = f" on {use.scope}" if use.scope else ""
    return f"{use.technique.rpartition('.')[2]}({given}){scope}"


def _short(value: Any) -> str:
    named = getattr(value, "name", None)
    if isinstance(named, str):
        return named
    if attrs.has(type(value)) and not hasattr(value, "dimension"):
        told = [f"{f.name} {getattr(value, f.name)}" for f in attrs.fields(type(value))
                if f.eq and getattr(value, f.name) != f.default]
        return ", ".join(told)
    if hasattr(value, "dimension"):
        return f"{value.value:g}" if value.dimension.is_ratio else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
