"""Simulated time: devices, streams, links, memory, pipelines, serving."""

from llamasim.simulate.run import run

__all__ = ["run"]
