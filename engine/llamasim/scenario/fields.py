"""Every key that a scenario may hold: type, unit, default, allowed values, meaning.

This one table drives the reader, the JSON Schema and the reference page. Paths are dotted; `record`
fields take a catalog id or a mapping whose keys
are those of the catalog (`record_fields`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs

from llamasim.units import DATA, MONEY, NONE, TIME, TOKEN, Dimension

Kind = Literal[
    "integer", "number", "text", "choice", "flag", "record", "section", "names", "pairs", "uses",
    "choices", "rates",
]
Mode = Literal["training", "inference"]

EDITION = 2026
_PER_SECOND = NONE / TIME
_BANDWIDTH = DATA / TIME


@attrs.frozen
class Field:
    """One key.

    Attributes:
        path: where it stands in the file, dotted (inside a record: the key alone).
        kind: what is written there.
        doc: meaning, in a sentence or two.
        dimension: of a number; a plain number is accepted where `plain` says so.
        plain: whether a number without a unit is taken in the base unit (counts, tokens, ratios).
        scale: factor from base units to the engine's record (1/8: bits to bytes).
        attr: attribute of the frozen record it fills, where that differs from the key.
        default: what holds when it is not given, as text to read; `required` fields have none.
        low, high: range of the value in base units, both included.
        above: whether `low` itself is excluded.
        options: allowed words.
        catalog: which catalog a `record` comes from.
        mode: the only mode in which the key has a meaning.
        example: a text to paste.

    """

    path: str
    kind: Kind
    doc: str
    dimension: Dimension | None = None
    plain: bool = False
    scale: float = 1.0
    attr: str = ""
    default: str = ""
    required: bool = False
    low: float | None = None
    high: float | None = None
    above: bool = False
    options: tuple[str, ...] = ()
    catalog: str = ""
    mode: Mode | None = None
    example: str = ""

    @property
    def key(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def target(self) -> str:
        """The attribute it fills."""
        return self.attr or self.key


def _count(path: str, doc: str, default: str = "", **more: Any) -> Field:
    values: dict[str, Any] = {"dimension": NONE, "plain": True, "low": 1, "high": 1e9}
    return Field(path, "integer", doc, default=default, **{**values, **more})


def _tokens(path: str, doc: str, default: str = "", **more: Any) -> Field:
    values: dict[str, Any] = {"dimension": TOKEN, "plain": True, "low": 1, "high": 1e8}
    return Field(path, "integer", doc, default=default, **{**values, **more})


def _number(path: str, dimension: Dimension, doc: str, default: str = "", **more: Any) -> Field:
    values: dict[str, Any] = {"plain": dimension.is_ratio, "low": 0.0, "high": 1e9}
    return Field(path, "number", doc, dimension, default=default, **{**values, **more})


def _speed(path: str, doc: str, default: str, **more: Any) -> Field:
    return Field(path, "number", doc, _BANDWIDTH, default=default, scale=1 / 8, low=0.0, above=True,
                 high=1e24, **more)


def _word(
    path: str, options: tuple[str, ...], doc: str, default: str = "", **more: Any
) -> Field:
    return Field(path, "choice", doc, options=options, default=default, **more)


def _record(path: str, catalog: str, doc: str, default: str = "", **more: Any) -> Field:
    return Field(path, "record", doc, catalog=catalog, default=default, **more)


#: What `optimize` may rank by: fields of the summary.
METRICS = (
    "step_time_s", "tokens_per_s", "tokens_per_s_per_gpu", "model_tflops_per_gpu", "mfu",
    "peak_memory_gib", "bubble_fraction", "exposed_communication_s",
    *(f"{name}_{what}" for name in ("ttft_ms", "tpot_ms", "itl_ms", "latency_s")
      for what in ("mean", "p50", "p90", "p95", "p99")),
    "goodput_per_s", "decode_tok_s", "prefill_tok_s", "output_tok_s", "total_tok_s",
    "usd_per_million_tokens", "joules_per_token",
)
DTYPES = ("fp32", "bf16", "fp16")
OPTIMIZERS = ("adamw", "sgd", "momentum", "adafactor")
PROCESSES = ("closed", "poisson", "gamma", "batch", "stepped", "diurnal", "replay")
DISTRIBUTIONS = ("fixed", "uniform", "lognormal", "empirical")

_T: Mode = "training"
_I: Mode = "inference"
_LENGTH = ("a number of tokens, or `{distribution: lognormal, mean: 512 tok, cv: 0.8}`, or "
           "`{distribution: empirical, trace: azure-code-2023}`")

_FIELDS = (
    _count("edition", "Edition of the scenario format; fixes what every key means.",
           required=True, low=EDITION, high=EDITION, example="2026"),
    Field("name", "text", "How the scenario is called in results.", default="the file's name"),
    _record("model", "models", "The model: a catalog id, `{import: config.json}` (Hugging Face) or "
            "`{import: model.gguf}`, or a mapping of its shape.", required=True,
            example="llama-3.1-8b"),
    Field("cluster", "section", "The machines: `nodes` equal nodes of `devices_per_node` devices.",
          required=True, example="{device: rtx-4090}"),
    Field("cluster.instance", "text", "A cloud instance from the catalog; brings device, devices "
          "per node and price.", catalog="instances", example="p5.48xlarge"),
    _record("cluster.device", "devices", "The accelerator (or processor) that runs the model.",
            "the instance's", example="h100-sxm"),
    _count("cluster.nodes", "Machines.", "1", high=1e6),
    _count("cluster.devices_per_node", "Devices in a machine.", "the instance's, else 1",
           high=1024),
    _record("cluster.inner", "fabrics", "What links the devices of a node.",
            "the device's own peer link, else its link to the host", example="nvlink4"),
    _record("cluster.outer", "fabrics", "What links the nodes; its bandwidth is one device's share "
            "of its node's ports. Needed when there are several nodes.", example="ib-ndr400"),
    _record("cluster.host", "hosts", "What surrounds the devices: processor, memory, disk.",
            "the host that the catalog pairs with the device"),
    _record("cluster.host_link", "fabrics", "Link from a device to its host's memory.",
            "the device's"),
    Field("cluster.price", "text", "Price of a node (or `per device`): `98 USD/h per node`.",
          MONEY / TIME, default="the instance's price on demand, else none", low=0.0,
          example="98 USD/h per node"),
    _record("runtime", "runtimes", "The program that drives the devices.", required=True,
            example="vllm"),
    Field("workload", "section", "The job.", required=True, example="{mode: inference}"),
    _word("workload.mode", ("training", "inference"), "`training` (fine-tuning too) or "
          "`inference`.", required=True, example="inference"),
    _word("workload.dtype", DTYPES, "Arithmetic and storage of whatever no technique changes.",
          "bf16"),
    _tokens("workload.sequence", "Tokens of a training sequence; in inference the longest context "
            "that memory is kept for. A server turns longer requests away.",
            "training: none; inference: mean prompt + mean output",
            example="8192 tok"),
    _count("workload.global_batch", "Sequences per optimizer step, over all devices.", mode=_T,
           high=1e6,
           example="2048"),
    _count("workload.micro_batch", "Sequences per forward pass on one device.", "1", mode=_T,
           high=1e6),
    _word("workload.optimizer", OPTIMIZERS, "Decides the moments kept for each weight.", "adamw",
          mode=_T),
    Field("workload.token_budget", "number", "Tokens that the whole training run processes, for "
          "days and dollars.", TOKEN, plain=True, default="none", low=1.0, high=1e24, mode=_T,
          example="15.6e12 tok"),
    _count("workload.batch", "Sequences that decode together, where requests do not arrive over "
           "time.", "1", mode=_I, high=1e6),
    Field("workload.prompt", "section", f"Tokens of a prompt: {_LENGTH}.", TOKEN, plain=True,
          default="512 tok", mode=_I),
    Field("workload.output", "section", f"Tokens generated: {_LENGTH}.", TOKEN, plain=True,
          default="128 tok", mode=_I),
    Field("workload.arrivals", "section", "How requests arrive; makes the run a server.",
          default="none: one batch", mode=_I,
          example="{process: poisson, rate: 4 req/s, requests: 500}"),
    _word("workload.arrivals.process", PROCESSES, "`closed` keeps `concurrency` requests in "
          "flight; `poisson` and `gamma` draw the gaps; `stepped` and `diurnal` do so at a rate "
          "that changes; `batch` brings all at time zero; `replay` repeats recorded requests.",
          required=True, example="poisson"),
    _number("workload.arrivals.rate", _PER_SECOND, "Requests per second (poisson, gamma; diurnal: "
            "the mean).", above=True, example="4 req/s"),
    _count("workload.arrivals.requests", "Requests to simulate.", "200; replay: all", high=1e8),
    _count("workload.arrivals.concurrency", "Requests in flight (closed).", high=1e6, example="8"),
    _number("workload.arrivals.cv", NONE, "Coefficient of variation of the gaps (gamma, stepped, "
            "diurnal); 1 is poisson, larger is burstier.", "1", above=True, high=100.0),
    Field("workload.arrivals.rates", "pairs", "The rate from each time on (stepped); the last one "
          "holds to the end.", default="none",
          example="{0 s: 2 req/s, 60 s: 8 req/s, 120 s: 2 req/s}"),
    _number("workload.arrivals.period", TIME, "Time from one trough of the rate to the next "
            "(diurnal).", "24 h", above=True, example="24 h"),
    _number("workload.arrivals.swing", NONE, "How far the rate goes above and below its mean, as "
            "a share of it (diurnal); it begins in the trough.", "0.5", high=1.0),
    Field("workload.arrivals.trace", "text", "Recorded requests from the catalog (replay).",
          default="none", example="azure-conversation-2023"),
    Field("workload.arrivals.file", "text", "Recorded requests from a CSV or JSON-lines file "
          "beside the scenario (replay), `.gz` and `.xz` too.", default="none",
          example="requests.csv"),
    Field("workload.arrivals.columns", "section", "Which columns of the file hold what; a length "
          "that has none is drawn from `prompt` or `output`.", default="those named alike",
          example="{arrived: sent_at, prompt: input_tokens, output: output_tokens}"),
    Field("workload.arrivals.columns.arrived", "text", "When requests came: seconds (or "
          "`time_unit`), or dates with times.", default="arrived", example="sent_at"),
    Field("workload.arrivals.columns.prompt", "text", "Tokens of the prompts.", default="prompt, "
          "if there is one", example="input_tokens"),
    Field("workload.arrivals.columns.output", "text", "Tokens generated.", default="output, if "
          "there is one", example="output_tokens"),
    Field("workload.arrivals.columns.blocks", "text", "Lists of numbers of the prompts' blocks "
          "(JSON lines); equal numbers are equal beginnings up to there.", default="none",
          example="hash_ids"),
    Field("workload.arrivals.columns.variant", "text", "Names of the variants of the model that "
          "requests ask for; empty: none.", default="none", example="adapter"),
    _tokens("workload.arrivals.block", "Tokens of such a block.", "512", example="512 tok"),
    _word("workload.arrivals.time_unit", ("s", "ms", "us", "ns"), "What times in the file are in.",
          "s"),
    _number("workload.arrivals.speed", NONE, "How much faster than recorded requests come "
            "(replay).", "1", above=True, high=1e6),
    _tokens("workload.shared_prefix", "First tokens of every prompt that others begin with too, "
            "such as a system prompt.", "0", low=0, mode=_I, example="1024 tok"),
    _count("workload.prefixes", "How many such beginnings there are.", "1", high=1e6, mode=_I),
    _count("workload.variants", "Variants of the model, such as adapters of its weights, of which "
           "each request asks for one.", "1", high=1e6, mode=_I, example="200"),
    _number("workload.variant_skew", NONE, "How much more often some are asked for: the n-th has a "
            "share that falls as n to this power (Zipf); 0 is as often as any other.", "0",
            high=10.0, mode=_I, example="1.0"),
    Field("workload.slo", "section", "Targets that goodput counts against.", default="none",
          mode=_I, example="{ttft: 500 ms, tpot: 50 ms}"),
    _number("workload.slo.ttft", TIME, "Longest time to the first token.", "none", above=True,
            example="500 ms"),
    _number("workload.slo.tpot", TIME, "Longest time per further token.", "none", above=True,
            example="50 ms"),
    _number("workload.slo.latency", TIME, "Longest time from arrival to last token.", "none",
            above=True, example="10 s"),
    Field("reliability", "section", "Failures, checkpoints and slow devices over a whole training "
          "run of `workload.token_budget`, drawn from the seed; `{}` takes every default.",
          default="none: a run without interruptions", mode=_T,
          example="{checkpoint: {storage: 2 TB/s}}"),
    _number("reliability.device_mtbf", TIME, "Mean time of one device between failures that end "
            "the job, of any cause.", "the device's in the catalog, unless `node_mtbf` is given",
            above=True, high=1e12, example="50677 h"),
    _number("reliability.node_mtbf", TIME, "Mean time of one node between failures that end the "
            "job; beside `device_mtbf`, the rates add up.", "none", above=True, high=1e12,
            example="2500 h"),
    _number("reliability.failure_shape", NONE, "Weibull shape of the times between failures: 1 is "
            "exponential, below 1 failures come in bursts.", "1", low=0.3, high=10.0),
    _number("reliability.repair_share", NONE, "Share of failures that take a node out of service; "
            "after the others the job starts again on the same nodes.", "0.78", high=1.0),
    _number("reliability.planned", TIME, "Time between planned interruptions, each with a "
            "checkpoint before it.", "none", above=True, example="24 h"),
    _number("reliability.detection", TIME, "From a failure until the job is stopped to start "
            "again.", "5 min", example="5 min"),
    _number("reliability.restart", TIME, "From there until training could go on, without loading "
            "the checkpoint.", "5 min", example="5 min"),
    _count("reliability.spares", "Nodes that stand by, and are paid for; one takes a failed node's "
           "place.", "always enough, at no price", low=0, high=4096, example="16"),
    _number("reliability.repair", TIME, "Mean time until a failed node can be used again.", "24 h",
            example="24 h"),
    _count("reliability.trials", "How often the run is drawn.", "400", low=10, high=100_000),
    Field("reliability.checkpoint", "section", "How the job's state is saved: the weights that are "
          "trained, and what the optimizer keeps of them.", default="{}",
          example="{storage: 2 TB/s, asynchronous: true}"),
    Field("reliability.checkpoint.interval", "text", "Training time between two checkpoints, or "
          "`auto`: the best.", TIME, default="auto", low=0.0, above=True, high=1e9,
          example="15 min"),
    Field("reliability.checkpoint.asynchronous", "flag", "Whether training goes on once the state "
          "is in the hosts' memory.", default="false"),
    _speed("reliability.checkpoint.storage", "What the storage takes and gives, over all nodes.",
           "no limit of its own", example="2 TB/s"),
    _speed("reliability.checkpoint.node_storage", "What one node can write and read.",
           "1 GB/s where `storage` is not given either", example="2 GB/s"),
    _number("reliability.checkpoint.pause", TIME, "For which all devices stand still at each "
            "checkpoint, beside moving bytes: agreeing, laying the state out.", "3 s",
            example="3 s"),
    Field("reliability.stragglers", "section", "Devices that are slower than others; a step waits "
          "for the slowest.", default="none", example="{share: 0.005, slowdown: 0.1}"),
    _number("reliability.stragglers.share", NONE, "Share of devices that are slow; which ones is "
            "drawn at each start of the job.", "0", high=1.0, example="0.005"),
    _number("reliability.stragglers.slowdown", NONE, "Further time that a slow device takes to "
            "compute the same.", "0", high=100.0, example="0.1"),
    _number("reliability.stragglers.jitter", NONE, "Standard deviation of each device's time to "
            "compute a step, over its mean; drawn at each step.", "0", high=1.0, example="0.01"),
    Field("mesh", "section", "How devices are arranged.", default="{}",
          example="{order: [dp, tp]}"),
    Field("mesh.order", "names", "Mesh axes, outermost first: the last one has neighbouring "
          "devices.", default="the planner's order", example="[pp, dp, tp]"),
    Field("use", "uses", "Techniques and their parameters: a set, its order means nothing. Keys "
          "are `module.technique`, or `module.technique as NAME` to use one twice; the parameter "
          "`scope` narrows it to elements that match a pattern.", default="{}"),
    Field("prefer", "pairs", "Cell -> technique: settles a conflict of two techniques that set the "
          "same cell.", default="{}"),
    Field("choices", "choices", "What `optimize` tries: knob -> alternative -> techniques to add.",
          default="{}"),
    Field("optimize", "section", "What `optimize` ranks by.", default="{}",
          example="{objective: maximize tokens_per_s}"),
    Field("optimize.objective", "text", "`maximize METRIC` or `minimize METRIC`.",
          default="maximize tokens_per_s", options=METRICS, example="maximize tokens_per_s"),
    Field("rules", "names", "Further folders of rule files, relative to the scenario. Its own "
          "folder is always searched first.", default="[]", example="[./rules]"),
    Field("seed", "integer", "Seed of every random draw.", NONE, plain=True, default="0", low=0,
          high=2**63 - 1),
)

#: Keys of a length given as a mapping.
LENGTH = (
    _word("distribution", DISTRIBUTIONS, "Shape of the distribution.", "fixed"),
    Field("mean", "number", "Mean, in tokens; `empirical` has its own.", TOKEN, plain=True, low=1.0,
          high=1e8, example="512 tok"),
    _number("cv", NONE, "Standard deviation over mean (uniform, lognormal).", high=100.0),
    Field("trace", "text", "Recorded requests from the catalog to draw from (empirical).",
          default="none", example="azure-code-2023"),
    Field("file", "text", "A CSV or JSON-lines file beside the scenario to draw from (empirical).",
          default="none", example="requests.csv"),
    Field("column", "text", "The file's column of tokens (empirical).", default="prompt or output",
          example="input_tokens"),
)

#: Every field of the file by dotted path.
FIELDS: Mapping[str, Field] = MappingProxyType({f.path: f for f in _FIELDS})


def children(path: str) -> tuple[Field, ...]:
    """Return the fields directly below a path; the empty path is the file itself."""
    prefix = f"{path}." if path else ""
    return tuple(
        f for f in _FIELDS if f.path.startswith(prefix) and "." not in f.path[len(prefix):]
    )
