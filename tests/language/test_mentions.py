"""What a rule file says of other files: imports, conflicts, what it refines, what its tests use."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamasim.diagnostics import Diagnostic
from llamasim.language import check, check_module, load, load_file


def written(folder: Path, **modules: str) -> Path:
    """Write modules into a folder; return the path of `m`."""
    for name, text in modules.items():
        (folder / f"{name}.rules").write_text(f"edition 2026\nmodule {name}\n{text}\n")
    return folder / "m.rules"


def found_in(path: Path) -> list[Diagnostic]:
    """What is wrong with a file, as `llamasim check` says it."""
    module, program, said = load_file(path)
    return said + (check_module(module, program) if module else [])


RULE = "on kv_cache { set numerics.bits = 8 bit }"


@pytest.mark.parametrize(("line", "code", "way"), [
    ("conflicts with other.basee", "E0221", "did you mean `base`?"),
    ("refines other.basee", "E0221", "did you mean `base`?"),
    ("refines o.basee", "E0221", "did you mean `base`?"),
    ("conflicts with othr.base", "E0221", "did you mean `other.base`?"),
    ("refines nowhere.base", "E0221", "did you mean `other.base`?"),
])
def test_techniques_that_there_are_not_are_told(
    line: str, code: str, way: str, tmp_path: Path
) -> None:
    """Whether the module that is meant is imported or not."""
    path = written(tmp_path, other=f"technique base {{ {RULE} }}",
                   m=f"import other as o\ntechnique t {{ {line}\n {RULE} }}")
    (found,) = found_in(path)
    assert (found.code, found.help) == (code, (way,))
    assert found.labels[0].span.line == 4


def test_a_mention_is_no_import(tmp_path: Path) -> None:
    """A file that is only mentioned is neither checked nor are its axes within reach."""
    path = written(
        tmp_path, other="technique base { axis cp size 2\n on weight of *.no { drop } }",
        m="technique t { conflicts with other.base\n on kv_cache { shard heads over cp } }")
    assert [d.code for d in found_in(path)] == ["E0207"]


def test_rings_of_refining_techniques_are_told(tmp_path: Path) -> None:
    """Over three files, none of which imports the others."""
    path = written(
        tmp_path, m=f"technique a {{ refines n.b\n {RULE} }}",
        n=f"technique b {{ refines o.c\n {RULE} }}", o=f"technique c {{ refines m.a\n {RULE} }}",
    )
    (found,) = found_in(path)
    assert found.code == "E0217"
    assert found.message.endswith("m.a -> n.b -> o.c -> m.a")
    assert len(found.labels) == 3


def test_rings_within_a_file_are_told_of_each_member(tmp_path: Path) -> None:
    path = written(tmp_path, m=f"technique a {{ refines b\n {RULE} }}\n"
                               f"technique b {{ refines a\n {RULE} }}\n"
                               f"technique c {{ refines a\n {RULE} }}")
    assert [d.code for d in found_in(path)] == ["E0217", "E0217"]


def test_what_a_scenario_uses_is_held_to_the_same(tmp_path: Path) -> None:
    """Two techniques in use that refine each other are found without their files' checks."""
    written(tmp_path, m=f"technique a {{ refines n.b\n {RULE} }}",
            n=f"technique b {{ refines m.a\n {RULE} }}")
    program, said = load(["m.a", "n.b"], [tmp_path])
    assert [d.code for d in said + check(program)] == ["E0217", "E0217"]


def test_a_chain_is_no_ring(tmp_path: Path) -> None:
    path = written(tmp_path, m=f"technique a {{ refines n.b\n refines n.c\n {RULE} }}",
                   n=f"technique b {{ refines n.c\n {RULE} }}\ntechnique c {{ {RULE} }}")
    assert found_in(path) == []


def test_a_module_does_not_import_itself(tmp_path: Path) -> None:
    path = written(tmp_path, m=f"import m\ntechnique t {{ {RULE} }}")
    (found,) = found_in(path)
    assert (found.code, found.message) == ("E0223", "`m` imports itself")


def test_a_missing_import_hides_nothing_and_adds_nothing(tmp_path: Path) -> None:
    """What it may declare is not missed; other mistakes are told."""
    path = written(tmp_path, m="import paralel.tensor\ntechnique t {\n"
                   " on kv_cache { shard heads over tp }\n"
                   " on weight of *.lora_a { set trainable = true }\n"
                   " on weight { set numerics.bit = 8 bit }\n}")
    assert [d.code for d in found_in(path)] == ["E0220", "E0205"]


def test_techniques_of_other_files_in_tests_are_held_to_their_parameters(tmp_path: Path) -> None:
    """By name and by what their domains allow."""
    other = ("technique base { param n: Int in 1..8 = 1\n"
             f" on op {{ scale cost.flops by n }}\n {RULE} }}")

    def codes(use: str) -> list[str]:
        test = f'test "one" {{ given use {use}\n expect model.layers > 0 }}'
        return [d.code for d in found_in(written(tmp_path, other=other, m=test))]

    assert codes("other.base(n: 2)") == []
    assert codes("other.base(n: 9)") == ["E0232"]
    assert codes("other.base(m: 2)") == ["E0230"]
    assert codes("other.bases") == ["E0221"]
