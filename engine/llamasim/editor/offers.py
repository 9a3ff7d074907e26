"""What can be written in each role: cells, axes, phases, techniques, ...

Every list is read off the language's own tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import get_args, get_type_hints

import attrs
from lark import Tree

from llamasim import catalog
from llamasim.editor import describe, usage
from llamasim.editor.document import Document
from llamasim.editor.roles import Role, named, path_text, slot_of
from llamasim.editor.scope import (
    axes_in,
    names_in,
    parameters,
    sources_in,
    techniques_in,
)
from llamasim.editor.tables import Slot
from llamasim.language.ast import Bring, ExtraModel, Param, Technique
from llamasim.language.cells import CELLS, ELEMENTS, LIFETIMES, PHASES, PLACES
from llamasim.language.check_tests import GIVENS
from llamasim.language.load import Program
from llamasim.language.names import NAMES
from llamasim.language.scope import element_names
from llamasim.language.types import TYPES
from llamasim.language.vocabulary import (
    BRING_FIELDS,
    OVERLAPPABLE,
    SHARD_DIMS,
    STREAMS,
    VOCABULARY,
)
from llamasim.scenario.spec import Workload

_MOST_PARTS = 3
#: The order of what is possible and seldom meant.
LAST = 8


@attrs.frozen
class Completion:
    """One thing that can be written.

    Attributes:
        kind: `keyword`, `cell`, `attribute`, `name`, `function`, `word`, `unit`, `type`, `pattern`,
            `technique` or `module`.
        detail: a short note beside it.
        doc: its description, in Markdown.
        order: the lower, the more likely meant.
        insert: what is written; empty where it is the label.

    """

    label: str
    kind: str
    detail: str = ""
    doc: str = ""
    order: int = 1
    insert: str = ""


@attrs.frozen
class Spot:
    """A place to write at: the rules of the grammar under way, and what is already written."""

    document: Document
    chain: Sequence[Slot] = attrs.field(repr=False)
    start: int
    written: str = ""

    @property
    def element(self) -> str:
        """The element of the rule around it; empty outside of rules."""
        return named(self.chain, "rule")


def offer(role: Role, spot: Spot) -> list[Completion]:
    """Return what can be written in a role."""
    offers = _OFFERS.get(role)
    return list(offers(spot)) if offers else []


def words(of: Iterable[str], kind: str = "word", detail: str = "", order: int = 1) -> list[
    Completion
]:
    """Return plain words."""
    return [Completion(w, kind, detail, order=order) for w in of]


def _cells(spot: Spot) -> Iterator[Completion]:
    verb = spot_verb(spot.chain)
    phased = _has_phases(spot.chain)
    for cell in CELLS.values():
        fits = spot.element in cell.elements or spot.element not in ELEMENTS
        if fits and verb in (*cell.verbs, "") and (cell.phased or not phased):
            holds = describe.holds(cell.kind, cell.dimension, cell.symbols)
            yield Completion(cell.name, "cell", holds, describe.cell(cell))


def spot_verb(chain: Sequence[Slot]) -> str:
    """Return the verb of the effect under way; empty where there is none."""
    slot = slot_of(chain, *VERBS)
    return slot.rule.strip("_") if slot else ""


def _has_phases(chain: Sequence[Slot]) -> bool:
    rule = slot_of(chain, "rule")
    read = rule.values if rule else ()
    return any(isinstance(v, Tree) and v.data == "names" for v in read)


#: Rules of the grammar by which cells are written.
VERBS = ("set", "scale", "add", "cap", "raise_")


def _elements(spot: Spot) -> list[Completion]:
    return [Completion(e, "word", "element", describe.element(e)) for e in ELEMENTS]


def _phases(spot: Spot) -> list[Completion]:
    return words(PHASES, detail="phase")


def _dims(spot: Spot) -> list[Completion]:
    own = {d for n in NAMES for dims in n.of(spot.element) for d in dims}
    return [Completion(d, "word", "dim", order=1 if d in own else 2) for d in SHARD_DIMS]


def _globs(spot: Spot) -> Iterator[Completion]:
    module = spot.document.module
    element = "op" if slot_of(spot.chain, "bring") else spot.element
    if module is None:
        return
    program = Program({**spot.document.imported.modules, module.name: module})
    docs = {n.full: n.doc for n in NAMES}
    groups: dict[str, None] = {}
    for name in element_names(module, program).of(element):
        pattern = name.replace("layers.<i>", "*")
        yield Completion(pattern, "pattern", "name", docs.get(name.removesuffix(".input"), ""))
        group, _, last = pattern.rpartition(".")
        groups[f"{group}.*" if group.strip("*.") else f"*.{last}"] = None
        groups[f"*.{last}"] = None
        if name.startswith("layers."):
            groups["layers.*"] = None
    yield from words(groups, "pattern", "names of a group", 2)


def _axes(spot: Spot) -> Iterator[Completion]:
    for name, found in axes_in(spot.document).items():
        yield Completion(name, "name", "axis", describe.declared(found) if found else "")


def _sources(spot: Spot) -> Iterator[Completion]:
    for name, found in sources_in(spot.document).items():
        yield Completion(name, "name", "source", describe.declared(found))


def _metrics(spot: Spot) -> list[Completion]:
    return words(sorted(usage.metrics(spot.document)), detail="metric of other claims")


def _techniques(spot: Spot) -> Iterator[Completion]:
    for name, (module, technique) in techniques_in(spot.document).items():
        yield _technique(name, f"{module.name}.{technique.name}", technique, 1)
    own = spot.document.module
    for module in (*((own,) if own else ()), *spot.document.everything.modules.values()):
        for item in module.items:
            if isinstance(item, Technique):
                name = f"{module.name}.{item.name}"
                yield _technique(name, name, item, 2)


def _technique(name: str, full: str, technique: Technique, order: int) -> Completion:
    first = technique.doc.strip().partition("\n")[0]
    return Completion(name, "technique", first, describe.technique(full, technique), order)


def _targets(spot: Spot) -> list[Completion]:
    slot = slot_of(spot.chain, "given")
    what = path_text(slot.values[0]) if slot else ""
    if what == "use":
        return list(_techniques(spot))
    known = {
        "model": map(_word, catalog.ids("models")),
        "cluster": (f"{_word(d)}_{n}" for d in catalog.ids("devices") for n in (1, 8)),
        "workload": VOCABULARY["workload.mode"].symbols or (),
    }.get(what, ())
    return words(dict.fromkeys((*sorted(usage.targets(spot.document, what)), *known)), detail=what)


def _word(text: str) -> str:
    return re.sub(r"\W", "_", text)


def _arguments(spot: Spot) -> Iterator[Completion]:
    slot = slot_of(spot.chain, "given")
    if slot is None or not slot.values[1:]:
        return
    if path_text(slot.values[0]) == "workload":
        names = [f.name for f in attrs.fields(Workload)]
        yield from (attrs.evolve(w, insert=f"{w.label}: ") for w in words(names))
    found = spot.document.technique(path_text(slot.values[1]))
    for name, param in parameters(found[1]).items() if found else ():
        yield Completion(name, "name", param.type, describe.parameter(param), insert=f"{name}: ")


def _modules(spot: Spot) -> list[Completion]:
    if slot_of(spot.chain, "import_"):
        return words(spot.document.known_modules, "module")
    path, detail = spot.document.path.resolve().with_suffix(""), "by this file's path"
    roots = {f.resolve() for f in spot.document.search[1:]}
    found = []
    for count, root in enumerate(path.parents[:_MOST_PARTS], 1):
        name, order = ".".join(path.parts[-count:]), 0 if root in roots else count
        found.append(Completion(name, "module", detail, order=order))
    return [c for c in found if all(p.isidentifier() for p in c.label.split("."))]


def _brought(spot: Spot) -> list[Completion]:
    return words(get_args(get_type_hints(Bring)["what"]))


def _fields(spot: Spot) -> list[Completion]:
    return [Completion(f, "word", describe.holds(kind, dimension, None), insert=f"{f}: ")
            for f, (kind, dimension) in BRING_FIELDS.items()]


def _types(spot: Spot) -> list[Completion]:
    return [Completion(t.name, "type", t.example, describe.type_(t)) for t in TYPES.values()]


def _models(spot: Spot) -> Iterator[Completion]:
    for name, found in names_in(spot.document, spot.chain).items():
        node = found.node
        if isinstance(node, ExtraModel) or (isinstance(node, Param) and node.type == "Model"):
            yield Completion(name, "name", "model", describe.declared(found))


def _values(spot: Spot) -> Iterator[Completion]:
    from llamasim.editor.values import values

    yield from values(spot)


def _units(spot: Spot) -> Iterator[Completion]:
    from llamasim.editor.values import units

    yield from units(spot)


_OFFERS: Mapping[Role, Callable[[Spot], Iterable[Completion]]] = MappingProxyType(
    {
        "cell": _cells, "element": _elements, "phase": _phases, "dim": _dims, "glob": _globs,
        "axis": _axes, "source": _sources, "metric": _metrics, "technique": _techniques,
        "target": _targets, "argument": _arguments, "module": _modules, "brought": _brought,
        "field": _fields, "type": _types, "model": _models, "value": _values, "unit": _units,
        "given": lambda spot: words(GIVENS), "place": lambda spot: words(PLACES),
        "lifetime": lambda spot: words(LIFETIMES), "stream": lambda spot: words(STREAMS),
        "obligation": lambda spot: words(OVERLAPPABLE),
    }
)
