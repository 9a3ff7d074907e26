"""The guide says what the program answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llamasim.assets import scenarios_dir
from llamasim.scenario import read
from llamasim.study import Study, infeasible, optimize

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
#: What a prediction may move by before the guide has to be written anew.
CLOSE = 0.1

#: What the guide recommends, by the alternatives' names in the scenarios.
CHOICES = {
    "laptop-8b": {"weights=4 bit", "cache=8 bit", "attention=fused"},
    "laptop-70b": {"weights=4 bit", "cache=8 bit", "attention=fused"},
    "laptop-405b": set(),
    "workstation-8b": {"weights=4 bit", "cache=8 bit", "cards=one"},
    "workstation-70b": {"weights=4 bit", "cache=8 bit", "layers on the cards=all"},
    "workstation-405b": {"weights=4 bit", "layers on the cards=10"},
    "cloud-8b": {"numbers=fp8", "cache=8 bit"},
    "cloud-70b": {"numbers=fp8", "cache=8 bit", "a copy of the model on=4 GPUs"},
    "cloud-405b": {"numbers=fp8", "cache=8 bit", "a copy of the model on=8 GPUs"},
    "cluster-8b": {"arithmetic=fp8", "recomputation=none", "matrices split over=1",
                   "replicas share out=optimizer + gradients + weights"},
    "cluster-70b": {"arithmetic=fp8", "recomputation=none", "matrices split over=4",
                    "pipeline stages=4", "replicas share out=optimizer"},
    "cluster-405b": {"arithmetic=fp8", "recomputation=none", "matrices split over=8",
                     "pipeline stages=16", "replicas share out=optimizer + gradients"},
}


def _rows() -> dict[str, list[str]]:
    """Return the cells of every scenario's row in the guide."""
    lines = [line.strip("|").split("|") for line in GUIDE.read_text().splitlines() if "|" in line]
    cells = [[c.strip() for c in line] for line in lines]
    return {c[0]: c for c in cells if c[0] in CHOICES}


def _study(name: str) -> Study:
    scenario, said = read(scenarios_dir() / "guide" / f"{name}.yaml")
    assert scenario is not None, [d.message for d in said]
    study, said = optimize(scenario)
    assert study is not None, [d.message for d in said]
    return study


def _number(text: str) -> float:
    found = re.search(r"[\d.]+", text.replace(",", ""))
    assert found, text
    return float(found.group())


def _check(name: str) -> None:
    study, row = _study(name), _rows()[name]
    memory = next(c for c in row if re.fullmatch(r"[\d.]+ of [\d.]+ GiB", c))
    if study.best is None:
        assert row[1] == "infeasible"
        near = infeasible(study).nearest
        assert near is not None
        assert near.peak_gib == pytest.approx(_number(memory), rel=CLOSE)
        return
    assert CHOICES[name] <= {f"{k}={v}" for k, v in study.best.combination.picks}
    speed = study.best.metrics[study.speed.metric]
    assert speed == pytest.approx(_number(row[2]), rel=CLOSE)
    assert study.best.peak_gib == pytest.approx(_number(memory), rel=CLOSE)


def test_the_guide_has_a_row_for_every_scenario_of_it() -> None:
    shipped = {p.stem for p in (scenarios_dir() / "guide").glob("*.yaml")}
    assert shipped == set(CHOICES) == set(_rows())


@pytest.mark.parametrize("name", [n for n in CHOICES if n.startswith(("laptop", "workstation"))])
def test_answers_for_one_user_are_those_of_the_guide(name: str) -> None:
    _check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in CHOICES if n.startswith(("cloud", "cluster"))])
def test_answers_for_many_devices_are_those_of_the_guide(name: str) -> None:
    _check(name)
