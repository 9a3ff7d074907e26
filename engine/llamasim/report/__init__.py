"""Results for people: terminal text. Nothing here computes physics."""

from llamasim.report.summary import compare_text, report_text

__all__ = ["compare_text", "report_text"]
