"""Which patterns can match something in some model, and what is offered in place of the others."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.helpers import HEAD, codes, module_of

from llamasim.diagnostics import Diagnostic
from llamasim.language import Program, check_module
from llamasim.language.globs import glob_matches
from llamasim.language.names import NAMES_OF
from llamasim.language.reach import PLAIN, nearest_pattern

ELEMENTS = sorted(NAMES_OF)


@pytest.mark.parametrize(("element", "glob"), [
    ("weight", "*.attn.q"), ("weight", "embed"), ("grad", "layers.*.mlp.*"), ("weight", "*"),
    ("weight", "layers.3.*"), ("op", "layers.1*.attn.q"), ("op", "layers.*3.attn.q"),
    ("weight", "layers.117.norm1"), ("activation", "*.attn.q.input"), ("activation", "head.input"),
    ("activation", "entry"), ("kv_cache", "*.kv_a"), ("kv_cache", "*"), ("layer", "layers.3"),
    ("layer", "layers.*"), ("weight", "*.bias"), ("op", "model.layers.*.mlp.up"),
    ("weight", "*1"), ("weight", "layers.1*1"), ("optimizer", "*mlp*"),
])
def test_patterns_that_some_model_has(element: str, glob: str) -> None:
    """A pattern is let pass where one name in one model is within it."""
    assert PLAIN.reaches(glob, element)


@pytest.mark.parametrize(("element", "glob", "meant"), [
    ("weight", "*.atn.q", "*.attn.q"),
    ("weight", "layers.*.attention.q", "layers.*.attn.q"),
    ("weight", "*.mlp.gates", "*.mlp.gate"),
    ("weight", "layers.*.self_attn.q_proj", "layers.*.attn.q"),
    ("op", "layers.*.mlp.down_proj", "layers.*.mlp.down"),
    ("weight", "attn.q", "*.attn.q"),
    ("weight", "*.embed", "embed"),
    ("weight", "lm_head", "head"),
    ("op", "*.attn", "*.attn.*"),
    ("op", "layer.3.*", "layers.3.*"),
    ("op", "layers.03.*", "layers.3.*"),
    ("weight", "layers.*.attn.q.weight", "layers.*.attn.q"),
    ("weight", "*.mlp.experts.*", "*.mlp.*"),
    ("kv_cache", "*.attn.keys", "*.attn.k"),
    ("layer", "3", "layers.3"),
    ("kv_cache", "*.mlp.up", None),
    ("weight", "layers.*.lm_head", "head"),
    ("weight", "*.lora_a", None),
    ("weight", "layers.12345.attn.q", None),
])
def test_the_nearest_pattern_is_offered(element: str, glob: str, meant: str | None) -> None:
    """What matches nothing is mended part by part, or nothing is offered."""
    assert not PLAIN.reaches(glob, element)
    assert nearest_pattern(glob, element) == meant


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ELEMENTS), st.data())
def test_reaching_is_what_matching_says(element: str, data: st.DataObject) -> None:
    """A pattern made by starring parts of a real name reaches it, whatever the layer's number."""
    name = data.draw(st.sampled_from(NAMES_OF[element]))
    index = data.draw(st.integers(0, 9999))
    text = name.replace("<i>", str(index))
    low = data.draw(st.integers(0, len(text) - 1))
    high = data.draw(st.integers(low + 1, len(text)))
    glob = f"{text[:low]}*{text[high:]}"
    assert glob_matches(glob, text)
    assert name in PLAIN.matched(glob, element)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ELEMENTS), st.from_regex(r"[a-z0-9*_]{1,6}(\.[a-z0-9*_]{1,6}){0,3}",
                                                fullmatch=True))
def test_what_is_offered_reaches(element: str, glob: str) -> None:
    """A pattern that is offered is never one that is refused again."""
    if not PLAIN.reaches(glob, element):
        offered = nearest_pattern(glob, element)
        assert offered is None or PLAIN.reaches(offered, element)


LORA = (
    "bring weight lora_a on *.attn.q { dim_in: weight.dim_in, dim_out: 8 }\n"
    "bring op scaled after *.mlp.down { kind: elementwise }\n"
)


@pytest.mark.parametrize(("rule", "expected"), [
    ("on weight of *.lora_a { set trainable = true }", []),
    ("on grad of layers.3.attn.q.lora_a { reduce over dp }", []),
    ("on op of *.scaled { cap cost.efficiency at 50 % }", []),
    ("on activation of *.lora_a.input { drop }", []),
    ("on weight of *.mlp.up.lora_a { set trainable = true }", ["E0216"]),
    ("on weight of *.scaled { set trainable = true }", ["E0216"]),
    ("on kv_cache of *.lora_a { set numerics.bits = 8 bit }", ["E0216"]),
])
def test_brought_names_are_known(rule: str, expected: list[str]) -> None:
    """What a technique brings can be named, by elements that it has."""
    assert codes(LORA + rule) == expected


def test_a_second_model_s_name_may_begin_a_pattern() -> None:
    """`draft.layers.*` is a pattern where `draft` is a model of the technique."""
    members = "param draft: Model\nrequires draft.layers < model.layers\n"
    rule = "on weight of {draft.*.attn.q, draft.embed} { set numerics.bits = 8 bit }"
    assert codes(members + rule) == []
    assert codes(rule) == ["E0216", "E0216"]


def findings_with_import(rule: str, head: str) -> list[Diagnostic]:
    other = module_of(f"edition 2026\nmodule other\ntechnique lora {{\n{LORA}\n}}\n")
    mine = module_of(f"edition 2026\nmodule m\n{head}\ntechnique t {{\n{rule}\n}}\n")
    return check_module(mine, Program({"m": mine, "other": other}))


def test_imports_bring_their_names() -> None:
    """What an imported module brings can be named; what is not imported cannot."""
    rule = "on weight of *.attn.q.lora_a { set trainable = true }"
    assert findings_with_import(rule, "import other") == []
    (found,) = findings_with_import(rule, "")
    assert found.code == "E0216"


def test_a_pattern_of_another_element_names_it() -> None:
    """`on kv_cache of *.mlp.up` says which rules have such a name."""
    module = module_of(f"{HEAD}technique t {{ on kv_cache of *.mlp.up {{ place on host }} }}\n")
    (found,) = check_module(module, Program({"m": module}))
    assert "weight, grad, optimizer" in found.labels[0].text
    assert found.help == ("write a rule `on weight`",)
