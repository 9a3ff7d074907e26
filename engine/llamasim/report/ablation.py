"""What each technique changes, as text: memory, work and collectives without it and with it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from llamasim.report.layout import WIDTH
from llamasim.study.ablation import Amounts, Change
from llamasim.study.explain.text import amount, plain
from llamasim.study.measure import Measure, Moved

#: Relative change below which text leaves a figure out; `--json` has all.
LEAST = 0.005
_WORDS = {"kv_cache": "KV cache", "activations": "activations kept", "model": "model's work",
          "recompute": "work done again", "traffic": "memory traffic",
          "prefill work": "work of a prefill", "decode work": "work of a decode step",
          "prefill traffic": "traffic of a prefill", "decode traffic": "traffic of a decode step"}


def measure_lines(found: Measure, *, serving: bool) -> list[str]:
    """Return what the fullest device holds, computes and moves."""
    where = f" (stage {found.stage} of 0 to {found.stages - 1})" if found.stages > 1 else ""
    lines = [f"On the fullest device{where}, before any time is simulated"]
    if found.memory.get("kv_cache"):
        lines[0] += f"; the cache is of {'one request' if serving else 'the batch'}"
    rows = [("memory", _word(k), amount(v, "B")) for k, v in found.memory.items()]
    rows.append(("memory", "total, with all else", amount(found.total, "B")))
    rows += [("work", _word(k), amount(v, _unit(k))) for k, v in found.work.items()]
    rows += [("collectives", _move(m), amount(m.bytes, "B")) for m in found.moves]
    return [*lines, *_aligned(rows)]


def change_lines(changes: Sequence[Change]) -> list[str]:
    """Return what leaving out each technique would change."""
    lines = ["What each technique changes: without it -> as it is (the others stay)"]
    for change in changes:
        lines += ["", *one_change(change)]
    return lines


def one_change(change: Change, *, name: bool = True) -> list[str]:
    """Return what one technique changes."""
    lines = [_title(change)] if name else []
    if change.refused:
        return [*lines, *_wrap(f"cannot be left out: {change.refused}")]
    rows = [*_amounts("memory", change.memory), *_amounts("work", change.work)]
    body = [*_aligned(rows), *_moves(change)]
    if not body:
        body = ["  less than half a percent of anything"] if not change.nothing else [
            "  nothing of memory, work or collectives"]
    return [*lines, *body]


def _title(change: Change) -> str:
    short = change.technique.rpartition(".")[2]
    other = f" as {change.instance}" if change.instance != short else ""
    return f"{change.technique}{other}"


def _word(name: str) -> str:
    return _WORDS.get(name, name.replace("_", " "))


def _unit(name: str) -> str:
    return "B" if name.endswith("traffic") else "FLOP"


def _amounts(group: str, amounts: Iterable[Amounts]) -> Iterator[tuple[str, str, str]]:
    for a in amounts:
        largest = max(abs(a.without), abs(a.with_it))
        if abs(a.with_it - a.without) <= LEAST * largest:
            continue
        unit = "B" if group == "memory" else _unit(a.name)
        text = f"{amount(a.without, unit)} -> {amount(a.with_it, unit)}"
        ratio = a.with_it / a.without if a.without else 0.0
        share = f"  ({ratio - 1:+.0%})" if 0 < ratio < 10 else f"  (x {ratio:.3g})" if ratio else ""
        yield group, _word(a.name), text + share


def _moves(change: Change) -> list[str]:
    """Return collectives that come, go, or change."""
    rows = [("+", _move(m), amount(m.bytes, "B")) for m in change.added]
    rows += [("-", _move(m), amount(m.bytes, "B")) for m in change.removed]
    rows += [
        (" ", f"{_move(a)} -> {_count(b)}{_group(b) if a.size != b.size else ''}",
         f"{amount(a.bytes, 'B')} -> {amount(b.bytes, 'B')}")
        for a, b in change.altered if _large(a, b)
    ]
    wide = max((len(text) for _, text, _ in rows), default=0)
    return [f"  {'collectives' if k == 0 else '':<11} {sign} {text:<{wide}}  {size}"[:WIDTH]
            for k, (sign, text, size) in enumerate(rows)]


def _large(a: Moved, b: Moved) -> bool:
    pairs = ((a.bytes, b.bytes), (a.count, b.count), (float(a.size), float(b.size)))
    return any(abs(x - y) > LEAST * max(x, y) for x, y in pairs)


def _move(m: Moved) -> str:
    when = "" if m.when == "step" else f"{m.when} "
    return f"{when}{_count(m)} {m.kind}{_group(m)}"


def _count(m: Moved) -> str:
    return plain(round(m.count, 2))


def _group(m: Moved) -> str:
    return "" if m.kind == "copy" else f" over {m.axis} ({m.size:,})"


def _aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return rows of a group, a name and a value; the group is named once."""
    wide = max((len(name) for _, name, _ in rows), default=0)
    lines = []
    before = ""
    for group, name, value in rows:
        lines.append(f"  {group if group != before else '':<11} {name:<{wide}}  {value}".rstrip())
        before = group
    return lines


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ",
                         break_on_hyphens=False, break_long_words=False)
