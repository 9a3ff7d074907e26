"""`llamasim diff`: why two runs differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from llamasim.cli.support import read_with_warnings, say, stop

if TYPE_CHECKING:
    from llamasim.diagnostics import Diagnostic
    from llamasim.scenario.spec import Scenario


@click.command(name="diff")
@click.argument("first")
@click.argument("second", required=False)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Change a field of SECOND, as in --set workload.micro_batch=2.")
@click.option("--both", multiple=True, metavar="KEY=VALUE",
              help="Change a field of both, before --set.")
@click.option("--rules", multiple=True, metavar="DIR", help="Further folder of rule files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    first: str, second: str | None, overrides: tuple[str, ...], both: tuple[str, ...],
    rules: tuple[str, ...], as_json: bool,
) -> None:
    """Say why SECOND takes another time and other memory than FIRST.

    Both are scenarios, files or names of shipped ones; without SECOND it is FIRST with what --set
    changes: what comes out, and where time and memory go. The parts sum to the whole: computing
    by phase and kind of op, and what devices wait for.

    \b
      llamasim diff laptop laptop-cpu
      llamasim diff cloud --set workload.prompt.mean=4096
      llamasim diff cloud --set runtime=trt-llm
    """
    from llamasim.study.diff import diff

    a, said = _ran(first, both, rules, as_json=as_json)
    b, more = _ran(second or first, (*both, *overrides), rules, as_json=as_json)
    if not as_json:
        # What is said of one side only is a part of what is compared.
        words = {d.message for d in said}
        say([d for d in more if d.message in words])
    found = diff(a, b)
    names = a[0].name, b[0].name if second else "changed"
    if as_json:
        click.echo(json.dumps(_object(found, names), indent=2, allow_nan=False))
        return
    from llamasim.report.diff import diff_text

    click.echo(diff_text(found, *names))


def _ran(
    text: str, overrides: tuple[str, ...], rules: tuple[str, ...], *, as_json: bool
) -> tuple[tuple[Scenario, Any], list[Diagnostic]]:
    from llamasim.plan import compile_plan

    scenario, _ = read_with_warnings(text, overrides, rules, as_json=as_json)
    plan, said = compile_plan(scenario)
    stop(said, as_json=as_json)
    assert plan is not None
    from llamasim.simulate import run
    from llamasim.tables import tabulate

    return (scenario, tabulate(run(plan, scenario))), said


def _object(found: Any, names: tuple[str, str]) -> dict[str, Any]:
    def parts(of: Any) -> list[dict[str, Any]]:
        return [{"cause": p.cause, "first": p.first, "second": p.second, "change": p.change}
                for p in of]

    return {
        "first": names[0], "second": names[1], "results": parts(found.results),
        "seconds": parts([found.seconds])[0], "time": parts(found.time),
        "bytes": parts([found.bytes])[0], "memory": parts(found.memory),
        "said": [{"where": w, "first": a, "second": b} for w, a, b in found.said],
    }
