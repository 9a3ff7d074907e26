"""Many runs: search over choices, and the tests inside rule files."""

from llamasim.study.candidate import Candidate
from llamasim.study.search import Study, optimize
from llamasim.study.verdict import Verdict, infeasible

__all__ = ["Candidate", "Study", "Verdict", "infeasible", "optimize"]
