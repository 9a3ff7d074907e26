"""`llamasim debug`: what each stage makes of a scenario."""

from __future__ import annotations

import pprint
from typing import Any

import click

from llamasim.cli.support import read_scenario, stop

_STAGES = ("scenario", "graph", "applied", "plan", "trace")


@click.command(name="debug")
@click.argument("stage", type=click.Choice(_STAGES))
@click.argument("scenario")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a field.")
def command(stage: str, scenario: str, overrides: tuple[str, ...]) -> None:
    """Print the frozen result of STAGE for SCENARIO."""
    click.echo(pprint.pformat(_result(stage, scenario, overrides), width=100, compact=True))


def _result(stage: str, text: str, overrides: tuple[str, ...]) -> Any:
    scenario = read_scenario(text, overrides)
    if stage == "scenario":
        return scenario
    from llamasim.model import resolve
    from llamasim.plan import lower, program_of
    from llamasim.techniques import apply

    graph = resolve(scenario.model)
    if stage == "graph":
        return graph
    program, said = program_of(scenario)
    stop(said)
    applied, said = apply(graph, program, scenario)
    stop(said)
    if stage == "applied" or applied is None:
        return applied
    plan, said = lower(applied, scenario)
    stop(said)
    if stage == "plan" or plan is None:
        return plan
    from llamasim.simulate import run

    return run(plan, scenario)
