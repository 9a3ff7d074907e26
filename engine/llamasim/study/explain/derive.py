"""From a question to its answer: each kind of cell has a derivation of its own."""

from __future__ import annotations

import attrs

from llamasim.diagnostics import Diagnostic
from llamasim.scenario.spec import Scenario
from llamasim.study.explain import sizes
from llamasim.study.explain.case import Case, case_of
from llamasim.study.explain.cells import all_sites, cell_node
from llamasim.study.explain.comm import comm_node
from llamasim.study.explain.names import Query, read_query
from llamasim.study.explain.ops import amount_node, seconds_node
from llamasim.study.explain.placement import placements
from llamasim.study.explain.sites import STEP, sources
from llamasim.study.explain.tree import Answer, Node
from llamasim.study.explain.unused import unused


def explain(
    scenario: Scenario, cell: str, phase: str = ""
) -> tuple[Answer | None, list[Diagnostic]]:
    """Return the derivation of a value, or what is wrong with the scenario or the question.

    Args:
        scenario: as it was read.
        cell: `weight.bytes@layers.3.mlp.down` and its like.
        phase: for cells that differ by phase; the first of the workload's unless given.

    """
    case, said = case_of(scenario)
    if case is None:
        return None, said
    query, more = read_query(cell, case)
    if query is None:
        return None, said + more
    if phase and phase not in case.phases:
        return None, [*said, _no_phase(phase, case)]
    return _answer(case, query, phase or case.phases[0]), said


def _no_phase(phase: str, case: Case) -> Diagnostic:
    return Diagnostic(
        "E0714", f"this workload has no phase `{phase}`",
        why=f"workload.mode is {case.scenario.workload.mode}",
        help=(f"phases here: {', '.join(case.phases)}",))


def _answer(case: Case, query: Query, phase: str) -> Answer:
    root, per = _root(case, query, phase)
    owned = query.kind == "cell" and query.element != "step"
    prefix = f"{query.element}." if owned else ""
    root = attrs.evolve(root, name=f"{prefix}{query.cell}" if query.kind == "cell" else root.name)
    return Answer(
        root.name, "" if query.place is STEP else query.place.full, per, root,
        sources(case, all_sites((root,))), unused(case, query, root), query.also,
    )


def _root(case: Case, query: Query, phase: str) -> tuple[Node, str]:
    """Return the derivation, and what its value is counted for."""
    place = query.place
    if query.kind == "seconds":
        from llamasim.study.explain.step import step_node

        return step_node(case)
    if query.kind == "memory":
        from llamasim.study.explain.totals import memory_node

        return memory_node(case, query.cell, query.stage)
    if query.kind == "comm":
        return comm_node(case, place), ""
    if query.cell in ("cost.flops", "cost.read", "cost.write"):
        return amount_node(case, place, query.cell, phase), f"device and {phase} pass"
    return _plain(case, query, phase)


def _plain(case: Case, query: Query, phase: str) -> tuple[Node, str]:
    place, element = query.place, query.element
    if query.cell == "bytes":
        per = {"kv_cache": "device and cached token", "activation": "device and pass"}
        return sizes.bytes_node(case, place, element), per.get(element, "device")
    if query.cell == "elements":
        return sizes.elements_node(case, place, element), "device"
    if query.cell == "bits":
        return sizes.bits_node(case, place, element), "element"
    if query.cell == "kept":
        return sizes.kept_node(case, place), ""
    if query.cell == "placement":
        return Node("placement", None, inputs=placements(case, place)), ""
    if query.cell == "seconds":
        return seconds_node(case, place, phase), f"device and {phase} pass"
    return cell_node(case, place, element, query.cell, phase), ""
