"""The table of fields: the schema made from it, and what it says about itself."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from llamasim import catalog
from llamasim.catalog.fields import CLASSES
from llamasim.diagnostics import Source, Span
from llamasim.scenario import json_schema
from llamasim.scenario.fields import FIELDS, children
from llamasim.scenario.nodes import Scalar
from llamasim.scenario.record_fields import record_fields
from llamasim.scenario.values import Reading, read_value

KINDS = ("devices", "fabrics", "hosts", "models", "runtimes")
HERE = Span(Source("x", "x"), 1, 1, 1, 2)


def test_the_schema_is_plain_json_with_every_key() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert set(schema["properties"]) == {f.key for f in children("")}
    assert schema["required"] == ["edition", "model", "cluster", "runtime", "workload"]
    assert schema["properties"]["workload"]["properties"]["mode"]["enum"] == [
        "training", "inference",
    ]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("path", sorted(FIELDS))
def test_every_field_is_explained(path: str) -> None:
    field = FIELDS[path]
    assert field.doc.endswith(".")
    assert field.required or field.default or field.example


@pytest.mark.parametrize("kind", KINDS)
def test_inline_records_fill_attributes_that_exist(kind: str) -> None:
    known = {a.name for a in attrs.fields(CLASSES[kind])}
    for field in record_fields(kind):
        assert field.key in ("base", "import") or field.target in known


@pytest.mark.parametrize("kind", KINDS)
def test_examples_of_records_can_be_pasted(kind: str) -> None:
    for field in record_fields(kind):
        if field.kind in ("number", "integer", "choice", "flag") and field.example:
            reading = Reading(Path())
            value = read_value(reading, field, field.key, Scalar(HERE, field.example), HERE)
            assert value is not None, (field.key, [d.message for d in reading.found])


@pytest.mark.parametrize("path", sorted(FIELDS))
def test_examples_of_fields_can_be_pasted(path: str) -> None:
    field = FIELDS[path]
    if field.kind in ("number", "integer", "choice", "flag") and field.example:
        reading = Reading(Path())
        assert read_value(reading, field, path, Scalar(HERE, field.example), HERE) is not None


@pytest.mark.parametrize("kind", ["devices", "models", "runtimes"])
def test_what_the_catalog_ships_is_within_the_ranges_of_inline_records(kind: str) -> None:
    for name in catalog.ids(kind):
        record = catalog.get(kind, name)
        for field in record_fields(kind):
            value = getattr(record, field.target, None)
            if field.kind in ("number", "integer") and value is not None:
                base = value / field.scale
                assert field.low is None or base >= field.low, (name, field.key)
                assert field.high is None or base <= field.high, (name, field.key)
