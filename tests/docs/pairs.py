"""The generated `docs/pairs.md`; run as a program, it writes it.

Every two shipped techniques are tried together in small worlds. Either they compose, or something
refuses them and says why, or they never meet: no world suits both.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Literal

import attrs
from tests.docs.pair_worlds import alone, purposes, techniques, together, works, worlds

from llamasim.diagnostics import Diagnostic

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pairs.md"
Outcome = Literal["composes", "refused", "never meet"]

_HEAD = """\
# Which techniques compose

Every two of the {techniques} shipped techniques were tried together: {pairs} pairs. {composes}
compose, {refused} are refused with a reason, and {apart} never meet, as one needs what the other
cannot have. This page is generated (`python -m tests.docs.pairs`) and compared by the tests.

Each was tried with its defaults and then with its whole numbers at two, in small worlds: training,
inference and serving of four layers of Llama 3.1 8B and of Mixtral 8x7B on one and on eight B200s,
with and without replicas and pipeline stages, in bf16, fp32 and fp16. A pair composes if it does in
one of them. What is refused with these parameters may compose with others, such as a `scope` that
keeps two formats of weights apart, or with `prefer` where both set one cell.

What is for training only never meets what is for inference only; the tables name the other pairs.
Numbers in brackets are reasons, at the end. `*` stands for all other techniques that begin so.
"""
_BY_PURPOSE = "one is for training, the other for inference"
#: Pairs that are refused are tried in so many worlds before their reason is taken.
_WORLDS = 4


@attrs.frozen
class Pair:
    """What came of two techniques; `reason` is why not."""

    a: str
    b: str
    outcome: Outcome
    reason: str = ""


def pair_of(a: str, b: str) -> Pair:
    """Try two techniques."""
    if not _modes(a) & _modes(b):
        return Pair(a, b, "never meet", _BY_PURPOSE)
    common = [w for w in worlds() if works(a, w) and works(b, w)]
    if not common:
        needs = {_needs(a, b), _needs(b, a)}
        return Pair(a, b, "never meet", "; ".join(sorted(needs)))
    refusals: list[Diagnostic] = []
    for plan, refusal in together(a, b, common[:_WORLDS] + common[_WORLDS::_WORLDS]):
        if plan is not None:
            return Pair(a, b, "composes")
        assert refusal is not None
        refusals.append(refusal)
    return Pair(a, b, "refused", _reason(min(refusals, key=_weight), (a, b)))


def _modes(name: str) -> set[str]:
    return {"training" if p == "training" else "inference" for p in purposes(name)}


def _needs(name: str, other: str) -> str:
    """Return what a technique lacks in the worlds of another."""
    against = [d for w in worlds() if works(other, w) and (d := alone(name, w)[1]) is not None]
    return _reason(min(against, key=_weight), (name,))


def _weight(refusal: Diagnostic) -> tuple[bool, str, str]:
    """Order refusals: of sizes that do not fit last, as others say more about the two."""
    return refusal.code in ("E0404", "E0412"), refusal.code, refusal.message


def _reason(refusal: Diagnostic, names: tuple[str, ...]) -> str:
    """Return a refusal in a line, the same for all pairs that it is the same for."""
    if match := re.search(r"set `([^`]+)`", refusal.message):
        return f"{refusal.code}: both set `{match[1]}`, to different values"
    if match := re.search(r"needs (`.+?`)", refusal.message):
        return f"{refusal.code}: one needs {match[1]}"
    if refusal.code == "E0403":
        return f"{refusal.code}: {refusal.why or 'the rules say that they exclude each other'}"
    text = refusal.message
    for name in names:
        text = text.replace(name.rpartition(".")[2], "one")
    text = re.sub(r"\([^)]*\)|`[^`]*`", lambda m: m[0] if len(m[0]) < 40 else "...", text)
    return f"{refusal.code}: {re.sub(r'[0-9][0-9,.]*', 'n', text)}"


def matrix(names: Iterable[str] | None = None) -> list[Pair]:
    """Return all pairs of some techniques, of all unless named."""
    return [pair_of(a, b) for a, b in combinations(sorted(names or techniques()), 2)]


def generated(pairs: list[Pair]) -> str:
    """Return the page."""
    told = [p for p in pairs if p.reason and p.reason != _BY_PURPOSE]
    reasons = {r: k for k, r in enumerate(sorted({p.reason for p in told}), 1)}
    names = sorted({n for p in pairs for n in (p.a, p.b)})
    count = {o: sum(p.outcome == o for p in pairs) for o in ("composes", "refused", "never meet")}
    lines = [_HEAD.format(
        techniques=len(names), pairs=f"{len(pairs):,}", composes=f"{count['composes']:,}",
        refused=f"{count['refused']:,}", apart=f"{count['never meet']:,}")]
    for family in dict.fromkeys(n.partition(".")[0] for n in names):
        lines += [f"## {family}", "", _TITLES, "|---|---|---|---|---|"]
        for name in (n for n in names if n.startswith(f"{family}.")):
            own = [p for p in pairs if name in (p.a, p.b)]
            composes = sum(p.outcome == "composes" for p in own)
            cells = [", ".join(_grouped(name, names, [p for p in own if p.outcome == o], reasons))
                     for o in ("refused", "never meet")]
            lines.append(f"| `{name.partition('.')[2]}` | {', '.join(purposes(name))} "
                         f"| {composes} | {cells[0]} | {cells[1]} |")
        lines.append("")
    return "\n".join([*lines, "## Reasons", "", *(f"{k}. {r}" for r, k in reasons.items())]) + "\n"


_TITLES = "| technique | for | composes with | is refused beside | never meets |"


def _grouped(
    name: str, names: list[str], pairs: list[Pair], reasons: dict[str, int]
) -> Iterator[str]:
    """Yield the others of some pairs by reason; whole families and modules as one."""
    by_reason: dict[int, set[str]] = {}
    for pair in pairs:
        other = pair.b if pair.a == name else pair.a
        if pair.reason in reasons:
            by_reason.setdefault(reasons[pair.reason], set()).add(other)
    for number, others in sorted(by_reason.items()):
        yield f"{', '.join(f'`{t}`' for t in _shortest(others, name, names))} [{number}]"


def _shortest(others: set[str], name: str, names: list[str]) -> list[str]:
    found, left = [], set(others)
    prefixes = {n.rsplit(".", k)[0] for n in names for k in (1, 2, 3) if n.count(".") >= k}
    for prefix in sorted(prefixes, key=lambda p: (p.count("."), p)):
        # Groups are of one family or module; what is left of it may be the technique itself.
        whole = {n for n in names if n.startswith(f"{prefix}.")} - {name}
        if len(whole) > 1 and whole <= left:
            found.append(f"{prefix}.*")
            left -= whole
    return [*found, *sorted(left)]


def read_page(text: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Return outcome and reason of all pairs that a page names, by the techniques in order."""
    reasons = dict(re.findall(r"^(\d+)\. (.*)$", text.partition("## Reasons")[2], re.MULTILINE))
    rows: dict[str, list[str]] = {}
    family = ""
    for line in text.splitlines():
        if line.startswith("## "):
            family = line[3:]
        elif line.startswith("| `"):
            name, *cells = (c.strip() for c in line.strip("|").split("|"))
            rows[f"{family}.{name.strip('`')}"] = cells
    said: dict[tuple[str, str], tuple[str, str]] = {}
    for name, cells in rows.items():
        for outcome, cell in (("refused", cells[2]), ("never meet", cells[3])):
            for group, number in re.findall(r"((?:`[^`]+`, )*`[^`]+`) \[(\d+)\]", cell):
                for pattern in re.findall(r"`([^`]+)`", group):
                    for other in _meant(pattern, name, rows):
                        a, b = sorted((name, other))
                        said[a, b] = (outcome, reasons[number])
    return said


def _meant(pattern: str, name: str, rows: Iterable[str]) -> list[str]:
    if not pattern.endswith(".*"):
        return [pattern]
    return [n for n in rows if n.startswith(pattern[:-1]) and n != name]


if __name__ == "__main__":
    lost = [n for n in techniques() if not purposes(n)]
    if lost:
        sys.exit(f"these techniques work by themselves in no world: {', '.join(lost)}")
    everything = matrix()
    PAGE.write_text(generated(everything), encoding="utf-8")
    print(f"{PAGE}: {len(everything):,} pairs")
