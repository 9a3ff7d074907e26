"""The rules language: parse, check, evaluate. Formatting is `language.format`, imported late."""

from llamasim.language.ast import paths_read
from llamasim.language.bind import bind
from llamasim.language.check import check, check_module
from llamasim.language.evaluate import Env, EvalError, Missing, evaluate
from llamasim.language.globs import glob_matches
from llamasim.language.load import Program, load, load_file
from llamasim.language.parser import parse
from llamasim.language.values import Symbol, Value

__all__ = [
    "Env",
    "EvalError",
    "Missing",
    "Program",
    "Symbol",
    "Value",
    "bind",
    "check",
    "check_module",
    "evaluate",
    "glob_matches",
    "load",
    "load_file",
    "parse",
    "paths_read",
]
