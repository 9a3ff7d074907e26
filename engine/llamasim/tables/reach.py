"""How far a run is from what was measured: what stands behind its figures, and what does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from llamasim.catalog import get_device
from llamasim.catalog.measured import Measured, Span, measured
from llamasim.catalog.specs import Device
from llamasim.plan.spec import OpWork, Plan
from llamasim.scenario.spec import Scenario

#: Runs on a device that tell by themselves how far predictions of it are off.
ENOUGH = 8
#: How far beyond the range of what was measured a figure counts as within it still.
WITHIN = 1.25


@attrs.frozen
class Setting:
    """What decides whether a run is like those that were measured.

    Attributes:
        bits: of a weight of the largest product, in inference; `math` its arithmetic.
        sequences: of a batch that is processed together; 0 where requests decide.

    """

    runtime: str
    device: str
    params: int
    bits: int
    math: str
    context: int
    sequences: int
    devices: int


@attrs.frozen
class Reach:
    """The evidence behind one kind of a run's figures.

    Attributes:
        job: `prompts`, `generation`, `serving` or `training`.
        runs: of the runtime, `of_device` those of them on the device.
        error, held_out, held_out_error: of the runs on the device, or of all where those are few,
            as in `catalog.measured`; None where there are none.
        beyond: what is outside of what was measured, in words.

    """

    job: str
    runs: int
    of_device: int
    error: float | None
    held_out: int
    held_out_error: float | None
    beyond: tuple[str, ...]


def jobs_of(scenario: Scenario) -> tuple[str, ...]:
    """Return the kinds of figures that a run has; of a server whose runtime was not measured under
    load, those of its steps too.
    """
    if scenario.workload.mode == "training":
        return ("training",)
    steps = ("prompts", "generation") if scenario.workload.prompt.mean else ("generation",)
    if not scenario.workload.serving:
        return steps
    return ("serving",) if measured("serving", scenario.runtime.id) else ("serving", *steps)


def setting_of(plan: Plan, scenario: Scenario) -> Setting:
    """Return what decides whether a run is like those that were measured."""
    work, training = scenario.workload, plan.mode == "training"
    product = _largest(plan)
    elements = max(1, product.n * product.k * product.batch)
    context = work.sequence if training else round(work.prompt.mean + work.output.mean)
    return Setting(
        scenario.runtime.id, _device(scenario.cluster.device), plan.params,
        0 if training else round(8 * product.read_fixed / elements), product.math, context,
        0 if training or work.serving else work.batch,
        scenario.cluster.devices // (1 if training else max(1, plan.replicas)),
    )


def _device(device: Device) -> str:
    """Return the catalog's name of a device, also of one that differs from it in memory alone."""
    base = get_device(device.id.removesuffix("-custom"))
    same = base is not None and (base.peaks, base.memory_bandwidth) == (
        device.peaks, device.memory_bandwidth)
    return base.id if base is not None and same else device.id


def _largest(plan: Plan) -> OpWork:
    """Return the largest product of the layers."""
    found = [
        op for block in plan.blocks for works in block.work.values() for op in works
        if isinstance(op, OpWork) and op.kind == "matmul" and op.part == "forward"
        and block.name not in ("embed", "head")
    ]
    return max(found, key=lambda op: op.n * op.k, default=OpWork("none", "matmul"))


def reaches(plan: Plan, scenario: Scenario) -> tuple[Reach, ...]:
    """Return the evidence behind each kind of a run's figures."""
    setting = setting_of(plan, scenario)
    return tuple(reach(setting, job) for job in jobs_of(scenario))


def reach(setting: Setting, job: str) -> Reach:
    """Return the evidence behind one kind of figures."""
    known = measured(job, setting.runtime)
    if not known:
        return Reach(job, 0, 0, None, 0, None, (_nothing(setting, job),))
    here = measured(job, setting.runtime, setting.device)
    beyond = [] if here else [
        f"{setting.runtime} was not measured on {setting.device}, but on {_devices(setting)}"]
    beyond += _outside(setting, known)
    of_device = sum(m.runs for m in here)
    counted = here if of_device >= ENOUGH else known
    return Reach(
        job, sum(m.runs for m in known), of_device,
        _mean([(m.error, m.runs) for m in counted]), sum(m.held_out for m in counted),
        _mean([(m.held_out_error or 0.0, m.held_out) for m in counted]), tuple(beyond),
    )


def _nothing(setting: Setting, job: str) -> str:
    other = measured_jobs(setting.runtime)
    if other:
        return f"{setting.runtime} was measured for {' and '.join(JOBS[j] for j in other)} alone"
    others = sorted({m.runtime for m in measured(job, device=setting.device)})
    return f"{setting.runtime} was not measured: its figures are assumptions" + (
        f" ({setting.device} was measured with {', '.join(others[:3])})" if others else "")


#: Kinds of figures in words.
JOBS = {"prompts": "prompts", "generation": "generation", "serving": "serving",
        "training": "training"}


def measured_jobs(runtime: str) -> list[str]:
    """Return the kinds of figures that were measured of a runtime."""
    return [job for job in JOBS if measured(job, runtime)]


def _devices(setting: Setting) -> str:
    """Say on how many devices a runtime was measured, and on which most."""
    runs: dict[str, int] = {}
    for job in measured_jobs(setting.runtime):
        for m in measured(job, setting.runtime):
            runs[m.device] = runs.get(m.device, 0) + m.runs
    names = sorted(runs, key=lambda d: (-runs[d], d))
    return f"{len(names)} others, such as {names[0]}" if len(names) > 1 else names[0]


def _outside(setting: Setting, known: Sequence[Measured]) -> Iterator[str]:
    """Yield what is outside of what was measured of the runtime, in words."""
    if not known:
        return
    bits = sorted({b for m in known for b in m.bits})
    if setting.bits and not any(abs(b - setting.bits) <= 1 for b in bits):
        yield f"weights of {setting.bits} bits: measured {', '.join(map(str, bits))}"
    math = sorted({x for m in known for x in m.math})
    if _rate(setting.math) not in map(_rate, math):
        yield f"products in {setting.math}: measured {', '.join(math)}"
    params = _span(m.params for m in known)
    if not params[0] / WITHIN <= setting.params <= params[1] * WITHIN:
        yield (f"a model of {setting.params / 1e9:,.3g}B parameters: measured "
               f"{params[0] / 1e9:,.3g} to {params[1] / 1e9:,.3g}B")
    for value, most, words in (
        (setting.context, _span(m.context for m in known)[1], "tokens a sequence"),
        (setting.sequences, _span(m.sequences for m in known)[1], "sequences a batch"),
        (setting.devices, _span(m.devices for m in known)[1], "devices"),
    ):
        if most and value > most * WITHIN:
            yield f"{value:,} {words}: measured up to {most:,.0f}"


def _rate(math: str) -> str:
    """Return what arithmetic is as fast as: both 16-bit types are the same."""
    return "bf16" if math == "fp16" else math


def _span(spans: Iterator[Span]) -> Span:
    rows = list(spans)
    return min(low for low, _ in rows), max(high for _, high in rows)


def _mean(pairs: Sequence[tuple[float, int]]) -> float | None:
    total = sum(n for _, n in pairs)
    return sum(e * n for e, n in pairs) / total if total else None
