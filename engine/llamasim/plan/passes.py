"""The work of a block in each phase, in order of execution."""

from __future__ import annotations

import attrs

from llamasim.plan.beside import with_bias_sum, with_casts
from llamasim.plan.communication import (
    backward_of,
    exchanges,
    forward_moves,
    loss_reductions,
    message,
    partial_gradients,
    rotations,
    softmax_merges,
)
from llamasim.plan.copies import activation_copies, copies_for_use
from llamasim.plan.flow import PARTIAL, REPLICATED, TOKEN_DIMS, Flow
from llamasim.plan.local import Local
from llamasim.plan.opwork import op_work, step_runs
from llamasim.plan.spec import CommWork, Part, Work
from llamasim.plan.steps import Step


@attrs.frozen
class Passes:
    """A block's kernels in one phase, with all placements."""

    local: Local
    steps: tuple[Step, ...]
    phase: str

    def forward(self) -> tuple[Work, ...]:
        """Return the forward pass (or prefill, or decode)."""
        work: list[Work] = []
        facts = self.local.facts
        where: dict[str, set[bool]] = {}  # on the device (False), on the host (True)
        for index, step in enumerate(self.steps):
            here = facts.on_host(step.op.name, self.phase)
            for name in step.inputs:
                lies = where.setdefault(name, {False})
                if here not in lies:
                    work += activation_copies(self.local, (name,), to_host=here)
                    lies.add(here)
            work += self._kernel(index, step, "forward")
            where |= {name: {here} for name in step.outputs}
        output = facts.block.output
        if False not in where.get(output, {False}):
            work += activation_copies(self.local, (output,), to_host=False)
        return tuple(work)

    def _kernel(self, index: int, step: Step, part: Part) -> list[Work]:
        # A prompt needs its last token's logits; a decode step those of every token it checks.
        by_sequence = self.phase == "prefill" and self._makes_logits(step)
        phase = "forward" if self.phase == "backward" else self.phase
        work: list[Work] = [*forward_moves(self.local, index, "input", phase)]
        work += rotations(self.local, index, step.inputs[1:], phase)
        work += copies_for_use(self.local, step, phase)
        made = op_work(self.local, index, step, phase, part, rows_by_sequence=by_sequence)
        if phase == "forward":
            made = with_casts(self.local, self.steps[:index], step, made)
        work.append(made)
        if step.kind == "loss":
            work += loss_reductions(self.local, index, step.inputs[0])
        work += softmax_merges(self.local, index, step, phase)
        work += exchanges(self.local, step.outputs, phase)
        work += forward_moves(self.local, index, "output", phase)
        runs = step_runs(self.local, step, phase)
        if runs != 1.0:
            work = [attrs.evolve(w, runs=runs) if isinstance(w, CommWork) else w for w in work]
        if by_sequence:
            work = [_by_sequence(w) for w in work]
        return work

    def _makes_logits(self, step: Step) -> bool:
        return self.local.facts.block.kind == "head" and step.kind != "norm"

    # --- backward ----------------------------------------------------------------------------

    def backward(self) -> tuple[Work, ...]:
        """Return the backward pass: replays, gradients of data and weights, their collectives."""
        work: list[Work] = []
        available = self._available()
        seen: set[tuple[str, str]] = set()
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            for name in step.saves:
                work += self._replay(name, available)
            work += exchanges(self.local, step.outputs, "backward")
            work += self._output_gradients(index)
            work += self._regather(index, step, seen)
            work += self._gradients(index, step)
            work += self._input_gradients(index)
        return tuple(work)

    def _available(self) -> set[str]:
        dropped = self.local.facts.dropped
        names = {s for step in self.steps for s in step.saves}
        kept = {n for n in names if n not in dropped} | self.local.facts.kept
        return kept | {self.local.facts.block.input}

    def _replay(self, name: str, available: set[str]) -> list[Work]:
        """Make a forgotten activation again from the nearest kept ones."""
        if name in available:
            return []
        maker = self._maker(name)
        if maker is None:
            return []
        step = self.steps[maker]
        work: list[Work] = []
        for source in step.inputs:
            work += self._replay(source, available)
        available.update((*step.outputs, *step.saves))  # its inputs are there, its mask is made
        return work + self._kernel(maker, step, "recompute")

    def _maker(self, name: str) -> int | None:
        for index, step in enumerate(self.steps):
            if name in step.outputs or (name in step.saves and name.endswith("_mask")):
                return index
        return None

    def _gradients(self, index: int, step: Step) -> list[Work]:
        facts = self.local.facts
        work: list[Work] = []
        if step.kind != "embedding":
            work += copies_for_use(self.local, step, "backward")
            made = op_work(self.local, index, step, "backward", "data_grad")
            work.append(with_casts(self.local, (), step, made))
        weight = step.op.weight
        if weight and facts.trainable(weight) and step.kind in ("matmul", "router", "embedding"):
            made = op_work(self.local, index, step, "backward", "weight_grad")
            work.append(with_bias_sum(self.local, step, made))
        return work

    def _output_gradients(self, index: int) -> list[Work]:
        found: list[Work] = []
        for axis, flow in self.local.flows.items():
            for move in flow.moves:
                kind = backward_of(move)
                if move.step == index and move.side == "output" and kind is not None:
                    found.append(message(self.local, axis, move.tensor, kind, "backward",
                                         "activation_grad"))
        return found

    def _input_gradients(self, index: int) -> list[Work]:
        found: list[Work] = []
        for axis, flow in self.local.flows.items():
            # Each device took its part of a whole input; its gradient is put together again.
            found += [
                message(self.local, axis, move.tensor, "all_gather", "backward", "activation_grad")
                for move in flow.moves
                if move.step == index and move.side == "input" and move.kind is None
                and move.before == REPLICATED and move.after not in TOKEN_DIMS
            ]
            for tensor, first in partial_gradients(flow, self.split_kernels(flow)).items():
                if first == index:
                    held = flow.stored.get(tensor, REPLICATED)
                    split = held not in (REPLICATED, PARTIAL)
                    found.append(message(self.local, axis, tensor,
                                         "reduce_scatter" if split else "all_reduce",
                                         "backward", "activation_grad"))
        return found

    def _regather(self, index: int, step: Step, seen: set[tuple[str, str]]) -> list[Work]:
        """Gather again a split input that the weight's gradient needs whole."""
        found: list[Work] = []
        weight = step.op.weight
        attends = step.kind in ("scores", "context", "fused_attention")
        if not attends and (
            step.kind != "matmul" or not weight or not self.local.facts.trainable(weight)
        ):
            return found
        for axis, flow in self.local.flows.items():
            for tensor in step.inputs[1:] if attends else step.inputs[:1]:
                held = flow.stored.get(tensor, REPLICATED)
                whole = flow.used.get((index, tensor)) == REPLICATED
                if held in TOKEN_DIMS and whole and (axis, tensor) not in seen:
                    seen.add((axis, tensor))
                    found.append(message(self.local, axis, tensor, "all_gather", "backward",
                                         "activation"))
        if attends:
            # Keys and values pass round the ring once more, with their gradients.
            passed = rotations(self.local, index, step.inputs[1:], "backward")
            found += [*passed, *(attrs.evolve(c, name=f"{c.name} gradient") for c in passed)]
        return found

    def split_kernels(self, flow: Flow) -> dict[int, bool]:
        """Return which kernels split their work along an axis."""
        return {
            index: self._splits(index, step, flow)
            for index, step in enumerate(self.steps)
        }

    def _splits(self, index: int, step: Step, flow: Flow) -> bool:
        if step.kind in ("matmul", "router"):
            dims = self.local.facts.shards.get(("weight", step.op.weight or ""), ())
            return any(a == flow.axis and d in ("dim_out", "vocab") for d, a in dims)
        if step.kind in ("scores", "context", "fused_attention"):
            return any(flow.used.get((index, n)) not in (REPLICATED, None) for n in step.inputs)
        return False


def unresolved_gradients(passes: Passes) -> list[tuple[str, str]]:
    """Return (axis, activation) whose gradients are partial sums that no rule resolves."""
    found = []
    for axis, flow in passes.local.flows.items():
        for tensor in partial_gradients(flow, passes.split_kernels(flow)):
            gathered = flow.stored.get(tensor, REPLICATED) in TOKEN_DIMS
            obliged = passes.local.facts.obligations.get(("activation_grad", tensor), ())
            if not gathered and not any(o.verb == "reduce" and o.axis == axis for o in obliged):
                found.append((axis, tensor))
    return found


def _by_sequence(work: Work) -> Work:
    """Count a logits message by sequences: in inference only last tokens have logits."""
    return attrs.evolve(work, basis="sequences") if isinstance(work, CommWork) else work
