"""`llamasim explain`: why a value is what it is, why a technique is not used, what a code means."""

from __future__ import annotations

import json
import re

import click

from llamasim.cli.support import read_scenario, say, stop
from llamasim.diagnostics import Diagnostic

_CODE = re.compile(r"[EWew]\d{4}")


@click.command(name="explain")
@click.argument("what", metavar="[SCENARIO|CODE]")
@click.argument("cell", required=False)
@click.option("--why-not", "technique", metavar="TECHNIQUE",
              help="Say why a technique is not in effect, or what it would change.")
@click.option("--phase", default="", metavar="PHASE",
              help="For values that differ by phase: forward, backward, prefill, decode.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a field.")
@click.option("--rules", multiple=True, metavar="DIR", help="Further folder of rule files.")
@click.option("--all", "everything", is_flag=True, help="List all techniques not applied.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    what: str,
    cell: str | None,
    technique: str | None,
    phase: str,
    overrides: tuple[str, ...],
    rules: tuple[str, ...],
    everything: bool,
    as_json: bool,
) -> None:
    """Derive a value of a scenario, or explain the CODE of an error.

    \b
    llamasim explain cluster weight.bytes@layers.3.mlp.down
    llamasim explain cluster op.cost.flops@layers.0.attn.q --phase backward
    llamasim explain cluster comm@layers.3.attn.out
    llamasim explain cluster memory.activations
    llamasim explain cluster step.seconds
    llamasim explain cluster --why-not TECHNIQUE
    llamasim explain E0301
    """
    if technique is None and cell is None and _CODE.fullmatch(what):
        _code(what.upper(), as_json=as_json)
    elif technique is not None:
        _why_not(what, technique, overrides, rules, as_json=as_json)
    else:
        _cell(what, cell or "", phase, overrides, rules, everything=everything, as_json=as_json)


def _cell(
    text: str, cell: str, phase: str, overrides: tuple[str, ...], rules: tuple[str, ...],
    *, everything: bool, as_json: bool,
) -> None:
    from llamasim.study.explain import explain
    from llamasim.study.explain.tree import answer_json

    if not cell:
        stop([_no_question(text)], as_json=as_json)
    scenario = read_scenario(text, overrides, rules, as_json=as_json)
    answer, said = explain(scenario, cell, phase)
    stop(said, as_json=as_json)
    assert answer is not None
    if as_json:
        click.echo(json.dumps(answer_json(answer), indent=2, allow_nan=False))
        return
    from llamasim.report.explain import explain_text

    say(said)
    click.echo(explain_text(answer, everything=everything))


def _no_question(text: str) -> Diagnostic:
    return Diagnostic(
        "E0712", "there is no CELL to explain", help=(
            f"name one, as in `llamasim explain {text} weight.bytes@layers.0.mlp.down`",
            "or ask for a total: memory.weights, memory.activations, step.seconds"))


def _why_not(
    text: str, technique: str, overrides: tuple[str, ...], rules: tuple[str, ...],
    *, as_json: bool,
) -> None:
    from llamasim.study.explain.whynot import why_not, why_not_json

    scenario = read_scenario(text, overrides, rules, as_json=as_json)
    found, said = why_not(scenario, technique)
    stop(said, as_json=as_json)
    assert found is not None
    if as_json:
        click.echo(json.dumps(why_not_json(found), indent=2, allow_nan=False))
        return
    from llamasim.report.whynot import why_not_text

    say(said)
    click.echo(why_not_text(found, scenario.name))


def _code(code: str, *, as_json: bool) -> None:
    from llamasim.diagnostics import nearest
    from llamasim.diagnostics.pages import pages

    known = pages()
    if code not in known:
        near = nearest(code, known)
        family = [c for c in known if c[:3] == code[:3]]
        stop([Diagnostic("E0715", f"there is no code `{code}`", help=(
            *((f"did you mean `{near}`?",) if near else ()),
            *((f"codes of that kind: {', '.join(family)}",) if family else ())))], as_json=as_json)
    page = known[code]
    if as_json:
        click.echo(json.dumps({"code": page.code, "title": page.title, "text": page.text}))
    else:
        click.echo(page.text)
