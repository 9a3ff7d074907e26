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
