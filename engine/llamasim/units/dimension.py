"""Dimensions as exponents over six base dimensions."""

from __future__ import annotations

import attrs

BASES = ("Data", "Time", "Work", "Token", "Energy", "Money")


@attrs.frozen
class Dimension:
    """Exponents of Data, Time, Work, Token, Energy and Money; all zero is a plain ratio."""

    exponents: tuple[int, int, int, int, int, int]

    def __mul__(self, other: Dimension) -> Dimension:
        return _combine(self, other, 1)

    def __truediv__(self, other: Dimension) -> Dimension:
        return _combine(self, other, -1)

    def __pow__(self, power: int) -> Dimension:
        e = self.exponents
        p = power
        return Dimension((e[0] * p, e[1] * p, e[2] * p, e[3] * p, e[4] * p, e[5] * p))

    @property
    def is_ratio(self) -> bool:
        """Whether this is dimensionless."""
        return not any(self.exponents)

    def __str__(self) -> str:
        up = [_power(b, e) for b, e in zip(BASES, self.exponents, strict=True) if e > 0]
        down = [_power(b, -e) for b, e in zip(BASES, self.exponents, strict=True) if e < 0]
        if not up and not down:
            return "Ratio"
        text = " * ".join(up) or "1"
        return text + "".join(f" / {d}" for d in down)


def _power(base: str, exponent: int) -> str:
    return base if exponent == 1 else f"{base}^{exponent}"


def _combine(a: Dimension, b: Dimension, sign: int) -> Dimension:
    x, y = a.exponents, b.exponents
    return Dimension(
        (
            x[0] + sign * y[0],
            x[1] + sign * y[1],
            x[2] + sign * y[2],
            x[3] + sign * y[3],
            x[4] + sign * y[4],
            x[5] + sign * y[5],
        )
    )


def _base(index: int) -> Dimension:
    e = [0] * 6
    e[index] = 1
    return Dimension((e[0], e[1], e[2], e[3], e[4], e[5]))


NONE = Dimension((0, 0, 0, 0, 0, 0))
DATA, TIME, WORK, TOKEN, ENERGY, MONEY = (_base(i) for i in range(6))
