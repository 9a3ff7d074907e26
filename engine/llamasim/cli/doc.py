"""`llamasim doc`: what techniques there are, their parameters, demands and evidence."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llamasim.assets import rules_dir
from llamasim.cli.support import say, stop
from llamasim.diagnostics import Diagnostic, nearest

if TYPE_CHECKING:
    from llamasim.diagnostics import Span
    from llamasim.language.ast import Module, Technique

_T = TypeVar("_T")


@click.command(name="doc")
@click.argument("name", required=False)
@click.option("--rules", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Further folder of rule files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", is_flag=True, help="Print reference pages in Markdown.")
def command(
    name: str | None, rules: tuple[Path, ...], as_json: bool, markdown: bool
) -> None:
    """List all techniques, or say what one of them (NAME) does and takes."""
    from llamasim.language.cells import CELLS

    found = dict(_techniques([*rules, rules_dir()]))
    chosen = {k: v for k, v in found.items()
              if name is None or k == name or name in k.split(".") or k.startswith(f"{name}.")}
    if not chosen:
        short = {k.rpartition(".")[2]: k for k in found}
        near = nearest(str(name), [*found, *short])
        cell = CELLS.get(str(name))
        stop([Diagnostic("E0710", f"there is no technique `{name}`", help=(
            *((f"`{name}` is a cell: {cell.doc} `llamasim explain SCENARIO {name}@NAME` derives "
               "its value",) if cell else ()),
            *((f"did you mean `{short.get(near, near)}`?",) if near else ()),
            "`llamasim doc` lists them all"))], as_json=as_json)
    if as_json:
        click.echo(json.dumps([_plain(k, *v) for k, v in chosen.items()], indent=2))
    elif markdown:
        from llamasim.report.techniques import library

        click.echo(library(_plain(k, *v) for k, v in chosen.items()), nl=False)
    elif name is None:
        click.echo("\n".join(_list(chosen)))
    else:
        click.echo("\n\n".join("\n".join(_page(_plain(k, *v))) for k, v in chosen.items()))


def _techniques(folders: Sequence[Path]) -> Iterator[tuple[str, tuple[Module, Technique]]]:
    """Yield every technique of some folders by its full name."""
    from llamasim.language import load
    from llamasim.language.ast import Technique

    names = {".".join(f.relative_to(root).with_suffix("").parts)
             for root in folders for f in root.rglob("*.rules")}
    program, said = load(names, folders)
    say([d for d in said if d.is_error])
    for module_name, module in sorted(program.modules.items()):
        for item in module.items:
            if isinstance(item, Technique):
                yield f"{module_name}.{item.name}", (module, item)


def _plain(name: str, module: Module, technique: Technique) -> dict[str, Any]:
    """Return what a technique declares, expressions as they are written."""
    from llamasim.language.ast import (
        Advise,
        Axis,
        Bring,
        Claim,
        Conflicts,
        Param,
        Requires,
        Rule,
        SourceDecl,
    )

    cited = {i.name: i.text for i in module.items if isinstance(i, SourceDecl)}
    claims = list(_of(technique, Claim))
    return {
        "name": name,
        "doc": _text(technique.doc),
        "parameters": [
            {"name": p.name, "type": p.type, "doc": _text(p.doc),
             "domain": p.domain.span.text if p.domain else None,
             "default": p.default.span.text if p.default else None}
            for p in _of(technique, Param)
        ],
        "rules": [line for m in technique.members if isinstance(m, Axis | Bring | Rule)
                  for line in _source(m.span)],
        "requires": [r.test.span.text + (f" (else: {r.message})" if r.message else "")
                     for r in _of(technique, Requires)],
        "advises": [a.message for a in _of(technique, Advise)],
        "conflicts": [c.other for c in _of(technique, Conflicts)],
        "claims": [{"text": _claim(c), "sources": [cited.get(s, s) for s in c.sources]}
                   for c in claims],
    }


def _source(span: Span) -> list[str]:
    """Return a member as it is written, without the indentation that it stands at."""
    return textwrap.dedent(" " * (span.column - 1) + span.text).splitlines()


def _of(technique: Technique, kind: type[_T]) -> Iterator[_T]:
    return (m for m in technique.members if isinstance(m, kind))


def _text(doc: str) -> str:
    return " ".join(doc.replace("///", " ").split())


def _claim(claim: Any) -> str:
    """Return a claim without where it comes from."""
    text: str = claim.span.text.removeprefix("claim ")
    return text.partition(" from ")[0]


def _list(found: dict[str, tuple[Module, Technique]]) -> list[str]:
    from llamasim.report.layout import facts

    lines: list[str] = []
    for family in dict.fromkeys(name.split(".")[0] for name in found):
        rows = [(n, _first(_text(t.doc))) for n, (_, t) in found.items()
                if n.split(".")[0] == family]
        lines += [*([""] if lines else []), family, *facts(rows)]
    return [*lines, "", "`llamasim doc NAME` shows parameters, demands and evidence of one"]


def _first(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")


def _page(t: dict[str, Any]) -> list[str]:
    from llamasim.report.layout import facts, wrapped

    lines = [t["name"], *wrapped(t["doc"])]
    rows = [
        (p["name"], " ".join(filter(None, (
            p["type"], f"in {p['domain']}" if p["domain"] else "",
            f"= {p['default']}." if p["default"] else "(to be given).", p["doc"]))))
        for p in t["parameters"]
    ]
    lines += ["", "  parameters", *facts(rows, 4)] if rows else []
    for key, title in (("requires", "requires"), ("advises", "advises"),
                       ("conflicts", "conflicts with")):
        lines += ["", f"  {title}"] if t[key] else []
        for text in t[key]:
            lines += wrapped(text, 4)
    lines += ["", "  evidence"]
    lines += [] if t["claims"] else ["    none: nothing is claimed about accuracy"]
    for claim in t["claims"]:
        lines += wrapped(claim["text"], 4)
        for source in claim["sources"]:
            lines += wrapped(source, 6)
    return lines
