"""Fit the fabrics' latency, start, efficiency and ramp to measured collectives.

    python -m benchmarks.fit_collectives COLLECTIVES.csv [--fit]

Columns: n_gpus, nodes, fabric, op, size_bytes, time_us, source, device. Rows that a fit may not see
(single-GPU noise, unstated fabrics) are left out by the rules below; whole devices and sources are
held out of the fit and reported apart.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import attrs

from llamasim.catalog import get_device, get_fabric, get_host, get_runtime
from llamasim.catalog.specs import Fabric
from llamasim.cost import Machine
from llamasim.cost.collectives import collective_seconds
from llamasim.plan.spec import Group

#: Text in the `fabric` column, and the fabrics it means: inside the node, between nodes.
FABRICS = (
    ("EFAv2", "nvlink4", "efa-v2"),
    ("EFAv4", "nvlink5", "efa-v4"),
    ("NVLink3/NVSwitch", "nvlink3", None),
    ("NVLink4/NVSwitch", "nvlink4", None),
    ("NVLink5/NVSwitch", "nvlink5", None),
    ("PCIe4 x16 host", "pcie4-x16", None),
    ("PCIe5 x16 host", "pcie5-x16", None),
    ("PCIe5 x8", "pcie5-x8", None),
    ("Infinity Fabric xGMI (8x MI300X)", "xgmi-mi300x", None),
)
OPS = {"alltoall": "all_to_all", "send_recv": "send"}
#: Devices whose rows the fit sees, by fabric; all others only test it.
FITTED = {
    "nvlink3": ("A100-SXM4-80GB",),
    "nvlink4": ("H100 SXM",),
    "nvlink5": ("B200",),
    "pcie5-x16": ("RTX PRO 6000 Blackwell Server",),
    "pcie4-x16": ("L40S",),
    "efa-v2": ("H100 SXM",),
    "efa-v4": ("B200",),
}
#: What is fitted. The efficiency of NVLink is measured at 8 GiB and more, and stays.
FIELDS = ("latency_s", "base_latency_s", "ramp_bytes")
ASYMPTOTE_TOO = ("pcie5-x16", "pcie4-x16", "efa-v2", "efa-v4")


@attrs.frozen
class Row:
    """One measured collective."""

    fabric: str
    outer: str | None
    device: str
    kind: str
    size: float
    group: Group
    seconds: float
    source: str

    @property
    def fitted(self) -> bool:
        """Whether the fit may see it."""
        if self.device not in FITTED.get(self.link, ()):
            return False
        return self.outer is not None or "aiconfigurator" in self.source

    @property
    def link(self) -> str:
        """The fabric that its figures tell of: the outer one where there is one."""
        return self.outer or self.fabric


def read(path: Path) -> list[Row]:
    """Return the rows that say what they ran on and are not known to be noise."""
    rows = []
    with path.open(encoding="utf-8") as file:
        for r in csv.DictReader(file):
            row = _row(r)
            if row is not None:
                rows.append(row)
    return rows


def _row(r: dict[str, str]) -> Row | None:
    known = next((f for f in FABRICS if r["fabric"].startswith(f[0])), None)
    if known is None or not r["time_us"] or "not stated" in r["fabric"]:
        return None
    if "across" in r["fabric"] or "pair" in r["fabric"]:
        return None
    size, n, nodes = float(r["size_bytes"]), int(r["n_gpus"]), int(r["nodes"])
    noisy = (
        (known[1] == "pcie4-x16" and n > 2)
        or ("vidur" in r["source"] and size < 2**20)
        or (known[2] == "efa-v4" and size < 2**17)
        or "NVLS_ENABLE=0" in r["fabric"] or "NVLS off" in r["fabric"]
    )
    if noisy or float(r["time_us"]) <= 0:
        return None
    return Row(
        known[1], known[2], r["device"], OPS.get(r["op"], r["op"]), size,
        Group("tp", n, n // nodes), float(r["time_us"]) * 1e-6, r["source"],
    )


def machine(fabric: Fabric, outer: Fabric | None, per_node: int) -> Machine:
    """Return a machine whose devices these fabrics join; its device does not matter here."""
    device, host = get_device("h100-sxm"), get_host("dgx-h100")
    runtime, link = get_runtime("megatron-core"), get_fabric("pcie5-x16")
    assert device and host and runtime and link
    return Machine(device, host, runtime, fabric, outer, link, per_node)


def predict(row: Row, fabrics: Callable[[str], Fabric]) -> float:
    """Return the seconds of a row."""
    per_node = 8 if row.fabric.startswith("xgmi") else row.group.per_node
    outer = fabrics(row.outer) if row.outer else None
    m = machine(fabrics(row.fabric), outer, per_node)
    return collective_seconds(row.kind, row.size, row.group, m)


def errors(rows: Iterable[Row], fabrics: Callable[[str], Fabric]) -> list[float]:
    """Return the absolute relative error of every row."""
    return [abs(predict(r, fabrics) / r.seconds - 1) for r in rows]


def catalog(name: str) -> Fabric:
    """Return a fabric of the catalog."""
    found = get_fabric(name)
    assert found is not None, name
    return found


def fit(rows: list[Row], name: str, others: dict[str, Fabric]) -> Fabric:
    """Return a fabric whose four figures minimise the mean absolute log error."""

    def loss(f: Fabric) -> float:
        known = {**others, name: f}
        each = (predict(r, lambda n: known.get(n) or catalog(n)) / r.seconds for r in rows)
        return sum(abs(math.log(ratio)) for ratio in each) / len(rows)

    best = catalog(name)
    # The hop between nodes cannot be told from the start of a collective over two of them.
    fields = FIELDS if best.kind != "inter-node" else FIELDS[1:]
    fields += ("efficiency",) if name in ASYMPTOTE_TOO else ()
    least, step = loss(best), 0.4
    while step > 0.01:
        improved = False
        for field in fields:
            for factor in (1 + step, 1 / (1 + step)):
                trial = attrs.evolve(best, **{field: getattr(best, field) * factor})
                if trial.efficiency <= 1 and (value := loss(trial)) < least:
                    best, least, improved = trial, value, True
        step = step if improved else step / 2
    return best


def report(rows: list[Row], fabrics: Callable[[str], Fabric]) -> None:
    """Print the median error by fabric, device and source, fitted and held-out rows apart."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for r in rows:
        side = "fitted" if r.fitted else "held out"
        groups[(r.link, side, r.device, r.source.split("@")[0])].append(r)
        large = "1 MiB and larger" if r.size >= 2**20 else "below 1 MiB"
        groups[("ALL", side, large, "")].append(r)
        groups[("ALL", side, "", "")].append(r)
    for key, members in sorted(groups.items()):
        each = errors(members, fabrics)
        bias = median(predict(r, fabrics) / r.seconds - 1 for r in members)
        size = median(each)
        print(f"{' '.join(key):75s} n {len(each):4d}  median {size:6.1%}  bias {bias:+6.1%}")


def main() -> None:
    """Report the catalog's error, or fit and print the figures as TOML."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    rows = read(args.csv)
    found: dict[str, Fabric] = {}
    if args.fit:
        for name in FITTED:
            found[name] = fit([r for r in rows if r.link == name and r.fitted], name, found)
            f = found[name]
            print(f'[fabrics.{name}]\nlatency = "{f.latency_s * 1e6:.2f} us"')
            print(f'base_latency = "{f.base_latency_s * 1e6:.1f} us"')
            print(f'efficiency = {f.efficiency:.3f}\nramp = "{f.ramp_bytes / 1e6:.2f} MB"\n')
    report(rows, lambda n: found.get(n) or catalog(n))


if __name__ == "__main__":
    main()
