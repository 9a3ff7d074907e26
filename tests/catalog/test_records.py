"""What every record of the catalog must satisfy, whoever adds it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from llamasim import catalog
from llamasim.catalog import files
from llamasim.catalog.describe import describe, source_of
from llamasim.catalog.specs import Device, Fabric

EVERY = [(kind, name) for kind in catalog.KINDS for name in catalog.ids(kind)]


def figures(kind: str, record: Any) -> Mapping[str, float]:
    """Return the numeric figures of a record, tables spread out."""
    found: dict[str, float] = {}
    for field in catalog.fields(kind).values():
        value = getattr(record, field.attribute)
        if isinstance(value, Mapping):
            found |= {f"{field.attribute}.{k}": v for k, v in value.items()}
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[field.attribute] = value
    return found


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_record_loads_with_finite_figures(kind: str, name: str) -> None:
    """No figure is negative, infinite or not a number, and what divides is never zero."""
    record = catalog.get(kind, name)
    assert record is not None
    assert record.id == name
    for key, value in figures(kind, record).items():
        assert math.isfinite(value), key
        assert value >= 0, key
    for key in ("memory_bytes", "memory_bandwidth", "bandwidth", "clock_hz", "multiprocessors",
                "layers", "hidden", "heads", "kv_heads", "head_dim", "vocab", "context"):
        if figures(kind, record).get(key) is not None:
            assert figures(kind, record)[key] > 0, key


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_figure_has_a_source(kind: str, name: str) -> None:
    """Derived and default figures say so; the rest name a document."""
    record = catalog.get(kind, name)
    assert record is not None
    for key in figures(kind, record):
        assert source_of(record, key).strip(), f"{name}: {key}"


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_ids_stay_apart_when_separators_are_dropped(kind: str) -> None:
    """Two ids that differ only in `_`, `.`, `-` or case would hide each other."""
    names = catalog.ids(kind)
    assert len({files.fold(n) for n in names}) == len(names)


@pytest.mark.parametrize("kind", ["devices", "models", "fabrics", "hosts"])
def test_short_names_lead_to_records_and_hide_none(kind: str) -> None:
    """A short name stands for an id that exists, and is not itself an id."""
    for short, name in files.aliases(kind).items():
        assert name in catalog.ids(kind)
        assert short not in files.index(kind)


def test_every_reference_between_records_resolves() -> None:
    """Links, hosts and devices that records name are in the catalog."""
    for kind in catalog.KINDS:
        references = [f for f in catalog.fields(kind).values() if f.refers]
        for name in catalog.ids(kind):
            record = catalog.get(kind, name)
            for field in references:
                target = getattr(record, field.attribute)
                if target:
                    assert catalog.get(str(field.refers), target), f"{name}: {target}"


@pytest.mark.parametrize("name", catalog.ids("devices"))
def test_devices_are_of_this_world(name: str) -> None:
    """Bandwidth, clock, power and cache lie where silicon of 2017 to 2026 lies."""
    d = catalog.get_device(name)
    assert isinstance(d, Device)
    assert 50e9 < d.memory_bandwidth < 20e12
    assert 4 * 2**30 <= d.memory_bytes <= 1024 * 2**30
    assert 0.5e9 <= d.clock_hz <= 6e9
    assert 1e6 <= d.l2_bytes <= 1e9
    assert d.idle_watts < d.tdp_watts <= 2000
    assert 0 < d.sustained <= 1
    assert 0 < d.memory_efficiency <= 1
    assert all(1e11 < rate < 5e16 for rate in d.peaks.values())


@pytest.mark.parametrize("name", catalog.ids("devices"))
def test_little_law_lets_every_device_stream_at_its_bandwidth(name: str) -> None:
    """Bytes in flight a clock over all multiprocessors cover the memory bandwidth."""
    d = catalog.get_device(name)
    assert d is not None
    assert d.bytes_per_clock * d.multiprocessors * d.clock_hz >= d.memory_bandwidth


def test_fp16_accumulation_is_twice_the_rate_on_geforce_only() -> None:
    """GeForce halves the fp16 rate when it accumulates in fp32; professional parts do not."""
    for name in catalog.ids("devices"):
        d = catalog.get_device(name)
        assert d is not None
        if "fp16_acc16" in d.peaks:
            assert name.startswith("rtx-")
            assert d.peaks["fp16_acc16"] == pytest.approx(2 * d.peaks["fp16"], rel=0.01)
    geforce = catalog.get_device("rtx-4090")
    assert geforce is not None
    assert geforce.peaks["fp16_acc16"] == pytest.approx(330.3e12, rel=0.001)


@pytest.mark.parametrize("name", catalog.ids("fabrics"))
def test_fabrics_are_of_this_world(name: str) -> None:
    """From 10 GbE to NVLink 6; sub-microsecond to flash."""
    f = catalog.get_fabric(name)
    assert isinstance(f, Fabric)
    assert 1e9 <= f.bandwidth <= 2e12
    assert 1e-7 <= f.latency_s <= 1e-4
    assert f.base_latency_s <= 1e-3
    assert 0 < f.efficiency <= 1


def test_a_known_device_reads_as_its_data_sheet_says() -> None:
    """H100 SXM: 132 SMs, 80 GiB at 3.35 TB/s, 989 TFLOP/s dense in bf16, 700 W."""
    d = catalog.get_device("h100-sxm")
    assert d is not None
    assert (d.multiprocessors, d.memory_bytes, d.memory_bandwidth) == (132, 80 * 2**30, 3.35e12)
    assert (d.peaks["bf16"], d.tdp_watts, d.l2_bytes) == (989e12, 700, 50e6)
    assert (d.peer, d.host_link, d.host) == ("nvlink4", "pcie5-x16", "dgx-h100")


def test_a_price_is_by_the_hour_for_the_whole_machine() -> None:
    """AWS p5.48xlarge: eight H100, 3200 Gb/s, 55.04 USD an hour in us-east-1."""
    i = catalog.get_instance("p5.48xlarge")
    assert i is not None
    assert (i.device, i.devices, i.usd_per_hour) == ("h100-sxm", 8, pytest.approx(55.04))
    assert i.network_bytes_per_s == pytest.approx(400e9)
    assert (i.region, i.price_date) == ("us-east-1", "2026-07-20")


def test_every_price_has_its_date() -> None:
    """A price without a date says nothing."""
    for name in catalog.ids("instances"):
        i = catalog.get_instance(name)
        assert i is not None
        if i.usd_per_hour or i.usd_per_hour_spot:
            assert i.price_date, name
            assert 0.01 < (i.usd_per_hour or i.usd_per_hour_spot or 0) / i.devices < 30, name


def test_descriptions_carry_units() -> None:
    """What is shown to people has the unit beside the number."""
    d = catalog.get_device("h100-sxm")
    assert d is not None
    shown = {f.key: f.text for f in describe("devices", d)}
    assert shown["memory"] == "80 GiB"
    assert shown["memory_bandwidth"] == "3350 GB/s"
    assert shown["peaks.int8"] == "1979 TOPS"
    assert shown["clock"] == "1.98 GHz"
    assert shown["l2"] == "50 MB"
