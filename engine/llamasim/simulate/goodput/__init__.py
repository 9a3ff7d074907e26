"""Training jobs as they really run: failures, checkpoints, slow devices, over a token budget."""

from llamasim.simulate.goodput.run import Goodput, endure

__all__ = ["Goodput", "endure"]
