"""Predict single-stream decode and prefill rows from `cost` alone and print the errors.

    python -m benchmarks.fidelity_single_stream INFERENCE.csv [--rows] [--runtime llama.cpp]

Decode starts from an empty cache: the mean context is half of the output. Layers split over several
devices run one after another, so a stream decodes no faster; prompts pipeline through them.
Devices in `HELD_OUT` were not looked at when figures were chosen.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from statistics import median

import attrs
from benchmarks.transformer import inference_step

from llamasim.catalog import get_device, get_fabric, get_host, get_model, get_runtime
from llamasim.catalog.specs import Model
from llamasim.cost import Machine, step_seconds
from llamasim.plan.spec import StepShape

#: Never used to choose a figure.
HELD_OUT = ("rtx-4080", "rtx-6000-ada", "a40", "apple-m1-max", "rtx-3090", "rtx-5000-ada",
            "a100-sxm-80gb")
#: Bits a weight of formats whose rows do not say (ggml block layouts; mixes by their file sizes).
BITS = {"q8_0": 8.5, "q6_k": 6.56, "q5_k_s": 5.5, "iq5_k": 5.5, "q4_k_s": 4.5, "iq4_k": 4.5,
        "iq3_k": 3.44}
#: Tokens that llama.cpp computes at once (its default `--ubatch-size`).
BATCH = 512


@attrs.frozen
class Row:
    """A measured row."""

    id: str
    device: str
    devices: int
    runtime: str
    model: Model
    dtype: str
    bits: float
    metric: str
    prompt: int
    output: int
    value: float


def read(path: Path) -> list[Row]:
    """Return the single-stream rows of dense models in the catalog."""
    rows = []
    with path.open(encoding="utf-8") as file:
        for r in csv.DictReader(file):
            model = get_model(r["model"])
            single = r["workload"] == "single_stream" and r["batch_or_concurrency"] in ("", "1")
            if not single or model is None:
                continue
            rows.append(Row(
                r["id"], r["device"], int(r["n_devices"] or 1), r["runtime"], model,
                r["weight_dtype"],
                float(r["bits_per_weight"] or BITS.get(r["weight_dtype"], 16)), r["metric"],
                int(r["input_len"] or 0), int(r["output_len"] or 0), float(r["value"]),
            ))
    return rows


def machine(row: Row) -> Machine | None:
    """Return the row's machine, or None where the catalog lacks it."""
    device = get_device(row.device)
    runtime = get_runtime(row.runtime)
    if device is None or runtime is None:
        return None
    host = get_host(device.host or "desktop-am5") or get_host("desktop-am5")
    link = get_fabric(device.host_link or "pcie4-x16")
    assert host is not None and link is not None
    return Machine(device, host, runtime, None, None, link, 1)


def predict(row: Row, m: Machine) -> float:
    """Return tokens per second."""
    fmt = row.dtype if row.bits < 15 else None
    math = "fp16"
    layer, head = inference_step(row.model, row.bits, fmt, math=math)

    def step(shape: StepShape) -> float:
        layers = row.model.layers * step_seconds(layer, shape, m)
        return layers + step_seconds(head, shape, m) + m.runtime.host_s

    if row.metric == "decode_tok_s":
        return 1 / step(StepShape.of(1, 1, row.prompt + row.output / 2))
    seconds, done, times = 0.0, 0, []
    while done < row.prompt:
        new = min(BATCH, row.prompt - done)
        times.append(step(StepShape.of(1, new, done)))
        done += new
    # Batches follow each other through the devices: the slowest paces, the first fills.
    seconds = sum(times) / row.devices + times[0] * (1 - 1 / row.devices)
    return row.prompt / seconds


def main() -> None:
    """Print the median error by runtime, device, format and metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--rows", action="store_true")
    parser.add_argument("--runtime", default="")
    args = parser.parse_args()
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for row in read(args.csv):
        m = machine(row)
        if m is None or (args.runtime and row.runtime != args.runtime):
            continue
        value = predict(row, m)
        error = value / row.value - 1
        side = "held out" if row.device in HELD_OUT else "seen"
        groups[(row.metric, row.runtime, row.device, f"x{row.devices}", row.dtype)].append(error)
        groups[("ALL", row.metric, row.runtime, side)].append(error)
        if args.rows:
            print(f"{row.id:9s} {row.device:18s} x{row.devices} {row.model.id:12s} {row.dtype:8s}"
                  f" {row.metric:13s} {row.prompt:6d} {row.output:6d} {row.value:9.2f}"
                  f" {value:9.2f} {error:+7.1%}")
    for key, each in sorted(groups.items()):
        size, bias = median(abs(e) for e in each), median(each)
        print(f"{' '.join(key):68s} n {len(each):3d}  median {size:6.1%}  bias {bias:+7.1%}")


if __name__ == "__main__":
    main()
