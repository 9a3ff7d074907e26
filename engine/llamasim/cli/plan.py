"""`llamasim plan`: what each technique changes, before any time is simulated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from llamasim.cli.support import headline, read_scenario, say, stop

if TYPE_CHECKING:
    from llamasim.plan.spec import Plan


@click.command(name="plan")
@click.argument("scenario")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a field.")
@click.option("--rules", multiple=True, metavar="DIR", help="Further folder of rule files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    scenario: str, overrides: tuple[str, ...], rules: tuple[str, ...], as_json: bool
) -> None:
    """Show what SCENARIO's techniques change: cells written, collectives added, memory."""
    import attrs

    from llamasim.plan import compile_plan

    read = read_scenario(scenario, overrides, rules, as_json=as_json)
    plan, said = compile_plan(read)
    stop(said, as_json=as_json)
    assert plan is not None
    if as_json:
        rows = [attrs.asdict(r) for r in plan.ledger]
        click.echo(json.dumps({"plan_hash": plan.hash, "ledger": rows}, indent=2))
        return
    say(said)
    click.echo(f"{read.name}: {headline(read)}\nplan {plan.hash}\n")
    click.echo(_text(plan))


def _text(plan: Plan) -> str:
    from llamasim.plan.spec import CommWork
    from llamasim.report.layout import columns, gib

    lines = ["Mesh: " + (" x ".join(f"{a.name} {a.size}" for a in plan.axes) or "one device"), ""]
    for name in dict.fromkeys(r.technique for r in plan.ledger):
        lines.append(name)
        rows = [
            (r.verb, _short(f"{r.cell} {r.value}".strip(), 40), f"{r.matched} {r.element}",
             _short(r.pattern, 22), r.place)
            for r in plan.ledger if r.technique == name
        ]
        lines += [columns(rows), ""]
    lines.append("Blocks on one device")
    table = [("block", "layers", "weights", "gradients", "optimizer", "kept a token", "KV a token")]
    for b in plan.blocks:
        table.append((b.name, str(max(1, len(b.layers))), gib(b.weight_bytes), gib(b.grad_bytes),
                      gib(b.optimizer_bytes), f"{b.saved_per_token:,.0f} B",
                      f"{b.kv_per_token:,.0f} B"))
    lines += [columns(table, right="123456"), "", "Collectives of a layer"]
    layer = max(plan.blocks, key=lambda b: len(b.layers))
    moved = [
        (phase, w.kind, w.name, f"over {w.group.axis} ({w.group.size})",
         f"{w.bytes_per_token:,.0f} B a token" if w.bytes_per_token else gib(w.bytes_fixed))
        for phase, works in (*layer.work.items(), ("reduce", layer.reduce))
        for w in works if isinstance(w, CommWork)
    ]
    lines.append(columns(moved) or "  none")
    return "\n".join(lines)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2] + ".."
