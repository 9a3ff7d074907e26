"""What `check --pedantic` advises of rule files that are right."""

from __future__ import annotations

import pytest
from tests.language.helpers import HEAD, module_of

from llamasim.language import Program, check_module
from llamasim.language.pedantic import pedantic

#: A file that leaves nothing to wish for.
WHOLE = f"""{HEAD}
source paper = "Someone, 2024, table 1"
const group: Int = 64
fn half(x: Real): Real = x / 2

/// What it does.
technique t {{
  /// How much of it.
  param n: Int in 1..8 = 2
  requires n < 8
  on op {{ scale cost.flops by half(n) + group }}
  claim loss: 1..2 for "wikitext2" from paper
}}

test "it does" {{ given use t
  expect model.layers > 0 }}
"""


def advice(text: str, **imports: str) -> list[str]:
    """Codes of what is advised of a file that is right."""
    module = module_of(text)
    others = {n: module_of(f"edition 2026\nmodule {n}\n{t}\n") for n, t in imports.items()}
    program = Program({"m": module, **others})
    assert [d for d in check_module(module, program) if d.is_error] == []
    found = pedantic(module, program)
    assert all(d.severity == "warning" and d.help and d.labels for d in found)
    return [d.code for d in found]


def changed(old: str, new: str) -> str:
    assert old in WHOLE
    return WHOLE.replace(old, new)


def test_a_whole_file_leaves_nothing_to_wish_for() -> None:
    assert advice(WHOLE) == []


@pytest.mark.parametrize(("old", "new", "code"), [
    ("given use t", "given model llama_3_1_8b", "W0210"),
    ('  claim loss: 1..2 for "wikitext2" from paper\n', "  # as in paper\n", "W0211"),
    ("/// What it does.\n", "", "W0212"),
    ("  /// How much of it.\n", "", "W0212"),
    ("half(n) + group", "half(n)", "W0213"),
    ("half(n) + group", "n + group", "W0213"),
    ('"wikitext2" from paper\n', '"wikitext2" from paper, paper\n', None),
    ("source paper", 'source other = "Nobody"\nsource paper', "W0213"),
    ("source paper", '# See other.\nsource other = "Nobody"\nsource paper', None),
    (' for "wikitext2"', "", "W0214"),
    ('1..2 for "wikitext2"', "0..0", None),
    (' for "wikitext2"', " when model.layers > 8", "W0214"),
    ("n < 8", "n < 8 and cluster.device.memory > 80 GB", "W0215"),
    ("n < 8", "n < 8 and cluster.device.memory > 80 GiB", None),
    ("n < 8", "n < 8 and workload.micro_batch * 1 GB < 3 GiB", "W0215"),
    ("n < 8", "n < 8 and cluster.device.memory_bandwidth > 1 TB/s", None),
    ("in 1..8 = 2\n  requires n < 8", "= 2\n  requires n > 0", "W0216"),
    ("n < 8", "n < 9", "W0217"),
    ("n < 8", "n > 8", "W0217"),
    ("n < 8", "n < 8 or n > 0", "W0217"),
    ("n < 8", "not (n == 12)", "W0217"),
    ("requires n < 8", 'advise half(n) < 5 else "no"', "W0217"),
    ("requires n < 8", 'advise half(n) < 4 else "no"', None),
    ("n < 8", "n in {10, 12}", "W0217"),
    ("n < 8", "n in {8, 12}", None),
    ("n < 8", "model.layers == model.layers", "W0217"),
    ("n < 8", "model.layers > 8 or model.tied", None),
])
def test_each_shortcoming_has_its_advice(old: str, new: str, code: str | None) -> None:
    assert advice(changed(old, new)) == ([] if code is None else [code])


OTHER = "technique o { axis cp size 2\n bring weight extra on *.attn.q { dim_in: 8, dim_out: 8 } }"


@pytest.mark.parametrize(("rule", "expected"), [
    ("on op { scale cost.flops by 1 }", ["W0213"]),
    ("conflicts with oo.o", []),
    ("on kv_cache { shard heads over cp }", []),
    ("requires axis_size(cp) > n", []),
    ("on weight of *.extra { set trainable = true }", []),
    ("axis ep size n inside cp", []),
])
def test_an_import_is_there_for_something(rule: str, expected: list[str]) -> None:
    """For a technique that is spoken of, an axis, or a name that is brought."""
    text = changed("\nsource paper", "import other as oo\nsource paper")
    assert advice(text.replace("requires n < 8", f"requires n < 8\n  {rule}"),
                  other=OTHER) == expected
