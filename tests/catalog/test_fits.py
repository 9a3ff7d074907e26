"""Fitted figures: few, named, bounded, each with the rows that it came from."""

from __future__ import annotations

from collections import Counter

import pytest

from llamasim import catalog
from llamasim.catalog.fits import figure, fits, owner_of, with_figure
from llamasim.catalog.specs import Device, Fabric, Runtime

#: Most fitted figures of one record, by kind.
MOST = {"devices": 6, "fabrics": 6, "runtimes": 8}
EVERY = tuple(fits())
RECORDS = [(kind, name) for kind in MOST for name in catalog.ids(kind)]


def test_no_runtime_has_more_than_eight_and_no_device_more_than_six() -> None:
    """Many knobs would follow any measurement and tell nothing of the next one."""
    count = Counter((f.kind, f.owner) for f in EVERY)
    assert count
    for (kind, owner), many in count.items():
        assert many <= MOST[kind], f"{owner} has {many}"


@pytest.mark.parametrize("fit", EVERY, ids=lambda f: f"{f.owner}.{f.path}")
def test_a_fitted_figure_is_within_its_bounds_and_names_its_rows(fit: object) -> None:
    """A figure at a bound would be the bound's, not the measurements'."""
    from llamasim.catalog.fits import Fit

    assert isinstance(fit, Fit)
    assert fit.low < fit.high
    assert fit.low <= fit.value <= fit.high
    assert fit.source.startswith(("fitted", "chosen")), fit.source
    assert " on " in fit.source


@pytest.mark.parametrize(("kind", "name"), RECORDS)
def test_what_says_that_it_was_fitted_is_counted(kind: str, name: str) -> None:
    """A source that tells of a fit belongs to a figure with bounds."""
    record = catalog.get(kind, name)
    assert isinstance(record, Device | Fabric | Runtime)
    for key, source in record.sources.items():
        if source.startswith(("fitted", "chosen")) and key != "*":
            paths = [p for p in record.bounds if p == key or p.startswith(f"{key}.")
                     or p.endswith(f".{key}")]
            assert paths, f"{name}: `{key}` is said to be fitted and has no bounds"


def test_a_figure_is_found_and_replaced_by_its_path() -> None:
    """Of a record, of a table, and on a family that has none of its own."""
    runtime = catalog.get_runtime("torchtitan")
    assert runtime is not None
    general = figure(runtime, "attention_efficiency")
    assert figure(runtime, "on.turing.attention_efficiency") == general
    changed = with_figure(runtime, "on.turing.attention_efficiency", 0.25)
    assert figure(changed, "on.turing.attention_efficiency") == 0.25
    assert figure(changed, "attention_efficiency") == general
    assert figure(with_figure(runtime, "formats.fp8", 0.5), "formats.fp8") == 0.5
    assert owner_of(runtime) == "torchtitan"
