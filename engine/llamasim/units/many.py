"""A number that stands for many configurations at once, and takes part in any arithmetic.

`Many` goes wherever a float goes: sums and products are taken for all configurations in one step,
and a comparison gives one answer if all agree. Where they do not, `Disagree` says who says what, so
that the caller can do the same work again for each part (`apart`). Code that is written for one
configuration so serves thousands, and what it decides is decided for each as if it were alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]
    Places = np.ndarray[Any, np.dtype[np.int64]]
else:
    Floats = Places = Any

    class _Later:
        """NumPy, imported with the first array: most commands have none."""

        def __getattr__(self, name: str) -> Any:
            import numpy

            found = getattr(numpy, name)
            setattr(self, name, found)
            return found

    np = _Later()

T = TypeVar("T")
N = TypeVar("N", int, float)


class Disagree(Exception):  # noqa: N818 - nothing is wrong: the caller goes on in parts
    """Configurations that go different ways; `parts` holds a number for each, equal within one."""

    def __init__(self, parts: Places) -> None:
        super().__init__("configurations that go different ways")
        self.parts = parts


class Many:
    """One value for each of a number of configurations."""

    __slots__ = ("_key", "values")
    __array_ufunc__ = None  # NumPy's numbers leave arithmetic with it to this class

    def __init__(self, values: Floats) -> None:
        self.values = values
        self._key: bytes | None = None

    # --- arithmetic --------------------------------------------------------------------------

    def __add__(self, other: Any) -> Many:
        return Many(self.values + (other.values if type(other) is Many else other))

    def __sub__(self, other: Any) -> Many:
        return Many(self.values - (other.values if type(other) is Many else other))

    def __rsub__(self, other: Any) -> Many:
        return Many((other.values if type(other) is Many else other) - self.values)

    def __mul__(self, other: Any) -> Many:
        return Many(self.values * (other.values if type(other) is Many else other))

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other: Any) -> Many:
        return Many(self.values / (other.values if type(other) is Many else other))

    def __rtruediv__(self, other: Any) -> Many:
        return Many((other.values if type(other) is Many else other) / self.values)

    def __floordiv__(self, other: Any) -> Many:
        return Many(self.values // (other.values if type(other) is Many else other))

    def __rfloordiv__(self, other: Any) -> Many:
        return Many((other.values if type(other) is Many else other) // self.values)

    def __mod__(self, other: Any) -> Many:
        return Many(self.values % (other.values if type(other) is Many else other))

    def __rmod__(self, other: Any) -> Many:
        return Many((other.values if type(other) is Many else other) % self.values)

    def __pow__(self, other: Any) -> Many:
        return Many(self.values ** (other.values if type(other) is Many else other))

    def __rpow__(self, other: Any) -> Many:
        return Many((other.values if type(other) is Many else other) ** self.values)

    def __neg__(self) -> Many:
        return Many(-self.values)

    def __abs__(self) -> Many:
        return Many(np.abs(self.values))

    def __round__(self, digits: int | None = None) -> Many:
        return Many(np.round(self.values, digits or 0))

    def __ceil__(self) -> Many:
        return Many(np.ceil(self.values))

    def __floor__(self) -> Many:
        return Many(np.floor(self.values))

    # --- decisions ---------------------------------------------------------------------------

    def __lt__(self, other: object) -> bool:
        return _agreed(self.values < _bare(other))

    def __le__(self, other: object) -> bool:
        return _agreed(self.values <= _bare(other))

    def __gt__(self, other: object) -> bool:
        return _agreed(self.values > _bare(other))

    def __ge__(self, other: object) -> bool:
        return _agreed(self.values >= _bare(other))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Many | int | float):
            return False
        return other is self or _agreed(self.values == _bare(other))

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> bytes:
        """Its values, to be looked up by."""
        if self._key is None:
            self._key = self.values.tobytes()
        return self._key

    def __bool__(self) -> bool:
        return _agreed(self.values != 0)

    def only(self) -> float:
        """Return the value that all have; they go apart where there is none."""
        first = self.values[0]
        if (self.values != first).any():
            _, parts = np.unique(self.values, return_inverse=True)
            raise Disagree(parts)
        return float(first)

    def __float__(self) -> float:
        return self.only()

    def __int__(self) -> int:
        return int(self.only())

    def __index__(self) -> int:
        value = self.only()
        if value != int(value):
            raise TypeError("not a whole number")
        return int(value)

    def is_integer(self) -> bool:
        """Whether all values are whole."""
        return _agreed(self.values == np.floor(self.values))

    # --- text --------------------------------------------------------------------------------

    def __format__(self, spec: str) -> str:
        """Show the different values; only messages about several configurations hold them."""
        found = np.unique(self.values)
        shown = "/".join(format(float(v), spec or "g") for v in found[:4])
        return shown + ("/..." if len(found) > 4 else "")

    def __repr__(self) -> str:
        return f"Many({format(self)})"

    def __str__(self) -> str:
        return format(self)


def _bare(value: object) -> Any:
    return value.values if isinstance(value, Many) else value


def _agreed(answers: Any) -> bool:
    if answers.all():
        return True
    if not answers.any():
        return False
    raise Disagree(answers.astype(np.int64))


def many(values: Sequence[float] | Floats) -> float:
    """Return values as one number, or as a plain one where all are equal."""
    found = np.asarray(values, dtype=np.float64)
    if len(found) and (found == found[0]).all():
        return float(found[0])
    return cast(float, Many(found))


def values_of(value: float, count: int) -> Floats:
    """Return the value of each of `count` configurations."""
    found = _bare(value)
    if isinstance(found, np.ndarray):
        return found
    return np.full(count, float(found))


def count_of(value: float) -> int:
    """Return for how many configurations a number has a value: 1 where it is plain."""
    bare = _bare(value)
    return len(bare) if isinstance(bare, np.ndarray) else 1


def is_many(value: object) -> bool:
    """Whether a number has several values."""
    return isinstance(value, Many)


def larger(a: N, b: N) -> N:
    """Return the larger of two numbers, for each configuration."""
    if isinstance(a, Many) or isinstance(b, Many):
        return cast(N, Many(np.maximum(_bare(a), _bare(b))))
    return a if a > b else b


def smaller(a: N, b: N) -> N:
    """Return the smaller of two numbers, for each configuration."""
    if isinstance(a, Many) or isinstance(b, Many):
        return cast(N, Many(np.minimum(_bare(a), _bare(b))))
    return a if a < b else b


def where_larger(a: float, b: float, yes: float, no: float) -> float:
    """Return `yes` where `a` is larger than `b`, else `no`."""
    if isinstance(a, Many) or isinstance(b, Many):
        return cast(float, Many(np.where(_bare(a) > _bare(b), _bare(yes), _bare(no))))
    return yes if a > b else no


def real(value: float | str) -> float:
    """Return a number as a float, or as many of them."""
    return cast(float, value) if isinstance(value, Many) else float(value)


def whole(value: float) -> int:
    """Return a number cut to whole ones."""
    if isinstance(value, Many):
        return cast(int, Many(np.trunc(value.values)))
    return int(value)


def close(a: float, b: float, share: float) -> bool:
    """Whether two numbers differ by a share of the larger one at most."""
    if isinstance(a, Many) or isinstance(b, Many):
        return bool(abs(a - b) <= share * larger(abs(a), abs(b)))
    return math.isclose(a, b, rel_tol=share)


def each(function: Callable[..., float], *args: Any) -> float:
    """Return a function's value for each configuration, computed once for equal arguments."""
    found = [a for a in args if isinstance(a, Many)]
    if not found:
        return function(*args)
    rows = np.unique(np.column_stack([a.values for a in found]), axis=0, return_inverse=True)
    places = [k for k, a in enumerate(args) if isinstance(a, Many)]
    results = np.empty(len(rows[0]))
    given = list(args)
    for index, row in enumerate(rows[0].tolist()):
        for place, value in zip(places, row, strict=True):
            given[place] = value
        results[index] = function(*given)
    return many(results[rows[1].reshape(-1)])


def narrowed(value: T, chosen: Places) -> T:
    """Return a number, a record or a tuple with the values of chosen configurations alone."""
    if isinstance(value, Many):
        return cast(T, many(value.values[chosen]))
    if isinstance(value, tuple):
        parts = tuple(narrowed(v, chosen) for v in value)
        same = all(a is b for a, b in zip(parts, value, strict=True))
        return value if same else cast(T, parts)
    if isinstance(value, dict):
        named = {k: narrowed(v, chosen) for k, v in value.items()}
        return value if all(named[k] is v for k, v in value.items()) else cast(T, named)
    changes = {}
    for name in _fields(type(value)):
        before = getattr(value, name)
        kind = type(before)
        if kind is Many or kind is tuple or kind is dict or _fields(kind):
            after = narrowed(before, chosen)
            if after is not before:
                changes[name] = after
    return cast(T, attrs.evolve(cast(Any, value), **changes)) if changes else value


def joined(values: Sequence[T], counts: Sequence[int]) -> T:
    """Return numbers, records or tuples of one form as one, with the values of all configurations.

    `counts` says for how many configurations each value stands.
    """
    first: Any = values[0]
    if len(values) == 1 or all(v is first for v in values):
        return cast(T, first)
    if isinstance(first, Many | int | float) and not isinstance(first, bool):
        numbers = cast(Sequence[float], values)
        if not any(isinstance(v, Many) for v in numbers) and all(v == first for v in numbers):
            return cast(T, first)
        return cast(T, many(np.concatenate(
            [values_of(v, n) for v, n in zip(numbers, counts, strict=True)])))
    if isinstance(first, tuple):
        rows = zip(*cast(Any, values), strict=True)
        return cast(T, tuple(joined(row, counts) for row in rows))
    if isinstance(first, dict):
        tables = cast(Any, values)
        return cast(T, {k: joined([t[k] for t in tables], counts) for k in first})
    if names := _fields(type(first)):
        return cast(T, attrs.evolve(first, **{
            k: joined([getattr(v, k) for v in values], counts) for k in names}))
    if any(v != first for v in values):
        raise ValueError("values of different forms cannot be joined")
    return cast(T, first)


_KNOWN_FIELDS: dict[Any, tuple[str, ...]] = {}


def _fields(kind: Any) -> tuple[str, ...]:
    found = _KNOWN_FIELDS.get(kind)
    if found is None:
        found = tuple(a.name for a in attrs.fields(kind) if a.init) if attrs.has(kind) else ()
        _KNOWN_FIELDS[kind] = found
    return found


def apart(function: Callable[..., float], count: int, *args: Any) -> float:
    """Return a function's value for each of `count` configurations, in parts where they disagree.

    The parts are put together again, so the caller does not see that they went different ways.
    """
    try:
        return function(*args)
    except Disagree as found:
        parts = found.parts
    result = np.empty(count)
    for part in np.unique(parts):
        chosen = np.flatnonzero(parts == part)
        value = apart(function, len(chosen), *(narrowed(a, chosen) for a in args))
        result[chosen] = values_of(value, len(chosen))
    return many(result)


def distinct(rows: Sequence[Hashable]) -> tuple[list[int], Places]:
    """Return where each different row occurs first, and for every row the number of its like."""
    seen: dict[Hashable, int] = {}
    first: list[int] = []
    places = np.empty(len(rows), dtype=np.int64)
    for k, row in enumerate(rows):
        number = seen.get(row)
        if number is None:
            number = seen[row] = len(first)
            first.append(k)
        places[k] = number
    return first, places
