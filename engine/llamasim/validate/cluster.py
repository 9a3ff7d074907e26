"""Records of the catalog that rows name in words of their own."""

from __future__ import annotations

from collections.abc import Mapping as Map

from llamasim import catalog
from llamasim.catalog.specs import Device, Runtime
from llamasim.validate.training import UnsupportedError

#: Names that rows give runtimes whose catalog ids have other letters.
_RUNTIMES = {"optimum-habana+deepspeed": "optimum-habana-deepspeed",
             "nxd-inference/vllm": "nxd-inference"}


__all__ = ["UnsupportedError", "host_of", "runtime_of"]


def runtime_of(columns: Map[str, str]) -> Runtime:
    """Return the runtime of a row.

    Raises:
        UnsupportedError: it is not in the catalog.

    """
    name = columns["runtime"]
    found = catalog.get_runtime(_RUNTIMES.get(name, name))
    if found is None:
        raise UnsupportedError(f"no runtime `{name}` in the catalog")
    return found


def host_of(device: Device) -> str:
    """Return the id of the host that usually surrounds a device."""
    hosts = catalog.ids("hosts")
    if device.host:
        return device.host
    return next((h for h in hosts if device.id.split("-")[0] in h), hosts[0])
