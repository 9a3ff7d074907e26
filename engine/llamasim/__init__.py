"""llamasim: a simulation engine for running large language models, with a rules language."""

__version__ = "0.1.0"
