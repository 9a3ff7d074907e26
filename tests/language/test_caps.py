"""Every cap on rule files holds: what is above it is refused, in time, and what is below is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.language.helpers import HEAD, found_in

from llamasim.diagnostics import Diagnostic, Source, render
from llamasim.language import Program, check, load_file, parse
from llamasim.language.caps import (
    MOST_BYTES,
    MOST_DEPTH,
    MOST_ERRORS,
    MOST_EXPANDED,
    MOST_FINDINGS,
    MOST_NODES,
    MOST_WORDS,
)

#: Processor time of one file; a busy machine takes longer than a second by the clock.
LONGEST_S = 2.0


def refused(text: str) -> Diagnostic:
    """Return the one finding of a file that is too large."""
    (finding,) = found_in(HEAD + text)
    assert finding.code == "E0107"
    assert finding.why
    assert finding.help
    return finding


def accepted(text: str) -> bool:
    """Whether a file is not too large, whatever else is wrong with it."""
    return "E0107" not in [d.code for d in found_in(HEAD + text)]


def test_a_file_of_more_than_a_mebibyte_is_refused(tmp_path: Path) -> None:
    """On the disk before it is read, and as a text."""
    text = HEAD + "#" * MOST_BYTES
    assert refused(text).message == "this file is larger than 1 MiB"
    path = tmp_path / "m.rules"
    path.write_text(text)
    _, _, found = load_file(path)
    assert [d.message for d in found] == ["this file is larger than 1 MiB"]


def test_a_remark_counts_as_a_word() -> None:
    """Whatever is in it; so do a description and a text."""
    assert found_in(HEAD + "# a remark of some words, and signs: (1 + 2)\n" * 14_000) == []


def test_words_are_capped() -> None:
    many = "module" + ".x" * (MOST_WORDS // 2 - 10)
    assert accepted(many)
    finding = refused("const a: Bool = x in {" + "1, " * MOST_WORDS + "2}")
    assert finding.message == "this file has more than 15,000 words and signs"
    (label,) = finding.labels
    assert label.span.line == 3


@pytest.mark.parametrize("part", [
    "let a = 1\n", "on step { }\n", "refines b.c\n", "on step { drop }\n",
    "on op of {a, b, c} { drop }\n",
])
def test_nodes_are_capped(part: str) -> None:
    """Members, effects, patterns and expressions alike."""
    nodes = {"let a = 1\n": 2, "on step { }\n": 1, "refines b.c\n": 1, "on step { drop }\n": 2}
    each = nodes.get(part, 5)
    few = (MOST_NODES - 20) // each
    fits = few * len(part.split()) < MOST_WORDS // 2
    assert not fits or accepted("technique t {\n" + part * few + "}\n")
    finding = refused("technique t {\n" + part * (MOST_NODES // each + 1) + "}\n")
    assert "more than" in finding.message


@pytest.mark.parametrize("nest", [
    lambda n: "(1 + " * n + "1" + ")" * n,
    lambda n: "if true then 1 else " * n + "1",
    lambda n: "-" * n + "1",
    lambda n: "floor(" * n + "1" + ")" * n,
    lambda n: "2 ^ " * n + "1",
    lambda n: "1 + " * n + "1",
], ids=["parentheses", "conditions", "signs", "calls", "powers", "sums"])
def test_depth_is_capped(nest: Callable[[int], str]) -> None:
    assert accepted(f"const a: Real = {nest(MOST_DEPTH - 1)}\n")
    finding = refused(f"const a: Real = {nest(MOST_DEPTH + 1)}\n")
    assert finding.message == "this expression is nested more than 64 deep"


def test_lets_that_double_are_refused() -> None:
    """Nine lines that each use the one before twice say about 2^12 nodes; sixty say 2^60."""
    first = "let x0 = model.layers\n"
    lines = [f"let x{i} = x{i - 1} + x{i - 1}\n" for i in range(1, 60)]
    assert accepted("technique t {\n" + first + "".join(lines[:9]) + "}\n")
    finding = refused("technique t {\n" + first + "".join(lines) + "}\n")
    assert finding.message == (
        f"with its names written out, this file has more than {MOST_EXPANDED:,} nodes")


def test_functions_and_constants_that_double_are_refused() -> None:
    functions = "fn f0(x: Real): Real = x\n" + "".join(
        f"fn f{i}(x: Real): Real = f{i - 1}(x) + f{i - 1}(x)\n" for i in range(1, 60))
    constants = "const c0: Real = 1\n" + "".join(
        f"const c{i}: Real = c{i - 1} + c{i - 1}\n" for i in range(1, 60))
    use = "technique t { param p: Real in 0..1e9 = c59 }\n"
    refused(functions)
    refused(constants + use)


def test_a_long_chain_of_names_is_refused() -> None:
    """Each of them is short; written out they are nested deeper than any expression may be."""
    lets = "let x0 = 1\n" + "".join(f"let x{i} = x{i - 1} + 1\n" for i in range(1, 400))
    finding = refused("technique t {\n" + lets + "}\n")
    assert finding.message == "with its names written out, this file is nested more than 64 deep"


def test_what_is_looked_for_counts_once_for_every_option() -> None:
    big = " + ".join(["model.layers"] * 60)
    options = ", ".join(["1"] * 3000)
    refused(f"technique t {{ requires {big} in {{{options}}} }}\n")


def test_brought_weights_that_double_are_refused() -> None:
    """Each stands beside everything there is, what the ones before brought included."""
    brings = "".join(f"bring op b{i} after * {{ flops: 1 FLOP }}\n" for i in range(30))
    finding = refused(f"technique t {{\n{brings}}}\n")
    assert finding.message == "this file and its imports bring more than 500 weights and ops"


def test_findings_are_capped() -> None:
    lets = "let a = 1\n" * 3000
    assert len(found_in(f"{HEAD}technique t {{\n{lets}}}\n")) == MOST_FINDINGS
    unknown = ", ".join(f"name_{i}" for i in range(4000))
    found = found_in(f"{HEAD}technique t {{\nrequires 1 in {{{unknown}}}\n}}\n")
    assert len(found) == MOST_FINDINGS
    _, errors = parse(Source("m.rules", HEAD + "const = 1\n" * 500))
    assert len(errors) == MOST_ERRORS


LARGE = {
    "sum": ("const c: Real = ", "x + ", "x"), "choices": ("const c: Bool = x in {", "x, ", "x}"),
    "patterns": ("technique t { on weight of {", "a.b, ", "x} { drop } }"),
    "effects": ("technique t { on weight { ", "drop ", "} }"),
    "lets": ("technique t { ", "let a = 1 ", "}"),
    "no end": ("technique t { ", "let a = 1 ", "let"),
    "parentheses": ("const c: Real = ", "(", ""), "braces": ("", "} ", ""), "words": ("", "x ", ""),
    "closed too often": ("technique t {\n", "} set ", ""),
    "errors": ("technique t {\n", "let = \n", ""),
    "misspelt": ("", "techniqe t { } ", ""), "powers": ("const c: Real = ", "x^", "}" * 100),
    "not": ("const c: Real = ", "not ", "}" * 100), "remarks": ("", "#\n", ""),
    "blank": ("", "\n", ""), "descriptions": ("", "/// x\n", "technique t { }"),
    "text": ('source s = "', "a", '"'), "digits": ("const c: Int = ", "9", ""),
    "unknown cells": ("technique t { on op { ", "set a.b = c ", "} }"),
    "calls": ("const c: Real = ", "f(", ""), "quotes": ("", '"', ""),
    "name": ("const ", "a", ": Int = 1"),
    "claims": ("technique t { ", "claim a: 0..1 from b ", "}"),
    "one line": ("technique t { ", "set set ", ""), "groups": ("const c: Int = 1", "_1", ""),
    "pattern": ("technique t { on weight of a", ".a", " { drop } }"),
    "brings": ("technique t { ", "bring op a after b { } ", "}"),
    "path": ("const c: Real = a", ".a", ""), "stars": ("technique t { on op of ", "*a", " { } }"),
    "tests": ("", 'test "x" { expect 1 } ', ""), "odd": ("", "\u2028\x00é", ""),
}


@pytest.mark.parametrize("size", [15_000, MOST_BYTES - 200], ids=["small", "a mebibyte"])
@pytest.mark.parametrize("name", LARGE)
def test_large_files_are_answered_in_time(name: str, size: int) -> None:
    """Whatever fills a file, parsing, checking and drawing what is wrong with it ends soon."""
    before, unit, after = LARGE[name]
    source = Source("m.rules", HEAD + before + unit * (size // len(unit)) + after)
    start = time.process_time()
    module, found = parse(source)
    if module is not None:
        found = found + check(Program({module.name: module}))
    render(found)
    assert time.process_time() - start < LONGEST_S


def test_numbers_are_capped() -> None:
    assert accepted("const a: Real = 1e30\n")
    for number in ("1e31", "9" * 40, "1e400", "1e999999999"):
        assert refused(f"const a: Real = {number}\n").message == "this number is too large"


def test_exponents_of_quantities_are_capped() -> None:
    """Squares of squares of squares have dimensions that nobody could print."""
    assert found_in(HEAD + "const a: Real = 2 bit ^ 8 / 1 bit ^ 8\n") == []
    for power in ("9", "1e30", "-9"):
        (finding,) = found_in(HEAD + f"const a: Real = 2 bit ^ {power} / 1 bit ^ {power}\n")[:1]
        assert finding.code == "E0201"
    lets = "let x0 = weight.bytes\n" + "".join(
        f"let x{i} = x{i - 1} * x{i - 1}\n" for i in range(1, 9))
    found = found_in(f"{HEAD}technique t {{\n{lets}on op {{ add x8 to cost.flops }}\n}}\n")
    assert "Data^256" in render(found)
