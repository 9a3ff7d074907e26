"""What names in a rule stand for: parameters, the model, the cluster, the element at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from llamasim.language import Symbol, Value, evaluate
from llamasim.language.ast import Expr, Function, Path
from llamasim.model.graph import Graph
from llamasim.scenario.spec import Scenario
from llamasim.techniques.instances import Instance
from llamasim.techniques.mesh import Mesh
from llamasim.units import DATA, TIME, TOKEN, Quantity
from llamasim.units.many import real

#: Answers `op.kind`, `weight.dim_in`, ... for one element; None where it lacks the attribute.
View = Callable[[tuple[str, ...], bool], Value | None]


def number(value: float) -> Quantity:
    """Return a plain number."""
    return Quantity(real(value))


def data(size_bytes: float) -> Quantity:
    """Return an amount of data given in bytes."""
    return Quantity(size_bytes * 8, DATA)


#: What rules can read about a model.
_COUNTS = ("layers", "hidden", "ffn", "heads", "kv_heads", "head_dim", "vocab", "context",
           "experts", "experts_per_token")
_MODEL = (*_COUNTS, "params", "active_params", "tied", "gated")


def model_attribute(graph: Graph, name: str) -> Value | None:
    """Return what rules read as `model.NAME`, or None where there is no such attribute."""
    model = graph.model
    if name in _COUNTS:
        return number(getattr(model, name))
    if name == "params":
        return number(graph.params)
    if name == "active_params":
        return number(graph.active_params)
    return {"tied": model.tied, "gated": model.gated}.get(name)


def global_names(scenario: Scenario, graph: Graph) -> dict[tuple[str, ...], Value]:
    """Return every name that holds for the whole scenario: model.*, cluster.*, workload.*."""
    c, w = scenario.cluster, scenario.workload
    names: dict[str, Value] = {
        f"model.{a}": v for a in _MODEL if (v := model_attribute(graph, a)) is not None
    }
    names |= {
        "cluster.devices": number(c.devices),
        "cluster.nodes": number(c.nodes),
        "cluster.devices_per_node": number(c.devices_per_node),
        "cluster.memory": data(c.device.memory_bytes * c.devices),
        "cluster.host.memory": data(c.host.memory_bytes),
        "cluster.device.memory": data(c.device.memory_bytes),
        "cluster.device.memory_bandwidth": Quantity(c.device.memory_bandwidth * 8, DATA / TIME),
        "cluster.device.kind": Symbol(c.device.kind),
        "cluster.device.vendor": Symbol(c.device.vendor.lower()),
        "cluster.device.unified": c.device.unified,
        "workload.mode": Symbol(w.mode),
        "workload.dtype": Symbol(w.dtype),
        "workload.optimizer": Symbol(w.optimizer),
        "workload.serving": w.serving,
        "workload.sequence": Quantity(w.sequence, TOKEN),
        "workload.prompt": Quantity(w.prompt.mean, TOKEN),
        "workload.shared_prefix": Quantity(w.shared_prefix, TOKEN),
        "workload.output": Quantity(w.output.mean, TOKEN),
        "workload.global_batch": number(w.global_batch),
        "workload.micro_batch": number(w.micro_batch),
        "workload.batch": number(w.batch),
        "workload.variants": number(w.variants),
    }
    for math in ("fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4"):
        names[f"cluster.device.supports_{math}"] = c.device.peaks.get(math, 0) > 0
    return {tuple(k.split(".")): v for k, v in names.items()}


@attrs.define
class Env:
    """Resolves the names of one rule for one element."""

    instance: Instance
    names: Mapping[tuple[str, ...], Value]
    mesh: Mesh | None = None
    layer: Mapping[str, Value] | None = None
    view: View | None = None
    unsharded: bool = False

    def lookup(self, path: tuple[str, ...]) -> Value | None:
        """Return what a name stands for; a bare unknown word is a symbol."""
        head = path[0]
        if len(path) == 1:
            return self._word(head)
        if head == "layer":
            return self.layer.get(path[1]) if self.layer else None
        known = self.names.get(path)
        if known is None and len(path) == 2 and head in self.instance.models:
            known = model_attribute(self.instance.models[head], path[1])
        if known is None and self.view is not None:
            known = self.view(path, self.unsharded)
        return known

    def _word(self, word: str) -> Value:
        i = self.instance
        if word in i.params:
            return i.params[word]
        source = i.lets.get(word) or i.consts.get(word)
        return evaluate(source, self) if source is not None else Symbol(word)

    def call(self, name: str, args: tuple[Expr, ...]) -> Value | None:
        """Answer the built-ins that need the mesh or the element."""
        if name == "axis_size" and len(args) == 1 and isinstance(args[0], Path):
            return number(self.mesh.size(args[0].text)) if self.mesh else None
        if name == "global" and len(args) == 1:
            return evaluate(args[0], attrs.evolve(self, unsharded=True))
        return None

    def function(self, name: str) -> Function | None:
        """Return a function of the rule's module."""
        return self.instance.functions.get(name)
