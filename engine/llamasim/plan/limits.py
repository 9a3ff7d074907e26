"""Facts that rules may state but that nothing simulates yet are refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llamasim.diagnostics import Diagnostic, Label
from llamasim.plan.blocks import BlockLowering
from llamasim.plan.spec import OpWork
from llamasim.scenario.spec import Scenario
from llamasim.techniques.applied import Applied, BlockFacts
from llamasim.techniques.mesh import REMAINDER, REPLICAS

#: Movements that lowering turns into collectives, by element.
_MOVES = {
    ("activation", "reduce"), ("activation", "gather"), ("activation", "rotate"),
    ("activation", "exchange"), ("activation_grad", "reduce"), ("activation_grad", "gather"),
    ("grad", "reduce"), ("weight", "gather"),
}
_PLACED = {"weight", "grad", "optimizer", "kv_cache", "op", "activation"}
_PLACES_OF_OPS = ("device", "host")
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


def unwindowed(
    applied: Applied, scenario: Scenario, blocks: Sequence[BlockLowering]
) -> list[Diagnostic]:
    """Return a warning where a model's window would bind, and no technique says which layers have
    it: models alternate it with full attention in ways of their own.
    """
    window, longest = applied.graph.model.window, scenario.workload.sequence
    capped = any(
        isinstance(work, OpWork) and work.window is not None
        for b in blocks for works in b.plan.work.values() for work in works
    )
    if not window or longest <= window or capped:
        return []
    span = scenario.spans.get("model")
    return [Diagnostic(
        "W0408", f"the model's window of {window:,} tokens is not applied to {longest:,} tokens",
        (Label(span, "has a window"),) if span else (), "warning",
        why="which layers have it is not known; every token attends to all before it",
        help=("use a technique with `cap kv.tokens at` the window",),
    )]


def idle_axes(applied: Applied, pipeline: str | None) -> list[Diagnostic]:
    """Return a warning for each axis along which devices do the same work."""
    used = {pipeline, REMAINDER, *(a.inside for a in applied.mesh.axes)}
    for facts in applied.blocks:
        used |= {axis for shards in facts.shards.values() for _, axis in shards}
        used |= {o.axis for found in facts.obligations.values() for o in found}
    if REPLICAS in used:
        used |= set(applied.mesh.members(REPLICAS))
    return [
        Diagnostic(
            "W0405", f"the {axis.size} members of axis `{axis.name}` all do the same work",
            severity="warning", why="no rule splits a tensor along it, and none moves data over it",
            help=(f"shard something over `{axis.name}`, or leave the devices to `{REMAINDER}`",),
        )
        for axis in applied.mesh.axes if axis.size > 1 and axis.name not in used
        and axis.inside is None
    ]


def untrained(applied: Applied) -> list[Diagnostic]:
    """Return a warning where a training step has nothing to update."""
    if any(f.trainable(name) for f in applied.blocks for name in f.block.weights):
        return []
    return [Diagnostic(
        "W0404", "no weight is trained; a step is a forward pass alone", severity="warning",
        why="rules set `trainable` false on every weight",
        help=("bring weights to train (an adapter), or narrow the rule that freezes",),
    )]


def _movements(facts: BlockFacts) -> Iterator[Diagnostic]:
    for (element, _), obligations in facts.obligations.items():
        for o in obligations:
            if (element, o.verb) not in _MOVES:
                yield _refused(f"`{o.verb} over {o.axis}` on {element}", o.site)


def _places(facts: BlockFacts) -> Iterator[Diagnostic]:
    for (element, name), placed in facts.places.items():
        where = placed.where
        if element not in _PLACED or (element == "op" and where not in _PLACES_OF_OPS):
            yield _refused(f"`place on {where}` of {element}", "")
        elif element == "op" and placed.share < 1:
            yield _refused(f"a share of op {name.partition('@')[0]} on the {where}", "")
        elif element == "activation" and facts.block.activations[name].per_context:
            yield _refused(f"`place on {where}` of activation {name}, which grows with the square "
                           "of the sequence", "")


def _shards(facts: BlockFacts) -> Iterator[Diagnostic]:
    for (element, name), shards in facts.shards.items():
        for dim, axis in shards:
            if element not in _SHARDED:
                yield _refused(f"`shard {dim} over {axis}` on {element}", "")
            elif dim not in _dims(facts, element, name):
                yield Diagnostic(
                    "W0403", f"{element} `{name}` has no dim `{dim}`; it stays whole over `{axis}`",
                    severity="warning",
                    help=("leave it where that is meant; else narrow the rule",),
                )


def _fusions(facts: BlockFacts) -> Iterator[Diagnostic]:
    """Fusion is simulated for neighbouring ops."""
    names = [op.name for op in facts.block.ops]
    for group in sorted(set(facts.fused.values())):
        members = [n for n in names if facts.fused.get(n) == group]
        first = names.index(members[0])
        apart = names[first : first + len(members)] != members
        if len(members) > 1 and apart:
            yield Diagnostic(
                "E0408", f"nothing simulates the fusion of {', '.join(members)} as `{group}`",
                why="other ops run between them; only neighbours are simulated as one kernel",
                help=("fuse ops that follow each other, or scale cost.read and cost.write by what "
                      "the kernel saves",),
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
