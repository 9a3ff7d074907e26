"""What lives at once inside a block: a walk through its kernels, forward and backward.

Results, gradients and copies come and go in the order in which an autograd engine makes and frees
them: a result dies with its last reader unless the backward pass needs it, a gradient with the
kernel that passes it on, a kept activation with the backward kernel of the first op that read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from llamasim.plan.flow import PARTIAL, TOKEN_DIMS
from llamasim.plan.passes import Passes
from llamasim.plan.steps import Step, pieces
from llamasim.units.many import larger, where_larger


@attrs.frozen
class Size:
    """Bytes for each token, and for each pair of a query and a key."""

    token: float = 0.0
    pair: float = 0.0

    def __add__(self, other: Size) -> Size:
        return Size(self.token + other.token, self.pair + other.pair)

    def __sub__(self, other: Size) -> Size:
        return Size(self.token - other.token, self.pair - other.pair)

    def above(self, other: Size) -> Size:
        """Return what this is more than another, at least nothing."""
        return Size(larger(self.token - other.token, 0.0), larger(self.pair - other.pair, 0.0))


@attrs.define
class _Pool:
    """Bytes by name, and their largest sum; of sizes, the sum counts `context` keys a query."""

    context: float
    held: dict[str, Size] = attrs.field(factory=dict)
    top: Size = Size()

    def put(self, name: str, size: Size) -> None:
        """Hold a tensor (once)."""
        self.held.setdefault(name, size)

    def drop(self, names: Iterable[str]) -> None:
        """Free tensors."""
        for name in names:
            self.held.pop(name, None)

    def mark(self, *extra: Size) -> None:
        """Compare what is held, and what lives for a moment beside it, with the peak."""
        token = sum(s.token for s in self.held.values()) + sum(s.token for s in extra)
        pair = sum(s.pair for s in self.held.values()) + sum(s.pair for s in extra)
        new = token + self.context * pair
        old = self.top.token + self.context * self.top.pair
        self.top = Size(where_larger(new, old, token, self.top.token),
                        where_larger(new, old, pair, self.top.pair))


@attrs.define
class Life:
    """The walks through a block's kernels.

    Attributes:
        kept: activations that wait for the backward pass.
        context: keys that a query may see, by which sizes of pairs are weighed.

    """

    passes: Passes
    kept: tuple[str, ...]
    context: float
    _cut: Mapping[str, int] = attrs.field(init=False)
    _on_chip: frozenset[str] = attrs.field(init=False)
    _last: dict[str, int] = attrs.field(init=False)
    _first: dict[str, int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        steps = self.passes.steps
        self._cut = pieces(steps, self.passes.local)
        self._on_chip = frozenset().union(*(s.on_chip for s in steps))
        self._last = {n: i for i, s in enumerate(steps) for n in s.inputs}
        self._first = {}
        for index in reversed(range(len(steps))):
            for name in steps[index].saves:
                self._first[name] = index
        for index in reversed(range(len(steps))):
            for name in steps[index].inputs:
                if name in self.kept and not any(name in s.saves for s in steps):
                    self._first[name] = index

    def forward(self) -> Size:
        """Return the most that lives at once in the forward pass, what is kept included."""
        block = self.passes.local.facts.block
        pool = _Pool(self.context)
        pool.put(block.input, self.size(block.input))
        for index, step in enumerate(self.passes.steps):
            self._run(pool, index, step)
            pool.drop(n for n in step.inputs
                      if self._last[n] <= index and n not in self.kept and n != block.output)
        return pool.top

    def backward(self) -> Size:
        """Return the most that lives at once in the backward pass, what was kept included."""
        facts = self.passes.local.facts
        pool = _Pool(self.context)
        for name in self.kept:
            pool.put(name, self.kept_size(name))
        pool.put(_grad(facts.block.output), self._result_grad(facts.block.output))
        for index in reversed(range(len(self.passes.steps))):
            step = self.passes.steps[index]
            made: set[str] = set()
            for name in step.saves:
                self._again(pool, name, made)
            pool.drop(n for n in made if self._first.get(n, len(self.passes.steps)) > index)
            self._gradients(pool, index, step)
            pool.drop(_grad(n) for n in step.outputs)
            pool.drop(n for n, first in self._first.items() if first >= index)
        return pool.top

    # --- one kernel ----------------------------------------------------------------------------

    def _run(self, pool: _Pool, index: int, step: Step) -> None:
        for name in (*step.outputs, *(s for s in step.saves if s not in step.inputs)):
            pool.put(name, self.size(name))
        extra = [self.used(index, n).above(self.size(n)) for n in step.inputs
                 if n not in step.quiet]
        extra += [self._partial(index, n) for n in step.outputs]
        pool.mark(self._scratch(step, "forward"), *extra)

    def _again(self, pool: _Pool, name: str, made: set[str]) -> None:
        """Make a forgotten activation again, from the nearest that is there."""
        if name in pool.held:
            return
        for index, step in enumerate(self.passes.steps):
            if name in step.outputs or (name in step.saves and name not in step.inputs):
                for source in step.inputs:
                    self._again(pool, source, made)
                self._run(pool, index, step)
                made.update(step.outputs)
                return

    def _gradients(self, pool: _Pool, index: int, step: Step) -> None:
        extra = [self._scratch(step, "backward")]
        if step.kind == "embedding":
            pool.mark(*extra)
            return
        for name in step.inputs:
            whole = self.used(index, name)
            key = _grad(name)
            if key in pool.held:
                extra.append(whole)  # one more part of a sum
            else:
                pool.put(key, self._result_grad(name))
                extra.append(whole.above(self.size(name)))
        for name in step.saves:
            if name in step.inputs and name not in step.quiet:
                extra.append(self.used(index, name).above(self.size(name)))  # gathered again
        pool.mark(*extra)

    # --- sizes ---------------------------------------------------------------------------------

    def size(self, name: str) -> Size:
        """Return what an activation takes as it is stored while the block runs."""
        local = self.passes.local
        return self._sized(name, local.bytes_per_token(name) / self._cut.get(name, 1))

    def kept_size(self, name: str) -> Size:
        """Return what an activation takes while it waits for the backward pass."""
        return self._sized(name, self.passes.local.kept_bytes_per_token(name))

    def used(self, index: int, name: str) -> Size:
        """Return what an activation takes as a kernel reads it, put together."""
        local = self.passes.local
        size = local.rows_used(index, name) * local.features_used(index, name)
        return self._sized(name, size * local.bits("activation", name) / 8
                           / self._cut.get(name, 1))

    def _partial(self, index: int, name: str) -> Size:
        # A partial sum lies there whole until it is reduced to parts.
        local = self.passes.local
        size = Size()
        for axis, flow in local.flows.items():
            for move in flow.moves:
                if (move.step == index and move.tensor == name and move.side == "output"
                        and move.before == PARTIAL and move.after in TOKEN_DIMS):
                    count = local.features(name, without=axis) * local.rows(name, without=axis)
                    size += self._sized(name, count * local.bits("activation", name) / 8)
        return size

    def _result_grad(self, name: str) -> Size:
        # The gradient of a scalar result of each token is as small as it; that of a loss is not
        # held as its probabilities are.
        if self.passes.local.facts.block.kind == "head" and name == self._output:
            return Size()
        return self.size(name)

    @property
    def _output(self) -> str:
        return self.passes.local.facts.block.output

    def _sized(self, name: str, size: float) -> Size:
        local = self.passes.local
        size *= 0.0 if name in self._on_chip else local.stored("activation", name)
        if local.facts.block.activations[name].per_context:
            return Size(0.0, size)
        return Size(size, 0.0)

    def _scratch(self, step: Step, phase: str) -> Size:
        local = self.passes.local
        found = Size()
        for op in step.ops:
            bits = local.facts.number("op", op.name, "op.scratch", 0.0, phase)
            count = local.features(op.output) * local.rows(op.output)
            found += self._sized(op.output, count * bits / 8 / self._cut.get(op.output, 1))
        return found


def _grad(name: str) -> str:
    return f"{name}'"
