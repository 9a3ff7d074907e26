"""Placement to collectives, stages and schedules: what a run consists of."""

from llamasim.plan.compile import build, compile_plan, program_of
from llamasim.plan.idle import idle
from llamasim.plan.lower import lower

__all__ = ["build", "compile_plan", "idle", "lower", "program_of"]
