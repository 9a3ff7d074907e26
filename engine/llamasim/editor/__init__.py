"""What editors ask of a rule file: pure functions over its text, for files with mistakes too."""

from llamasim.editor.check import findings, scenario_findings
from llamasim.editor.complete import Completion, Completions, complete
from llamasim.editor.define import Place, definition, occurrences, references
from llamasim.editor.document import Document, open_document
from llamasim.editor.hover import Hover, hover
from llamasim.editor.layout import Edit, formatted
from llamasim.editor.outline import Symbol, outline
from llamasim.editor.rename import CannotRename, rename, renamed_span

__all__ = [
    "CannotRename",
    "Completion",
    "Completions",
    "Document",
    "Edit",
    "Hover",
    "Place",
    "Symbol",
    "complete",
    "definition",
    "findings",
    "formatted",
    "hover",
    "occurrences",
    "open_document",
    "outline",
    "references",
    "rename",
    "renamed_span",
    "scenario_findings",
]
