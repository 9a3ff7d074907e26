"""The fidelity report: errors on rows that fits saw and on rows that they did not, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamasim.validate.score import Errors, Scored
    from llamasim.validate.sensitivity import Effect

#: Fewest rows of a group that gets a line of its own.
FEWEST = 3


def report(
    files: Mapping[str, Sequence[Scored]], held: frozenset[str],
    effects: Sequence[Effect] = (),
) -> str:
    """Return the report of some files; `held` are the rows that no fit has seen, `effects` what
    fitted figures do to them.
    """
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
    if effects:
        lines += _effects(effects)
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
    from llamasim.catalog.fits import fits

    lines = ["", "## What was fitted on what", "",
             "Every other figure of the catalog is a data sheet's, a formula's or a documented",
             "default; `llamasim catalog` shows each with its source.", "",
             "| record | figure | value | bounds | |", "|---|---|---|---|---|"]
    lines += [f"| {f.owner} | {f.path} | {f.value:.4g} | {f.low:.3g} to {f.high:.3g} | {f.source} |"
              for f in fits()]
    return lines


def _effects(effects: Sequence[Effect]) -> list[str]:
    """Return what each fitted figure does to the rows that depend on it."""
    lines = ["", "## What each of them does", "",
             "Mean absolute error of the rows of these files that a figure moves (in a sample of",
             "32 of its record's), with a tenth less of it, as it is, and with a tenth more; and",
             "by how much a tenth more moves the predictions, whichever way.", "",
             "| record | figure | rows | a tenth less | now | a tenth more | predictions |",
             "|---|---|---|---|---|---|---|"]
    return lines + [
        f"| {e.fit.owner} | {e.fit.path} | {e.rows} | {e.less:.1%} | {e.now:.1%} | {e.more:.1%} | "
        f"{e.change:.1%} |" for e in effects
    ]
