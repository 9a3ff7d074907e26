"""Records of the catalog that rows name in words of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from itertools import combinations

from llamasim import catalog
from llamasim.catalog.specs import Device, Runtime
from llamasim.validate.training import UnsupportedError

#: What sources add to a device's name: its memory, its cores, how it is built in.
_ADDED = (r"\b\d+ ?gi?b\b", r"\b\d+c\b|\b\d+[- ]cores?\b", r"\bpcie\b|\bsxm\d?\b|\bsxm\b")


__all__ = ["UnsupportedError", "device_of", "host_of", "runtime_of"]


def runtime_of(columns: Map[str, str]) -> Runtime:
    """Return the runtime of a row.

    Raises:
        UnsupportedError: it is not in the catalog.

    """
    name = columns.get("runtime", "")
    found = catalog.get_runtime(name)
    if found is None:
        raise UnsupportedError(f"no runtime `{name}` in the catalog")
    return found


def device_of(columns: Map[str, str]) -> Device:
    """Return the device of a row; what sources add to its name is left out where that helps.

    Raises:
        UnsupportedError: it is not in the catalog.

    """
    name = columns.get("device", "")
    plain = name.replace("-", " ").replace("_", " ").strip()
    for count in range(len(_ADDED) + 1):
        for added in combinations(_ADDED, count):
            less = plain
            for pattern in added:
                less = re.sub(pattern, "", less, flags=re.IGNORECASE)
            found = catalog.get_device(less) if less.strip() else None
            if found is not None:
                return found
    raise UnsupportedError(f"no device `{name}` in the catalog")


def host_of(device: Device) -> str:
    """Return the id of the host that usually surrounds a device."""
    hosts = catalog.ids("hosts")
    if device.host:
        return device.host
    return next((h for h in hosts if device.id.split("-")[0] in h), hosts[0])
