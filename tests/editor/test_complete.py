"""What is offered at a place can stand there, and what stands in shipped files is offered."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.editor.files import HEAD, RULES, marked, offered, offered_within, opened, within

from llamasim.editor import complete
from llamasim.editor.roles import Mention, mentions, slot_of
from llamasim.language.cells import CELLS, ELEMENTS, LIFETIMES, PHASES
from llamasim.language.check_tests import GIVENS
from llamasim.language.keywords import EFFECTS, ITEMS, MEMBERS
from llamasim.language.types import TYPES
from llamasim.language.vocabulary import SHARD_DIMS, VOCABULARY

#: What a writer makes up is not offered: names that are declared, and names of fused kernels.
_BEGUN = "edition 2026\nmodule quantization.mine\n"
_MADE_UP = ("declaration", "kernel", "metric", "other", "module")


@pytest.mark.parametrize("most", [15, pytest.param(10_000, marks=pytest.mark.slow)])
def test_names_of_the_shipped_files_are_offered_where_they_stand(most: int) -> None:
    """Completion would have written them: cells, axes, units, patterns, attributes, ..."""
    missing, seen = [], set()
    count: Counter[str] = Counter()
    for path in RULES:
        document = opened(path.read_text(encoding="utf-8"), path)
        for mention in mentions(document):
            what, span = (mention.role, mention.text), mention.span
            if what in seen or count[mention.role] == most or not _offered(mention):
                continue
            count[mention.role] += 1
            seen.add(what)
            labels = {i.label for i in complete(document, span.line, span.end_column).items}
            if mention.text not in labels:
                missing.append((path.stem, span.line, *what))
    assert missing == []
    assert set(count) >= {"cell", "axis", "unit", "value", "glob", "technique"}


def _offered(mention: Mention) -> bool:
    """Whether this is no word that a writer made up, such as a pattern or a storage format."""
    if mention.role == "glob":
        return _plain(mention.text)
    if mention.role == "value":
        return "." in mention.text and slot_of(mention.chain, "expect") is None
    if mention.role == "target":
        return _given(mention) == "use"
    return mention.role not in _MADE_UP


def _given(mention: Mention) -> str:
    slot = slot_of(mention.chain, "given")
    return str(slot.values[0]) if slot else ""


def _plain(glob: str) -> bool:
    """Whether a pattern is a name or a group of them, and no pattern of the writer's own."""
    return "*" not in glob.removeprefix("*.").removesuffix(".*")


def test_a_file_begins_with_its_edition_and_then_its_module() -> None:
    assert offered("|") == ["edition"]
    assert offered("edition 2026\n|") == ["module"]
    assert offered("edition 2026\nmodule |")[:2] == ["quantization.mine", "mine"]


def test_each_place_has_its_statements() -> None:
    """Between declarations, within a technique, within a rule."""
    assert set(offered(f"{HEAD}|")) == set(ITEMS)
    assert set(offered(f"{_BEGUN}|")) == {"import", *ITEMS}
    assert set(MEMBERS) <= set(offered_within("  |"))
    effects = offered_within("  on weight { | }")
    assert set(effects) == set(EFFECTS)


def test_a_rule_goes_on_with_its_clauses() -> None:
    assert offered_within("  on weight of *.attn.q |") == ["except", "tokens", "during", "where"]


def test_elements_phases_and_lifetimes_are_the_languages_own() -> None:
    assert set(offered_within("  on |")) == set(ELEMENTS)
    assert set(offered_within("  on op during prefill, |")) == set(PHASES)
    assert set(offered_within("  on weight { gather over tp until | }")) == set(LIFETIMES)
    assert set(offered_within("  on weight { shard | }")) == set(SHARD_DIMS)


def test_cells_fit_the_element_and_the_verb() -> None:
    capped = offered_within("  on kv_cache { cap | }")
    assert set(capped) == {n for n, c in CELLS.items()
                           if "cap" in c.verbs and "kv_cache" in c.elements}
    sets = offered_within("  on weight { set | }")
    assert "numerics.bits" in sets
    assert [c for c in sets if "weight" not in CELLS[c].elements] == []
    assert [c for c in sets if "set" not in CELLS[c].verbs] == []
    phased = offered_within("  on op during decode { add 1 us to | }")
    assert "cost.launch" in phased
    assert [c for c in phased if not CELLS[c].phased] == []


def test_words_of_a_cell_come_first() -> None:
    words = CELLS["numerics.math"].symbols or ()
    assert set(offered_within("  on op { set numerics.math = | }")[: len(words)]) == set(words)


def test_a_comparison_offers_what_the_other_side_can_be() -> None:
    kinds = VOCABULARY["op.kind"].symbols or ()
    assert set(offered_within("  on op where op.kind == |")[: len(kinds)]) == set(kinds)
    body = "  param mode: Symbol in {slow, fast} = slow\n  requires mode == |"
    assert offered_within(body)[:2] == ["slow", "fast"]


def test_units_of_the_cells_dimension_come_first() -> None:
    labels = offered_within("  on weight { set numerics.bits = 4 | }")
    assert labels[0] == "bit"
    assert labels.index("GiB") < labels.index("tok")
    assert offered_within("  on kv_cache { cap kv.tokens at 4 | }")[0] == "tok"


def test_an_expression_sees_what_is_declared_before_it() -> None:
    body = ("  param ways: Int = 2\n  let double = 2 * ways\n"
            "  requires |\n  param later: Int = 1")
    labels = offered_within(body)
    assert {"ways", "double", "model.layers"} <= set(labels)
    assert "later" not in labels


def test_rules_read_what_is_known_of_their_element() -> None:
    """Not the parts of a cache in a rule on weights, and nothing of elements in `requires`."""
    on_weight = offered_within("  on weight where |")
    assert "weight.dim_in" in on_weight
    assert "kv_cache.bytes" not in on_weight
    assert "layer.index" not in offered_within("  requires |")


def test_a_rule_reads_below_what_it_writes() -> None:
    """Bits of a weight are not known yet where they are set, and known where time is."""
    assert "weight.bits" not in offered_within("  on weight { set numerics.bits = | }")
    assert "weight.bits" in offered_within("  on weight { cap cost.static_bytes at | }")


def test_a_parameters_range_reads_only_constants() -> None:
    text = f"{HEAD}const most: Int = 8\ntechnique t {{ param a: Int = 1\n param n: Int in 1..| }}"
    labels = offered(text)
    assert "most" in labels
    assert "a" not in labels
    assert not set(labels) & set(VOCABULARY)


def test_axes_of_imported_modules_are_offered() -> None:
    """`tp` is declared by the module that the file imports."""
    assert offered_within("  on weight { shard dim_in over | }") == ["dp", "replicas", "tp"]


def test_patterns_are_names_of_the_rules_element() -> None:
    weights = offered_within("  on weight of {*.mlp.up, |}")
    assert {"*.attn.q", "*.attn.*", "embed"} <= set(weights)
    assert "*.attn.scores" not in weights
    assert "*.attn.scores" in offered_within("  on op of |")


def test_brought_weights_are_names_too() -> None:
    body = ("  bring weight extra on *.attn.q { dim_in: weight.dim_in, dim_out: 8 }\n"
            "  on weight of |")
    assert "*.attn.q.extra" in offered_within(body)


def test_types_follow_the_colon() -> None:
    assert set(offered_within("  param ways: |")) == set(TYPES)


def test_sources_and_techniques_by_their_names() -> None:
    assert offered_within("  claim loss_delta: 0..0 from |") == ["book"]
    labels = offered_within("  conflicts with |")
    assert labels[:2] == ["mine", "par.tensor_parallel"]
    assert "parallelism.tensor.tensor_parallel" in labels


def test_a_test_offers_what_it_can_be_given() -> None:
    head = (f"{HEAD}technique t {{ param mode: Symbol in {{slow, fast}} = slow }}\n"
            'test "x" {\n  given ')
    assert offered(f"{head}|") == list(GIVENS)
    assert "llama_3_1_8b" in offered(f"{head}model |")
    assert "h100_sxm_8" in offered(f"{head}cluster |")
    assert offered(f"{head}use |")[:2] == ["t", "par.tensor_parallel"]
    assert offered(f"{head}use t(|") == ["mode"]
    assert offered(f"{head}use t(mode: |")[:2] == ["slow", "fast"]


def test_a_test_offers_what_others_ask_for() -> None:
    """What can be asked of results is no part of the language; the shipped tests show it."""
    labels = offered(f'{HEAD}test "x" {{\n  expect |')
    assert {"weight.bytes", "schedule.max_sequences", "sum"} <= set(labels)


def test_imports_offer_modules_within_reach() -> None:
    labels = offered("edition 2026\nmodule quantization.mine\nimport |")
    assert "parallelism.tensor" in labels
    assert "quantization.mine" not in labels


def test_nothing_is_offered_in_remarks_texts_and_numbers() -> None:
    assert offered_within("  # on |") == []
    assert offered_within("  /// Doc of |") == []
    assert offered(f'{HEAD}source other = "on |') == []
    assert offered_within("  on weight { set numerics.bits = 4| }") == []


def test_mistakes_elsewhere_do_not_matter() -> None:
    """Above, below, an open block, an unfinished statement right before."""
    above = "  param = = 3\n  on weight { set numerics.bits = \n  on op { set | }"
    assert "numerics.math" in offered_within(above)
    unfinished = "  on weight {\n    set numerics.bits =\n    |\n  }"
    assert set(EFFECTS) <= set(offered_within(unfinished))
    text = f"{HEAD}technique t {{\n  param ways: Int in 1..8 =\n  param n: Int = 1\n  requires |"
    assert {"ways", "n"} <= set(offered(text))


def test_what_is_already_written_is_replaced() -> None:
    document, line, column = within("  on weight { set numerics.b| }")
    found = complete(document, line, column)
    assert found.span.text == "numerics.b"
    assert found.span.end_column == column


def test_columns_count_characters() -> None:
    document, line, column = marked(f"{HEAD}source s = \"ä😀\" technique t {{ on |")
    assert {i.label for i in complete(document, line, column).items} == set(ELEMENTS)


def test_offers_say_what_they_are() -> None:
    found = complete(*within("  on weight { set | }"))
    bits = next(i for i in found.items if i.label == "numerics.bits")
    assert bits.detail == "Data (`bit`)"
    assert "Bits an element holds at rest" in bits.doc
