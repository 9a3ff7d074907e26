"""From values to a frozen record, with the defaults filled in and said."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import attrs

from llamasim.catalog.defaults import COMPLETE, Draft
from llamasim.catalog.fields import CLASSES, KINDS, Record, fields, plural

__all__ = ["KINDS", "construct"]


def construct(
    kind: str, values: Mapping[str, Any], sources: Mapping[str, str] | None = None
) -> Record:
    """Return a record of engine values (bytes, bytes/s, FLOP/s, Hz, s, W).

    Args:
        kind: `devices`, `fabrics`, `hosts`, `instances`, `models` or `runtimes`.
        values: by key (`memory`) or attribute (`memory_bytes`); all required keys must be there.
        sources: where each figure comes from, likewise; `*` stands for the rest.

    """
    kind = plural(kind)
    names = {f.key: f.attribute for f in fields(kind).values()}
    draft = Draft(
        {names.get(k, k): v for k, v in values.items()},
        {names.get(k, k): s for k, s in (sources or {}).items()},
    )
    for field in fields(kind).values():
        if field.default is not None:
            draft.values.setdefault(field.attribute, field.default)
    draft.values["name"] = draft.values.get("name") or draft.values.get("id", "")
    COMPLETE[kind](draft)
    return _freeze(kind, draft)


def _freeze(kind: str, draft: Draft) -> Record:
    known = attrs.fields_dict(CLASSES[kind])
    values = {
        k: MappingProxyType(dict(v)) if isinstance(v, Mapping) else v
        for k, v in draft.values.items()
        if k in known
    }
    values["sources"] = MappingProxyType(dict(sorted(draft.sources.items())))
    make = cast(Any, CLASSES[kind])
    return cast(Record, make(**values))
