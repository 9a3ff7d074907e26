"""Types of parameters, constants and functions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import attrs

from llamasim.units import DATA, ENERGY, MONEY, NONE, TIME, TOKEN, WORK, Dimension

Kind = Literal["number", "bool", "symbol", "model"]


@attrs.frozen
class Type:
    """A kind of value.

    Attributes:
        name: as rule files write it.
        dimension: of numbers.
        whole: whether only whole numbers are allowed.
        example: how a scenario writes one.

    """

    name: str
    kind: Kind
    dimension: Dimension = NONE
    whole: bool = False
    example: str = ""


#: How truth is written elsewhere.
TRUTHS: Mapping[str, str] = MappingProxyType(
    {"true": "true", "yes": "true", "false": "false", "no": "false", "none": "false",
     "null": "false"}
)
#: What types of other languages, and units taken for types, are called here.
ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "integer": "Int", "count": "Int", "number": "Real", "float": "Real", "double": "Real",
        "percent": "Ratio", "share": "Ratio", "boolean": "Bool", "flag": "Bool", "str": "Symbol",
        "string": "Symbol", "text": "Symbol", "word": "Symbol", "bytes": "Data", "bits": "Data",
        "size": "Data", "seconds": "Time", "duration": "Time", "flops": "Work", "tokens": "Token",
        "dollars": "Money", "bandwidth": "Rate",
    }
)
TYPES: Mapping[str, Type] = MappingProxyType(
    {
        t.name: t
        for t in (
            Type("Int", "number", whole=True, example="8"),
            Type("Real", "number", example="1.5"),
            Type("Ratio", "number", example="85 %"),
            Type("Bool", "bool", example="true"),
            Type("Data", "number", DATA, example="16 bit"),
            Type("Time", "number", TIME, example="20 us"),
            Type("Work", "number", WORK, example="2 FLOP"),
            Type("Token", "number", TOKEN, example="2048 tok"),
            Type("Energy", "number", ENERGY, example="3 J"),
            Type("Money", "number", MONEY, example="2 USD"),
            Type("Rate", "number", DATA / TIME, example="450 GB/s"),
            Type("Speed", "number", WORK / TIME, example="100 TFLOPS"),
            Type("Symbol", "symbol", example="bf16"),
            Type("Model", "model", example="llama_3_2_1b"),
        )
    }
)
