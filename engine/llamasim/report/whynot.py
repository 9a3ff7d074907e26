"""Why a technique is not in effect, as text."""

from __future__ import annotations

import textwrap

from llamasim.diagnostics import render
from llamasim.report.ablation import one_change
from llamasim.report.layout import WIDTH, number
from llamasim.study.explain.whynot import WhyNot

_LABELS = {"step_time_s": "step time", "prefill_tok_s": "prefill", "decode_tok_s": "decode",
           "output_tok_s": "output", "ttft_ms_p50": "TTFT p50", "tpot_ms_p50": "TPOT p50"}


def why_not_text(found: WhyNot, scenario: str) -> str:
    """Return the answer: what refuses a technique, or what it changes."""
    if found.used:
        lines = [f"{found.technique} is in use in {scenario}"]
    elif found.refusals:
        lines = _refused(found)
    else:
        nothing = found.change is not None and found.change.nothing and not found.speed
        what = "nothing would change with it" if nothing else "it would work"
        lines = [f"{found.technique} is not in `use` of {scenario}: {what}"]
    if not found.refusals:
        lines += _effect(found)
    return "\n".join(lines)


def _refused(found: WhyNot) -> list[str]:
    lines = [f"{found.technique} is not in `use`, and cannot be:", ""]
    lines += [render([d]) + "\n" for d in found.refusals]
    for demand in found.demands:
        lines += _wrap(f"requires {demand.test}  ({demand.place})", 2)
        lines += [f"    {name} = {value}" for name, value in demand.reads]
    if found.remedies:
        lines += ["it would work with one of", *(f"  {r}" for r in found.remedies)]
    else:
        lines.append("no other value of its parameters and no exchange for a technique in use "
                     "would make it work")
    return lines


def _effect(found: WhyNot) -> list[str]:
    lines: list[str] = []
    for place, reason in found.idle:
        lines += _wrap(f"does nothing here: the rule at {place}: {reason}", 2)
    change = found.change
    if change is not None and not (change.nothing and not found.speed):
        lines += ["without it -> with it", *one_change(change, name=False)]
    for name, unit, before, after in found.speed:
        unit = f" {unit}" if unit else ""
        text = f"{number(before)}{unit} -> {number(after)}{unit}{_share(before, after)}"
        lines.append(f"  {_LABELS.get(name, name):<11} {text}")
    for d in found.warnings:
        lines += _wrap(f"warning: {d.message}", 2)
    return lines + _claims(found)


def _share(before: float, after: float) -> str:
    if not before:
        return ""
    ratio = after / before
    return f"  ({ratio - 1:+.1%})" if ratio < 10 else f"  (x {ratio:,.0f})"


def _claims(found: WhyNot) -> list[str]:
    if not found.claims:
        return ["  accuracy    no evidence: the rule file claims nothing"]
    lines = []
    for k, c in enumerate(found.claims):
        scope = f" ({c.scope})" if c.scope else ""
        text = f"{c.metric} {c.low:g}..{c.high:g}{scope}, from {c.source}"
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=f"  {'accuracy' if k == 0 else '':<11} ",
            subsequent_indent=" " * 16, break_on_hyphens=False, break_long_words=False)
    return lines


def _wrap(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * indent,
                         subsequent_indent=" " * (indent + 2), break_on_hyphens=False,
                         break_long_words=False)
