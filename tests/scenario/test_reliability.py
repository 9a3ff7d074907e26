"""The `reliability:` section: what it fills in, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.scenario_texts import INFERENCE, codes, read_text, read_well

from llamasim.scenario.reliability import Checkpointing, Reliability, Stragglers

TRAINING = """\
edition: 2026
model: llama-3.1-8b
cluster: {device: h100-sxm, devices_per_node: 8, nodes: 4, outer: ib-ndr400}
runtime: megatron-core
workload: {mode: training, sequence: 8192 tok, global_batch: 64, token_budget: 1e12 tok}
"""


def _read(folder: Path, section: str) -> Reliability:
    found = read_well(folder, f"{TRAINING}reliability: {section}\n").reliability
    assert found is not None
    return found


def test_without_the_section_nothing_fails(tmp_path: Path) -> None:
    assert read_well(tmp_path, TRAINING).reliability is None


def test_an_empty_section_takes_every_default_and_says_so(tmp_path: Path) -> None:
    """The device's mean time from the catalog; 1 GB/s a node; a spare always at hand."""
    scenario = read_well(tmp_path, TRAINING + "reliability: {}\n")
    found = scenario.reliability
    assert found == Reliability(50677 * 3600.0, checkpoint=Checkpointing(node_storage=1e9))
    said = {k: v for k, v in scenario.inferred.items() if k.startswith("reliability")}
    assert said["reliability.device_mtbf"] == "50,677 h, from device h100-sxm"
    assert set(said) == {"reliability.device_mtbf", "reliability.spares",
                         "reliability.checkpoint.node_storage"}


def test_every_key_arrives_in_base_units(tmp_path: Path) -> None:
    found = _read(tmp_path, """
  device_mtbf: 1000 h
  node_mtbf: 100 day
  failure_shape: 0.7
  repair_share: 50%
  planned: 24 h
  detection: 2 min
  restart: 90 s
  spares: 3
  repair: 12 h
  trials: 50
  checkpoint: {interval: 15 min, asynchronous: true, storage: 2 TB/s, node_storage: 80 Gbit/s,
               pause: 1 s}
  stragglers: {share: 0.005, slowdown: 10%, jitter: 0.01}""")
    assert found == Reliability(
        3.6e6, 8.64e6, 0.7, 0.5, 86400.0, 120.0, 90.0, 3, 43200.0, 50,
        Checkpointing(900.0, True, 2e12, 1e10, 1.0), Stragglers(0.005, 0.1, 0.01),
    )


def test_a_nodes_figure_stands_for_its_devices(tmp_path: Path) -> None:
    """The catalog's figure counts what fails in hosts too; both would count that twice."""
    found = _read(tmp_path, "{node_mtbf: 2500 h}")
    assert found.device_mtbf_s is None
    assert found.node_mtbf_s == 9e6


def test_auto_is_the_best_interval(tmp_path: Path) -> None:
    assert _read(tmp_path, "{checkpoint: {interval: auto}}").checkpoint.interval_s is None


@pytest.mark.parametrize(("section", "code"), [
    ("[]", "E0507"),
    ("{checkpoint: 3}", "E0507"),
    ("{stragglers: fast}", "E0507"),
    ("{detecton: 5 min}", "E0505"),
    ("{detection: 5}", "E0508"),
    ("{detection: 5 GiB}", "E0508"),
    ("{detection: -5 min}", "E0509"),
    ("{device_mtbf: 0 h}", "E0509"),
    ("{spares: 1.5}", "E0509"),
    ("{repair_share: 2}", "E0509"),
    ("{failure_shape: 0.1}", "E0509"),
    ("{checkpoint: {interval: often}}", "E0508"),
    ("{checkpoint: {interval: 0 s}}", "E0509"),
    ("{checkpoint: {storage: 2 TB}}", "E0508"),
    ("{checkpoint: {asynchronous: maybe}}", "E0507"),
])
def test_a_mistake_is_told_by_its_code(tmp_path: Path, section: str, code: str) -> None:
    assert codes(tmp_path, f"{TRAINING}reliability: {section}\n") == [code]


def test_a_mistake_is_shown_where_it_stands(tmp_path: Path) -> None:
    text = TRAINING + "reliability:\n  checkpoint:\n    interval: often\n"
    _, found = read_text(tmp_path, text)
    assert found[0].labels[0].span.line == text.count("\n")
    assert "reliability.checkpoint.interval" in found[0].message


def test_it_needs_a_run_of_known_length(tmp_path: Path) -> None:
    text = TRAINING.replace(", token_budget: 1e12 tok", "") + "reliability: {}\n"
    _, found = read_text(tmp_path, text)
    assert [d.code for d in found] == ["E0506"]
    assert "token_budget" in found[0].help[0]


def test_inference_has_none(tmp_path: Path) -> None:
    assert codes(tmp_path, INFERENCE + "reliability: {}\n") == ["E0512"]


def test_a_device_of_which_nobody_knows_how_often_it_fails(tmp_path: Path) -> None:
    """Nothing is assumed; the message says what an H100 does."""
    text = TRAINING.replace("h100-sxm", "b200-sxm") + "reliability: {}\n"
    _, found = read_text(tmp_path, text)
    assert [d.code for d in found] == ["E0506"]
    assert "device_mtbf: 50677 h" in found[0].help[0]
    read_well(tmp_path, text.replace("{}\n", "{device_mtbf: 30000 h}\n"))


def test_it_can_be_set_from_the_command_line(tmp_path: Path) -> None:
    """Even where the file has no such section."""
    found = read_well(tmp_path, TRAINING, ("reliability.detection=1 min",)).reliability
    assert found is not None and found.detection_s == 60.0
