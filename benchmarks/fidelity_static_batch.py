"""Predict static-batch rows (all sequences prefill, then decode together) from `cost` alone.

    python -m benchmarks.fidelity_static_batch INFERENCE.csv [--rows]

`output_tok_s` is output tokens over the whole time, `decode_tok_s` over the decode, `ttft_ms` the
prefill. The decode is integrated over the growing cache at a few points.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.transformer import inference_step

from llamasim.catalog import get_device, get_fabric, get_host, get_model, get_runtime
from llamasim.cost import Machine, step_seconds
from llamasim.plan.spec import StepShape

#: What a weight format stores and computes in: bits, format, arithmetic, bits of the cache.
FORMATS = {
    "fp16": (16, None, "fp16", 16), "bf16": (16, None, "bf16", 16), "fp8": (8, None, "fp8", 8),
    "int4-awq": (4.25, "int4_group", "fp16", 16), "w4a8-awq": (4.25, "int4_group", "fp8", 16),
    "int8-wo": (8, "int8_channel", "bf16", 16),
}
HELD_OUT = ("l40s", "h200-sxm")


def predict(r: dict[str, str]) -> float | None:
    """Return what the row's metric is predicted to be, or None where it cannot be expressed."""
    model, device, runtime = (
        get_model(r["model"]), get_device(r["device"]), get_runtime(r["runtime"])
    )
    if not model or not device or not runtime or r["weight_dtype"] not in FORMATS:
        return None
    bits, fmt, math, kv = FORMATS[r["weight_dtype"]]
    # On Neuron `tp` counts cores; the catalog's device is a chip.
    ways = int(float(r["n_devices"] or 1))
    host, link = get_host(device.host or "desktop-am5"), get_fabric(device.host_link or "")
    inner = get_fabric(device.peer) if device.peer else None
    assert host and link
    m = Machine(device, host, runtime, inner, None, link, ways)
    layer, head = inference_step(
        model, bits, fmt, fused=True, math=math, kv_bits=kv, ways=ways
    )

    def step(shape: StepShape) -> float:
        layers = model.layers * step_seconds(layer, shape, m)
        return layers + step_seconds(head, shape, m) + runtime.host_s

    batch = float(r["batch_or_concurrency"] or 1)
    prompt, output = float(r["input_len"] or 1), float(r["output_len"] or 1)
    prefill = step(StepShape.of(batch, prompt))
    if r["metric"] == "ttft_ms":
        return prefill * 1e3
    if r["metric"] == "prefill_tok_s":
        return batch * prompt / prefill
    points = 8
    spans = [prompt + output * (i + 0.5) / points for i in range(points)]
    decode = sum(step(StepShape.of(batch, 1, s)) for s in spans) / points * max(1, output - 1)
    if r["metric"] == "decode_tok_s":
        return batch * output / decode
    if r["metric"] == "tpot_ms":
        return decode / max(1, output - 1) * 1e3
    return batch * output / (prefill + decode)


def main() -> None:
    """Print the median error by runtime, device and metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--rows", action="store_true")
    args = parser.parse_args()
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    with args.csv.open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["workload"] == "static_batch"]
    for r in rows:
        value = predict(r)
        if value is None:
            groups[("not expressed", r["runtime"], r["device"])].append(0.0)
            continue
        error = value / float(r["value"]) - 1
        groups[(r["metric"], r["runtime"], r["device"], r["weight_dtype"])].append(error)
        side = "held out" if r["device"] in HELD_OUT else "seen"
        groups[("ALL", r["runtime"], side)].append(error)
        if args.rows:
            print(f"{r['id']:9s} {r['device']:14s} x{r['n_devices']:2s} {r['model']:14s}"
                  f" {r['weight_dtype']:9s} {r['metric']:13s} b {r['batch_or_concurrency']:5s}"
                  f" {r['input_len']:>5s} {r['output_len']:>5s} {r['value']:>9s} {value:9.1f}"
                  f" {error:+7.1%}")
    for key, each in sorted(groups.items()):
        size, bias = median(abs(e) for e in each), median(each)
        print(f"{' '.join(key):60s} n {len(each):3d}  median {size:6.1%}  bias {bias:+7.1%}")


if __name__ == "__main__":
    main()
