"""Patterns and scopes that name nothing in the model at hand."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from tests.scenarios_for_tests import scenario, use

from llamasim.diagnostics import Diagnostic
from llamasim.plan import compile_plan

HEAD = "edition 2026\nmodule mine\n\n"
BOTH = (
    "technique t {\n"
    "  on weight of *.attn.* { set numerics.bits = 8 bit }\n"
    "  on op of *.mlp.* { cap cost.efficiency at 90 % }\n}\n"
)


def said(folder: Path, text: str, scope: str | None = None, **params: str) -> list[Diagnostic]:
    """What is said of a technique `t` on an 8B dense model with learned nothing."""
    (folder / "mine.rules").write_text(HEAD + text)
    chosen = attrs.evolve(use("mine.t", **params), scope=scope)
    given = scenario(chosen, devices=1, mode="inference", runtime="vllm")
    return compile_plan(attrs.evolve(given, rule_paths=(str(folder),)))[1]


@pytest.mark.parametrize(("glob", "near"), [
    ("*.mlp.router", "*.mlp.gate"), ("*.attn.kv_a", "*.attn.*"), ("positions", None),
    ("layers.40.attn.q", None), ("*.post_norm1", "*.norm1"),
])
def test_a_rule_without_elements_here_is_warned_of(
    glob: str, near: str | None, tmp_path: Path
) -> None:
    """Other models have such names, and this one has the nearest."""
    rule = f"technique t {{ on weight of {glob} {{ set numerics.bits = 8 bit }} }}\n"
    (found,) = said(tmp_path, rule)
    assert (found.code, found.severity) == ("W0401", "warning")
    assert found.help
    if near:
        assert found.help == (f"did you mean `{near}`?",)


def test_a_scope_of_no_model_is_an_error(tmp_path: Path) -> None:
    """A misspelt scope would silently leave the technique without effect."""
    (found,) = said(tmp_path, BOTH, "*.atn.*")
    assert (found.code, found.severity) == ("E0418", "error")
    assert found.help == ('did you mean `scope: "*.attn.*"`?',)


def test_a_scope_of_another_model_is_warned_of(tmp_path: Path) -> None:
    (found,) = said(tmp_path, BOTH, "*.mlp.shared.*")
    assert (found.code, found.severity) == ("W0401", "warning")
    assert found.help


def test_a_scope_may_leave_rules_without_elements(tmp_path: Path) -> None:
    """Narrowing a technique to one family of tensors is what scopes are for."""
    assert said(tmp_path, BOTH, "*.attn.*") == []
    assert said(tmp_path, BOTH, "layers.3.*") == []


def test_a_scope_may_name_what_is_brought(tmp_path: Path) -> None:
    """Brought weights are names of this model."""
    lora = (
        "technique t {\n"
        "  bring weight extra on *.attn.q { dim_in: weight.dim_in, dim_out: weight.dim_out }\n"
        "  on weight of *.extra { set numerics.bits = 8 bit }\n}\n"
    )
    assert said(tmp_path, lora, "*.attn.*") == []


def test_what_is_brought_nowhere_is_warned_of(tmp_path: Path) -> None:
    """With the nearest op of this model; what only a scope leaves out is left out on purpose."""
    bring = ("technique t {{\n  bring weight extra on {glob} {{ dim_in: weight.dim_in, "
             "dim_out: weight.dim_out }}\n  on weight {{ set numerics.bits = 8 bit }}\n}}\n")
    (found,) = said(tmp_path, bring.format(glob="*.mlp.shared.up"))
    assert (found.code, found.help) == ("W0401", ("did you mean `*.mlp.up`?",))
    assert said(tmp_path, bring.format(glob="*.mlp.up"), "*.attn.*") == []


def test_patterns_of_a_further_model_are_looked_for_there(tmp_path: Path) -> None:
    """`draft.layers.*` is no pattern of the model at hand, and is not missed there."""
    draft = (
        "technique t {\n  param draft: Model\n"
        "  on weight of draft.layers.* { set numerics.bits = 8 bit }\n"
        "  on step during decode { run draft times 2 }\n}\n"
    )
    assert said(tmp_path, draft, draft="llama-3.2-1b") == []


def test_refines_finds_a_technique_of_its_own_module(tmp_path: Path) -> None:
    """`refines base` beside `technique base` means that one."""
    (tmp_path / "mine.rules").write_text(
        HEAD + "technique base { on kv_cache { set numerics.bits = 8 bit } }\n"
        "technique better { refines base\n  on kv_cache { set numerics.bits = 4 bit } }\n")
    given = scenario(use("mine.base"), use("mine.better"), devices=1, mode="inference",
                     runtime="vllm")
    plan, found = compile_plan(attrs.evolve(given, rule_paths=(str(tmp_path),)))
    assert found == []
    assert plan is not None
    # 32 layers hold 2 x 8 heads x 128 elements of 4 bit a token.
    assert sum(plan.blocks[b].kv_per_token for c in plan.ranks[0].chunks for b in c.blocks) == (
        32 * 2 * 8 * 128 * 4 / 8)
