"""A derivation as indented text: each value, its formula, and the rules that wrote it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

import attrs

from llamasim.report.layout import WIDTH
from llamasim.study.explain import Answer, Node, Site
from llamasim.study.explain.text import amount, plain
from llamasim.study.explain.tree import Unused

#: Techniques not in use that are named unless all are asked for.
MOST_UNUSED = 5
#: Where the second column begins at most, unless all of it fits further on; a longer first one
#: pushes it to the next line.
_TAB = 56
_GAP = 2
_NUMBERED = re.compile(r"(stage|chunk) (\d+)(.*)")
_WORD = re.compile(r"\{([^}]*)\}|(\d+(?:\.\d+)?)")

#: A line: its indent, what is said, and where that comes from.
Line = tuple[int, str, str]


def explain_text(answer: Answer, *, everything: bool = False) -> str:
    """Return a derivation; `everything` lists all techniques that are not applied."""
    lines = list(_root(answer))
    room = WIDTH - max((len(right) for *_, right in lines), default=0)
    tab = max((n * 2 + len(left) for n, left, right in lines if right), default=0) + _GAP
    tab = min(tab, max(room, _TAB))
    text = [row for line in lines for row in _rows(line, tab)]
    text += _sources(answer)
    text += _unused(answer.unused, everything=everything)
    text += textwrap.wrap(f"also: {', '.join(answer.also)}", WIDTH, subsequent_indent="      ",
                          break_on_hyphens=False) if answer.also else []
    return "\n".join(text)


def _root(answer: Answer) -> Iterator[Line]:
    root = answer.root
    at = f" @ {answer.element}" if answer.element else ""
    value = "" if root.value is None and root.inputs else f" = {_exact(root)}"
    per = f" per {answer.per}" if answer.per and isinstance(root.value, float) else ""
    alone = not root.formula and not root.inputs
    yield 0, f"{answer.cell}{at}{value}{per}", root.note if alone else ""
    if root.formula and not _same(root.formula):
        yield 1, f"= {filled(root)}", ""
    if not alone and root.note:
        yield 1, f"({root.note})", ""
    for site in root.sites:
        yield 1, said(site), _by(site)
    for node in _joined(root.inputs):
        yield from _node(node, 1)


def _exact(node: Node) -> str:
    """Return a value, of data and work also to the last digit."""
    short = amount(node.value, node.unit)
    if node.unit in ("B", "FLOP") and isinstance(node.value, float) and node.value >= 1e4:
        return f"{short} ({plain(node.value)} {node.unit})"
    return short


def _node(node: Node, indent: int) -> Iterator[Line]:
    text = node.name if node.value is None else f"{node.name} = {amount(node.value, node.unit)}"
    if node.formula and not _same(node.formula):
        text += f" = {filled(node)}"
    computed = bool(node.formula) and not _same(node.formula)
    yield indent, text, "" if computed else node.note
    if computed and node.note:
        yield indent + 1, f"({node.note})", ""
    for site in node.sites:
        yield indent + 1, said(site), _by(site)
    for child in _joined(node.inputs):
        yield from _node(child, indent + 1)


def _joined(nodes: Sequence[Node]) -> Iterator[Node]:
    """Yield nodes, neighbours of one numbered kind and one value as one (`stages 2 to 7`)."""
    for (kind, _), group in groupby(nodes, key=_kind):
        same = list(group)
        if kind and len(same) > 2:
            first, last = (_NUMBERED.fullmatch(n.name) for n in (same[0], same[-1]))
            assert first is not None
            assert last is not None
            name = f"{first[1]}s {first[2]} to {last[2]}{first[3]}"
            yield attrs.evolve(same[0], name=name)
        else:
            yield from same


def _kind(node: Node) -> tuple[str, object]:
    found = _NUMBERED.fullmatch(node.name)
    plain_one = found is not None and not (node.inputs or node.sites or node.formula)
    return (f"{found[1]}{found[3]}", amount(node.value, node.unit)) if found and plain_one else (
        "", id(node))


def _same(formula: str) -> bool:
    """Whether a formula is one of its inputs and nothing else."""
    return bool(re.fullmatch(r"\{[^}]*\}", formula))


def filled(node: Node) -> str:
    """Return a formula with its inputs' values."""
    values = {n.name: amount(n.value, n.unit) for n in node.inputs}

    def word(match: re.Match[str]) -> str:
        if match[1] is None:
            return plain(float(match[2]))
        return f"{match[1]} {values[match[1]]}"

    return _WORD.sub(word, node.formula)


def said(site: Site) -> str:
    """Return what a rule says and what that comes to."""
    text = site.written
    if site.value and not text.endswith(f" {site.value}"):
        text += f" -> {site.value}" if site.verb not in ("shard", "reduce", "gather", "rotate") \
            else f" ({site.value})"
    reads = [f"{k} = {v}" for k, v in site.reads if v != site.value or k not in site.written]
    text += f"  [{', '.join(reads)}]" if reads else ""
    return f"{text}  (replaced: {site.replaced})" if site.replaced else text


def _by(site: Site) -> str:
    return f"{site.place}  {site.technique.rpartition('.')[2]}"


def _rows(line: Line, tab: int) -> list[str]:
    """Return a line at most `WIDTH` wide, its second column aligned."""
    depth, left, right = line
    lead = "  " * depth
    rows = textwrap.wrap(left, WIDTH, initial_indent=lead, subsequent_indent=lead + "    ",
                         break_on_hyphens=False, break_long_words=False) or [lead]
    if not right:
        return rows
    beside = len(rows[-1]) + _GAP <= tab
    parts = textwrap.wrap(right, WIDTH - tab, break_on_hyphens=False, break_long_words=False)
    if beside:
        rows[-1] = rows[-1].ljust(tab) + parts.pop(0)
    elif len(parts) == 1 and len(rows[-1]) + _GAP + len(parts[0]) <= WIDTH:
        rows[-1] += " " * _GAP + parts.pop(0)
    return rows + [" " * max(0, min(tab, WIDTH - len(p))) + p for p in parts]


def _sources(answer: Answer) -> list[str]:
    if not answer.sources:
        return []
    lines = ["sources"]
    for technique, text, place in answer.sources:
        lines += textwrap.wrap(
            f"{technique.rpartition('.')[2]}: {text} ({place})", WIDTH, initial_indent="  ",
            subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)
    return lines


def _unused(unused: tuple[Unused, ...], *, everything: bool) -> list[str]:
    chosen = unused if everything else unused[:MOST_UNUSED]
    wide = max((len(u.technique) for u in chosen), default=0)
    lines = [f"not applied: {u.technique:<{wide}}  not in `use`  {u.place}" for u in chosen]
    more = len(unused) - len(chosen)
    return [*lines, f"             and {more} more (--all)"] if more else lines
