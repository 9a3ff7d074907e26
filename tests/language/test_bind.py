"""Parameters: what a scenario gives, defaults, and what is refused."""

from __future__ import annotations

import pytest
from tests.language.helpers import HEAD, module_of

from llamasim.language import Symbol, Value, bind
from llamasim.units import DATA, Quantity, parse_quantity

TEXT = f"""{HEAD}const least: Int = 2
technique t {{
  param degree: Int in least..64 = 8
  param share: Ratio in 0 %..100 % = 90 %
  param group: Int in {{32, 64}} = 32
  param bits: Data in 2 bit..16 bit = 4 bit
  param flag: Bool = false
  param mode: Symbol in {{fast, slow}} = slow
  param half: Int in 1..degree = 1
}}
technique needs {{
  param draft: Model
}}
"""


def bound(name: str = "t", **given: bool | str | Quantity) -> tuple[dict[str, Value], list[str]]:
    module = module_of(TEXT)
    technique = module.technique(name)
    assert technique is not None
    values, found = bind(module, technique, given, {}, technique.span)
    assert all(d.help and d.labels for d in found)
    return values, [d.code for d in found]


def test_defaults_fill_in() -> None:
    values, found = bound()
    assert not found
    assert values == {
        "degree": Quantity(8), "share": Quantity(0.9), "group": Quantity(32),
        "bits": Quantity(4, DATA), "flag": False, "mode": Symbol("slow"), "half": Quantity(1),
    }


def test_given_values_replace_defaults() -> None:
    values, found = bound(degree=Quantity(16), share=parse_quantity("50 %"), flag=True,
                          mode="fast", bits=parse_quantity("1 B"), half=Quantity(16))
    assert not found
    assert values["degree"] == Quantity(16)
    assert values["bits"] == Quantity(8, DATA)
    assert values["mode"] == Symbol("fast")


@pytest.mark.parametrize(("name", "value", "code"), [
    ("degre", Quantity(1), "E0230"),
    ("degree", Quantity(1.5), "E0231"),
    ("degree", "many", "E0231"),
    ("degree", True, "E0231"),
    ("degree", parse_quantity("8 tok"), "E0231"),
    ("bits", Quantity(4), "E0231"),
    ("flag", Quantity(1), "E0231"),
    ("mode", Quantity(1), "E0231"),
    ("mode", "medium", "E0232"),
    ("degree", Quantity(1), "E0232"),
    ("degree", Quantity(65), "E0232"),
    ("group", Quantity(48), "E0232"),
    ("share", Quantity(1.5), "E0232"),
    ("half", Quantity(9), "E0232"),
])
def test_wrong_values_are_refused(name: str, value: bool | str | Quantity, code: str) -> None:
    values, found = bound(**{name: value})
    assert found == [code]
    assert name not in values


def test_a_parameter_without_default_must_be_given() -> None:
    assert bound("needs")[1] == ["E0233"]
    values, found = bound("needs", draft="llama_3_2_1b")
    assert not found
    assert values == {"draft": Symbol("llama_3_2_1b")}
