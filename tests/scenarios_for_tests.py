"""Small scenarios built in code, for tests of the rooms between language and simulation."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from llamasim import catalog
from llamasim.diagnostics import Source, Span
from llamasim.plan import compile_plan
from llamasim.plan.spec import BlockPlan, CommWork, OpWork, Plan
from llamasim.scenario.spec import Cluster, Scenario, Use, Value, Workload
from llamasim.units import Quantity

NOWHERE = Span(Source("test", ""), 1, 1, 1, 1)


def use(technique: str, **params: float | bool | str) -> Use:
    """Return one use of a technique."""
    args: dict[str, Value] = {
        k: v if isinstance(v, bool | str) else Quantity(float(v)) for k, v in params.items()
    }
    return Use(technique.rsplit(".", 1)[-1], technique, args, NOWHERE)


def scenario(
    *uses: Use,
    model: str = "llama-3.1-8b",
    device: str = "h100-sxm",
    devices: int = 8,
    runtime: str = "megatron-core",
    order: tuple[str, ...] = (),
    prefer: Mapping[str, str] | None = None,
    **workload: object,
) -> Scenario:
    """Return a scenario of `devices` devices, eight a node."""
    found, dev = catalog.get_model(model), catalog.get_device(device)
    host, engine = catalog.get_host(catalog.ids("hosts")[0]), catalog.get_runtime(runtime)
    assert found and dev and host and engine
    link = catalog.get_fabric(dev.host_link or "pcie5-x16")
    assert link
    per_node = min(8, devices)
    peer = catalog.get_fabric(dev.peer) if dev.peer else link
    cluster = Cluster(dev, max(1, devices // per_node), per_node, peer,
                      catalog.get_fabric("ib-ndr400"), host, link)
    base = Workload(mode="training", dtype="bf16", sequence=4096, global_batch=devices)
    return Scenario(
        name="test", edition=2026, model=found, cluster=cluster, runtime=engine,
        workload=attrs.evolve(base, **workload), mesh_order=order, use=tuple(uses),
        prefer=prefer or {},
    )


def plan_of(given: Scenario) -> Plan:
    """Return a scenario's plan; fails with the diagnostics' messages."""
    plan, said = compile_plan(given)
    assert plan is not None, [d.message for d in said]
    return plan


def block(plan: Plan, name: str = "dense") -> BlockPlan:
    """Return a block plan by name."""
    return next(b for b in plan.blocks if b.name == name)


def collectives(given: BlockPlan, phase: str) -> list[tuple[str, str]]:
    """Return (kind, tensor) of the collectives of a phase, in order."""
    return [(w.kind, w.name) for w in given.work[phase] if isinstance(w, CommWork)]


def ops(given: BlockPlan, phase: str) -> list[OpWork]:
    """Return the ops of a phase, in order."""
    return [w for w in given.work[phase] if isinstance(w, OpWork)]


__all__ = ["block", "collectives", "ops", "plan_of", "scenario", "use"]
