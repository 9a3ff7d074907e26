"""What an op computes and moves in a pass, and how long that takes."""

from __future__ import annotations

import attrs

from llamasim.cost import Machine
from llamasim.cost.ops import launch_seconds, op_cost
from llamasim.cost.work import (
    ATTENTION,
    FUSED_BACKWARD,
    amount,
    cache_bytes,
    kv_tokens,
    visible_pairs,
)
from llamasim.language.ast import Fuse
from llamasim.plan.spec import OpWork, StepShape
from llamasim.plan.steps import Step
from llamasim.study.explain.case import Case, Place
from llamasim.study.explain.cells import cell_node
from llamasim.study.explain.placement import sibling
from llamasim.study.explain.sites import rule_sites, shards
from llamasim.study.explain.sizes import dim_node, tokens_node
from llamasim.study.explain.tree import Node, Site

_PARTS = {"forward": "forward", "data_grad": "gradient of the input",
          "weight_grad": "gradient of the weight", "recompute": "replay of the forward pass"}
_CELLS = {"cost.flops": "FLOP", "cost.read": "B", "cost.write": "B"}


def works_of(case: Case, place: Place, phase: str) -> tuple[Step | None, list[OpWork]]:
    """Return the kernel that runs an op in a phase, and its work there."""
    step = next((s for s in case.steps(place, phase)
                 if place.name in (op.name for op in s.ops)), None)
    if step is None:
        return None, []
    work = case.lowering(place).plan.work.get(phase, ())
    return step, [w for w in work if isinstance(w, OpWork) and w.name == step.name]


def amount_node(case: Case, place: Place, cell: str, phase: str) -> Node:
    """Return the FLOP that an op does, or the bytes that it reads or writes, in a pass."""
    step, works = works_of(case, place, phase)
    shape, unit = case.shape(phase), _CELLS[cell]
    if not works or step is None:
        return Node(cell, 0.0, unit, note=f"the op does not run in {phase}")
    parts = tuple(_part(case, place, step, w, cell, phase, shape) for w in works)
    sites = _kernel_sites(case, place, step)
    note = "" if len(step.ops) == 1 else (
        f"part of the kernel {step.name}: {', '.join(op.name for op in step.ops)}")
    if len(parts) == 1:
        return attrs.evolve(parts[0], name=cell, sites=sites + parts[0].sites,
                            note=note or parts[0].note)
    formula = " + ".join(f"{{{p.name}}}" for p in parts)
    total = sum(float(p.value or 0.0) for p in parts)
    return Node(cell, total, unit, formula=formula, note=note, sites=sites, inputs=parts)


def _kernel_sites(case: Case, place: Place, step: Step) -> tuple[Site, ...]:
    if len(step.ops) == 1:
        return ()
    return rule_sites(case, place, "op", lambda e: isinstance(e, Fuse))


def _part(
    case: Case, place: Place, step: Step, work: OpWork, cell: str, phase: str, shape: StepShape
) -> Node:
    if cell == "cost.flops":
        node = _flops(case, place, work, phase, shape)
    else:
        node = _bytes(case, work, cell, phase, shape)
    written = tuple(
        _cell(case, sibling(place, op.name), name, phase)
        for op in step.ops for name in (cell, "op.rows", "op.runs")
    )
    return attrs.evolve(node, name=_PARTS[work.part].replace(" ", "_"),
                        note=node.note,
                        inputs=(*node.inputs, *(n for n in written if n is not None)))


def _cell(case: Case, place: Place, cell: str, phase: str) -> Node | None:
    node = cell_node(case, place, "op", cell, phase)
    return attrs.evolve(node, name=f"{cell} of {place.name}") if node.sites else None


def _flops(case: Case, place: Place, work: OpWork, phase: str, shape: StepShape) -> Node:
    done = amount(work, shape)
    value = done.product_flops + done.plain_flops
    terms, inputs = [], []
    if work.n and work.k:
        term, used = _product(case, place, work, phase, shape)
        terms, inputs = [term], used
    elif work.kind in ATTENTION:
        term, used = _attention(work, shape)
        terms, inputs = [term], used
    if terms:
        scale = work.runs * work.flops_scale
        if scale != 1.0:
            terms[0] += " x {repeated}"
            inputs.append(Node("repeated", scale, note="runs, rules and the split of queries"))
    again = " x {runs}" if work.runs != 1.0 and (work.flops_per_token or work.flops_fixed) else ""
    if again:
        inputs.append(Node("runs", work.runs))
    if work.flops_per_token:
        rows = _rows(case, work, phase, shape)
        terms.append(f"{{per_row}} x {{{rows.name}}}{again}")
        inputs += [Node("per_row", work.flops_per_token, "FLOP"),
                   *(() if any(i.name == rows.name for i in inputs) else (rows,))]
    if work.flops_fixed:
        terms.append(f"{{added}}{again}")
        inputs.append(Node("added", work.flops_fixed, "FLOP", note="of a pass, by rules"))
    return Node("flops", value, "FLOP", formula=" + ".join(terms), inputs=tuple(inputs))


def _rows(case: Case, work: OpWork, phase: str, shape: StepShape) -> Node:
    if work.basis == "sequences":
        return Node("sequences", shape.sequences, note="only last tokens have logits")
    if work.basis == "fixed":
        return Node("once", 1.0)
    return tokens_node(case, phase)


def _product(
    case: Case, place: Place, work: OpWork, phase: str, shape: StepShape
) -> tuple[str, list[Node]]:
    """Return two operations for each row and element of the weight on this device."""
    rows = _rows(case, work, phase, shape)
    formula = f"2 x {{{rows.name}}}"
    inputs = [rows]
    if work.rows_share != 1.0:
        formula += " x {rows_a_token}"
        inputs.append(Node("rows_a_token", work.rows_share,
                           note="rows on this device for each: the split of tokens, op.rows, "
                                "and experts a token passes"))
    weights = [d for d in _weight_dims(case, place) if d.name not in ("experts", "copies")]
    return formula + "".join(f" x {{{d.name}}}" for d in weights), [*inputs, *weights]


def _weight_dims(case: Case, place: Place) -> list[Node]:
    facts = case.facts(place)
    op = next(op for op in facts.block.ops if op.name == place.name)
    weight = facts.block.weights[op.weight or op.name]
    at = sibling(place, weight.name)
    return [
        dim_node(d, facts.ways("weight", weight.name, d.name, case.applied.mesh),
                 rule_sites(case, at, "weight", shards(dim=d.name)))
        for d in weight.dims
    ]


def _attention(work: OpWork, shape: StepShape) -> tuple[str, list[Node]]:
    """Return two operations for each head, its width and each query-key pair, per product."""
    pairs = visible_pairs(work.window, shape) if work.causal_skip else shape.full_pairs
    note = "pairs that the mask and the window leave" if work.causal_skip else "all pairs"
    fused = work.kind == "fused_attention"
    count = 2.0 * (FUSED_BACKWARD if work.part == "data_grad" else 1.0) if fused else 1.0
    return "{products} x 2 x {heads} x {head_dim} x {pairs}", [
        Node("products", count, note="matrix products in the kernel"),
        Node("heads", float(work.heads)), Node("head_dim", float(work.head_dim)),
        Node("pairs", pairs, note=note),
    ]


def _bytes(case: Case, work: OpWork, cell: str, phase: str, shape: StepShape) -> Node:
    done = amount(work, shape)
    reads = cell == "cost.read"
    value = done.read if reads else done.write
    terms: list[str] = []
    inputs: list[Node] = []

    def add(term: str, *nodes: Node) -> None:
        terms.append(term)
        inputs.extend(n for n in nodes if n.name not in [i.name for i in inputs])

    per_row = work.read_per_token if reads else work.write_per_token
    per_pair = work.read_per_pair if reads else work.write_per_pair
    fixed = work.read_fixed if reads else work.write_fixed
    if per_row:
        rows = _rows(case, work, phase, shape)
        add(f"{{per_row}} x {{{rows.name}}}", Node("per_row", per_row, "B", note="activations"),
            rows)
    if per_pair:
        add("{per_pair} x {pairs}", Node("per_pair", per_pair, "B", note="scores"),
            Node("pairs", shape.full_pairs))
    if reads and (work.read_per_kv_token or work.kv_spans):
        tokens = kv_tokens(work, shape)
        size = cache_bytes(work.read_per_kv_token, work.kv_spans, shape, tokens)
        note = "mean over ranges of tokens" if work.kv_spans else "the cache"
        add("{per_cached_token} x {cached_tokens}",
            Node("per_cached_token", size / tokens if tokens else 0.0, "B", note=note),
            Node("cached_tokens", tokens))
    if fixed:
        touched = _touched(work, shape) * work.pieces if reads else 1.0
        add("{weights} x {touched}" if touched != 1.0 else "{weights}",
            Node("weights", fixed, "B", note="the weight, or its gradient"),
            *((Node("touched", touched, note="experts that some token chose, pieces"),)
              if touched != 1.0 else ()))
    formula = " + ".join(terms) or "0"
    scale = work.runs * (work.read_scale if reads else work.write_scale)
    if scale != 1.0:
        formula = f"({formula}) x {{repeated}}"
        inputs.append(Node("repeated", scale, note="runs and what rules scale by"))
    return Node("bytes", value, "B", formula=formula, inputs=tuple(inputs))


def _touched(work: OpWork, shape: StepShape) -> float:
    if work.routed >= 1.0:
        return 1.0
    count = shape.sequences if work.basis == "sequences" else shape.tokens
    return float(1.0 - (1.0 - work.routed) ** max(0.0, count))


def seconds_node(case: Case, place: Place, phase: str) -> Node:
    """Return how long an op takes in a pass: the longer of computing and moving, and its launch."""
    step, works = works_of(case, place, phase)
    if not works or step is None:
        return Node("seconds", 0.0, "s", note=f"the op does not run in {phase}")
    machine, shape = Machine.of(case.scenario), case.shape(phase)
    parts = tuple(_timed(w, shape, machine) for w in works)
    sites = _kernel_sites(case, place, step)
    note = "" if len(step.ops) == 1 else f"the whole kernel {step.name}"
    if len(parts) == 1:
        return attrs.evolve(parts[0], name="seconds", sites=sites, note=note or parts[0].note)
    total = sum(float(p.value or 0.0) for p in parts)
    return Node("seconds", total, "s", formula=" + ".join(f"{{{p.name}}}" for p in parts),
                note=note, sites=sites, inputs=parts)


def _timed(work: OpWork, shape: StepShape, machine: Machine) -> Node:
    cost, launch = op_cost(work, shape, machine), launch_seconds(work, shape, machine)
    busy, moved = cost.seconds - launch, cost.read_bytes + cost.write_bytes
    processor = machine.at(work.place)
    rate = max(busy, 1e-12)
    inputs = (
        Node("busy", busy, "s", note=(
            f"bound by {cost.bound}" if cost.bound != "launch" else "shorter than its launch")),
        Node("launch", launch, "s", note="the gap before its kernels"),
        Node("work", cost.flops, "FLOP", note=(
            f"{cost.flops / rate / 1e12:,.3g} TFLOP/s in {work.math}; the peak is "
            f"{processor.peak(work.math) / 1e12:,.4g}")),
        Node("traffic", moved, "B", note=(
            f"{moved / rate / 1e9:,.4g} GB/s; the memory has {processor.bandwidth / 1e9:,.4g}")),
    )
    return Node(_PARTS[work.part].replace(" ", "_"), cost.seconds, "s",
                formula="{busy} + {launch}", inputs=inputs)
