"""Single-stream llama.cpp rows against hand-built lists of works (`source` column)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from benchmarks.fidelity_single_stream import HELD_OUT, Row, machine, predict, read

ROWS = read(Path(__file__).parent / "data" / "single_stream_sample.csv")


def off(keep: Callable[[Row], bool]) -> list[float]:
    """Return the signed errors of the rows that are kept."""
    errors = []
    for row in ROWS:
        if keep(row):
            m = machine(row)
            assert m is not None, row.device
            errors.append(predict(row, m) / row.value - 1)
    assert errors
    return errors


@pytest.mark.parametrize("device", ["rtx-4090", "a100-pcie-80gb", "a100-sxm-80gb"])
@pytest.mark.parametrize("dtype", ["fp16", "q4_k_m"])
def test_decode_is_within_fifteen_per_cent(device: str, dtype: str) -> None:
    """Every row: contexts to 8,192 tokens, 8B and 70B. SXM machines with 4 GPUs decode slower."""
    errors = off(
        lambda r: r.device == device and r.dtype == dtype and r.metric == "decode_tok_s"
        and not (device.startswith("a100") and r.devices > 1)
    )
    assert max(abs(e) for e in errors) < 0.15


def test_f16_decode_reaches_most_of_a_geforces_bandwidth_and_half_of_an_a100s() -> None:
    """One efficiency for all devices is wrong: bytes in flight bind the wide memory."""
    for device, low, high in (("rtx-a6000", 0.75, 0.95), ("a100-pcie-80gb", 0.42, 0.55)):
        row = next(r for r in ROWS if (r.device, r.dtype, r.metric, r.output) == (
            device, "fp16", "decode_tok_s", 512) and r.model.hidden == 4096)
        m = machine(row)
        assert m is not None
        assert low < predict(row, m) * 15.5e9 / m.device.memory_bandwidth < high


def test_decode_of_devices_seen_and_held_out() -> None:
    decode = "decode_tok_s"
    assert median(map(abs, off(lambda r: r.metric == decode and r.device not in HELD_OUT))) < 0.07
    assert median(map(abs, off(lambda r: r.metric == decode and r.device in HELD_OUT))) < 0.10


def test_prompts_on_one_device_of_devices_seen_and_held_out() -> None:
    def single(r: Row) -> bool:
        return r.metric == "prefill_tok_s" and r.devices == 1

    assert median(map(abs, off(lambda r: single(r) and r.device not in HELD_OUT))) < 0.15
    assert median(map(abs, off(lambda r: single(r) and r.device in HELD_OUT))) < 0.20
