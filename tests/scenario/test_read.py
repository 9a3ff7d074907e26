"""Reading scenarios: values in the engine's units, defaults, inference, places."""

from __future__ import annotations

import time
from pathlib import Path

import attrs
import pytest
from tests.scenario.scenario_texts import INFERENCE, TRAINING, codes, read_text, read_well

from llamasim.assets import scenarios_dir
from llamasim.diagnostics import Span
from llamasim.plan.compile import compile_plan
from llamasim.scenario import Arrivals, Length, Objective, Scenario, read
from llamasim.units import TOKEN, Quantity

SHIPPED = sorted(scenarios_dir().rglob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_scenarios_compile_without_a_finding(path: Path) -> None:
    scenario, found = read(path)
    assert not found
    assert scenario is not None
    plan, found = compile_plan(_with_first_choices(scenario))
    assert not [d.message for d in found if d.is_error]
    assert plan is not None


def _with_first_choices(scenario: Scenario) -> Scenario:
    """Return the scenario with the first alternative of every choice."""
    first = [use for choice in scenario.choices for use in choice.options[0][1]]
    return attrs.evolve(scenario, use=(*scenario.use, *first))


def test_the_cluster_scenario_is_the_published_run() -> None:
    scenario, _ = read(scenarios_dir() / "cluster.yaml")
    assert scenario is not None
    assert scenario.cluster.devices == 16_384
    assert scenario.workload.global_batch * scenario.workload.sequence == 2**24
    assert {u.instance: u.args["degree"] for u in scenario.use if "degree" in u.args} == {
        "tensor_parallel": Quantity(8.0)
    }


def test_reading_takes_less_than_30_ms() -> None:
    path = scenarios_dir() / "cluster.yaml"
    read(path)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        read(path)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.030


def test_values_come_in_the_engines_units(tmp_path: Path) -> None:
    text = INFERENCE.replace(
        "{device: h100-sxm}",
        "{device: {base: h100-sxm, memory: 94 GiB, memory_bandwidth: 2.4 TB/s, clock: 1.5 GHz,"
        " sustained: 70 %}, price: 2 USD/h per device}",
    )
    device = read_well(tmp_path, text).cluster.device
    assert device.memory_bytes == 94 * 2**30
    assert device.memory_bandwidth == pytest.approx(2.4e12)
    assert device.clock_hz == pytest.approx(1.5e9)
    assert device.sustained == pytest.approx(0.7)
    assert device.peaks["bf16"] == pytest.approx(989.4e12, rel=0.001)


def test_defaults_are_those_of_the_table(tmp_path: Path) -> None:
    scenario = read_well(tmp_path, INFERENCE)
    assert scenario.name == "case"
    assert scenario.seed == 0
    assert scenario.use == ()
    assert scenario.workload.dtype == "bf16"
    assert scenario.workload.batch == 1
    assert scenario.workload.arrivals is None
    assert scenario.cluster.nodes == scenario.cluster.devices_per_node == 1
    assert scenario.objective == Objective("tokens_per_s", maximize=True)
    assert scenario.cluster.usd_per_hour is None


def test_inferred_values_say_where_they_come_from(tmp_path: Path) -> None:
    scenario = read_well(
        tmp_path, INFERENCE.replace("{device: h100-sxm}", "{device: h100-sxm, devices_per_node: 8}")
    )
    assert scenario.cluster.inner is not None
    assert scenario.cluster.inner.id == "nvlink4"
    assert scenario.inferred["cluster.inner"] == "nvlink4, from device h100-sxm"
    assert scenario.workload.sequence == 640
    assert "mean prompt + mean output" in scenario.inferred["workload.sequence"]
    assert "h100-sxm" in scenario.inferred["cluster.host"]


def test_devices_without_a_peer_link_share_the_way_to_the_host(tmp_path: Path) -> None:
    text = INFERENCE.replace("{device: h100-sxm}", "{device: rtx-4090, devices_per_node: 2}")
    cluster = read_well(tmp_path, text).cluster
    assert cluster.inner == cluster.host_link
    assert cluster.host_link.id == "pcie4-x16"


def test_an_instance_brings_devices_links_and_price(tmp_path: Path) -> None:
    text = INFERENCE.replace("{device: h100-sxm}", "{instance: p5.48xlarge, nodes: 2}")
    cluster = read_well(tmp_path, text).cluster
    assert (cluster.device.id, cluster.devices_per_node, cluster.devices) == ("h100-sxm", 8, 16)
    assert cluster.usd_per_hour == pytest.approx(55.04)
    assert "2026-07-20" in cluster.price_source
    assert cluster.outer is not None
    assert cluster.outer.kind == "inter-node"


@pytest.mark.parametrize(
    ("price", "usd_per_hour"),
    [("98 USD/h per node", 98.0), ("98 USD/h", 98.0), ("2 USD/h per device", 16.0),
     ("1 USD/min per node", 60.0), ("0 USD/h", 0.0)],
)
def test_prices_are_of_a_node_and_hour(tmp_path: Path, price: str, usd_per_hour: float) -> None:
    text = INFERENCE.replace(
        "{device: h100-sxm}", f"{{device: h100-sxm, devices_per_node: 8, price: {price}}}"
    )
    assert read_well(tmp_path, text).cluster.usd_per_hour == pytest.approx(usd_per_hour)


def test_lengths_and_arrivals(tmp_path: Path) -> None:
    text = INFERENCE.replace(
        "prompt: 512 tok",
        "prompt: {distribution: lognormal, mean: 512 tok, cv: 0.8},"
        " arrivals: {process: gamma, rate: 4 req/s, requests: 500, cv: 2},"
        " slo: {ttft: 500 ms, tpot: 50 ms}",
    )
    workload = read_well(tmp_path, text).workload
    assert workload.prompt == Length("lognormal", 512.0, 0.8)
    assert workload.output == Length("fixed", 128.0)
    assert workload.arrivals == Arrivals("gamma", 500, 4.0, 2.0)
    assert workload.serving
    assert (workload.slo_ttft_s, workload.slo_tpot_s) == (0.5, 0.05)


def test_tokens_need_no_unit(tmp_path: Path) -> None:
    plain = read_well(tmp_path, TRAINING.replace("8192 tok", "8192"))
    spelled = read_well(tmp_path, TRAINING.replace("8192 tok", "8.192 ktok"))
    assert plain.workload.sequence == spelled.workload.sequence == 8192


def test_catalog_names_are_folded(tmp_path: Path) -> None:
    scenario = read_well(tmp_path, INFERENCE.replace("llama-3.1-8b", "Llama_3_1_8B"))
    assert scenario.model.id == "llama-3.1-8b"


def test_every_key_and_value_has_its_place(tmp_path: Path) -> None:
    scenario = read_well(tmp_path, INFERENCE)

    def at(span: Span) -> tuple[int, int, int, int]:
        return (span.line, span.column, span.end_line, span.end_column)

    assert at(scenario.spans["model"]) == (2, 8, 2, 20)
    assert at(scenario.spans["model@key"]) == (2, 1, 2, 6)
    assert at(scenario.spans["cluster.device"]) == (3, 19, 3, 27)
    assert at(scenario.spans["workload.prompt"]) == (5, 37, 5, 44)


def test_a_value_of_several_lines_is_pointed_at_by_its_key(tmp_path: Path) -> None:
    text = INFERENCE.replace("{device: h100-sxm}", "\n  device: h100-sxm\n  nodes: 1")
    scenario = read_well(tmp_path, text)
    assert scenario.spans["cluster"] == scenario.spans["cluster@key"]
    assert scenario.spans["cluster.nodes"].line == 5


def test_places_count_characters_not_bytes(tmp_path: Path) -> None:
    scenario = read_well(tmp_path, INFERENCE + "name: größer  # ünï\nseed: 7\n")
    assert scenario.name == "größer"
    assert scenario.spans["name"].end_column == 13


def test_anchors_and_merge_keys_are_understood(tmp_path: Path) -> None:
    text = INFERENCE + (
        "choices:\n  a:\n    one: &four {quantization.int4.int4_weights: {group_size: 64}}\n"
        "    two: {<<: *four, attention.flash.flash_attention: }\n"
    )
    (choice,) = read_well(tmp_path, text).choices
    assert [(label, len(uses)) for label, uses in choice.options] == [("one", 1), ("two", 2)]


def test_a_files_byte_order_mark_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + INFERENCE.replace("\n", "\r\n").encode())
    scenario, found = read(path)
    assert not found
    assert scenario is not None


def test_numbers_are_read_as_written(tmp_path: Path) -> None:
    """YAML 1.1 would read 1e6 as text, 010 as eight and 1:30 as ninety."""
    text = TRAINING.replace("global_batch: 64", "global_batch: 64, token_budget: 1e6")
    assert read_well(tmp_path, text).workload.token_budget == 1e6
    assert read_well(tmp_path, INFERENCE + "seed: 010\n").seed == 10
    assert codes(tmp_path, INFERENCE + "seed: 1:30\n") == ["E0508"]


def test_parameters_keep_their_units(tmp_path: Path) -> None:
    text = INFERENCE + (
        "use:\n  serving.batching.continuous_batching as server:\n"
        "    {token_budget: 2048 tok, share: 50 %, flag: true, word: fast, quoted: 'true',"
        " scope: '*.attn.*'}\n"
    )
    (use,) = read_well(tmp_path, text).use
    assert (use.instance, use.technique) == ("server", "serving.batching.continuous_batching")
    assert use.scope == "*.attn.*"
    assert use.args == {
        "token_budget": Quantity(2048.0, TOKEN), "share": Quantity(0.5), "flag": True,
        "word": "fast", "quoted": "true",
    }
    assert use.arg_spans["share"].column == 37


def test_changing_a_unit_changes_nothing(tmp_path: Path) -> None:
    one = INFERENCE.replace("{device: h100-sxm}", "{device: {base: h100-sxm, memory: 94 GB}}")
    two = one.replace("94 GB", "94_000_000_000 B")
    assert read_well(tmp_path, one) == read_well(tmp_path, two)


def test_order_of_keys_does_not_matter(tmp_path: Path) -> None:
    lines = INFERENCE.splitlines()
    backwards = "\n".join(reversed(lines)) + "\n"
    assert read_well(tmp_path, INFERENCE) == read_well(tmp_path, backwards)


def test_findings_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = INFERENCE.replace("h100-sxm", "h10").replace("vllm", "vlm") + "sed: 1\n"
    _, found = read_text(tmp_path, text)
    assert [d.labels[0].span.line for d in found] == [3, 4, 6]


def test_the_scenarios_folder_is_searched_for_rules_first(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    scenario = read_well(tmp_path, INFERENCE + "rules: [./mine]\n")
    assert scenario.rule_paths == (str(tmp_path), str(tmp_path / "mine"))
