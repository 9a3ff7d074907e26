"""The fidelity report: errors on rows that fits saw and on rows that they did not, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamasim.validate.score import Errors, Scored

#: Fewest rows of a group that gets a line of its own.
FEWEST = 3


def report(files: Mapping[str, Sequence[Scored]], held: frozenset[str]) -> str:
    """Return the report of some files; `held` are the rows that no fit has seen."""
    lines = [
        "# Fidelity",
        "",
        "Predictions against published measurements, as the command `validate` writes them with",
        "`--report`; nothing looks at a measured value while it is predicted. *Held out* are rows",
        "that no fitted figure has seen (`rules/validation/holdout.toml`). Errors are relative; a",
        "row that ran and is predicted not to fit counts as 100 %. Bias is the mean with its sign:",
        "above zero, predicted too large.",
    ]
    for name, rows in files.items():
        lines += _file(name, rows, held)
    lines += _fits()
    return "\n".join(lines) + "\n"


def _file(name: str, rows: Sequence[Scored], held: frozenset[str]) -> list[str]:
    from llamasim.validate.score import by_group, summary, worst

    told = summary(rows)
    lines = [
        "", f"## {name}", "",
        f"{told['rows']:,} rows; {told['unsupported']} cannot be expressed, {told['infeasible']} "
        f"predicted not to fit; coverage {told['coverage']:.1%}.", "",
        *_head("metric", "rows"),
    ]
    seen = [r for r in rows if r.row not in held]
    unseen = [r for r in rows if r.row in held]
    for title, part in (("all", rows), ("seen by fits", seen), ("held out", unseen)):
        lines += [f"| {m} | {title} | {_figures(e)} |" for m, e in _metrics(part)]
    for group in ("source", "device", "runtime"):
        found = {k: e for k, e in by_group(rows, group).items() if e.n >= FEWEST}
        if len({g for _, g in found}) > 1:
            lines += ["", *_head("metric", group)]
            lines += [f"| {m} | {g} | {_figures(e)} |" for (m, g), e in found.items()]
    lines += ["", "Worst rows:", "", "| row | metric | measured | predicted | error | |",
              "|---|---|---|---|---|---|"]
    lines += [f"| {r.row} | {r.metric} | {r.measured:,.4g} | {r.predicted or 0:,.4g} | "
              f"{r.error or 0:+.0%} | {r.reason} |" for r in worst(rows, 10)]
    return lines


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} | n | mean | median | bias | worst |",
            "|" + "---|" * (len(names) + 5)]


def _metrics(rows: Iterable[Scored]) -> list[tuple[str, Errors]]:
    from llamasim.validate.score import by_metric

    return list(by_metric(rows).items())


def _figures(e: Errors) -> str:
    return (f"{e.n} | {e.mape:.1%} | {e.median_ape:.1%} | {e.bias:+.1%} | {e.max_ape:.0%}")


def _fits() -> list[str]:
    """Return every figure of the catalog that was fitted or chosen, and on what."""
    from llamasim import catalog

    lines = ["", "## What was fitted on what", "",
             "Every other figure of the catalog is a data sheet's, a formula's or a documented",
             "default; `llamasim catalog` shows each with its source.", "",
             "| record | figure | value | |", "|---|---|---|---|"]
    for kind in ("devices", "fabrics", "runtimes"):
        told: set[tuple[str, str]] = set()
        for name in catalog.ids(kind):
            record = catalog.get(kind, name)
            sources: Mapping[str, str] = getattr(record, "sources", {})
            for key, source in sorted(sources.items()):
                value = getattr(record, key, None)
                if not source.startswith(("fitted", "chosen")) or value is None:
                    continue
                owner = getattr(record, "family", "") or name
                if (owner, key) not in told:
                    told.add((owner, key))
                    lines.append(f"| {owner} | {key} | {_short(value)} | {source} |")
    return lines


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v:.3g}" for k, v in value.items())
    return str(value)
