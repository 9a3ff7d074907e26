"""Layer times of Korthikanti et al. 2022 (arXiv:2205.05198), table 4: a 22B layer on 8 A100."""

from __future__ import annotations

import pytest

from llamasim.catalog import get_device, get_fabric, get_host, get_runtime
from llamasim.cost import Machine, segment_cost
from llamasim.plan.spec import CommWork, Group, OpWork, StepShape, Work

HIDDEN, HEADS, WAYS = 6144, 64, 8


def forward_layer() -> tuple[Work, ...]:
    """A GPT layer with dropout and separate attention kernels, tensor parallel over 8."""
    h, heads = HIDDEN, HEADS // WAYS

    def plain(name: str, kind: str, read: float, write: float) -> OpWork:
        return OpWork(name, kind, read_per_token=2 * read, write_per_token=2 * write)

    def linear(name: str, n: int, k: int) -> OpWork:
        return OpWork(name, "matmul", n=n, k=k, read_per_token=2.0 * k, write_per_token=2.0 * n,
                      read_fixed=2.0 * n * k, math="fp16")

    def core(name: str, kind: str, read: float, write: float) -> OpWork:
        shape = {"heads": heads, "kv_heads": heads, "head_dim": h // HEADS}
        return OpWork(name, kind, read_per_pair=read * heads, write_per_pair=write * heads,
                      math="fp16", **(shape if kind in ("scores", "context") else {}))

    def total(name: str) -> CommWork:
        return CommWork(name, "all_reduce", Group("tp", 8, 8), bytes_per_token=2.0 * h)

    return (
        plain("norm1", "norm", h, h), linear("qkv", 3 * h // WAYS, h), core("s", "scores", 0, 2),
        core("softmax", "softmax", 2, 2), core("dropout", "dropout", 2, 3),
        core("c", "context", 2, 0), linear("out", h, h // WAYS), total("out"),
        plain("add1", "dropout", 2 * h, 1.5 * h), plain("norm2", "norm", h, h),
        linear("up", 4 * h // WAYS, h), plain("gelu", "activation", 4 * h / 8, 4 * h / 8),
        linear("down", h, 4 * h // WAYS), total("down"), plain("add2", "dropout", 2 * h, 1.5 * h),
    )


def test_a_22b_layer_runs_forward_in_7_7_ms() -> None:
    """Micro-batch 4, sequence 2048, no sequence parallelism; within 8 %."""
    device, host = get_device("a100-sxm-80gb"), get_host("dgx-a100")
    runtime, link = get_runtime("megatron-lm-2022"), get_fabric("pcie4-x16")
    assert device and host and runtime and link
    m = Machine(device, host, runtime, get_fabric("nvlink3"), None, link, 8)
    cost = segment_cost(forward_layer(), StepShape.of(4, 2048), m)
    assert cost.seconds == pytest.approx(7.7e-3, rel=0.08)


@pytest.mark.parametrize(("device", "low", "high"), [("h100-sxm", 600, 700),
                                                     ("a100-sxm-80gb", 245, 280)])
def test_large_products_sustain_what_the_power_limit_allows(
    device: str, low: float, high: float
) -> None:
    """bf16, 8192 x 8192 x 8192, in TFLOP/s."""
    found, host = get_device(device), get_host("dgx-a100")
    runtime, link = get_runtime("megatron-core"), get_fabric("pcie4-x16")
    assert found and host and runtime and link
    m = Machine(found, host, runtime, None, None, link, 1)
    op = OpWork("w", "matmul", n=8192, k=8192, read_fixed=2.0 * 8192**2)
    cost = segment_cost((op,), StepShape.of(1, 8192), m)
    assert low < cost.rows[0].flops / cost.seconds / 1e12 < high
