"""Diagnostics as text and as data."""

from __future__ import annotations

import json
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamasim.diagnostics import Diagnostic, Label, Source, Span, nearest, render, to_json

RULES = Source("rules/quant/int4.rules", textwrap.dedent("""\
    edition 2026
    module quant.int4

    technique t {
      on weight {
        set numerics.bits = 4 bit
        add 16 bit / group_size to cost.flops
      }
    }
    """))
SCENARIO = Source("scenarios/serve.yaml", "use:\n  quant.int4.t: {}\n  quant.int8.u: {}\n")


def span(source: Source, line: int, text: str) -> Span:
    column = source.line(line).index(text) + 1
    return Span(source, line, column, line, column + len(text))


def test_labels_are_drawn_under_their_lines() -> None:
    diagnostic = Diagnostic(
        "E0201", "this adds data to a cell that holds work",
        (Label(span(RULES, 7, "16 bit / group_size"), "Data (bit)"),
         Label(span(RULES, 7, "cost.flops"), "Work (FLOP), merged by sum", primary=False)),
        help=("overhead of a weight has its own cell\nadd 16 bit / group_size to numerics.bits",),
    )
    assert render([diagnostic]) == textwrap.dedent("""\
        error[E0201]: this adds data to a cell that holds work
         --> rules/quant/int4.rules:7:9
          |
        7 |     add 16 bit / group_size to cost.flops
          |         ^^^^^^^^^^^^^^^^^^^    ---------- Work (FLOP), merged by sum
          |         |
          |         Data (bit)
          |
        help: overhead of a weight has its own cell
          |     add 16 bit / group_size to numerics.bits""")


def test_places_in_several_files_stand_below_each_other() -> None:
    diagnostic = Diagnostic(
        "E0301", "two techniques set the same cell",
        (Label(span(RULES, 6, "set numerics.bits = 4 bit"), "t says 4 bit"),
         Label(span(SCENARIO, 2, "quant.int4.t"), "in `use`", primary=False),
         Label(span(SCENARIO, 3, "quant.int8.u"), "in `use`", primary=False)),
        why="the order of `use` has no meaning",
        help=("remove one", "or settle it in the scenario"),
    )
    assert render([diagnostic]) == textwrap.dedent("""\
        error[E0301]: two techniques set the same cell
         --> rules/quant/int4.rules:6:5
          |
        6 |     set numerics.bits = 4 bit
          |     ^^^^^^^^^^^^^^^^^^^^^^^^^ t says 4 bit
         ::: scenarios/serve.yaml:2:3
          |
        2 |   quant.int4.t: {}
          |   ------------ in `use`
        3 |   quant.int8.u: {}
          |   ------------ in `use`
          |
        why:  the order of `use` has no meaning
        help: remove one
        help: or settle it in the scenario""")


def test_the_file_of_the_primary_label_comes_first() -> None:
    diagnostic = Diagnostic("E0402", "no", (
        Label(span(RULES, 6, "set"), "rule", primary=False),
        Label(span(SCENARIO, 2, "quant"), "used here")))
    assert render([diagnostic]).split("\n")[1] == " --> scenarios/serve.yaml:2:3"


def test_line_numbers_share_a_gutter() -> None:
    source = Source("long", "\n" * 8 + "first\nsecond\n")
    diagnostic = Diagnostic("E1", "m", (Label(span(source, 9, "first")),
                                        Label(span(source, 10, "second"), primary=False)))
    assert " 9 | first" in render([diagnostic])
    assert "10 | second" in render([diagnostic])


def test_long_lines_are_cut_around_their_labels() -> None:
    source = Source("wide", "a" * 300 + " wrong " + "b" * 300)
    text = render([Diagnostic("E1", "m", (Label(span(source, 1, "wrong"), "here"),))])
    lines = text.split("\n")
    assert all(len(line) <= 100 for line in lines)
    assert lines[3].index("wrong") == lines[4].index("^^^^^")
    assert lines[3].startswith("1 | ...")
    assert lines[3].endswith("...")


def test_tabs_and_control_characters_do_not_shift_labels() -> None:
    source = Source("tabs", "\t\x1b[31mx wrong")
    lines = render([Diagnostic("E1", "m \x07", (Label(span(source, 1, "wrong")),))]).split("\n")
    assert "\x1b" not in "".join(lines)
    assert "\x07" not in "".join(lines)
    assert lines[3].index("wrong") == lines[4].index("^^^^^")


def test_colour_changes_nothing_but_colour() -> None:
    import re

    diagnostic = Diagnostic("E1", "m", (Label(span(RULES, 6, "set"), "here"),), why="w",
                            help=("h",))
    colored = render([diagnostic], color=True)
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render([diagnostic])


def test_findings_without_a_place_are_one_sentence() -> None:
    assert render([Diagnostic("E1", "no file", help=("give one",))]) == (
        "error[E1]: no file\nhelp: give one")
    assert render([]) == ""


def test_json_has_the_same_fields() -> None:
    diagnostic = Diagnostic("E0301", "m", (Label(span(RULES, 6, "set"), "here"),), "warning",
                            "because", ("do",))
    data = to_json([diagnostic])
    assert json.loads(json.dumps(data)) == data
    assert data == [{
        "code": "E0301", "severity": "warning", "message": "m", "why": "because", "help": ["do"],
        "labels": [{"file": "rules/quant/int4.rules", "line": 6, "column": 5, "end_line": 6,
                    "end_column": 8, "text": "here", "primary": True}],
    }]


@given(st.text(max_size=300), st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 200), st.integers(0, 3), st.integers(1, 200),
              st.text(max_size=80), st.booleans()), max_size=4), st.text(max_size=300))
def test_any_labels_can_be_drawn(
    text: str, places: list[tuple[int, int, int, int, str, bool]], words: str
) -> None:
    source = Source("any", text)
    labels = tuple(
        Label(Span(source, line, column, line + down, column + width), said, primary)
        for line, column, down, width, said, primary in places
    )
    drawn = render([Diagnostic("E1", words, labels, why=words, help=(words,))])
    assert all(c.isprintable() or c == "\n" for c in drawn)


def test_a_span_gives_its_text_on_one_line() -> None:
    assert Span(RULES, 5, 3, 6, 8).text == "on weight { set"


@pytest.mark.parametrize(("name", "guess"), [
    ("degre", "degree"), ("Degree", "degree"), ("tensor-parallel", "tensor_parallel"),
    ("xyzzy", None),
])
def test_the_nearest_name_is_near(name: str, guess: str | None) -> None:
    assert nearest(name, ["degree", "tensor_parallel"]) == guess
