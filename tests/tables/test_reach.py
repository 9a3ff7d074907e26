"""What stands behind a run's figures, held to a record of measurements made up for it."""

from __future__ import annotations

import attrs
import pytest
from tests.scenarios_for_tests import scenario, use

from llamasim import catalog
from llamasim.catalog import measured as record
from llamasim.catalog.fits import fits
from llamasim.catalog.measured import Measured, everything
from llamasim.plan import compile_plan
from llamasim.report.measured import measured_lines
from llamasim.tables.reach import Setting, jobs_of, reach, reaches, setting_of

SETTING = Setting("vllm", "h100-sxm", int(8e9), 16, "bf16", 2048, 8, 1)


def _of(device: str, job: str = "generation", **more: object) -> Measured:
    plain = Measured(
        runtime="vllm", device=device, job=job, runs=10, held_out=4, error=0.04,
        held_out_error=0.08, bits=(16,), math=("bf16",), params=(7e9, 8e9), context=(128, 4096),
        sequences=(1, 64), devices=(1, 8),
    )
    return attrs.evolve(plain, **more)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Measured]:
    """Return what was measured, for a test to fill."""
    rows: list[Measured] = []
    monkeypatch.setattr(record, "everything", lambda: tuple(rows))
    return rows


def test_a_run_like_those_measured_has_nothing_beyond(measured: list[Measured]) -> None:
    measured += [_of("h100-sxm"), _of("a40", runs=30, held_out=0, error=0.3, held_out_error=None)]
    found = reach(SETTING, "generation")
    assert (found.runs, found.of_device, found.beyond) == (40, 10, ())
    # Ten runs on the device tell by themselves.
    assert (found.error, found.held_out_error) == (0.04, 0.08)


def test_few_runs_on_a_device_are_judged_with_those_on_others(measured: list[Measured]) -> None:
    measured += [_of("h100-sxm", runs=2, error=0.1), _of("a40", runs=18, error=0.2)]
    found = reach(SETTING, "generation")
    assert found.of_device == 2
    assert found.error == pytest.approx((2 * 0.1 + 18 * 0.2) / 20)


def test_a_runtime_that_nobody_measured_rests_on_assumptions(measured: list[Measured]) -> None:
    measured.append(_of("h100-sxm", runtime="sglang"))
    found = reach(SETTING, "generation")
    assert (found.runs, found.error) == (0, None)
    assert found.beyond == ("vllm was not measured: its figures are assumptions "
                            "(h100-sxm was measured with sglang)",)
    assert measured_lines([attrs.asdict(found)])[0].split() == ["measured", "nothing"]


def test_another_kind_of_figure_is_no_evidence_for_this_one(measured: list[Measured]) -> None:
    measured.append(_of("h100-sxm", "prompts"))
    assert reach(SETTING, "generation").beyond == ("vllm was measured for prompts alone",)


@pytest.mark.parametrize(("change", "said"), [
    ({"device": "a40"}, "vllm was not measured on a40, but on h100-sxm"),
    ({"bits": 4}, "weights of 4 bits: measured 16"),
    ({"math": "fp8"}, "products in fp8: measured bf16"),
    ({"math": "fp16"}, ""),
    ({"params": int(70e9)}, "a model of 70B parameters: measured 7 to 8B"),
    ({"context": 5000}, ""),
    ({"context": 8192}, "8,192 tokens a sequence: measured up to 4,096"),
    ({"sequences": 256}, "256 sequences a batch: measured up to 64"),
    ({"devices": 16}, "16 devices: measured up to 8"),
])
def test_what_is_outside_is_named(
    measured: list[Measured], change: dict[str, object], said: str
) -> None:
    measured.append(_of("h100-sxm"))
    beyond = reach(attrs.evolve(SETTING, **change), "generation").beyond
    assert beyond == ((said,) if said else ())


def test_what_decides_is_read_off_the_plan() -> None:
    given = scenario(
        use("quantization.int4.int4_weights", group_size=128), device="rtx-4090", devices=1,
        runtime="llama.cpp", mode="inference",
    )
    plan, _ = compile_plan(given)
    assert plan is not None
    found = setting_of(plan, given)
    assert (found.runtime, found.device, found.devices) == ("llama.cpp", "rtx-4090", 1)
    # Four bits and a 16-bit scale for 128 of them.
    assert found.bits == 4
    # Llama 3.1 8B as its authors count it.
    assert found.params == 8_030_261_248
    assert jobs_of(given) == ("prompts", "generation")
    assert [r.job for r in reaches(plan, given)] == ["prompts", "generation"]


def test_a_device_with_other_memory_alone_is_the_same_device() -> None:
    given = scenario(device="rtx-4090", devices=1, runtime="llama.cpp", mode="inference")
    plan, _ = compile_plan(given)
    assert plan is not None
    custom = attrs.evolve(given.cluster.device, id="rtx-4090-custom", memory_bytes=48e9)
    larger = attrs.evolve(given, cluster=attrs.evolve(given.cluster, device=custom))
    assert setting_of(plan, larger).device == "rtx-4090"
    faster = attrs.evolve(custom, memory_bandwidth=2e12)
    other = attrs.evolve(given, cluster=attrs.evolve(given.cluster, device=faster))
    assert setting_of(plan, other).device == "rtx-4090-custom"


def test_the_record_names_what_the_catalog_has() -> None:
    for row in everything():
        assert catalog.get_runtime(row.runtime) is not None
        assert catalog.get_device(row.device) is not None
        assert row.job in ("prompts", "generation", "serving", "training")
        assert 0 <= row.held_out <= row.runs
        assert (row.held_out_error is None) == (row.held_out == 0)
        assert row.error >= 0
        assert all(low <= high for low, high in (
            row.params, row.context, row.sequences, row.devices))


def test_whatever_was_fitted_was_measured() -> None:
    """A runtime with fitted figures has runs behind it."""
    known = {row.runtime for row in everything()}
    fitted = {f.owner for f in fits() if f.kind == "runtimes"}
    assert fitted <= known
