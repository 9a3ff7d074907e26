"""JSON Schema of scenario files, for editors; from the same table that the reader uses."""

from __future__ import annotations

from typing import Any

from llamasim.scenario.fields import FIELDS, LENGTH, Field, children
from llamasim.scenario.record_fields import record_fields

_USE = {
    "description": "Parameters of the technique; `scope` narrows it to matching elements.",
    "type": ["object", "null"],
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
_USES = {
    "type": "object",
    "patternProperties": {
        r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(\s+as\s+[A-Za-z_]\w*)?$": _USE,
    },
    "additionalProperties": False,
}


def json_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema draft 2020-12).

    Numbers with units are strings to it; dimensions are checked by `llamasim check` only.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llamasim scenario",
        **_object(children(""), ""),
    }


def _object(fields: tuple[Field, ...], prefix: str) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {f.key: _field(f, f"{prefix}{f.key}") for f in fields},
        "additionalProperties": False,
    }
    required = [f.key for f in fields if f.required]
    return {**schema, "required": required} if required else schema


def _field(field: Field, path: str) -> dict[str, Any]:
    text = field.doc
    if field.default:
        text += f" Default: {field.default}."
    if field.mode:
        text += f" Only in {field.mode}."
    schema = {"description": text, **_type(field, path)}
    return {**schema, "examples": [field.example]} if field.example else schema


def _type(field: Field, path: str) -> dict[str, Any]:
    if field.kind == "section":
        return _section(field, path)
    if field.kind == "record":
        inline = _object(
            tuple(f for f in record_fields(field.catalog)), f"{field.catalog}:"
        )
        inline.pop("required", None)
        return {"anyOf": [{"type": "string"}, inline]}
    simple: dict[str, dict[str, Any]] = {
        "text": {"type": ["string", "number"]},
        "flag": {"type": "boolean"},
        "names": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "pairs": {"type": "object", "additionalProperties": {"type": "string"}},
        "rates": {"type": "object", "propertyNames": {"enum": list(field.options)}},
        "uses": _USES,
        "choices": {"type": "object", "additionalProperties": {
            "type": "object", "additionalProperties": _USES}},
        "choice": {"enum": list(field.options)},
    }
    return simple.get(field.kind) or _number(field)


def _section(field: Field, path: str) -> dict[str, Any]:
    if path in FIELDS and children(path):
        return _object(children(path), f"{path}.")
    return {"anyOf": [{"type": ["string", "number"]}, _object(LENGTH, f"{path}.")]}


def _number(field: Field) -> dict[str, Any]:
    if not field.plain:
        return {"type": "string", "pattern": r"^\s*[+-]?\d"}
    number = "integer" if field.kind == "integer" else "number"
    schema: dict[str, Any] = {"type": [number, "string"]}
    if field.low is not None:
        schema["exclusiveMinimum" if field.above else "minimum"] = field.low
    if field.high is not None:
        schema["maximum"] = field.high
    return schema
