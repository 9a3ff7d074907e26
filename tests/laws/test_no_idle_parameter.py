"""Each parameter of a shipped technique changes the plan, or what is claimed, in some scenario."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from tests.docs.pair_worlds import alone, program, techniques, try_uses, worlds
from tests.scenarios_for_tests import scenario, use

from llamasim.language import Symbol
from llamasim.language.ast import Claim, Expr, Function, Param, Path, RangeDomain, SetDomain
from llamasim.language.evaluate import evaluate
from llamasim.plan import compile_plan
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Value
from llamasim.units import Quantity

#: What shows in none of the scenarios tried below, and two values that differ in one of its own.
SHOWN_ELSEWHERE: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any], Any, Any]] = {
    ("offload.layers.layer_split", "prompts_on_host"):
        ({"mode": "inference"}, {"device_layers": 20}, False, True),
    ("parallelism.pipeline.pipeline_parallel", "chunks"):
        ({"devices": 2, "global_batch": 8}, {"stages": 2}, 1, 2),
    ("parallelism.tensor.tensor_parallel", "padded"):
        ({"mode": "inference", "devices": 3}, {"degree": 3}, False, True),
    ("quantization.gguf.legacy.q4_0_weights", "imatrix"): ({"mode": "inference"}, {}, False, True),
    ("quantization.gguf.legacy.q5_0_weights", "imatrix"): ({"mode": "inference"}, {}, False, True),
    ("serving.speculative.draft_model", "draft"):
        ({"mode": "inference"}, {}, "llama_3_2_1b", "llama_3_2_3b"),
}


class _Nothing:
    """What constants are evaluated with."""

    def lookup(self, path: tuple[str, ...]) -> None:
        """No name has a value."""

    def call(self, name: str, args: tuple[Expr, ...]) -> None:
        """No function has one."""

    def function(self, name: str) -> Function | None:
        """There is none."""
        return None


def _constant(expr: Expr) -> Value:
    if isinstance(expr, Path):
        return expr.text
    found = evaluate(expr, _Nothing())
    assert found is not None
    return str(found.name) if isinstance(found, Symbol) else found


def _values(param: Param) -> Iterator[Value]:
    """Yield legal values, small ones first; a technique may refuse them for other reasons."""
    if param.type == "Bool":
        yield from (True, False)
    elif isinstance(param.domain, SetDomain):
        yield from map(_constant, param.domain.options)
    elif isinstance(param.domain, RangeDomain):
        low, high = _constant(param.domain.low), _constant(param.domain.high)
        assert isinstance(low, Quantity)
        assert isinstance(high, Quantity)
        numbers = (low.value, 1.0, 2.0, 3.0, (low.value + high.value) / 2, high.value)
        whole = param.type in ("Int", "Token")
        for number in dict.fromkeys(int(n) if whole else n for n in numbers):
            if low.value <= number <= high.value:
                yield Quantity(float(number), low.dimension)


def _said(plan: Plan) -> Plan:
    return attrs.evolve(plan, ledger=(), hash="")


def _claimed(name: str, param: Param) -> bool:
    """Whether a claim depends on it; most hold for the models that were measured only."""
    found = program().technique(name)
    assert found is not None
    mentioned = repr(Path(param.span, (param.name,)))
    return any(isinstance(m, Claim) and mentioned in repr(m) for m in found[1].members)


def _matters(name: str, param: Param) -> bool:
    for world in worlds():
        use = alone(name, world)[0]
        if use is None:
            continue
        usual, _ = try_uses(world, [use])
        assert usual is not None
        for value in _values(param):
            changed = attrs.evolve(use, args={**use.args, param.name: value})
            plan, _ = try_uses(world, [changed])
            if plan is not None and _said(plan) != _said(usual):
                return True
    return False


@pytest.mark.parametrize("family", sorted({t.partition(".")[0] for t in techniques()}))
def test_no_parameter_is_without_effect(family: str) -> None:
    idle = []
    for name in techniques():
        found = program().technique(name)
        assert found is not None
        params = [m for m in found[1].members if isinstance(m, Param)]
        if name.partition(".")[0] == family:
            idle += [(name, p.name) for p in params
                     if (name, p.name) not in SHOWN_ELSEWHERE
                     and not _claimed(name, p) and not _matters(name, p)]
    assert not idle


@pytest.mark.parametrize(("name", "param"), SHOWN_ELSEWHERE)
def test_what_shows_elsewhere_does(name: str, param: str) -> None:
    given, args, one, other = SHOWN_ELSEWHERE[name, param]
    first, second = (
        compile_plan(scenario(use(name, **args, **{param: v}), **given))[0] for v in (one, other))
    assert second is not None
    assert first is None or _said(first) != _said(second)
