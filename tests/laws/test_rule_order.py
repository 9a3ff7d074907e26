"""Where a rule stands in its file, and which file it stands in, means nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scenarios_for_tests import plan_of, scenario, use

HEAD = 'edition 2026\nmodule {name}\n\nsource me = "a test"\n\n'
RULES = (
    "on op of *.mlp.down during decode { scale cost.flops by 1.1 }",
    "on op of *.mlp.* during decode { scale cost.flops by 1.3  add 0.1 FLOP to cost.flops }",
    "on op of *.attn.q during decode { add 0.7 FLOP * op.input_elems to cost.flops }",
    "on op of {*.attn.q, *.attn.k} during decode { add 1e3 FLOP to cost.flops }",
    "on weight of *.mlp.* { add 0.1 bit to numerics.bits_overhead }",
    "on weight of *.mlp.up { add 0.2 bit to numerics.bits_overhead }",
    "on kv_cache { set numerics.bits = 8 bit }",
    "on op of *.mlp.down during decode { cap cost.efficiency at 90 % }",
)


def plan_hash(files: dict[str, list[str]]) -> str:
    """Return the plan hash with a technique `t` in each file."""
    with tempfile.TemporaryDirectory() as folder:
        for name, rules in files.items():
            body = "\n".join(f"  {r}" for r in rules)
            text = HEAD.format(name=name) + f"technique t {{\n{body}\n}}\n"
            (Path(folder) / f"{name}.rules").write_text(text)
        uses = [attrs.evolve(use(f"{n}.t"), instance=n) for n in files]
        given_ = scenario(*uses, devices=1, mode="inference", runtime="vllm")
        return plan_of(attrs.evolve(given_, rule_paths=(folder,))).hash


@settings(max_examples=30, deadline=None)
@given(st.permutations(RULES))
def test_order_within_a_file(order: list[str]) -> None:
    """Any order of rules in a file gives the same plan, bit for bit."""
    assert plan_hash({"mine": order}) == plan_hash({"mine": list(RULES)})


@settings(max_examples=15, deadline=None)
@given(st.permutations(RULES), st.integers(1, len(RULES) - 1))
def test_order_of_files(order: list[str], cut: int) -> None:
    """Two files, used in either order, give the same plan."""
    first, second = order[:cut], order[cut:]
    assert plan_hash({"a": first, "b": second}) == plan_hash({"b": second, "a": first})
