"""Printing and parsing are inverse; formatting is stable and loses no remark."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.language.helpers import HEAD
from tests.language.strategies import modules
from tests.language.test_parse import EXAMPLES

from llamasim.assets import rules_dir
from llamasim.diagnostics import Source
from llamasim.language import parse
from llamasim.language.ast import Module
from llamasim.language.format import format_text
from llamasim.language.show import show
from llamasim.language.wrap import WIDTH, wrapped

FILES = [*EXAMPLES, *sorted(rules_dir().rglob("*.rules"))]


def parsed(text: str) -> Module:
    module, found = parse(Source("m.rules", text))
    assert not found, found[0].message
    assert module is not None
    return module


def formatted(text: str) -> str:
    result, found = format_text(Source("m.rules", text))
    assert not found
    assert result is not None
    return result


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(modules)
def test_parsing_what_was_printed_gives_the_same_tree(module: Module) -> None:
    text = show(module)
    assert parsed(text) == module
    assert show(parsed(text)) == text


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_formatting_keeps_meaning_and_is_stable(path) -> None:
    text = path.read_text(encoding="utf-8")
    once = formatted(text)
    assert parsed(once) == parsed(text)
    assert formatted(once) == once
    assert parsed(show(parsed(text))) == parsed(text)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 2**32))
def test_formatting_loses_no_remark(path, seed: int) -> None:
    draw, lines, count = random.Random(seed), [], 0
    for line in path.read_text(encoding="utf-8").split("\n"):
        if draw.random() < 0.15:
            lines.append(draw.choice(("", "   ")) + f"# remark{count}.")
            count += 1
        if draw.random() < 0.1:
            lines.append("")
        if draw.random() < 0.15 and not line.strip().startswith(("///", "#")):
            line += f"  # remark{count}."
            count += 1
        lines.append(line)
    text = "\n".join(lines)
    once = formatted(text)
    assert sorted(re.findall(r"remark\d+\.", once)) == sorted(re.findall(r"remark\d+\.", text))
    assert parsed(once) == parsed(text)
    assert formatted(once) == once


def test_numbers_stay_as_written() -> None:
    text = f"{HEAD}\nconst x: Int = 1_000_000\nconst y: Real = 7e9\n"
    assert formatted(text) == text


def test_a_faulty_file_is_not_formatted() -> None:
    result, found = format_text(Source("m.rules", f"{HEAD}techniqe t {{ }}\n"))
    assert result is None
    assert found[0].code == "E0103"


def too_long(text: str) -> list[str]:
    """Lines over the width that could still be broken; remarks and descriptions are left alone."""
    code = (line.partition("  #")[0] for line in text.split("\n"))
    long = (c for c in code if len(c) > WIDTH and not c.lstrip().startswith(("#", "///")))
    return [c for c in long if len(wrapped(c.strip(), c[: len(c) - len(c.lstrip())])) > 1]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(modules)
def test_lines_are_no_longer_than_they_must_be(module: Module) -> None:
    """What can be broken is broken, and means the same."""
    text = show(module)
    assert too_long(text) == []
    assert parsed(text) == module


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_shipped_files_fit_the_width(path) -> None:
    """All but texts in quotes."""
    assert too_long(formatted(path.read_text(encoding="utf-8"))) == []


def member(text: str) -> str:
    """A member of a technique as it is laid out."""
    return formatted(f"{HEAD}\ntechnique t {{\n{text}\n}}\n").split("technique t {\n")[1][:-3]


def test_long_statements_break_where_a_reader_would() -> None:
    """Before clauses first, then behind commas, then before the loosest operators."""
    assert member(
        'requires workload.mode == inference and model.layers > 8 else "this takes a model of more '
        'than eight layers"'
    ) == (
        "  requires workload.mode == inference and model.layers > 8\n"
        '      else "this takes a model of more than eight layers"'
    )
    assert member(
        "on weight of {*.attn.q, *.attn.k, *.attn.v, *.attn.out} except {*.bias, *.norm1, *.norm2} "
        "where op.kind == matmul and 64 divides weight.dim_in { set numerics.bits = 8 bit }"
    ) == (
        "  on weight of {*.attn.q, *.attn.k, *.attn.v, *.attn.out} "
        "except {*.bias, *.norm1, *.norm2}\n"
        "      where op.kind == matmul and 64 divides weight.dim_in {\n"
        "    set numerics.bits = 8 bit\n  }"
    )
    assert member(
        "bring weight lora_a on {*.attn.q, *.attn.k, *.attn.v, *.attn.out} { dim_in: weight.dim_in,"
        " dim_out: rank, when: model.layers > 8 }"
    ) == (
        "  bring weight lora_a on {*.attn.q, *.attn.k, *.attn.v, *.attn.out} {\n"
        "    dim_in: weight.dim_in, dim_out: rank, when: model.layers > 8\n  }"
    )
    assert member(
        "let x = (model.layers * model.hidden * model.hidden + model.vocab * model.hidden) / 2 + "
        "model.ffn * model.hidden * 3"
    ) == (
        "  let x = (model.layers * model.hidden * model.hidden + model.vocab * model.hidden) / 2\n"
        "      + model.ffn * model.hidden * 3"
    )


def test_what_cannot_be_broken_stays_long() -> None:
    """Texts in quotes are one piece."""
    text = f'source paper = "{"word " * 40}"'
    assert formatted(f"{HEAD}\n{text}\n") == f"{HEAD}\n{text}\n"


def test_remarks_of_a_broken_head_stay_with_it() -> None:
    """Behind the brace before and after; nothing moves when it is laid out again."""
    text = (
        f"{HEAD}\ntechnique t {{\n  on weight of {{*.attn.q, *.attn.k, *.attn.v, *.attn.out}} "
        "except {*.bias, *.norm1, *.norm2} where op.kind == matmul {  # why\n"
        "    set numerics.bits = 8 bit  # how\n    # and so\n  }\n}\n"
    )
    once = formatted(text)
    assert "op.kind == matmul {  # why\n" in once
    assert "8 bit  # how\n    # and so\n" in once
    assert formatted(once) == once
