"""Facts that rules may state but that nothing simulates yet are refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Iterator

from llamasim.diagnostics import Diagnostic
from llamasim.techniques.applied import Applied, BlockFacts

#: Movements that lowering turns into collectives, by element.
_MOVES = {
    ("activation", "reduce"), ("activation", "gather"), ("activation", "rotate"),
    ("activation", "exchange"), ("activation_grad", "reduce"), ("activation_grad", "gather"),
    ("grad", "reduce"), ("weight", "gather"),
}
_PLACED = {"weight", "grad", "optimizer", "kv_cache", "op"}
_SHARDED = {"weight", "grad", "optimizer", "kv_cache", "activation"}
_TOKENS = {"seq", "batch"}


def limits(applied: Applied) -> list[Diagnostic]:
    """Return what the techniques in use state and no stage acts on."""
    found: dict[str, Diagnostic] = {}
    for facts in applied.blocks:
        stated = (*_movements(facts), *_places(facts), *_shards(facts), *_fusions(facts))
        for diagnostic in stated:
            found.setdefault(diagnostic.message, diagnostic)
    return list(found.values())


def _movements(facts: BlockFacts) -> Iterator[Diagnostic]:
    for (element, name), obligations in facts.obligations.items():
        for o in obligations:
            if (element, o.verb) not in _MOVES:
                yield _refused(f"`{o.verb} over {o.axis}` on {element} ({name})", o.site)


def _places(facts: BlockFacts) -> Iterator[Diagnostic]:
    for (element, name), where in facts.places.items():
        if element not in _PLACED or where not in ("device", "host"):
            yield _refused(f"`place on {where}` of {element} ({name})", "")


def _shards(facts: BlockFacts) -> Iterator[Diagnostic]:
    for (element, name), shards in facts.shards.items():
        for dim, axis in shards:
            if element not in _SHARDED:
                yield _refused(f"`shard {dim} over {axis}` on {element} ({name})", "")
            elif dim not in _dims(facts, element, name):
                yield Diagnostic(
                    "W0403", f"{element} `{name}` has no dim `{dim}`; it stays whole over `{axis}`",
                    severity="warning",
                    help=("narrow the rule to elements that have the dim",),
                )


def _fusions(facts: BlockFacts) -> Iterator[Diagnostic]:
    """Fusion is simulated for the attention core and for neighbouring pointwise ops."""
    names = [op.name for op in facts.block.ops]
    kinds = {op.name: op.kind for op in facts.block.ops}
    for group in sorted(set(facts.fused.values())):
        members = [n for n in names if facts.fused.get(n) == group]
        products = [n for n in members if kinds[n] in ("matmul", "router", "embedding")]
        first = names.index(members[0])
        apart = names[first : first + len(members)] != members
        if len(members) > 1 and (products or apart):
            why = f"`{products[0]}` has weights" if products else "other ops run between them"
            yield Diagnostic(
                "E0408", f"nothing simulates the fusion of {', '.join(members)} as `{group}`",
                why=f"{why}; only neighbouring ops without weights are simulated as one kernel",
                help=("fuse ops without weights that follow each other, or scale cost.read and "
                      "cost.write by what the kernel saves",),
            )


def _dims(facts: BlockFacts, element: str, name: str) -> set[str]:
    block = facts.block
    if element == "activation":
        return {d.name for d in block.activations[name].features} | _TOKENS
    if element == "kv_cache":
        return {d.name for d in block.caches[name].features} | _TOKENS
    return {d.name for d in block.weights[name].dims} | {"flat"}


def _refused(what: str, site: str) -> Diagnostic:
    return Diagnostic(
        "E0408", f"nothing simulates {what}",
        why=f"stated by {site}" if site else "",
        help=("say it of another element, or remove the technique from `use`",),
    )
