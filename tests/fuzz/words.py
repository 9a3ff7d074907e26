"""Words, numbers and characters that texts are damaged and made with."""

from __future__ import annotations

from llamasim.language.cells import CELLS, ELEMENTS, LIFETIMES, PHASES, PLACES
from llamasim.language.keywords import KEYWORDS
from llamasim.language.types import TYPES
from llamasim.language.vocabulary import SHARD_DIMS, VOCABULARY
from llamasim.scenario.fields import FIELDS, METRICS
from llamasim.scenario.record_fields import record_fields
from llamasim.units import UNITS

NUMBERS = ("0", "1", "2", "-1", "4", "16", "0.5", "1e9", "1e30", "1e31", "1e400", "9" * 40,
           "1_000", "1__0", "0x10", "1e-400", "00", "3.", ".5", "1e", "nan", "inf", "-inf", "64")
ODD = ("\0", "\x07", "\t", "\r", "\r\n", "\u00a0", "\u2028", "\ufeff", "é", "ß", "漢", "\U0001f600",
       "\u202e", "\ud800", "\x85", "\x1b[31m", "'", '"', "`", "@", "$", "\\", "~", "|", "&", "!")
BRACKETS = ("{", "}", "(", ")", "[", "]", "<", ">")
SIGNS = ("=", ":", ",", "..", ".", "%", "+", "-", "*", "/", "^", "==", "!=", "<=", ">=", "#", "///",
         "\n")

RULE_WORDS: tuple[str, ...] = (
    *KEYWORDS, *BRACKETS, *SIGNS, *NUMBERS, *CELLS, *ELEMENTS, *PHASES, *PLACES, *LIFETIMES,
    *VOCABULARY, *UNITS, *TYPES, *SHARD_DIMS, "x", "dp", "tp", "t", "m", "*.attn.*", "*.mlp.down",
    "layers.3.*", "{*.attn.q, head}", '"text"', "matmul", "axis_size", "floor", "sum", "min", "max",
)
KEYS: tuple[str, ...] = tuple(sorted(
    {part for path in FIELDS for part in path.split(".")} | set(FIELDS)
    | {f.key for kind in ("devices", "models", "fabrics", "hosts", "runtimes")
       for f in record_fields(kind)}
    | {"distribution", "mean", "cv", "parallelism.tensor.tensor_parallel", "a.b as c", "<<", "",
       "scope", "degree", "import", "base"}
))
VALUES: tuple[str, ...] = (
    *NUMBERS, *METRICS, "2026", "llama-3.1-8b", "deepseek-v3", "h100-sxm", "rtx-4090", "vllm",
    "llama.cpp", "training", "inference", "8 tok", "94 GiB", "0 GiB", "-1 GiB", "1e30 GiB",
    "0 bit", "1 B/s", "0 GB/s", "p5.48xlarge", "poisson", "closed", "gamma", "batch", "true", "~",
    "null", "*a", "&a x", "&a {x: 1}", "!!str x", "!t x", "4 req/s", "50 %", "1 USD/h per node",
    "maximize mfu", "{}", "[]", "{import: config.json}", "{base: h100-sxm, memory: 0 GiB}",
    "{base: llama-3.1-8b, layers: 1000000000}", "{distribution: lognormal, mean: 1e8, cv: 100}",
    "[../..]", "../x", "/etc", "nvlink4", "ib-ndr400", "{a: [b, {c: d}]}", "|\n  x", "'q'", '"q"',
)
