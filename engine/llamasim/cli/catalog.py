"""`llamasim catalog`: what is known about devices, models, fabrics, hosts, instances, runtimes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from llamasim.catalog.fields import Record

_WIDTH = 100
_KINDS = ("devices", "models", "fabrics", "hosts", "instances", "runtimes")

#: Columns of each list: heading, and the key of the figure below it (`peaks.bf16` of a table).
_COLUMNS = {
    "devices": (
        ("kind", "kind"), ("memory", "memory"), ("bandwidth", "memory_bandwidth"),
        ("16-bit peak", "peaks.bf16|peaks.fp16"), ("power", "tdp"), ("peers", "peer"),
    ),
    "models": (
        ("parameters", "params"), ("active", "active"), ("layers", "layers"),
        ("hidden", "hidden"), ("heads", "heads"), ("kv", "kv_heads"), ("vocab", "vocab"),
        ("context", "context"),
    ),
    "fabrics": (
        ("kind", "kind"), ("bandwidth", "bandwidth"), ("latency", "latency"),
        ("reach", "efficiency"), ("topology", "topology"),
    ),
    "hosts": (
        ("cpu", "cpu"), ("cores", "cores"), ("memory", "memory"),
        ("bandwidth", "memory_bandwidth"),
    ),
    "instances": (
        ("device", "device"), ("n", "devices"), ("USD/h", "price"), ("spot", "price_spot"),
        ("read on", "price_date"),
    ),
    "runtimes": (
        ("host", "host"), ("launch", "launch"), ("graphs", "graphs"),
        ("matmul", "matmul_efficiency"), ("reserve", "reserve"),
    ),
}


@click.command(name="catalog")
@click.argument("kind", required=False)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, figures in engine units.")
def command(kind: str | None, name: str | None, as_json: bool) -> None:
    """List what is known, or show one entry with every figure, unit and source.

    KIND is devices, models, fabrics, hosts, instances or runtimes. NAME is an id; case, `_`, `.`
    and `-` do not matter. A name alone is looked up in every kind.
    """
    from llamasim import catalog

    if kind is None:
        _overview(as_json)
        return
    kinds = [k for k in _KINDS if kind.lower() in (k, k[:-1])]
    if not kinds and name is None:
        kinds = [k for k in _KINDS if catalog.find(k, kind)]
        name = kind
    if not kinds:
        _fail(kind, "kind", [*_KINDS, *(i for k in _KINDS for i in catalog.ids(k))], as_json)
    elif name is None:
        _list(kinds[0], as_json)
    else:
        _show(kinds, name, as_json)


def _overview(as_json: bool) -> None:
    from llamasim import catalog

    counts = {k: len(catalog.ids(k)) for k in _KINDS}
    if as_json:
        click.echo(json.dumps(counts))
        return
    for kind, count in counts.items():
        click.echo(f"{kind:<10} {count:>4}   llamasim catalog {kind}")


def _list(kind: str, as_json: bool) -> None:
    from llamasim import catalog
    from llamasim.catalog.describe import as_json as plain

    records = [record for i in catalog.ids(kind) if (record := catalog.get(kind, i))]
    if as_json:
        click.echo(json.dumps([plain(kind, r) | _counted(kind, r) for r in records]))
        return
    columns = _COLUMNS[kind]
    rows = [[r.id, *(_cell(kind, r, key) for _, key in columns)] for r in records]
    for line in _aligned([["id", *(title for title, _ in columns)], *rows]):
        click.echo(line)


def _cell(kind: str, record: Record, keys: str) -> str:
    from llamasim.catalog.describe import describe

    shown = {f.key: f.text for f in describe(kind, record)}
    if kind == "models":
        counts = _counted(kind, record)
        shown |= {"params": _short(counts["params"]), "active": _short(counts["active_params"])}
    text = next((shown[key] for key in keys.split("|") if key in shown), "-")
    return text.removesuffix(" USD/h")


def _counted(kind: str, record: Record) -> dict[str, int]:
    """Return a model's parameter counts, computed from its graph."""
    if kind != "models":
        return {}
    from llamasim.catalog.specs import Model
    from llamasim.model.resolve import resolve

    if not isinstance(record, Model):
        return {}
    graph = resolve(record)
    return {"params": graph.params, "active_params": graph.active_params}


def _short(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count < 1e11 else f"{count / 1e9:.1f} B"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Yield rows with aligned columns; the widest is cut so that a line fits, but never the id."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > _WIDTH:
        widths[widths.index(max(widths[1:]), 1)] -= 1
    for row in rows:
        cells = [_cut(text, w).ljust(w) for text, w in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _show(kinds: Sequence[str], name: str, as_json: bool) -> None:
    from llamasim import catalog
    from llamasim.catalog.describe import as_json as plain

    found = [(k, record) for k in kinds if (record := catalog.get(k, name))]
    if not found:
        _fail(name, kinds[0][:-1], list(catalog.ids(kinds[0])), as_json)
        return
    for kind, record in found:
        if as_json:
            click.echo(json.dumps(plain(kind, record) | _counted(kind, record)))
        else:
            _print(kind, record)


def _print(kind: str, record: Record) -> None:
    from llamasim.catalog.describe import describe

    title = getattr(record, "name", "") or record.id
    click.echo(f"{title}  ({kind[:-1]} {record.id})")
    counts = _counted(kind, record).items()
    figures = [(key, f"{count:,}", "computed from the shape") for key, count in counts]
    figures += [(f.key, f.text, f.source) for f in describe(kind, record)]
    wide = [max(len(f[i]) for f in figures) for i in (0, 1)]
    sources = list(dict.fromkeys(source for *_, source in figures if source))
    for key, text, source in figures:
        mark = f"  [{sources.index(source) + 1}]" if source else ""
        click.echo(f"  {key:<{wide[0]}}  {text:<{wide[1]}}{mark}".rstrip())
    for line in _paragraph("notes: ", record.notes):
        click.echo(line)
    click.echo("sources")
    for number, source in enumerate(sources, 1):
        click.echo("\n".join(_paragraph(f"  [{number}] ", source)))


def _paragraph(lead: str, text: str) -> list[str]:
    import textwrap

    if not text:
        return []
    return textwrap.wrap(text, _WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead),
                         break_long_words=False, break_on_hyphens=False)


def _fail(name: str, what: str, known: list[str], as_json: bool) -> None:
    """Say that a name is unknown, and end with exit code 2."""
    from llamasim.diagnostics import Diagnostic, nearest, render, to_json

    close = nearest(name, known)
    ways: list[Any] = [f"did you mean `{close}`?"] if close else []
    listing = "llamasim catalog" if what == "kind" else f"llamasim catalog {what}s"
    ways.append(f"list what is known: `{listing}`")
    word = "kind or entry" if what == "kind" else what
    finding = Diagnostic("E0601", f"the catalog has no {word} `{name}`", help=tuple(ways))
    if as_json:
        click.echo(json.dumps({"diagnostics": to_json([finding])}))
    else:
        click.echo(render([finding]), err=True)
    raise SystemExit(2)
