"""What an editor shows of the word under the pointer."""

from __future__ import annotations

import pytest
from tests.editor.files import HEAD, marked, opened, within

from llamasim.diagnostics import Source
from llamasim.editor import hover
from llamasim.editor.grammar import form, meaning
from llamasim.editor.words import read_point
from llamasim.language.cells import CELLS
from llamasim.language.keywords import EFFECTS, ITEMS, KEYWORDS, MEMBERS


def shown(body: str) -> str:
    """Return what is shown of the word at the mark of a technique's body."""
    found = hover(*within(body))
    return found.text if found else ""


def shown_in(text: str) -> str:
    """Return what is shown of the word at the mark of a whole file."""
    found = hover(*marked(text))
    return found.text if found else ""


def test_a_cell_shows_all_that_its_table_says() -> None:
    text = shown("  on weight { set numerics.b|its = 4 bit }")
    cell = CELLS["numerics.bits"]
    assert cell.doc in text
    assert "Data (`bit`)" in text
    assert "stratum: numerics" in text
    assert "equal values" in text
    assert all(f"`{e}`" in text for e in cell.elements)


def test_laws_of_merging_differ_by_cell() -> None:
    assert "sum(add)" in shown("  on op { add 1 us to cost.laun|ch }")
    assert "every writer says true" in shown("  on weight { set trai|nable = false }")


def test_an_attribute_shows_what_it_is() -> None:
    text = shown("  on weight where op.ki|nd == matmul { }")
    assert "`matmul`" in text
    assert "stratum: facts" in text


def test_a_parameter_shows_its_declaration_and_description() -> None:
    body = "  /// Devices.\n  param ways: Int in 1..8 = 2\n  requires wa|ys > 1"
    assert shown(body) == "```llamasim-rules\nparam ways: Int in 1..8 = 2\n```\n\nDevices."


def test_lets_constants_functions_and_arguments_show_their_text() -> None:
    text = (f"{HEAD}/// Group.\nconst group: Int = 64\n"
            "fn half(x: Data): Data = x / 2\ntechnique t {\n  let big = group > 3\n")
    assert "Group." in shown_in(f"{text}  requires gro|up > 1 }}")
    assert "let big = group > 3" in shown_in(f"{text}  requires b|ig }}")
    assert "fn half(x: Data)" in shown_in(
        f"{text}  on weight {{ add ha|lf(1 bit) to numerics.bits_overhead }} }}")
    assert "Argument of `half`" in shown_in(text.replace("= x", "= |x"))


def test_a_technique_shows_its_parameters_from_its_own_file() -> None:
    text = shown("  conflicts with par.tensor_para|llel")
    assert "technique parallelism.tensor.tensor_parallel" in text
    assert "`degree: Int in 1..64 = 8`" in text
    whole = shown("  conflicts with memory.checkpoint.full_check|point")
    assert "technique memory.checkpoint.full_checkpoint" in whole


def test_what_a_test_gives_is_described() -> None:
    text = f"{HEAD}technique t {{\n  /// Ways.\n  param w: Int = 1\n}}\ntest \"x\" {{\n  given use "
    assert "param w" not in shown_in(f"{text}t|(w: 1)\n}}")
    assert "`w: Int = 1` Ways." in shown_in(f"{text}t|(w: 1)\n}}")
    assert "Ways." in shown_in(f"{text}t(w|: 1)\n}}")


def test_sources_units_types_axes_and_modules() -> None:
    assert "a book" in shown("  claim loss_delta: 0..0 from bo|ok")
    assert "8,192 bit" in shown("  on weight { set numerics.bits = 1 Ki|B }")
    assert "whole number" in shown("  param n: In|t = 1")
    assert "axis tp size degree" in shown("  on weight { shard dim_in over t|p }")
    assert "always there" in shown("  on weight { shard dim_in over d|p }")
    assert "tensor_parallel" in shown_in(HEAD.replace("parallelism.tensor", "parallelism.ten|sor"))


def test_a_pattern_shows_what_it_matches() -> None:
    text = shown("  on weight of *.attn.|q { }")
    assert "Matches 1 names of weight: `layers.<i>.attn.q`." in text
    assert "Matches no weight" in shown("  on weight of *.attn.sco|res { }")


def test_an_element_shows_its_cells() -> None:
    assert "`kv.tokens`" in shown("  on kv_ca|che { }")


@pytest.mark.parametrize("word", [*EFFECTS, *MEMBERS, *ITEMS])
def test_every_statement_has_a_form_and_a_meaning(word: str) -> None:
    """Both come from the grammar and from the syntax tree; a new statement needs a docstring."""
    before = {EFFECTS: "technique t { on weight { ", MEMBERS: "technique t { ", ITEMS: ""}
    lead = next(text for words, text in before.items() if word in words)
    point = read_point(Source("m", f"{HEAD}{lead}"))
    assert point is not None
    chain = point.chain(KEYWORDS[word])
    assert form(chain, word).startswith(word)
    assert meaning(chain, word) != ""


def test_keywords_within_a_statement_show_it() -> None:
    assert "gather NAME" not in shown("  on weight { gather ov|er tp }")
    assert "gather over NAME [until NAME]" in shown("  on weight { gather ov|er tp }")
    assert "expr and expr" in shown("  requires true an|d false")


def test_a_word_of_an_effect_shows_the_effect() -> None:
    assert "gather over NAME" in shown("  on weight { overlap gat|her with compute }")


def test_nothing_is_shown_of_signs_numbers_and_remarks() -> None:
    assert shown("  param n: Int = |1") == ""
    assert shown("  # on we|ight") == ""
    assert hover(opened(""), 1, 1) is None


def test_mistakes_around_do_not_matter() -> None:
    body = "  param = 3\n  on weight { set numerics.bi|ts = 4 bit\n  on op {"
    assert "Bits an element" in shown(body)
