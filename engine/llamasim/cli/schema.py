"""`llamasim schema`: the JSON Schema of scenarios."""

from __future__ import annotations

import json

import click


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of scenarios, for editors that complete and check YAML."""
    from llamasim.scenario import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
