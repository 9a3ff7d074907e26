"""`--set key.path=value` from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.scenario_texts import INFERENCE, TRAINING, codes, read_text, read_well

from llamasim.units import Quantity

USES = INFERENCE + "use:\n  quantization.int4.int4_weights: {group_size: 128}\n"


def test_a_value_is_replaced(tmp_path: Path) -> None:
    scenario = read_well(tmp_path, TRAINING, ("workload.micro_batch=2", "seed=7"))
    assert (scenario.workload.micro_batch, scenario.seed) == (2, 7)


def test_the_last_one_wins(tmp_path: Path) -> None:
    assert read_well(tmp_path, INFERENCE, ("seed=1", "seed=2")).seed == 2


def test_a_parameter_of_a_technique_is_replaced(tmp_path: Path) -> None:
    for path in ("use.quantization.int4.int4_weights.group_size", "use.int4_weights.group_size"):
        (use,) = read_well(tmp_path, USES, (f"{path}=64",)).use
        assert use.args == {"group_size": Quantity(64.0)}


def test_an_instance_is_found_by_its_name(tmp_path: Path) -> None:
    text = USES.replace("int4_weights:", "int4_weights as small:")
    (use,) = read_well(tmp_path, text, ("use.small.group_size=64",)).use
    assert (use.instance, use.args) == ("small", {"group_size": Quantity(64.0)})


def test_a_technique_is_added_and_removed(tmp_path: Path) -> None:
    added = read_well(tmp_path, USES, ("use.attention.flash.flash_attention={}",))
    assert {u.technique for u in added.use} == {
        "quantization.int4.int4_weights", "attention.flash.flash_attention",
    }
    with_parameter = read_well(tmp_path, INFERENCE, ("use.a.b.degree=2",))
    assert [(u.technique, u.args) for u in with_parameter.use] == [("a.b", {"degree": Quantity(2)})]
    assert read_well(tmp_path, USES, ("use.int4_weights=null",)).use == ()


def test_a_figure_of_a_catalog_record_is_replaced(tmp_path: Path) -> None:
    scenario = read_well(
        tmp_path, INFERENCE, ("cluster.device.memory=94 GiB", "model.layers=16")
    )
    assert scenario.cluster.device.memory_bytes == 94 * 2**30
    assert (scenario.model.layers, scenario.model.hidden) == (16, 4096)


def test_the_file_stays_as_it_is(tmp_path: Path) -> None:
    read_well(tmp_path, INFERENCE, ("seed=5",))
    assert (tmp_path / "case.yaml").read_text(encoding="utf-8") == INFERENCE


def test_a_wrong_value_is_shown_where_it_was_typed(tmp_path: Path) -> None:
    _, found = read_text(tmp_path, TRAINING, ("workload.micro_batch=two",))
    (label,) = found[0].labels
    assert label.span.source.text == "workload.micro_batch=two"
    assert (label.span.line, label.span.column, label.span.end_column) == (1, 22, 25)


@pytest.mark.parametrize(
    ("change", "code"),
    [("seed", "E0517"), ("=3", "E0517"), ("a..b=3", "E0517"), ("workload.micro_batch=[", "E0502"),
     ("sed=3", "E0505"), ("seed=", "")],
)
def test_what_is_no_change_is_a_finding(tmp_path: Path, change: str, code: str) -> None:
    assert codes(tmp_path, INFERENCE, (change,)) == ([code] if code else [])
