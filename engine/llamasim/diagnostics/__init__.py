"""Diagnostics: what a user did wrong, where, why, and the way out."""

from llamasim.diagnostics.model import Diagnostic, Label, Severity, Source, Span
from llamasim.diagnostics.names import nearest
from llamasim.diagnostics.render import render, to_json

__all__ = ["Diagnostic", "Label", "Severity", "Source", "Span", "nearest", "render", "to_json"]
