"""What the parser makes of a text."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.language.helpers import HEAD, expr_of, members_of, module_of

from llamasim.assets import rules_dir
from llamasim.diagnostics import Source
from llamasim.language import Program, check, load, parse
from llamasim.language.ast import Bring, Glob, Number, Param, Rule, SetDomain, Write
from llamasim.language.missing import library
from llamasim.language.show_expr import show_expr

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.rules"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_of_the_language_parse_and_check(path: Path) -> None:
    program, found = load([path.stem], [path.parent])
    assert [d.message for d in found + check(program) if d.is_error] == []


def test_shipped_rules_check_without_errors() -> None:
    program, found = load(list(library([rules_dir()])), [rules_dir()])
    assert [d.message for d in found + check(program) if d.is_error] == []
    assert program.modules


@pytest.mark.parametrize(("text", "grouped"), [
    ("-a ^ 2", "-(a ^ 2)"),
    ("a ^ b ^ c", "a ^ (b ^ c)"),
    ("a - b - c", "(a - b) - c"),
    ("450 GB/s", "(450 GB) / s"),
    ("2 FLOP * x / 4", "((2 FLOP) * x) / 4"),
    ("a or b and not c == d", "a or (b and (not (c == d)))"),
    ("n divides a + b", "n divides (a + b)"),
    ("2 ^ -1", "2 ^ (-1)"),
])
def test_operators_bind_as_in_mathematics(text: str, grouped: str) -> None:
    assert expr_of(text) == expr_of(grouped)


@pytest.mark.parametrize(("text", "value", "unit"), [
    ("1_397_784", 1397784.0, None),
    ("7e9", 7e9, None),
    ("85 %", 85.0, "%"),
    ("1e6 tok", 1e6, "tok"),
    ("0.5 GiB", 0.5, "GiB"),
])
def test_numbers_keep_value_and_unit(text: str, value: float, unit: str | None) -> None:
    assert expr_of(text) == Number(expr_of("1").span, value, unit)


def test_a_rule_has_all_its_parts() -> None:
    (rule,) = members_of(
        "on weight of {layers.3.*, *.attn.q} except head during forward, backward "
        "where x > 1 { set numerics.bits = 4 bit }"
    )
    assert isinstance(rule, Rule)
    assert rule.element == "weight"
    assert [g.text for g in rule.globs] == ["layers.3.*", "*.attn.q"]
    assert [g.text for g in rule.excepts] == ["head"]
    assert rule.phases == ("forward", "backward")
    assert rule.where is not None
    assert show_expr(rule.where) == "x > 1"
    (effect,) = rule.effects
    assert isinstance(effect, Write)
    assert (effect.verb, effect.cell) == ("set", "numerics.bits")


def test_descriptions_stand_before_any_member() -> None:
    (param, rule) = members_of("/// One.\n///\n/// Two.\nparam x: Int = 1\n/// R.\non op { }")
    assert isinstance(param, Param)
    assert param.doc == "One.\n\nTwo."
    assert isinstance(rule, Rule)
    assert rule.doc == "R."


def test_bring_takes_colons_or_equal_signs() -> None:
    colon, equal = members_of(
        "bring weight a on *.q { dim_in: 1, dim_out: 2 }\n"
        "bring weight a on *.q { dim_in = 1, dim_out = 2 }"
    )
    assert isinstance(colon, Bring)
    assert colon == equal
    assert colon.globs == (Glob(colon.span, "*.q"),)


def test_a_domain_may_be_a_set() -> None:
    (param,) = members_of("param g: Int in {32, 64} = 64")
    assert isinstance(param, Param)
    assert isinstance(param.domain, SetDomain)
    assert len(param.domain.options) == 2


def test_spans_point_at_the_text() -> None:
    module = module_of(f"{HEAD}technique t {{\n  on op {{ add 2 FLOP * n to cost.flops }}\n}}\n")
    technique = module.technique("t")
    assert technique is not None
    (rule,) = technique.members
    assert isinstance(rule, Rule)
    (effect,) = rule.effects
    assert isinstance(effect, Write)
    assert effect.value.span.text == "2 FLOP * n"
    assert (rule.span.line, rule.span.column) == (4, 3)


def test_a_mistake_leaves_the_rest_of_the_file() -> None:
    text = (
        f"{HEAD}technique a {{ on grad {{ redduce ovr dp }} }}\n"
        "technique b {\n  param x: Int in ..3\n  on op { fuse as y }\n}\n"
        "technique c { on weight { place on host } }\n"
    )
    module, found = parse(Source("m.rules", text))
    assert module is not None
    assert {i.name for i in module.items if hasattr(i, "name")} == {"a", "b", "c"}
    assert [d.labels[0].span.line for d in found] == [3, 3, 5]


def test_a_file_over_a_mebibyte_is_refused() -> None:
    module, found = parse(Source("m.rules", HEAD + "#" * 1024 * 1024))
    assert module is None
    assert [d.code for d in found] == ["E0107"]


def test_too_many_nodes_are_refused() -> None:
    text = HEAD + "technique t {\n" + "let x = 1\n" * 10_001 + "}\n"
    module, found = parse(Source("m.rules", text))
    assert module is None
    assert [d.code for d in found] == ["E0107"]


def test_a_checked_program_is_a_pure_function_of_its_modules() -> None:
    module = module_of(f"{HEAD}technique t {{ on wieght {{ drop }} }}\n")
    program = Program({"m": module})
    assert check(program) == check(program)
