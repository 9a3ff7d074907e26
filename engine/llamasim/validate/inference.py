"""Inference rows as scenarios, and what a simulated one comes to in the rows' metrics."""

from __future__ import annotations

from collections.abc import Mapping as Map

import attrs
import numpy as np

from llamasim import catalog
from llamasim.catalog.specs import Device, Fabric, Model
from llamasim.diagnostics import Source, Span
from llamasim.scenario.spec import Arrivals, Cluster, Length, Scenario, Use, Workload
from llamasim.simulate.trace import Trace
from llamasim.validate.cluster import UnsupportedError, device_of, host_of, runtime_of
from llamasim.validate.files import Row
from llamasim.validate.mapping import Mapped, Mapping

#: Largest node that servers with NVIDIA or AMD devices have.
_NODE = 8
#: Metrics that a server's run has.
SERVED = ("output_tok_s", "total_tok_s", "decode_tok_s", "prefill_tok_s", "ttft_ms", "tpot_ms",
          "latency_s", "makespan_s")


def inference_scenario(row: Row, mapping: Mapping) -> Scenario:
    """Return the scenario of a row.

    Raises:
        UnsupportedError: a model, a device, a runtime or a technique of the row is not known, or
            the mapping refuses it.

    """
    mapped = mapping.apply(row)
    if mapped.refused:
        raise UnsupportedError(mapped.refused)
    columns = mapped.columns
    model = catalog.get_model(columns.get("model", ""))
    if model is None:
        raise UnsupportedError(f"no model `{columns.get('model', '')}` in the catalog")
    return Scenario(
        name=row.id, edition=2026, model=_changed(model, columns), cluster=cluster_of(columns),
        runtime=runtime_of(columns), workload=_workload(columns), mesh_order=("pp", "dp", "tp"),
        use=_uses(mapped, row.id), prefer={},
    )


def queued(row: Row, mapping: Mapping, scenario: Scenario) -> Scenario | None:
    """Return a batch as a server's requests, all there at once, where its program keeps those
    waiting that do not fit; None where it does not, or serves already.
    """
    columns = mapping.apply(row).columns
    if scenario.workload.arrivals is not None or columns.get("queues") != "1":
        return None
    arrivals = Arrivals("batch", scenario.workload.batch)
    return attrs.evolve(
        scenario, workload=attrs.evolve(scenario.workload, arrivals=arrivals, batch=1))


def _uses(mapped: Mapped, name: str) -> tuple[Use, ...]:
    span = Span(Source(name, ""), 1, 1, 1, 1)
    return tuple(Use(t.rsplit(".", 1)[-1], t, args, span, scope=mapped.scopes.get(t))
                 for t, args in mapped.uses.items())


def _changed(model: Model, columns: Map[str, str]) -> Model:
    # A program without windowed attention keeps and reads the whole context.
    return attrs.evolve(model, window=None) if columns.get("windows") == "0" else model


def cluster_of(columns: Map[str, str]) -> Cluster:
    """Return the devices of a row, in the servers that they come in.

    Raises:
        UnsupportedError: the device is not known, or its host or links are not.

    """
    device = device_of(columns)
    count, cores = _whole(columns, "n_devices"), _whole(columns, "cores")
    if cores > count:
        device, count = _core(device, cores / count), cores
    per_node = min(count, _NODE) if device.kind == "gpu" else count
    nodes = -(-count // per_node)
    link = catalog.get_fabric(device.host_link or "pcie4-x16")
    host = catalog.get_host(host_of(device))
    if link is None or host is None:
        raise UnsupportedError(f"no host or host link is known for `{device.id}`")
    inner: Fabric | None = link
    if device.peer:
        inner = catalog.get_fabric(device.peer)
    outer = catalog.get_fabric("ib-ndr400") if nodes > 1 else None
    return Cluster(device, nodes, per_node, inner if per_node > 1 else None, outer, host, link)


def _core(chip: Device, many: float) -> Device:
    # A program that counts cores splits tensors over them, and each keeps a copy of what it does
    # not split.
    return attrs.evolve(
        chip, peaks={math: rate / many for math, rate in chip.peaks.items()},
        memory_bytes=chip.memory_bytes / many, memory_bandwidth=chip.memory_bandwidth / many,
        multiprocessors=max(1, round(chip.multiprocessors / many)), l2_bytes=chip.l2_bytes / many,
        tdp_watts=chip.tdp_watts / many, idle_watts=chip.idle_watts / many,
    )


def _workload(columns: Map[str, str]) -> Workload:
    prompt, output = _whole(columns, "input_len"), max(1, _whole(columns, "output_len"))
    cv = float(columns.get("length_cv") or 0)
    lengths = [Length("lognormal", n, cv) if cv and n else Length("fixed", n)
               for n in (prompt, output)]
    return Workload(
        mode="inference", dtype=columns["dtype"], sequence=max(2, prompt + output),
        batch=max(1, _whole(columns, "batch_or_concurrency")), prompt=lengths[0],
        output=lengths[1], arrivals=_arrivals(columns),
    )


def _arrivals(columns: Map[str, str]) -> Arrivals | None:
    process = columns.get("process")
    if not process:
        return None
    requests = max(1, _whole(columns, "requests"))
    if process == "poisson":
        return Arrivals("poisson", requests, rate=float(columns["request_rate"]))
    if process == "closed":
        many = max(1, _whole(columns, "batch_or_concurrency"))
        return Arrivals("closed", requests, concurrency=many)
    return Arrivals("batch", requests)


def _whole(columns: Map[str, str], name: str) -> int:
    try:
        return round(float(columns.get(name) or 0))
    except ValueError:
        raise UnsupportedError(f"`{name}` is `{columns[name]}`, which is no number") from None


def outcomes(trace: Trace) -> dict[str, float]:
    """Return what a run comes to in every metric that a row may have.

    Rates count tokens over the time that they take: `decode_tok_s` over the generation phase,
    `prefill_tok_s` over the prompts', `output_tok_s` and `total_tok_s` over all of it.
    """
    return _served(trace) if trace.requests is not None else _batch(trace)


def _batch(trace: Trace) -> dict[str, float]:
    work = trace.scenario.workload
    prompt, output = round(work.prompt.mean), round(work.output.mean)
    prefill, decode = trace.prefill_s or 0.0, trace.decode_s or 0.0
    # The prefill makes the first token.
    steps = output - 1 if prompt else output
    found = {
        "output_tok_s": work.batch * output / trace.makespan,
        "total_tok_s": work.batch * (prompt + output) / trace.makespan,
        "latency_s": trace.makespan, "makespan_s": trace.makespan,
    }
    if prompt:
        found |= {"prefill_tok_s": work.batch * prompt / prefill, "ttft_ms": prefill * 1e3}
    if steps and decode:
        found |= {"decode_tok_s": work.batch * steps / decode, "tpot_ms": decode / steps * 1e3}
    return found


def _served(trace: Trace) -> dict[str, float]:
    requests = trace.requests
    assert requests is not None
    if trace.makespan <= 0:
        # Nothing was served; why is among what was turned away.
        return dict.fromkeys(SERVED, 0.0)
    rest = np.maximum(1, requests.output - 1)
    several = requests.output > 1
    spent = (requests.finished - requests.first_token) / rest
    output, prompt = float(requests.output.sum()), float(requests.prompt.sum())
    first = requests.first_token - requests.arrived
    return {
        "output_tok_s": output / trace.makespan,
        "total_tok_s": (output + prompt) / trace.makespan,
        "decode_tok_s": output / trace.makespan,
        "prefill_tok_s": prompt / trace.makespan,
        "ttft_ms": float(first.mean()) * 1e3,
        "tpot_ms": float(spent[several].mean()) * 1e3 if several.any() else 0.0,
        "latency_s": float((requests.finished - requests.arrived).mean()),
        "makespan_s": trace.makespan,
    }
