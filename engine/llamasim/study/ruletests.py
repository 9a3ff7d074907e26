"""Run the `test` blocks of rule files: a small scenario each, and what its plan must say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from llamasim import catalog
from llamasim.diagnostics import Diagnostic, Span
from llamasim.language import EvalError, Missing, Symbol, Value, evaluate
from llamasim.language.ast import Arg, Expect, Expr, Function, Given, Module, Test
from llamasim.plan import compile_plan
from llamasim.scenario.spec import Arrivals, Cluster, Length, Scenario, Use, Workload
from llamasim.scenario.spec import Value as Given_
from llamasim.study.asked import PlanEnv
from llamasim.units import DATA, Quantity

#: Agreement that counts as equal at the ends of `within`.
_TOLERANCE = 1e-9


@attrs.frozen
class Outcome:
    """What one `expect` came to."""

    module: str
    title: str
    span: Span = attrs.field(repr=False)
    passed: bool
    actual: str
    diagnostics: tuple[Diagnostic, ...] = ()


def run_tests(module: Module, rule_paths: tuple[Path, ...]) -> list[Outcome]:
    """Run all tests of a module."""
    outcomes: list[Outcome] = []
    for item in module.items:
        if isinstance(item, Test):
            outcomes += _run(module, item, rule_paths)
    return outcomes


def _run(module: Module, test: Test, rule_paths: tuple[Path, ...]) -> list[Outcome]:
    scenario = _scenario(module, test, rule_paths)
    if scenario is None:
        text = "the test names an unknown model or device"
        return [Outcome(module.name, test.title, test.span, False, text)]
    plan, said = compile_plan(scenario)
    if plan is None:
        text = "; ".join(d.message for d in said if d.is_error)
        return [Outcome(module.name, test.title, test.span, False, text, tuple(said))]
    env = PlanEnv(plan, scenario)
    return [_expect(module, test, e, env) for e in test.expects]


def _expect(module: Module, test: Test, expect: Expect, env: PlanEnv) -> Outcome:
    try:
        value = evaluate(expect.value, env)
        if expect.low is None or expect.high is None:
            return Outcome(module.name, test.title, expect.span, value is True, str(value))
        low, high = evaluate(expect.low, env), evaluate(expect.high, env)
    except (EvalError, Missing) as error:
        return Outcome(module.name, test.title, expect.span, False, str(error))
    if not all(isinstance(v, Quantity) for v in (value, low, high)):
        return Outcome(module.name, test.title, expect.span, False, f"{value} is not a number")
    assert isinstance(value, Quantity)
    assert isinstance(low, Quantity)
    assert isinstance(high, Quantity)
    slack = _TOLERANCE * max(abs(value.value), 1.0)
    passed = (
        value.dimension == low.dimension == high.dimension
        and low.value - slack <= value.value <= high.value + slack
    )
    text = _exact(value)
    if not passed:
        text += f"; expected {_exact(low)} to {_exact(high)}"
    return Outcome(module.name, test.title, expect.span, passed, text)


def _exact(value: Quantity) -> str:
    """Return a value with all its digits, in the unit that tests are written in."""
    if value.dimension == DATA:
        return f"{value.value / 8:,.12g} B"
    number = f"{value.value:,.12g}"
    return number if value.dimension.is_ratio else f"{number} {value.dimension}"


def _scenario(module: Module, test: Test, rule_paths: tuple[Path, ...]) -> Scenario | None:
    given = {g.what: g for g in test.givens if g.what != "use"}
    model = catalog.get_model(_target(given.get("model"), "llama-3.1-8b"))
    cluster = _cluster(_target(given.get("cluster"), "h100-sxm_1"))
    workload = _workload(given.get("workload"))
    runtime = catalog.get_runtime("megatron-core" if workload.mode == "training" else "vllm")
    if model is None or cluster is None or runtime is None:
        return None
    if workload.mode == "training" and not _has(given.get("workload"), "global_batch"):
        batch = workload.micro_batch * cluster.devices
        workload = attrs.evolve(workload, global_batch=batch)
    uses = tuple(_use(module, g) for g in test.givens if g.what == "use")
    return Scenario(
        name=test.title, edition=2026, model=model, cluster=cluster, runtime=runtime,
        workload=workload, mesh_order=(), use=uses, prefer={},
        rule_paths=tuple(str(p) for p in rule_paths),
    )


def _target(given: Given | None, default: str) -> str:
    return (given.target or default) if given else default


def _has(given: Given | None, name: str) -> bool:
    return given is not None and any(a.name == name for a in given.args)


def _cluster(text: str) -> Cluster | None:
    """Return the cluster that `h100_sxm_8` names: a device and how many, eight a node."""
    name, _, count = text.rpartition("_")
    device = catalog.get_device(name)
    host = catalog.get_host(catalog.ids("hosts")[0])
    if device is None or host is None or not count.isdigit():
        return None
    devices = int(count)
    per_node = min(8, devices)
    peer = catalog.get_fabric(device.peer or device.host_link or "")
    link = catalog.get_fabric(device.host_link or "pcie5-x16")
    if link is None:
        return None
    return Cluster(device, max(1, devices // per_node), per_node, peer,
                   catalog.get_fabric("ib-ndr400"), host, link)


def _workload(given: Given | None) -> Workload:
    mode = "inference" if given is None or given.target != "training" else "training"
    args = {a.name: _plain(a.value) for a in given.args} if given else {}
    dtype, optimizer = args.pop("dtype", "bf16"), args.pop("optimizer", "adamw")
    numbers: dict[str, Any] = {
        k: int(v.value) for k, v in args.items() if isinstance(v, Quantity)
    }
    base = Workload(
        mode="training" if mode == "training" else "inference",
        dtype=str(dtype), sequence=numbers.pop("sequence", 4096), optimizer=str(optimizer),
    )
    lengths: dict[str, Any] = {
        k: Length("fixed", numbers.pop(k)) for k in ("prompt", "output") if k in numbers
    }
    if given is not None and given.target == "serving":
        lengths["arrivals"] = Arrivals("poisson", 200, rate=4.0)
    return attrs.evolve(base, **numbers, **lengths)


def _use(module: Module, given: Given) -> Use:
    name = given.target or ""
    full = module.full_name(name)
    args: dict[str, Given_] = {a.name: _plain(a.value) for a in given.args}
    return Use(full.rsplit(".", 1)[-1], full, args, given.span, _spans(given.args))


def _spans(args: tuple[Arg, ...]) -> Mapping[str, Span]:
    return {a.name: a.span for a in args}


class _Words:
    """Names of a test's arguments: every bare word is a symbol."""

    def lookup(self, path: tuple[str, ...]) -> Value | None:
        return Symbol(path[0]) if len(path) == 1 else None

    def call(self, name: str, args: tuple[Expr, ...]) -> Value | None:
        return None

    def function(self, name: str) -> Function | None:
        return None


def _plain(expr: Expr) -> Given_:
    value = evaluate(expr, _Words())
    return value.name if isinstance(value, Symbol) else value
