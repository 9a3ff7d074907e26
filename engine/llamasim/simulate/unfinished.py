"""The state of a server's run under way, so that one that was stopped goes on from there.

The state is that of the clock, the requests and the servers between two events. What follows from
the scenario alone (plan, requests, costs of steps) is not in it but worked out again, so a run that
goes on gives the bytes of one that was never stopped.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MethodType
from typing import Any, Protocol

from llamasim import __version__
from llamasim.plan.identity import plan_hash
from llamasim.simulate.pools import Floor, Shop
from llamasim.simulate.spool import Damaged

_MARK = b"llamasim: an unfinished run\n"
_ROOM = "llamasim.simulate."
#: Classes of others that a state consists of; no other is read.
_PLAIN = {("collections", "deque"), ("collections", "OrderedDict"), ("builtins", "range"),
          ("array", "array"), ("array", "_array_reconstructor")}
#: Events between two looks: well below a second.
_EVENTS = 64


class Watch(Protocol):
    """Who looks on while a server runs."""

    def kept(self) -> bytes | None:
        """Return the state that the run goes on from; None: it begins."""

    def folder(self) -> Path | None:
        """Return where iterations go that are over; None: they stay in memory."""

    def look(self, come: Callable[[], int], state: Callable[[], bytes]) -> None:
        """See how many requests have come, and what the state is; called many times a second.

        What this raises ends the run.
        """


class Unfit(Exception):  # noqa: N818 it says what the state is
    """A state is damaged, or that of another run."""


def watched(begin: Callable[[], Floor], shop: Shop, watch: Watch) -> Floor:
    """Serve until no request is left, under someone's eyes, and return the floor.

    Raises:
        Unfit: the state that it should go on from is not this run's.
        OSError: what is over cannot be written.

    """
    kept = watch.kept()
    if kept is None:
        floor = begin()
        floor.desk.start()
    else:
        floor = _restored(kept, shop)
        try:
            floor.spool.again(watch.folder())
        except Damaged as error:
            raise Unfit("iterations that it wrote before are missing") from error
    while floor.clock.go(_EVENTS):
        floor.spool.note(floor.servers, watch.folder())
        watch.look(floor.come, lambda: _state(floor, shop))
    return floor


def _state(floor: Floor, shop: Shop) -> bytes:
    """Return the state of a run, with what tells whose it is and whether it is whole."""
    buffer = io.BytesIO()
    _Pickler(buffer, _given(shop)).dump(floor)
    body = buffer.getvalue()
    return _MARK + _key(shop) + hashlib.sha256(body).digest() + body


def _restored(data: bytes, shop: Shop) -> Floor:
    head = len(_MARK)
    body = data[head + 64 :]
    if data[:head] != _MARK or hashlib.sha256(body).digest() != data[head + 32 : head + 64]:
        raise Unfit("it is damaged")
    if data[head : head + 32] != _key(shop):
        raise Unfit("the scenario, its seed, Python or llamasim have changed since")
    try:
        found: object = _Unpickler(body, _given(shop)).load()
    except pickle.UnpicklingError as error:
        raise Unfit(str(error)) from error
    if not isinstance(found, Floor):
        raise Unfit("it is damaged")
    return found


def _given(shop: Shop) -> Mapping[str, object]:
    """Return what a state refers to without having it."""
    return {"shop": shop, "costs": shop.costs, "parts": shop.parts, "asked": shop.asked}


def _key(shop: Shop) -> bytes:
    """Return a digest of all that a run depends on: plan, requests, and the engine itself."""
    digest = hashlib.sha256(f"{__version__} {sys.version} {shop.coalesce}".encode())
    digest.update(plan_hash(shop.plan, shop.scenario).encode())
    for column in shop.stream.columns():
        digest.update(column.tobytes())
    engine = Path(__file__).parents[1]
    for room in ("cost", "simulate"):
        for path in sorted((engine / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.digest()


def bound(owner: object, name: str) -> Any:
    """Return a method of an object of this room."""
    if not type(owner).__module__.startswith(_ROOM):
        raise pickle.UnpicklingError(f"{type(owner)} is no part of a state")
    return getattr(owner, name)


class _Pickler(pickle.Pickler):
    """Writes a floor without what follows from its scenario."""

    def __init__(self, file: io.BytesIO, given: Mapping[str, object]) -> None:
        super().__init__(file, protocol=5)
        self._names = {id(v): k for k, v in given.items() if v is not None}

    def persistent_id(self, obj: Any) -> str | None:
        """Return the name of what is not written."""
        return self._names.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        """Write a method as its object and its name."""
        if isinstance(obj, MethodType):
            return bound, (obj.__self__, obj.__name__)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    """Reads what a state consists of and nothing else."""

    def __init__(self, data: bytes, given: Mapping[str, object]) -> None:
        super().__init__(io.BytesIO(data))
        self._given = given

    def persistent_load(self, pid: Any) -> object:
        """Return what is not written, by name."""
        return self._given[pid]

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of this room, or one of the few others; any more is refused."""
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        found = super().find_class(module, name) if module.startswith(_ROOM) else None
        if found is bound or (isinstance(found, type) and found.__module__.startswith(_ROOM)):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a state")
