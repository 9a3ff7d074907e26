"""Changes that are said to make a run fit do make it fit."""

from __future__ import annotations

import attrs
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim import catalog
from llamasim.scenario.spec import Length, Scenario
from llamasim.simulate import run
from llamasim.study.wayout import ways_out

LORA = use("finetune.lora.lora")
FLASH = use("attention.flash.flash_attention")


def _ways(given: Scenario) -> dict[str, str]:
    found = ways_out(given, run(plan_of(given), given).fits)
    return {way.split(":")[0]: way for way in found}


def _fits(given: Scenario) -> bool:
    return all(f.fits for f in run(plan_of(given), given).fits)


def test_what_fits_needs_no_way_out() -> None:
    """There is nothing to say."""
    given = scenario(LORA, FLASH, devices=1, sequence=512, global_batch=1)
    assert _fits(given)
    assert _ways(given) == {}


def test_a_smaller_micro_batch_is_found_and_fits() -> None:
    """The largest of the halved values; twice as much does not fit."""
    given = scenario(LORA, FLASH, devices=1, device="rtx-4090", sequence=512, global_batch=16,
                     micro_batch=16)
    assert not _fits(given)
    size = int(_ways(given)["workload.micro_batch"].split()[1])
    for value, fits in ((size, True), (2 * size, False)):
        changed = attrs.evolve(given, workload=attrs.evolve(given.workload, micro_batch=value))
        assert _fits(changed) is fits


def test_the_device_that_is_named_is_large_enough() -> None:
    """It is the maker's smallest that fits, and the run fits on it."""
    given = scenario(devices=1, device="rtx-4090", model="llama-3.1-70b", mode="inference",
                     runtime="vllm", sequence=256, prompt=Length("fixed", 128),
                     output=Length("fixed", 128))
    way = _ways(given)["cluster.device"]
    device = catalog.get_device(way.split()[1].rstrip(","))
    assert device is not None
    assert device.vendor == given.cluster.device.vendor
    assert _fits(attrs.evolve(given, cluster=attrs.evolve(given.cluster, device=device)))


def test_nothing_is_promised_where_nothing_helps() -> None:
    """Weights alone are too large: a smaller batch or prompt is not offered."""
    given = scenario(devices=1, device="rtx-4090", model="llama-3.1-405b", mode="inference",
                     runtime="vllm", sequence=2048, batch=8, prompt=Length("fixed", 1024),
                     output=Length("fixed", 128))
    assert set(_ways(given)) == {"cluster.device"}


def test_more_nodes_help_what_is_sharded_over_them() -> None:
    """70B with Adam, sharded over 16 devices of 24 GB: the states alone are over 50 GB each."""
    given = scenario(use("parallelism.zero.zero3"), FLASH, use("memory.checkpoint.full_checkpoint"),
                     devices=16, device="rtx-4090", model="llama-3.1-70b", sequence=1024,
                     global_batch=256)
    assert not _fits(given)
    count = int(_ways(given)["cluster.nodes"].split()[1].replace(",", ""))
    assert count > given.cluster.nodes
    assert _fits(attrs.evolve(given, cluster=attrs.evolve(given.cluster, nodes=count)))


def test_a_technique_that_is_named_makes_it_fit() -> None:
    """70B in 16 bits on two devices of 80 GB: shared by them it is 66 GiB on each."""
    given = scenario(devices=2, model="llama-3.1-70b", mode="inference", runtime="vllm",
                     sequence=256, prompt=Length("fixed", 128), output=Length("fixed", 128))
    found = [w for w in ways_out(given, run(plan_of(given), given).fits) if w.startswith("use:")]
    assert "use: parallelism.tensor.tensor_parallel {degree: 2}" in found
    assert len({w.split()[1].partition(".")[0] for w in found}) == len(found) == 3
    for way in found:
        name = way.split()[1]
        degree = {"degree": 2} if "degree" in way else {}
        changed = scenario(
            use(name, **degree), devices=2, model="llama-3.1-70b", mode="inference",
            runtime="vllm", sequence=256, prompt=Length("fixed", 128),
            output=Length("fixed", 128))
        assert _fits(changed), way


def test_no_format_is_named_that_the_runtime_has_no_kernels_for() -> None:
    given = scenario(devices=1, device="rtx-4090", model="llama-3.1-8b", mode="inference",
                     runtime="llama.cpp", sequence=128 * 1024,
                     prompt=Length("fixed", 127 * 1024), output=Length("fixed", 1024))
    found = [w for w in ways_out(given, run(plan_of(given), given).fits) if w.startswith("use:")]
    assert found
    assert not any("int4_weights" in w or "fp8_compute" in w for w in found)
