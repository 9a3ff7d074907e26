"""What can be wrong with a scenario: one function a finding, so that wording stays even.

Codes: E0501 file, E0502 YAML, E0503 bounds, E0504 key given twice, E0505 unknown key, E0506 missing
key, E0507 wrong kind of value, E0508 units, E0509 range, E0510 unknown word, E0511 unknown catalog
id, E0512 keys that do not go together, E0513 links, E0514 techniques, E0515 imports, E0516
preferences and objectives, E0517 overrides, E0518 edition, E0519 rule folders, E0522 recorded
requests, W0501 context, W0502 nothing known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llamasim.diagnostics import Diagnostic, Label, Source, Span, nearest
from llamasim.scenario.habits import alike, meant


def error(
    code: str, message: str, span: Span | None = None, label: str = "", *,
    also: Sequence[tuple[Span, str]] = (), why: str = "", help: Sequence[str] = (),
) -> Diagnostic:
    """Return an error with one primary place and any number of further ones."""
    labels = () if span is None else (Label(span, label),)
    more = tuple(Label(s, text, primary=False) for s, text in also)
    return Diagnostic(code, message, labels + more, "error", why, tuple(help))


def did_you_mean(name: str, known: Iterable[str], what: str) -> tuple[str, ...]:
    """Return help lines: the nearest known name, and all of them where they are few."""
    pool = sorted(known)
    close = meant(name, pool) or nearest(name, pool)
    lines = [] if close is None else [f"did you mean `{close}`?"]
    if pool and (len(pool) <= 24 or close is None):
        shown = ", ".join(pool[:24]) + (", ..." if len(pool) > 24 else "")
        lines.append(f"{what}: {shown}")
    return tuple(lines)


# --- the file ------------------------------------------------------------------------------------


def file_problem(message: str, why: str = "", help: Sequence[str] = ()) -> Diagnostic:
    """E0501: the file cannot be read at all."""
    return error("E0501", message, why=why, help=help)


def empty(source: Source) -> Diagnostic:
    """E0502: nothing in the file."""
    return error(
        "E0502", "this scenario is empty", Span(source, 1, 1, 1, 2), "nothing here",
        help=("start with:\n  edition: 2026\n  model: llama-3.1-8b\n  cluster: {device: rtx-4090}\n"
              "  runtime: llama.cpp\n  workload: {mode: inference}",),
    )


def yaml_syntax(source: Source, problem: Any) -> Diagnostic:
    """E0502: the text is not YAML."""
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    said = str(getattr(problem, "problem", None) or getattr(problem, "reason", "") or "")
    lines = source.text.splitlines() or [""]
    line = min(mark.line, len(lines) - 1) if mark else _bad_line(lines)
    column = min(mark.column, len(lines[line])) if mark else 0
    span = Span(source, line + 1, column + 1, line + 1, column + 2)
    if "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
        tab = lines[line].index("\t") + 1
        return error(
            "E0502", "this line is indented with a tab", Span(source, line + 1, tab, line + 1,
            tab + 1), "tab", why="YAML allows only spaces for indentation",
            help=("replace each tab by two spaces",),
        )
    context = str(getattr(problem, "context", "") or "")
    return error(
        "E0502", "this is not valid YAML", span, said or "here",
        why=f"the YAML reader stopped {context}" if context else "",
        help=_habit_help(lines[max(line - 1, 0) : line + 1], column) or _syntax_help(said),
    )


def _habit_help(lines: Sequence[str], column: int) -> tuple[str, ...]:
    """Return ways out of what YAML stumbles over because it means something elsewhere."""
    if any(text.lstrip().startswith("//") for text in lines):
        return ("write remarks behind `#`",)
    at = lines[-1][max(column - 1, 0) : column + 1]
    if "%" in at:
        return ("write shares as `80 %`, with the sign behind the number",)
    if "*" in at:
        return ('put patterns in quotes: `"*.attn.*"`',)
    return ()


def _bad_line(lines: Sequence[str]) -> int:
    """Return the first line with a character that YAML forbids."""
    for number, line in enumerate(lines):
        if any(ord(c) < 32 and c != "\t" for c in line):
            return number
    return 0


def _syntax_help(said: str) -> tuple[str, ...]:
    if "mapping values are not allowed" in said:
        return ("put a text that holds `: ` in quotes, or start a new line for the second key",)
    if "expected ',' or" in said:
        return ("close the bracket, or put a comma between its entries",)
    if "could not find expected ':'" in said:
        return ("write `key: value`, with a colon and a space",)
    if "block end" in said or "block mapping" in said:
        return ("indent this line like the line that it belongs with",)
    if "special character" in said or "control" in said:
        return ("delete the invisible character",)
    return ("compare with a shipped scenario, such as scenarios/laptop.yaml",)


def several_documents(span: Span) -> Diagnostic:
    """E0502: `---` twice."""
    return error("E0502", "a scenario is one YAML document, and here a second one starts", span,
                 "second document",
                 help=("delete this line, or move what follows to a file of its own",))


def tagged(span: Span, tag: str) -> Diagnostic:
    """E0502: `!tag`."""
    written = tag.replace("tag:yaml.org,2002:", "!!")
    return error("E0502", f"YAML tags such as `{written}` have no meaning in a scenario", span,
                 "tag", help=("delete the tag and keep the value",))


def too_complex(span: Span, how: str) -> Diagnostic:
    """E0503: a bound on depth, size or aliases."""
    return error("E0503", f"this YAML is too complex: {how}", span, "here",
                 why="scenarios are bounded, so that a damaged file cannot use up memory",
                 help=("write the values out instead of repeating them through aliases",))


def unknown_anchor(span: Span, name: str) -> Diagnostic:
    """E0502: `*name` without `&name`."""
    return error("E0502", f"nothing is marked `&{name}` before this `*{name}`", span,
                 "unknown alias",
                 help=(f"mark a value with `&{name}` above, or put the text in quotes",))


def duplicate_key(key: str, span: Span, first: Span) -> Diagnostic:
    """E0504: a key twice in one mapping."""
    if "." in key:
        way = (f"use a technique twice under two names: `{key} as second: {{...}}`",)
    else:
        way = ("delete one of them",)
    return error("E0504", f"`{key}` is given twice", span, "again here",
                 also=((first, "first here"),), why="neither can win by coming last", help=way)


def key_not_text(span: Span) -> Diagnostic:
    """E0507: a mapping or list as a key."""
    return error("E0507", "a key must be a single word", span, "not a word",
                 help=("write `key: value`; put text with brackets or braces in quotes",))


def long_key(span: Span, most: int) -> Diagnostic:
    """E0503: a key longer than any that has a meaning."""
    return error("E0503", f"this key is longer than {most} characters", span, "here",
                 why="scenarios are bounded, so that a damaged file cannot use up memory",
                 help=("look for a `: ` that belongs further to the left",))


def merge_not_mapping(span: Span) -> Diagnostic:
    """E0507: `<<:` of something that has no keys."""
    return error("E0507", "`<<` merges the keys of a mapping, and this is none", span, "no mapping",
                 help=("mark a mapping with `&name` and write `<<: *name`",))


# --- keys and values -----------------------------------------------------------------------------


def unknown_key(key: str, where: str, known: Iterable[str], span: Span) -> Diagnostic:
    """E0505: a key that the table does not have."""
    place = f"`{where}`" if where else "a scenario"
    ways = did_you_mean(key, known, "known keys")
    if "=" in key:
        ways = (f"write `{key.partition('=')[0].strip()}: `, with a colon and a space",)
    elif key[:1].isdigit():
        ways = ("write numbers without commas, as `16384 tok` or `16_384 tok`",)
    return error("E0505", f"{place} has no key `{key}`", span, "unknown key", help=ways)


def missing(path: str, span: Span, doc: str, example: str) -> Diagnostic:
    """E0506: a required key that is not there."""
    key = path.rpartition(".")[2]
    text = f"add `{key}: {example}`" if example else f"add `{key}`"
    return error("E0506", f"`{path}` is missing", span, f"needs `{key}`",
                 why=doc[:1].lower() + doc[1:].rstrip("."), help=(text,))


def wrong_kind(path: str, expected: str, got: str, span: Span, help: Sequence[str]) -> Diagnostic:
    """E0507: a mapping where a word is due, and so on."""
    return error("E0507", f"`{path}` must be {expected}", span, f"this is {got}", help=help)


def unknown_word(path: str, text: str, options: Iterable[str], span: Span) -> Diagnostic:
    """E0510: a word that is not among those allowed."""
    return error("E0510", f"`{path}` cannot be `{text}`", span, "unknown word",
                 help=did_you_mean(text, options, "one of"))


def unknown_id(kind: str, text: str, known: Iterable[str], span: Span) -> Diagnostic:
    """E0511: a name that the catalog does not have."""
    pool = list(known)
    close = nearest(text, pool) or alike(text, pool)
    ways = [f"did you mean `{close}`?"] if close else []
    ways.append(f"list them with `llamasim catalog {kind}`")
    if kind != "instances":
        ways.append(f"or describe your own: a mapping with `base: {close or (pool or ['ID'])[0]}` "
                    "and what differs")
    return error("E0511", f"the catalog has no {kind[:-1]} `{text}`", span, "unknown", help=ways)
