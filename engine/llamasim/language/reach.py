"""Whether a pattern can match an element in any model, and the nearest pattern that can."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import attrs

from llamasim.diagnostics import nearest
from llamasim.language.caps import MOST_BROUGHT
from llamasim.language.globs import MOST_STARS, glob_matches, pattern_of
from llamasim.language.names import ACTIVATIONS, NAMES_OF, PRODUCTS, WEIGHTS

#: A digit of a layer's number, and the first digit of one that has several; they stand for any.
_DIGIT, _FIRST = "\x00", "\x01"
#: Numbers of layers of one to four digits.
_NUMBERS = (_DIGIT, _FIRST + _DIGIT, _FIRST + _DIGIT * 2, _FIRST + _DIGIT * 3)
#: What the same parts are called elsewhere.
_OTHERS = {
    "attn": "self_attn self_attention attention",
    "mlp": "feed_forward ffn experts",
    "q": "q_proj query queries wq",
    "k": "k_proj key keys wk",
    "v": "v_proj value values wv",
    "out": "o_proj o proj wo",
    "gate": "gate_proj w1",
    "up": "up_proj w3 fc1 c_fc",
    "down": "down_proj w2 fc2 c_proj",
    "embed": "embed_tokens embedding wte",
    "positions": "wpe",
    "head": "lm_head",
    "norm1": "input_layernorm ln_1",
    "norm2": "post_attention_layernorm ln_2",
    "layers": "layer blocks block h",
}
_ALSO_CALLED = {other: ours for ours, others in _OTHERS.items() for other in others.split()}


@attrs.frozen
class Names:
    """The names that patterns of one technique can match: those of models, and those brought.

    Attributes:
        owners: names of models by which a pattern may begin (`model.layers.*`).
        brought: full names of brought weights, with `<i>` for the number of a layer.
        brought_ops: the same of brought ops, which have no weight.
        crowded: whether more is brought than may be.
        only: the names of one model by element, where no other counts.

    """

    owners: tuple[str, ...] = ("model",)
    brought: tuple[str, ...] = ()
    brought_ops: tuple[str, ...] = ()
    crowded: bool = False
    only: Mapping[str, tuple[str, ...]] | None = attrs.field(default=None, hash=False)

    def of(self, element: str) -> tuple[str, ...]:
        """Return full names of an element's kind, with `<i>` for the number of a layer."""
        if self.only is not None:
            return self.only.get(element, ())
        names = NAMES_OF.get(element, ())
        if not self.brought and not self.brought_ops:
            return names
        if element in WEIGHTS:
            return names + self.brought
        if element in ACTIVATIONS:
            ours = self.brought + self.brought_ops
            return (*names, *ours, *(f"{n}.input" for n in ours))
        return names + self.brought + self.brought_ops if element == "op" else names

    def own(self, glob: str) -> str:
        """Return a pattern without the name of the model that it begins with."""
        head, dot, rest = glob.partition(".")
        return rest if dot and head in self.owners else glob

    def matched(self, glob: str, element: str) -> tuple[str, ...]:
        """Return the names of an element's kind that a pattern can match in some model."""
        names = self.of(element)
        return tuple(names[k] for k in _matched(self.own(glob), names))

    def reaches(self, glob: str, element: str) -> bool:
        """Whether a pattern can match an element of that kind in some model."""
        return bool(self.matched(glob, element))

    def products(self, glob: str) -> tuple[str, ...]:
        """Return the matrix products that a pattern can match: models' and brought weights."""
        return tuple(n for n in self.matched(glob, "op") if n in PRODUCTS or n in self.brought)

    def left(self, globs: Sequence[str], excepts: Sequence[str], element: str) -> tuple[str, ...]:
        """Return names that patterns can match and that `except` does not take away entirely."""
        names = self.of(element)
        if globs:
            names = tuple(dict.fromkeys(n for g in globs for n in self.matched(g, element)))
        return tuple(
            n for n in names
            if not any(glob_matches(e, n.replace("<i>", _DIGIT)) for e in excepts)
        )

    def with_brought(self, name: str, globs: Iterable[str], weight: bool) -> Names:
        """Return these names and those of what is brought to the ops that patterns match."""
        targets = dict.fromkeys(t for g in globs for t in self.matched(g, "op"))
        found = tuple(f"{t}.{name}" for t in targets)
        if len(self.brought) + len(self.brought_ops) + len(found) > MOST_BROUGHT:
            return attrs.evolve(self, crowded=True)
        if weight:
            return attrs.evolve(self, brought=tuple(dict.fromkeys((*self.brought, *found))))
        return attrs.evolve(self, brought_ops=tuple(dict.fromkeys((*self.brought_ops, *found))))


#: The names of models alone.
PLAIN = Names()


@lru_cache(maxsize=64)
def _lines(names: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
    """Return all names in all lengths of their number, a line each, and which name a line is."""
    lines, numbers = [], []
    for position, name in enumerate(names):
        for number in _NUMBERS if "<i>" in name else ("",):
            lines.append(name.replace("<i>", number))
            numbers.append(position)
    return "\n".join(lines), tuple(numbers)


@lru_cache(maxsize=4096)
def _matched(glob: str, names: tuple[str, ...]) -> tuple[int, ...]:
    if glob.count("*") > MOST_STARS:
        return ()
    text, numbers = _lines(names)
    found: dict[int, None] = {}
    line = at = 0
    for match in _pattern(glob).finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        found[numbers[line]] = None
    return tuple(found)


def _pattern(glob: str) -> re.Pattern[str]:
    parts = ("".join(_part(c) for c in re.findall(r"\d|\D+", p)) for p in re.split(r"\*+", glob))
    return re.compile(f"^{pattern_of([*parts])}$", re.MULTILINE)


def _part(part: str) -> str:
    if part.isdigit():
        return f"[{part}{_DIGIT}{_FIRST if part != '0' else ''}]"
    return re.escape(part)


def nearest_pattern(glob: str, element: str, names: Names = PLAIN) -> str | None:
    """Return the pattern most like one that matches nothing, or None where none is near."""
    known = sorted({s for n in names.of(element) for s in n.split(".")} - {"<i>"})
    words = [_word(s, known) for s in glob.split(".")]
    words = [w for k, w in enumerate(words) if w == "*" or w != "".join(words[k - 1 : k])]
    for mended in _candidates(words, known):
        if mended != glob and names.reaches(mended, element):
            return mended
    found = nearest(_as_known(glob), _patterns(element, names))
    return None if found == glob else found


def _candidates(parts: list[str], known: Sequence[str]) -> Iterator[str]:
    """Return patterns of mended words: all, without the first, without unknown ones; the last."""
    rest = [s for s in parts if s in known or not s.isidentifier()]
    for words in (parts, parts[1:], rest):
        if any(w.strip("*").isidentifier() and w != "layers" for w in words) or words == parts:
            text = ".".join(words)
            yield from (text, f"{text}.*", f"layers.{text}", f"*.{text}", f"*.{text}.*")
    yield parts[-1]


def _word(segment: str, known: Sequence[str]) -> str:
    """Return the known word that a part of a pattern stands for; stars and numbers stay."""
    if "*" in segment or segment in known:
        return segment
    if segment.isdigit():
        return str(int(segment))
    other = _ALSO_CALLED.get(segment)
    if other in known:
        return str(other)
    return nearest(segment, known) or segment


def _as_known(glob: str) -> str:
    return ".".join(_ALSO_CALLED.get(s, s) for s in glob.split("."))


def _patterns(element: str, names: Names) -> list[str]:
    """Return the patterns that people write: each name, and each group of names."""
    found: dict[str, None] = {}
    for name in names.of(element):
        own = name.replace("layers.<i>", "*")
        found[own] = None
        group, _, _ = own.rpartition(".")
        if group and group != "*":
            found[f"{group}.*"] = None
    return list(found)
