"""What the tests of rule files can ask of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from llamasim.cost.collectives import wire_bytes
from llamasim.cost.work import Amount, amount, message_bytes
from llamasim.language import EvalError, Symbol, Value, evaluate
from llamasim.language.ast import Expr, Function
from llamasim.language.ast import Path as Name
from llamasim.language.cells import CELLS
from llamasim.model import resolve
from llamasim.plan.spec import BlockPlan, CommWork, OpWork, Plan, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.kv import kv_bytes
from llamasim.techniques.environment import global_names
from llamasim.units import DATA, TIME, TOKEN, WORK, Quantity

#: Fields of a block plan with an element's bytes on the device, and categories elsewhere.
_FIELDS = {"weight": "weight_bytes", "grad": "grad_bytes", "optimizer": "optimizer_bytes"}
_CATEGORY = {"weight": "weights", "grad": "gradients", "optimizer": "optimizer"}
#: Kept activations by where they lie.
_KEPT = {"saved_bytes": "saved_per_token", "host_saved_bytes": "host_saved_per_token",
         "disk_saved_bytes": "disk_saved_per_token"}


class PlanEnv:
    """The names and functions of `expect`.

    `sum(weight.bytes)` and its like for grad, optimizer and kv_cache (a cached token's) are one
    device's totals over all blocks of all its stages; `device_bytes`, `host_bytes` and `disk_bytes`
    are what of it lies there. `layer.saved_bytes` is what the first layer keeps for its backward
    pass (likewise `embed` and `head`), `layer.live_bytes` the most that lives at once inside it
    then, what it keeps included. `max(stage.params)` are the parameters of the largest stage
    before sharding. `cached(4096 tok)` is the cache of a sequence of that length, `moved(dp)` what
    a device sends over an axis in a micro-batch or a decode step (`host` and `disk` are axes too),
    `flops(decode)` its arithmetic in a phase.
    """

    def __init__(self, plan: Plan, scenario: Scenario) -> None:
        self._plan = plan
        self._scenario = scenario
        self._names = global_names(scenario, resolve(scenario.model))

    def lookup(self, path: tuple[str, ...]) -> Value | None:
        """Return a scenario-wide name, a schedule cell, or a block's memory."""
        if len(path) == 1:
            return Symbol(path[0])
        if path[0] in ("layer", "embed", "head") and len(path) == 2:
            return self._block(path[0], path[1])
        if path[0] == "schedule":
            value = getattr(self._plan.schedule, path[1], None)
            if isinstance(value, str):
                return Symbol(value)
            if value is None:
                return None
            cell = CELLS.get(".".join(path))
            if cell is not None and cell.dimension in (DATA, TIME):
                # The engine keeps bytes, the language bits.
                return Quantity(value * (8 if cell.dimension == DATA else 1), cell.dimension)
            return Quantity(float(value))
        return self._names.get(path)

    def _block(self, which: str, attribute: str) -> Value | None:
        if attribute not in _KEPT and attribute != "live_bytes":
            return None
        shape = self._plan.step_shape
        block = next(
            b for b in self._plan.blocks if (b.layers if which == "layer" else b.name == which)
        )
        if attribute == "live_bytes":
            live = block.transient_per_token * shape.tokens
            live += block.transient_per_pair * shape.full_pairs
            return Quantity((live + self._kept(block)) * 8, DATA)
        return Quantity(self._kept(block, attribute) * 8, DATA)

    def _kept(self, block: BlockPlan, attribute: str = "saved_bytes") -> float:
        shape = self._plan.step_shape
        kept: float = getattr(block, _KEPT[attribute]) * shape.tokens
        if attribute == "saved_bytes":
            kept += block.saved_per_pair * shape.full_pairs + block.saved_fixed
        return kept

    def call(self, name: str, args: tuple[Expr, ...]) -> Value | None:
        """Answer sum, min, max and count over elements, and what only tests can ask."""
        if len(args) != 1:
            return None
        if name == "cached":
            return self._cached(args[0])
        if not isinstance(args[0], Name):
            return None
        if name == "moved":
            return self._moved(args[0])
        if name == "flops":
            return self._flops(args[0])
        values = self._elements(args[0].parts)
        found = None if values is None else _TOTALS.get(name)
        if found is None or values is None:
            return None
        data = args[0].parts[-1].endswith("bytes") and name != "count"
        return Quantity(found(values) * 8, DATA) if data else Quantity(found(values))

    def _cached(self, length: Expr) -> Value:
        tokens = evaluate(length, self)
        if not isinstance(tokens, Quantity) or tokens.dimension != TOKEN:
            raise EvalError(length.span, "`cached` takes a number of tokens")
        places = ("device", "host", "disk")
        return Quantity(8 * sum(kv_bytes(self._plan, rank, tokens.value, place)
                                for rank in self._plan.ranks for place in places), DATA)

    def _shape(self, phase: str) -> StepShape:
        if phase != "decode":
            return self._plan.step_shape
        workload, schedule = self._scenario.workload, self._plan.schedule
        return StepShape.of(workload.batch, schedule.rows, workload.prompt.mean)

    def _amounts(self, phase: str) -> Iterable[Amount]:
        shape = self._shape(phase)
        return (amount(w, shape) for b in self._run() for w in b.work.get(phase, ())
                if isinstance(w, OpWork))

    def _flops(self, phase: Name) -> Value:
        known = dict.fromkeys(p for b in self._run() for p in b.work)
        if phase.text == "optimizer" and self._plan.mode == "training":
            shape = self._plan.step_shape
            works = [w for r in self._plan.ranks for w in r.optimizer if isinstance(w, OpWork)]
            found: Iterable[Amount] = [amount(w, shape) for w in works]
        elif phase.text in known:
            found = self._amounts(phase.text)
        else:
            raise EvalError(phase.span, f"this workload has no phase `{phase.text}`; it has "
                            + ", ".join(known))
        return Quantity(sum(a.product_flops + a.plain_flops for a in found), WORK)

    def _moved(self, axis: Name) -> Value:
        known = {part for a in self._groups() for part in (a, *a.replace("/", "+").split("+"))}
        known |= {"host", "disk", *(a.name for a in self._plan.axes)}
        if axis.text not in known:
            raise EvalError(axis.span, f"there is no axis `{axis.text}` here; there are "
                            + ", ".join(sorted(known)))
        training = self._plan.mode == "training"
        size = 0.0
        for phase in ("forward", "backward") if training else ("decode",):
            shape = self._shape(phase)
            for block in self._run():
                size += sum(_sent(w, shape) for w in block.work.get(phase, ())
                            if isinstance(w, CommWork) and w.group.axis == axis.text)
        shape = self._shape("forward")
        around = [w for b in self._run() for w in b.reduce]
        for rank in self._plan.ranks:
            around += [*rank.step_start, *rank.step_end]
            around += [w for w in rank.optimizer if isinstance(w, CommWork)]
        size += sum(_sent(w, shape) for w in around if w.group.axis == axis.text)
        return Quantity(size * 8, DATA)

    def _groups(self) -> set[str]:
        works = [w for b in self._run() for phase in (*b.work.values(), b.reduce) for w in phase]
        return {w.group.axis for w in works if isinstance(w, CommWork)}

    def _run(self) -> list[BlockPlan]:
        return [self._plan.blocks[b] for r in self._plan.ranks for c in r.chunks for b in c.blocks]

    def _elements(self, path: tuple[str, ...]) -> list[float] | None:
        if path == ("stage", "params"):
            return [float(sum(self._plan.blocks[b].params for c in r.chunks for b in c.blocks))
                    for r in self._plan.ranks]
        where = {"bytes": ("device", "host", "disk")}.get(path[-1], (path[-1].split("_")[0],))
        if len(path) != 2 or path[1] not in ("bytes", "device_bytes", "host_bytes", "disk_bytes"):
            return None
        if path[0] not in (*_FIELDS, "kv_cache"):
            return None
        return [sum(_held(b, path[0], w) for w in where) for b in self._run()]

    def function(self, name: str) -> Function | None:
        """Tests have no functions of their own."""
        return None


_TOTALS: Mapping[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "min": lambda values: min(values, default=0.0),
    "max": lambda values: max(values, default=0.0),
    "count": lambda values: float(len(values)),
}


def _held(block: BlockPlan, element: str, where: str) -> float:
    """Return the bytes of an element of a block at a place."""
    if element == "kv_cache":
        return {"device": block.kv_per_token, "host": block.host_kv_per_token,
                "disk": block.disk_kv_per_token}[where]
    if where == "device":
        static = block.static_bytes if element == "weight" else 0.0
        return float(getattr(block, _FIELDS[element])) + static
    there = block.host_bytes if where == "host" else block.disk_bytes
    return there.get(_CATEGORY[element], 0.0)


def _sent(work: CommWork, shape: StepShape) -> float:
    size = message_bytes(work, shape)
    if work.kind == "copy":
        return work.runs * size
    return work.runs * wire_bytes(work.kind, size, work.group.size)
