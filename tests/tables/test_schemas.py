"""Tables have published schemas with units, a stamp of what made them, and the same bytes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from tests.scenarios_for_tests import plan_of
from tests.tables.traces import batch, serving, serving_scenario, training

from llamasim import __version__
from llamasim.simulate import run
from llamasim.tables import tabulate, write
from llamasim.tables.schemas import SCHEMAS, VERSION

UNITS = {"_s": "s", "bytes": "byte", "flops": "FLOP", "_tokens": "tok", "usd": "USD",
         "_gib": "GiB", "_ms_mean": "ms", "_ms_p50": "ms", "_ms_p99": "ms", "_tok_s": "tok/s"}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_field_whose_name_ends_in_a_unit_says_it_in_metadata(name: str) -> None:
    """`start_s` has the unit s: a program need not read names."""
    for field in SCHEMAS[name]:
        ending = max((e for e in UNITS if field.name.endswith(e)), key=len, default=None)
        if ending and not field.name.startswith("usd_") and not field.name.endswith("per_s"):
            assert (field.metadata or {}).get(b"unit") == UNITS[ending].encode(), field.name


@pytest.mark.parametrize("trace", [training, batch, serving])
def test_tables_have_their_published_schema_and_stamp(trace: object) -> None:
    """Scenario, plan, seed, program and schema version are with every table."""
    run = trace()
    for name, table in tabulate(run).items():
        assert table.schema.equals(SCHEMAS[name], check_metadata=False), name
        assert table.schema.metadata == {
            b"scenario": b"test", b"plan_hash": run.plan.hash.encode(), b"seed": b"0",
            b"llamasim": __version__.encode(), b"schema": VERSION.encode(),
        }
        assert [f.metadata for f in table.schema] == [f.metadata for f in SCHEMAS[name]], name


def test_summaries_of_all_kinds_of_runs_make_one_table() -> None:
    """A null column keeps its type, so that runs can be put below each other."""
    tables = [tabulate(t)["summary"] for t in (training(), batch(), serving())]
    plain = [t.replace_schema_metadata(None) for t in tables]
    assert pa.concat_tables(plain).num_rows == 3


def test_the_same_plan_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    """Simulated and tabulated twice; another seed differs."""
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        given = serving_scenario(seed)
        write(tabulate(run(plan_of(given), given)), tmp_path / folder)
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    for name in files:
        one, two = ((tmp_path / f / name).read_bytes() for f in "ab")
        assert one == two, name
    assert (tmp_path / "a" / "requests.arrow").read_bytes() != (
        tmp_path / "c" / "requests.arrow").read_bytes()
