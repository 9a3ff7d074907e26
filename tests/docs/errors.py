"""The generated `docs/errors.md`; run as a program, it writes it."""

from __future__ import annotations

from pathlib import Path

from llamasim.diagnostics.pages import FAMILIES, Page, pages

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
_HEAD = """\
# Errors and warnings

Every message has a code. `llamasim explain E0301` prints the page of one: what it means, an example
that gives it, and how to mend it. This index is generated from those pages
(`python -m tests.docs.errors`), whose examples are run by the tests.

A message names the place, the reason and a way out. Errors end with code 2, never with a traceback;
warnings let the run go on.
"""


def generated() -> str:
    """Return the page as it should be."""
    lines = [_HEAD]
    for family, (_, about) in FAMILIES.items():
        rows = [p for p in pages().values() if p.code.startswith(family)]
        lines += [f"## {about}", "", "| code | what is wrong | |", "|---|---|---|",
                  *(f"| `{p.code}` | {p.title} | {_first(p)} |" for p in rows), ""]
    return "\n".join(lines)


def _first(page: Page) -> str:
    """Return the first sentence of a page."""
    paragraph = page.markdown.partition("\n\n")[0]
    if paragraph.startswith("```"):
        return ""
    text = " ".join(paragraph.split()).replace("|", "\\|")
    return text.partition(". ")[0].rstrip(".") + "."


if __name__ == "__main__":
    PAGE.write_text(generated(), encoding="utf-8")
