"""How alternatives of knobs become sets of techniques."""

from __future__ import annotations

import attrs
from tests.scenarios_for_tests import scenario, use

from llamasim.scenario.spec import Choice, Use
from llamasim.study.combine import combinations, count, describe
from llamasim.units import Quantity

TP = "parallelism.tensor.tensor_parallel"


def _all(base: tuple[Use, ...], *choices: Choice) -> list[tuple[str, list[str]]]:
    given = attrs.evolve(scenario(*base), choices=choices)
    return [
        (" ".join(v for _, v in c.picks), [describe(u) for u in c.use])
        for c in combinations(given)
    ]


def test_every_alternative_of_a_knob_meets_every_one_of_the_others_the_last_knob_fastest() -> None:
    knobs = (
        Choice("weights", (("plain", ()), ("small", (use("a.b.small"),)))),
        Choice("split", (("none", ()), ("two", (use(TP, degree=2),)))),
    )
    assert _all((use("a.b.base"),), *knobs) == [
        ("plain none", ["base"]),
        ("plain two", ["base", "tensor_parallel(degree=2)"]),
        ("small none", ["base", "small"]),
        ("small two", ["base", "small", "tensor_parallel(degree=2)"]),
    ]
    assert count(knobs) == 4


def test_an_alternative_overrides_only_the_parameters_it_gives() -> None:
    base = use(TP, degree=8, sequence_parallel=True)
    knob = Choice("split", (("as given", ()), ("two", (use(TP, degree=2),))))
    assert _all((base,), knob) == [
        ("as given", ["tensor_parallel(degree=8, sequence_parallel=true)"]),
        ("two", ["tensor_parallel(degree=2, sequence_parallel=true)"]),
    ]


def test_an_alternative_finds_the_only_use_of_its_technique_under_another_name() -> None:
    base = attrs.evolve(use(TP, degree=8), instance="wide")
    knob = Choice("split", (("two", (use(TP, degree=2),)),))
    assert _all((base,), knob) == [("two", ["wide(degree=2)"])]


def test_two_knobs_may_give_one_technique_different_parameters() -> None:
    knobs = (
        Choice("degree", (("two", (use(TP, degree=2),)),)),
        Choice("sequence", (("split", (use(TP, sequence_parallel=True),)),)),
    )
    merged = [("two split", ["tensor_parallel(degree=2, sequence_parallel=true)"])]
    assert merged == _all((), *knobs)
    assert merged[0][1] == _all((), *reversed(knobs))[0][1]


def test_two_knobs_that_give_one_parameter_two_values_contradict_each_other() -> None:
    knobs = (
        Choice("x", (("two", (use(TP, degree=2),)),)),
        Choice("y", (("four", (use(TP, degree=4),)), ("also two", (use(TP, degree=2),)))),
    )
    clashing, agreeing = combinations(attrs.evolve(scenario(), choices=knobs))
    assert clashing.clash == "`x=two` and `y=four` give tensor_parallel.degree two values, 2 and 4"
    assert agreeing.clash == ""
    assert {"degree": Quantity(2.0)} == agreeing.use[0].args


def test_without_choices_there_is_the_scenario_itself() -> None:
    assert _all((use("a.b.base"),)) == [("", ["base"])]
