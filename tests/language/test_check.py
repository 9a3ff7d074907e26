"""What the checker refuses, and what it lets pass."""

from __future__ import annotations

import pytest
from tests.language.helpers import HEAD, codes, found_in


@pytest.mark.parametrize("members", [
    "on weight where layer.index < 3 { set trainable = false }",
    "on weight where op.kind == matmul { shard flat over dp }",
    "on weight { add 16 bit / weight.dim_in to numerics.bits_overhead }",
    "on op { add weight.bytes / 2 to cost.read }",
    "param n: Int in 0..4 = 1\non op { scale cost.flops by if n == 0 then 1 else 1 / n }",
    "param n: Int in 0..4 = 1\non op where n > 0 { scale cost.flops by 1 / n }",
    "param n: Int in 0..4 = 1\non op { scale cost.flops by 1 / (n + 1) }",
    "on op { scale cost.flops by 1 / model.experts }",
    "param link: Rate = 450 GB/s\non op { add link * 1 us to cost.write }",
    "on step { set schedule.pipeline = if model.layers > 8 then interleaved"
    " else one_forward_one_backward }",
    "on weight { reduce over replicas }",
    "param m: Symbol in {a, b} = a\non op where m == b { fuse as x }",
])
def test_sound_rules_pass(members: str) -> None:
    assert codes(members) == []


@pytest.mark.parametrize(("members", "code"), [
    ("on weight where weight.bytes > 1 GB { set numerics.bits = 4 bit }", "E0208"),
    ("on weight where layer.stage == 0 { shard flat over dp }", "E0208"),
    ("on weight where weight.elems > 9 { set trainable = false }", "E0208"),
    ("axis tp size op.weight_elems", "E0208"),
    ("param n: Int in 0..4 = 1\non op { scale cost.flops by 1 / n }", "E0210"),
    ("param n: Int in 1..4 = 1\non op { scale cost.flops by 1 / (n - 2) }", "E0210"),
    ("param n: Int in 0..4 = 1\non op { scale cost.flops by log2(n) }", "E0210"),
    ("param n: Int in 0..4 = 1\nlet x = mod(3, n)\non op where x > 1 { fuse as x }", "E0210"),
    ("on op { add -2 FLOP to cost.flops }", "E0210"),
    ("on step { set schedule.rows = 4 }", "E0201"),
    ("on op { scale cost.flops by 2 FLOP }", "E0201"),
    ("let x = min(1 bit, 1 s)\non op where x > 0 bit { fuse as y }", "E0201"),
    ("on activation { exchange 4 over dp }", "E0201"),
    ("requires workload.serving == workload.mode", "E0209"),
    ("requires workload.mode > 3", "E0209"),
    ("requires 3 < workload.mode", "E0209"),
    ("let x = if model.tied then 1 else true\non op where x { fuse as y }", "E0209"),
    ("param m: Symbol in {a, b} = a\non op where m == c { fuse as x }", "E0207"),
    ("on op { shard flat over dp }", "E0206"),
    ("on weight { drop }", "E0206"),
    ("on layer { overlap gather with compute }", "E0206"),
    ("on step { overlap gather with compute }", "E0206"),
    ("on step of *.attn.* { set schedule.prefetch = 1 }", "E0206"),
    ("conflicts with t", "E0204"),
    ("refines m.tt", "E0221"),
    ("let a = b\nlet b = 1\non op where a > b { fuse as x }", "E0202"),
    ("let a = a + 1\non op where a > 1 { fuse as x }", "E0202"),
    ("on op of *a*b*c*d*e*f*g { fuse as x }", "E0207"),
    ("on step { run nothing times 3 }", "E0207"),
])
def test_faulty_rules_are_refused(members: str, code: str) -> None:
    assert codes(members) == [code]


def test_lets_are_read_through() -> None:
    lets = "let heavy = weight.bytes > 1 GB\nlet both = heavy and model.tied\n"
    assert codes(lets + "on weight where both { set numerics.bits = 4 bit }") == ["E0208"]
    assert codes(lets + "on weight where both { add 1 B to cost.static_bytes }") == []
    assert codes(lets + "on step where both { set schedule.prefetch = 1 }") == ["E0206"]


def test_unused_parameters_are_only_warned_of() -> None:
    assert codes("param x: Int = 1") == ["W0201"]


def test_one_mistake_is_told_once() -> None:
    members = "let x = unknown.thing * 2 + 1 bit\non op where x > 3 s { fuse as y }"
    assert codes(members) == ["E0202"]


@pytest.mark.parametrize(("members", "line"), [
    ("on weight of *.attn.q\n during forwrd\n { gather over dp }", 5),
    ("on op\n  { cap cost.efficiency at 1 }\nclaim loss: 1..2\n  from papr\n  note \"n\"", 7),
    ("on activation\n of *.attn.q { shard seq\n over dq }", 6),
])
def test_a_label_is_on_the_line_of_its_word(members: str, line: int) -> None:
    """Statements of several lines too: the word is marked, and not the whole."""
    (found,) = found_in(f"{HEAD}technique t {{\n{members}\n}}\n")
    assert found.labels[0].span.line == line
    assert found.labels[0].span.line == found.labels[0].span.end_line
