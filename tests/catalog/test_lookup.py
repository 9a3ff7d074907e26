"""Finding records, and building new ones from given values."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llamasim import catalog
from llamasim.units import DATA, TIME, parse_quantity

SPELLINGS = ["h100-sxm", "h100_sxm", "H100.SXM", "h100sxm", "H100 SXM", "h100"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_separators_and_case_do_not_matter(name: str) -> None:
    """All spellings lead to the same record."""
    found = catalog.get_device(name)
    assert found is not None
    assert found.id == "h100-sxm"


@pytest.mark.parametrize(("name", "wanted"), [
    ("llama3.1-8b", "llama-3.1-8b"),
    ("llama3_1_8b", "llama-3.1-8b"),
    ("llama2_7b", "llama-2-7b"),
    ("llama_2_7b", "llama-2-7b"),
])
def test_models_are_found_by_common_spellings(name: str, wanted: str) -> None:
    """Llama 3.1 and Llama 2 are written in many ways."""
    found = catalog.get_model(name)
    assert found is not None
    assert found.id == wanted


def test_an_unknown_name_is_none() -> None:
    """The caller says what is wrong; the catalog does not raise."""
    assert catalog.get_device("h100-sxn") is None
    assert catalog.get_model("") is None
    assert catalog.get_instance("nowhere") is None


def test_a_record_is_read_once() -> None:
    """Records are shared, so that identity tells equality."""
    assert catalog.get_device("h100") is catalog.get_device("h100-sxm")


def test_a_device_of_four_figures_gets_the_rest_and_says_so() -> None:
    """Peaks, memory and bandwidth are enough; every derived figure names its derivation."""
    d = catalog.construct(
        "device",
        {"id": "mine", "peaks": {"bf16": 280e12}, "memory": 48 * 2**30, "memory_bandwidth": 1e12},
        {"*": "given"},
    )
    assert d.name == "mine"
    assert d.tdp_watts == pytest.approx(200)
    assert d.idle_watts == pytest.approx(20)
    assert d.host_link == "pcie4-x16"
    for attribute in ("sustained", "memory_efficiency", "bytes_per_clock", "l2_bytes", "tdp_watts"):
        assert d.sources[attribute].startswith(("default", "derived")), attribute


def test_values_may_be_given_by_key_or_by_attribute() -> None:
    """`memory` and `memory_bytes` are the same thing."""
    shape = {"layers": 2, "hidden": 64, "ffn": 128, "heads": 4, "vocab": 100, "context": 32}
    model = catalog.construct("models", shape)
    assert (model.kv_heads, model.head_dim) == (4, 16)
    fabric = catalog.construct("fabrics", {"bandwidth": 1e9, "latency_s": 3e-6})
    assert fabric.latency_s == 3e-6
    assert fabric.kind == "intra-node"


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_fields_describe_the_whole_record(kind: str) -> None:
    """Every attribute of a record can be given, but what tells of the others."""
    import attrs

    record = catalog.get(kind, catalog.ids(kind)[0])
    names = {f.attribute for f in catalog.fields(kind).values()}
    assert names == {a.name for a in attrs.fields(type(record))} - {"sources", "bounds"}
    assert all(f.doc for f in catalog.fields(kind).values())


def test_quantities_become_engine_values() -> None:
    """Bytes for bits, hours for prices, base units for the rest."""
    assert catalog.engine_value(parse_quantity("80 GiB")) == 80 * 2**30
    assert catalog.engine_value(parse_quantity("400 Gbit/s")) == 50e9
    assert catalog.engine_value(parse_quantity("3 us")) == pytest.approx(3e-6)
    assert catalog.engine_value(parse_quantity("98 USD/h")) == pytest.approx(98)
    assert catalog.fields("devices")["memory"].dimension == DATA
    assert catalog.fields("fabrics")["latency"].dimension == TIME


def test_one_run_opens_few_files() -> None:
    """A run reads its own records only, and nothing heavy is imported for it."""
    script = (
        "import sys; from llamasim import catalog; from llamasim.catalog import files;"
        "d = catalog.get_device('h100'); catalog.get_model('llama-3.1-405b');"
        "catalog.get_fabric(d.peer); catalog.get_host(d.host);"
        "heavy = {'numpy', 'pyarrow', 'simpy'} & {*sys.modules};"
        "print(files._text.cache_info().currsize, len(heavy))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    opened, heavy = map(int, out.stdout.split())
    # Device, model, fabrics, hosts, and what is common: short names and fitted figures.
    assert opened <= 6
    assert heavy == 0
