"""Seconds of one op: a roofline whose efficiencies follow from the op's shape.

`max(work / (peak * efficiency), bytes / (bandwidth * efficiency)) + launches` (Williams, Waterman
and Patterson, Roofline, CACM 52(4), 2009), with efficiencies that depend on the shape.
"""

from __future__ import annotations

from llamasim.cost.machine import Machine, Processor
from llamasim.cost.matmul import shape_efficiency
from llamasim.cost.records import Bound, OpCost
from llamasim.cost.work import ATTENTION, Amount, amount, basis, visible_pairs
from llamasim.plan.spec import OpWork, StepShape
from llamasim.units.many import each, is_many, larger, real, smaller

#: Queries that a fused attention kernel's block handles, and cached tokens that a decoding one
#: does, or a block of a separate matrix-vector kernel.
QUERY_BLOCK = 128
KV_BLOCK = 256
ROW_BLOCK = 32
#: Share of the rate left where rows of an operand do not suit the loads of matrix units (that
#: of an odd vocabulary on A100, vTrain's rows).
UNALIGNED = 0.44
#: Rate of a fused attention kernel's backward pass over its forward pass: it keeps more tiles at
#: once and adds up gradients of queries through memory (Dao, arXiv:2307.08691, figures 4 and 6).
BACKWARD_RATE = 0.80
#: Keys that a block's first loads and its write-back cost.
KEY_RAMP = 128.0
#: Head width whose products take as long as the softmax between them, which they hide in part
#: (Shah et al., arXiv:2407.08608, section 3.1); rates are given for heads of 128.
SOFTMAX_WIDTH = 16.0
#: New tokens a sequence up to which a step counts as decoding (and is launched as a graph).
DECODE_TOKENS = 8.0
#: Rows beyond which matrix units take products of unpacked weights.
FEW_ROWS = 4.0
#: Share of the plain units' rate that matrix-vector kernels reach at most.
PLAIN_SHARE = 0.5
#: A load's way to memory and back: clocks to the second-level cache, and seconds beyond it, which
#: no clock shortens (A100: 262 of 466 clocks at 1.41 GHz; Luo et al., arXiv:2402.13499, table 4).
CACHE_CLOCKS = 262.0
BEYOND_CACHE = 145e-9
LOAD_CLOCKS = 466.0
#: Floor of any efficiency, so that no shape takes forever.
LEAST = 1e-3

NOTHING = OpCost(0.0, 0.0, 0.0, 0.0, "none")


def op_cost(op: OpWork, shape: StepShape, machine: Machine) -> OpCost:
    """Return what an op takes in a step on a machine."""
    work = amount(op, shape)
    flops = work.product_flops + work.plain_flops
    if op.runs <= 0 or (op.basis != "fixed" and work.rows <= 0 and flops <= 0):
        return NOTHING
    processor = machine.at(op.place)
    compute = _compute_seconds(op, work, shape, processor, machine)
    moved = work.read + work.write + _wider_scores(op, shape, machine)
    memory = moved / _memory_rate(op, shape, processor, machine)
    unpacking = _unpack_seconds(op, work, processor, machine)
    unpacking += _beside_seconds(op, shape, processor, machine)
    launch = launch_seconds(op, shape, machine)
    longer = larger(compute, memory)
    bound: Bound = "none" if is_many(longer) else _bound(compute, memory, launch)
    return OpCost(longer + unpacking + launch, flops, work.read, work.write, bound)


def _bound(compute: float, memory: float, launch: float) -> Bound:
    if launch > max(compute, memory):
        return "launch"
    return "compute" if compute >= memory else "memory"


def _decodes(shape: StepShape) -> bool:
    return shape.tokens <= DECODE_TOKENS * shape.sequences


def _wider_scores(op: OpWork, shape: StepShape, machine: Machine) -> float:
    """Return the bytes that separate kernels move beyond 16-bit scores: wider ones, and casts."""
    wide = machine.runtime.pair_traffic
    if wide <= 0 or op.read_per_pair + op.write_per_pair <= 0 or _decodes(shape):
        return 0.0
    pairs = op.read_per_pair * op.read_scale + op.write_per_pair * op.write_scale
    return (wide - 1.0) * pairs * shape.full_pairs * op.runs


def launch_seconds(op: OpWork, shape: StepShape, machine: Machine) -> float:
    """Return the gaps before an op's kernels."""
    runtime = machine.runtime
    decoding = op.part == "forward" and _decodes(shape)
    gap = runtime.graph_launch_s if runtime.graphs and decoding else runtime.launch_s
    kernels = op.kernels * runtime.kernels_per_op * op.runs * op.pieces
    return kernels * gap * op.launch_scale + op.launch_add_s * op.runs


def _compute_seconds(
    op: OpWork, work: Amount, shape: StepShape, processor: Processor, machine: Machine
) -> float:
    seconds = 0.0
    if work.product_flops > 0:
        peak = processor.peak(_math(op, processor, machine))
        share = _product_share(op, work, shape, processor, machine)
        # A product of few rows runs on the plain units, which no tile leaves idle.
        plain = processor.vector_peak * PLAIN_SHARE / peak
        share = smaller(larger(share, plain), op.max_efficiency)
        seconds = work.product_flops / (peak * processor.sustained * larger(share, LEAST))
        seconds = larger(seconds, _unpack_compute(op, work, shape, processor, machine))
    if work.plain_flops > 0:
        seconds += work.plain_flops / (processor.vector_peak * processor.sustained)
    return seconds


def _unpack_compute(
    op: OpWork, work: Amount, shape: StepShape, processor: Processor, machine: Machine
) -> float:
    """Return the time of unpacking weights outside matrix units, once for each of a few rows."""
    each = machine.runtime.unpack_ops
    if each <= 0 or op.format is None or not op.n or not _decodes(shape):
        return 0.0
    # A multiply-add counts as two of the peak.
    weights = work.product_flops / larger(work.rows, 1.0) / 2 * smaller(work.rows, FEW_ROWS)
    return 2 * each * weights / processor.vector_peak


def _unpacks(op: OpWork, work: Amount, machine: Machine) -> bool:
    """Whether a kernel of its own writes the op's low-bit weights as 16-bit ones first."""
    rows = machine.runtime.unpack_rows
    return 0 < rows < work.rows and op.format is not None and op.math in ("bf16", "fp16")


def _unpack_seconds(op: OpWork, work: Amount, processor: Processor, machine: Machine) -> float:
    if not _unpacks(op, work, machine):
        return 0.0
    moved = op.read_fixed * op.read_scale + 2.0 * op.n * op.k * op.batch
    return moved * op.runs * op.pieces / _streaming_rate(processor, machine)


def _beside_seconds(
    op: OpWork, shape: StepShape, processor: Processor, machine: Machine
) -> float:
    """Return the time of kernels of their own that an op needs: casts, sums of bias gradients."""
    if op.beside_per_token <= 0:
        return 0.0
    rate = processor.bandwidth * processor.memory_efficiency * machine.runtime.memory_efficiency
    return op.beside_per_token * basis(op.basis, shape) * op.runs / rate


def _math(op: OpWork, processor: Processor, machine: Machine) -> str:
    other = machine.runtime.half_math
    return other if op.math in ("fp16", "bf16") and other in processor.peaks else op.math


def _product_share(
    op: OpWork, work: Amount, shape: StepShape, processor: Processor, machine: Machine
) -> float:
    runtime = machine.runtime
    if op.kind == "fused_attention":
        return runtime.attention_efficiency * _attention_share(op, shape, processor)
    if not processor.matrix_units:
        return runtime.matmul_efficiency
    if not op.n and op.kind not in ATTENTION:
        return runtime.matmul_efficiency
    m, n, k, batch = _product_shape(op, work, shape)
    share = each(shape_efficiency, m, n, k, batch, processor.multiprocessors)
    if op.n % processor.aligned or op.k % processor.aligned:
        share *= UNALIGNED
    if _unpacks(op, work, machine):
        return runtime.matmul_efficiency * share
    formats = runtime.formats
    return runtime.matmul_efficiency * share * min(
        formats.get(op.format or "", 1.0), formats.get(op.math, 1.0)
    )


def _attention_share(op: OpWork, shape: StepShape, processor: Processor) -> float:
    """Return the share of its rate on long sequences that a fused attention kernel reaches.

    Blocks on the diagonal are computed whole, a block of queries starts with loads that nothing
    hides, and the last wave may not fill the device.
    """
    sequences = larger(shape.sequences, 1e-9)
    new = shape.tokens / sequences
    blocks = larger(shape.sequences, 1.0) * op.heads * larger(-(-new // QUERY_BLOCK), 1.0)
    share = _waves(blocks, processor.multiprocessors)
    if op.part == "data_grad":
        share *= BACKWARD_RATE
    share *= op.head_dim / (op.head_dim + SOFTMAX_WIDTH) * (128 + SOFTMAX_WIDTH) / 128
    if new <= DECODE_TOKENS:
        return share
    pairs = visible_pairs(op.window, shape) if op.causal_skip else shape.full_pairs
    seen = pairs / larger(shape.tokens, 1.0)
    diagonal = smaller(new, float(QUERY_BLOCK)) / 2 if op.causal_skip else 0.0
    return share * seen / (seen + diagonal) * seen / (seen + KEY_RAMP)


def _product_shape(
    op: OpWork, work: Amount, shape: StepShape
) -> tuple[float, int, float, int]:
    if op.kind in ATTENTION:
        sequences = larger(shape.sequences, 1.0)
        new, total = shape.tokens / sequences, shape.kv_tokens / sequences
        batch = larger(round(sequences), 1) * larger(op.heads, 1)
        if op.kind == "scores":
            return new, larger(round(total), 1), real(op.head_dim), batch
        return new, op.head_dim, total, batch
    rows = work.rows / larger(op.batch, 1) / op.pieces
    if op.part == "weight_grad":
        return real(op.k), op.n, rows, op.batch
    return rows, op.n, real(op.k), op.batch


def _waves(blocks: float, multiprocessors: int) -> float:
    """Return the share of multiprocessors busy over all waves of equal blocks."""
    waves = larger(-(-blocks // multiprocessors), 1.0)
    return blocks / (waves * multiprocessors)


def _memory_rate(
    op: OpWork, shape: StepShape, processor: Processor, machine: Machine
) -> float:
    """Return bytes/s that an op's traffic moves at.

    A kernel that streams weights or a cache for few rows is further bound by the bytes that its
    multiprocessors keep in flight (Little's law), and a decoding attention kernel by how many
    blocks there are to run.
    """
    runtime = machine.runtime
    rate = processor.bandwidth * processor.memory_efficiency * runtime.memory_efficiency
    streams = bool(op.n and op.k)
    attends = op.kind in ATTENTION or bool(op.read_per_pair > 0)
    if streams or attends:
        rate = _streaming_rate(processor, machine)
    if attends:
        # A fused kernel streams the cache like any other; separate ones fall short of that, unless
        # what they move is counted.
        counted = op.kind == "fused_attention" or (runtime.pair_traffic > 0 and not _decodes(shape))
        rate *= 1.0 if counted else runtime.attention_efficiency
        if op.read_per_kv_token > 0 and shape.sequences > 0:
            rate *= _kv_share(op, shape, processor)
    return larger(rate * op.max_memory_efficiency, 1.0)


def _streaming_rate(processor: Processor, machine: Machine) -> float:
    """Return bytes/s that a kernel streams weights or a cache at."""
    runtime = machine.runtime
    rate = processor.bandwidth * processor.memory_efficiency * runtime.memory_efficiency
    # Bytes a clock are those of a load that takes as many clocks as on A100.
    pace = LOAD_CLOCKS / (CACHE_CLOCKS / processor.clock_hz + BEYOND_CACHE)
    pace = smaller(pace, processor.clock_hz)
    flight = processor.multiprocessors * pace * processor.bytes_per_clock
    return smaller(rate, flight * runtime.gemv_concurrency)


def _kv_share(op: OpWork, shape: StepShape, processor: Processor) -> float:
    length = shape.kv_tokens / shape.sequences
    each = KV_BLOCK if op.kind == "fused_attention" else ROW_BLOCK
    blocks = shape.sequences * max(1, op.kv_heads) * max(1, -int(-length // each))
    return max(0.05, min(1.0, blocks / processor.multiprocessors))
