"""`llamasim plan`: what each technique changes, before any time is simulated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from llamasim.cli.support import headline, read_with_warnings, say, stop

if TYPE_CHECKING:
    from llamasim.plan.spec import Plan
    from llamasim.scenario.spec import Scenario


@click.command(name="plan")
@click.argument("scenario")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a field.")
@click.option("--rules", multiple=True, metavar="DIR", help="Further folder of rule files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    scenario: str, overrides: tuple[str, ...], rules: tuple[str, ...], as_json: bool
) -> None:
    """Show what SCENARIO's techniques write and change: cells, memory, work, collectives.

    Each technique is left out alone, and the plan without it is compared. `llamasim explain`
    derives single values.
    """
    from llamasim.plan import compile_plan, idle

    read, first = read_with_warnings(scenario, overrides, rules, as_json=as_json)
    plan, said = compile_plan(read)
    stop(said, as_json=as_json)
    assert plan is not None
    said += idle(read, plan)
    if as_json:
        warnings = {"warnings": [d.message for d in (*first, *said)]}
        click.echo(json.dumps(_plain(plan, read) | warnings, indent=2, allow_nan=False))
        return
    say(said)
    click.echo(f"{read.name}: {headline(read)}\nplan {plan.hash}\n")
    click.echo(_text(plan, read))


def _plain(plan: Plan, scenario: Scenario) -> dict[str, Any]:
    import attrs

    from llamasim.study.ablation import ablation, change_json, measure_json
    from llamasim.study.measure import measure

    return {
        "plan_hash": plan.hash,
        "mesh": {a.name: a.size for a in plan.axes},
        "ledger": [attrs.asdict(r) for r in plan.ledger],
        "device": measure_json(measure(plan, scenario)),
        "changes": [change_json(c) for c in ablation(scenario, plan)],
    }


def _axes(plan: Plan) -> Iterator[str]:
    """Yield the axes outermost first, each with those that regroup its members."""
    for axis in plan.axes:
        inner = [f"{a.name} {a.size}" for a in plan.axes if a.inside == axis.name]
        if axis.inside is None:
            yield f"{axis.name} {axis.size}" + (f" ({', '.join(inner)} inside)" if inner else "")


def _text(plan: Plan, scenario: Scenario) -> str:
    from llamasim.report.ablation import change_lines, measure_lines
    from llamasim.study.ablation import ablation
    from llamasim.study.measure import measure

    lines = ["Mesh: " + (" x ".join(_axes(plan)) or "one device"), ""]
    lines += measure_lines(measure(plan, scenario), serving=scenario.workload.serving)
    if scenario.use:
        lines += ["", *change_lines(ablation(scenario, plan)), "", *_ledger(plan)]
    return "\n".join([*lines, "", *_blocks(plan), "", *_collectives(plan)])


def _ledger(plan: Plan) -> list[str]:
    """Return which rule wrote what, with what its expression comes to."""
    from llamasim.report.layout import columns

    lines = ["What the rules write (`llamasim explain` says why a value is what it is)"]
    for name in dict.fromkeys(r.technique for r in plan.ledger):
        rows = [
            (r.verb, _short(f"{r.cell} {r.value}".strip(), 34), _short(_worth(r), 16),
             f"{r.matched} {r.element}", _short(r.pattern, 20), r.place)
            for r in plan.ledger if r.technique == name
        ]
        lines += [f"  {name}", columns(rows, indent=4)]
    return lines


def _worth(row: Any) -> str:
    return f"= {row.evaluated}" if row.evaluated and row.evaluated != row.value else ""


def _blocks(plan: Plan) -> list[str]:
    from llamasim.report.layout import columns, gib

    table = [("block", "layers", "weights", "gradients", "optimizer", "kept a token", "KV a token")]
    for b in plan.blocks:
        table.append((b.name, str(max(1, len(b.layers))), gib(b.weight_bytes), gib(b.grad_bytes),
                      gib(b.optimizer_bytes), f"{b.saved_per_token:,.0f} B",
                      f"{b.kv_per_token:,.0f} B"))
    return ["Blocks on one device", columns(table, right="123456")]


def _collectives(plan: Plan) -> list[str]:
    from llamasim.plan.spec import CommWork
    from llamasim.report.layout import columns
    from llamasim.study.explain.text import amount

    layer = max(plan.blocks, key=lambda b: len(b.layers))
    moved = [
        (phase, w.kind, w.name, f"over {w.group.axis} ({w.group.size})",
         f"{amount(w.bytes_per_token, 'B')} a token" if w.bytes_per_token
         else amount(w.bytes_fixed, "B"))
        for phase, works in (*layer.work.items(), ("reduce", layer.reduce))
        for w in works if isinstance(w, CommWork)
    ]
    return ["Collectives of a layer (`llamasim explain SCENARIO comm@TENSOR` says why)",
            columns(moved) or "  none"]


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2] + ".."
