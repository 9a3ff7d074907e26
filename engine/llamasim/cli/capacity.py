"""`llamasim capacity`: the most load that a server takes within its targets."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from llamasim.cli.support import headline, read_scenario, say, stop, untried

if TYPE_CHECKING:
    from llamasim.study.capacity import Probe


@click.command(name="capacity")
@click.argument("scenario")
@click.option("--slo", "targets", multiple=True, metavar="NAME=TIME,...",
              help="Targets: ttft (first token), tpot (each further token), latency (whole "
              "request), as in --slo ttft=1s,tpot=50ms. Without it, the scenario's `slo`.")
@click.option("--share", type=click.FloatRange(0, 100, min_open=True), default=99.0,
              show_default=True, help="Percent of requests that must be within all of them.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Change a field, as in --set workload.arrivals.requests=5000.")
@click.option("--rules", multiple=True, metavar="DIR", help="Further folder of rule files.")
@click.option("--json", "as_json", is_flag=True, help="Print every rate that was tried as JSON.")
def command(
    scenario: str, targets: tuple[str, ...], share: float, overrides: tuple[str, ...],
    rules: tuple[str, ...], as_json: bool,
) -> None:
    """Find the highest rate of arrivals at which SCENARIO meets its targets.

    Rates are tried by doubling and halving, all with the same draws of gaps and lengths; a closed
    loop's users are counted in place of a rate. The more requests a scenario has, the less a short
    queue can hide that a rate is too high.
    """
    from llamasim.study.capacity import capacity

    slo = [f"workload.slo.{t.strip()}" for text in targets for t in text.split(",") if t.strip()]
    given = read_scenario(scenario, (*overrides, *slo), rules, as_json=as_json)
    if not as_json:
        say(untried(given))
    found, said = capacity(given, share / 100, None if as_json else _show)
    stop(said, as_json=as_json)
    assert found is not None
    if as_json:
        from llamasim.report.capacity import capacity_json

        click.echo(json.dumps(capacity_json(found), indent=2, allow_nan=False))
        return
    from llamasim.report.capacity import capacity_text

    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    say(said)
    click.echo(capacity_text(found, headline(given)))


def _show(probe: Probe) -> None:
    """Show on a terminal what has just been tried."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{probe.rate:.4g}: {probe.attained:.1%} within", err=True, nl=False)
