"""What a scenario may hold and read is bounded: size, depth, numbers, files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.scenario.scenario_texts import INFERENCE, TRAINING, codes, read_text, read_well

from llamasim.diagnostics import Diagnostic, render
from llamasim.plan import compile_plan
from llamasim.scenario import read
from llamasim.scenario.nodes import MAX_BYTES, MAX_FINDINGS, MAX_KEY, MAX_NODES

RULES = 'edition 2026\nmodule {name}\ntechnique t {{ on step {{ set schedule.prefetch = 1 }} }}\n'
USE = INFERENCE + "use: {mine.t: {}}\n"


def finding(folder: Path, text: str) -> Diagnostic:
    """Return the one thing that is wrong with a scenario."""
    _, (found,) = read_text(folder, text)
    assert found.help
    return found


def device(figures: str) -> str:
    """Return a scenario on a device with other figures."""
    return INFERENCE.replace("{device: h100-sxm}", f"{{device: {{base: h100-sxm, {figures}}}}}")


# Size and shape of the file.


def test_endless_files_are_read_no_further_than_the_cap() -> None:
    """The size that the system tells of them is 0."""
    scenario, (found,) = read(Path("/dev/zero"))
    assert scenario is None
    assert "larger than 1 MiB" in found.message


def test_a_text_in_place_of_the_file_is_bounded_too(tmp_path: Path) -> None:
    scenario, (found,) = read(tmp_path / "case.yaml", text=INFERENCE + "#" * MAX_BYTES)
    assert scenario is None
    assert found.code == "E0501"


def test_values_are_counted_wherever_they_stand(tmp_path: Path) -> None:
    few = INFERENCE + "mesh: {order: [" + ", ".join(f"a{i}" for i in range(MAX_NODES - 60)) + "]}"
    assert codes(tmp_path, few) == []
    many = INFERENCE + "mesh: {order: [" + ", ".join(f"a{i}" for i in range(MAX_NODES)) + "]}"
    assert finding(tmp_path, many).message == (
        "this YAML is too complex: more than 10,000 values")


def test_a_long_key_is_refused(tmp_path: Path) -> None:
    """Places are kept by path, so a long key over many others would be kept many times."""
    text = INFERENCE + "x" * (MAX_KEY + 1) + ": {" + ", ".join(
        f"a{i}: 1" for i in range(1000)) + "}\n"
    assert finding(tmp_path, text).message == "this key is longer than 200 characters"


@pytest.mark.parametrize("text", [
    INFERENCE + "".join(f"k{i}: 1\n" for i in range(4000)),
    "edition: 2026\n" * 4000,
    INFERENCE + "use: {" + ", ".join(f"x{i}: {{}}" for i in range(2000)) + "}\n",
    INFERENCE + "prefer: {" + ", ".join(f"x{i}: y" for i in range(4000)) + "}\n",
], ids=["unknown keys", "keys twice", "techniques", "preferences"])
def test_findings_are_capped(tmp_path: Path, text: str) -> None:
    start = time.process_time()
    scenario, found = read_text(tmp_path, text)
    render(found)
    assert scenario is None
    assert len(found) == MAX_FINDINGS
    assert time.process_time() - start < 2


def test_a_tag_calls_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "made"
    for tag in (f'!!python/object/apply:os.mkdir ["{mark}"]', "!!binary aGk=", "!x 1", "!!set {a}"):
        assert codes(tmp_path, INFERENCE + f"name: {tag}\n") == ["E0502"]
    assert not mark.exists()


# Numbers.


@pytest.mark.parametrize("number", ["1e400", "-1e400", "nan", ".nan", "inf", ".inf", "-inf"])
@pytest.mark.parametrize("path", ["seed", "workload.micro_batch", "workload.token_budget"])
def test_no_number_is_without_bound(tmp_path: Path, path: str, number: str) -> None:
    (code,) = codes_of(tmp_path, TRAINING, f"{path}={number}")
    assert code in ("E0508", "E0509")


def codes_of(folder: Path, text: str, change: str) -> list[str]:
    """Return the codes of what is wrong after a change."""
    return [d.code for d in read_text(folder, text, (change,))[1]]


@pytest.mark.parametrize("figures", [
    "memory: 0 GiB", "memory: -1 GiB", "memory_bandwidth: 0 GB/s", "memory_bandwidth: -1 GB/s",
    "memory_bandwidth: 1e-300 GB/s", "memory: 1e30 GiB", "clock: 0 Hz", "peaks: {bf16: 0 TFLOPS}",
    "peaks: {bf16: 1e300 TFLOPS}", "tdp: -1 W", "sustained: 0", "sustained: 101 %",
    "multiprocessors: 0", "multiprocessors: 1e10",
])
def test_absurd_devices_are_refused(tmp_path: Path, figures: str) -> None:
    assert finding(tmp_path, device(figures)).code == "E0509"


@pytest.mark.parametrize("cluster", [
    "{device: h100-sxm, nodes: 1e30, outer: ib-ndr400}",
    "{device: h100-sxm, devices_per_node: 1e30}",
    "{device: h100-sxm, nodes: 0}", "{device: h100-sxm, devices_per_node: -8}",
    "{device: h100-sxm, price: -1 USD/h}", "{device: h100-sxm, price: 1e30 USD/h}",
    "{device: h100-sxm, host_link: {base: pcie5-x16, bandwidth: 0 GB/s}}",
    "{device: h100-sxm, host_link: {base: pcie5-x16, latency: -1 us}}",
    "{device: h100-sxm, host: {base: workstation, memory: -1 GiB}}",
])
def test_absurd_clusters_are_refused(tmp_path: Path, cluster: str) -> None:
    text = INFERENCE.replace("{device: h100-sxm}", cluster)
    assert finding(tmp_path, text).code == "E0509"


@pytest.mark.parametrize(("shape", "said"), [
    ("layers: 0", "too small"), ("layers: 10001", "more than 10,000"),
    ("hidden: 1e9, ffn: 1e9", "weights"), ("heads: 1e10", "too large"), ("vocab: -1", "too small"),
])
def test_absurd_models_are_refused(tmp_path: Path, shape: str, said: str) -> None:
    text = INFERENCE.replace("llama-3.1-8b", f"{{base: llama-3.1-8b, {shape}}}")
    found = finding(tmp_path, text)
    assert found.code == "E0509"
    assert said in found.message


def test_the_largest_device_that_is_accepted_gives_finite_figures(tmp_path: Path) -> None:
    scenario = read_well(tmp_path, device("memory: 1e23 B, memory_bandwidth: 1e23 B/s"))
    plan, found = compile_plan(scenario)
    assert plan is not None
    assert not [d for d in found if d.is_error]


def test_storage_formats_of_a_runtime_can_be_given(tmp_path: Path) -> None:
    text = INFERENCE.replace("runtime: vllm", "runtime: {base: vllm, formats: {mine: 50 %}}")
    assert read_well(tmp_path, text).runtime.formats["mine"] == 0.5


def test_a_scenario_has_a_name(tmp_path: Path) -> None:
    """Results lie in a folder of that name."""
    for name in ('""', "''", '"  "', "x" * 101):
        assert finding(tmp_path, INFERENCE + f"name: {name}\n").code == "E0509"
    assert read_well(tmp_path, INFERENCE + "name: ' mine '\n").name == "mine"
    assert read_well(tmp_path, INFERENCE + "name:\n").name == "case"


# Storage of no bits.


@pytest.mark.parametrize("bits", ["0 bit", "-4 bit", "129 bit"])
def test_a_rule_cannot_store_an_element_in_no_bits(tmp_path: Path, bits: str) -> None:
    """Neither as a constant nor by a parameter that a scenario gives."""
    head = "edition 2026\nmodule mine\ntechnique t {\n"
    rule = "on weight {{ set numerics.bits = {} }}\n}}\n"
    (tmp_path / "mine.rules").write_text(head + rule.format(bits))
    assert errors(tmp_path, USE) == ["E0210"]
    (tmp_path / "mine.rules").write_text(
        head + "param b: Data in -8 bit..256 bit = 4 bit\n" + rule.format("b"))
    assert errors(tmp_path, INFERENCE + f"use: {{mine.t: {{b: {bits}}}}}\n") == ["E0210"]


def errors(folder: Path, text: str) -> list[str]:
    """Return the codes of the errors of a scenario that reads well, once it is planned."""
    plan, found = compile_plan(read_well(folder, text))
    wrong = [d for d in found if d.is_error]
    assert (plan is None) == bool(wrong)
    assert all(d.help or d.why for d in wrong)
    return [d.code for d in wrong]


# Files.


def test_rules_beside_the_scenario_are_found(tmp_path: Path) -> None:
    (tmp_path / "mine.rules").write_text(RULES.format(name="mine"))
    assert errors(tmp_path, USE) == []


@pytest.mark.parametrize("name", ["../mine.t", "/etc/mine.t", "..mine.t", "a/b.t", "mine.t/..",
                                  "~.mine.t", "C:.mine.t", "..t"])
def test_the_name_of_a_technique_is_no_path(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "mine.rules").write_text(RULES.format(name="mine"))
    assert codes(inner, INFERENCE + f'use: {{"{name}": {{}}}}\n') == ["E0514"]


def test_folders_of_rules_are_relative_to_the_scenario(tmp_path: Path) -> None:
    """So a scenario means the same on every machine; others come by the command line."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "other").mkdir()
    found = finding(tmp_path / "inner", INFERENCE + f"rules: [{tmp_path / 'other'}]\n")
    assert found.code == "E0519"
    assert "--rules" in found.help[0]
    read_well(tmp_path / "inner", INFERENCE + "rules: [../other]\n")


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="this system has no links")
def test_a_link_does_not_lead_out_of_the_search_path(tmp_path: Path) -> None:
    inner, other = tmp_path / "inner", tmp_path / "other"
    inner.mkdir()
    other.mkdir()
    (other / "mine.rules").write_text(RULES.format(name="mine"))
    (inner / "mine.rules").symlink_to(other / "mine.rules")
    assert errors(inner, USE) == ["E0224"]
    assert errors(inner, USE + "rules: [../other]\n") == []
    (inner / "mine.rules").unlink()
    (inner / "far").symlink_to(other)
    (other / "mine.rules").write_text(RULES.format(name="far.mine"))
    assert errors(inner, INFERENCE + "use: {far.mine.t: {}}\n") == ["E0224"]


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "one.rules").write_text(RULES.format(name="mine"))
    (tmp_path / "mine.rules").symlink_to(tmp_path / "one.rules")
    assert errors(tmp_path, USE) == []


def test_an_endless_import_is_read_no_further_than_its_cap(tmp_path: Path) -> None:
    text = INFERENCE.replace("llama-3.1-8b", "{import: /dev/zero}")
    assert finding(tmp_path, text).code == "E0602"
