"""What is known about devices, fabrics, hosts, instances, models and runtimes."""

from llamasim.catalog.construct import construct
from llamasim.catalog.fields import KINDS, Field, engine_value, fields
from llamasim.catalog.load import (
    find,
    get,
    get_device,
    get_fabric,
    get_host,
    get_instance,
    get_model,
    get_runtime,
    ids,
)
from llamasim.catalog.named_by_tests import unknown_in_tests

__all__ = [
    "KINDS",
    "Field",
    "construct",
    "engine_value",
    "fields",
    "find",
    "get",
    "get_device",
    "get_fabric",
    "get_host",
    "get_instance",
    "get_model",
    "get_runtime",
    "ids",
    "unknown_in_tests",
]
