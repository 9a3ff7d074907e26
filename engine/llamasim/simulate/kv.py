"""Memory of inference: the cache beside the weights, and how many tokens it can hold."""

from __future__ import annotations

import math

import attrs

from llamasim.plan.spec import BlockPlan, Plan, RankClass, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.cache import UNBOUNDED
from llamasim.simulate.levels import Level, constant, peak
from llamasim.simulate.memory import (
    blocks_of,
    host_resident,
    resident,
    with_reserve,
)
from llamasim.simulate.within import transient_of


def kv_bytes(plan: Plan, rank: RankClass, length: float, place: str) -> float:
    """Return the cache bytes of one sequence of `length` tokens on a device or its host."""
    return sum(
        _block_kv(b, length if b.kv_cap is None else min(length, b.kv_cap), place)
        for b in blocks_of(plan, rank)
    )


def _block_kv(block: BlockPlan, tokens: float, place: str) -> float:
    each = {"device": block.kv_per_token, "host": block.host_kv_per_token,
            "disk": block.disk_kv_per_token}[place]
    size = each * tokens
    for span in block.kv_spans:
        differs = {"device": span.device, "host": span.host, "disk": span.disk}[place]
        size += differs * span.tokens(tokens)
    return max(0.0, size)


def variant_bytes(plan: Plan, rank: RankClass) -> float:
    """Return what one variant of the weights takes on a device, where a server holds several."""
    return sum(b.variant_bytes for b in blocks_of(plan, rank))


def inference_levels(
    plan: Plan, rank: RankClass, scenario: Scenario, largest: StepShape, tokens: float,
    longest: float,
) -> dict[str, Level]:
    """Return memory by category with `tokens` cached tokens in sequences of at most `longest`.

    The cache is set aside before the first step, as runtimes do, in whole blocks of tokens.
    """
    unified = scenario.cluster.device.unified
    blocks = blocks_of(plan, rank)
    block = max(1, plan.schedule.kv_block)
    sequences = tokens / longest if longest else 0.0
    padded = math.ceil(longest / block) * block
    cached = sequences * kv_bytes(plan, rank, padded, "device")
    if unified:
        cached += sequences * kv_bytes(plan, rank, padded, "host")
    levels = {k: v for k, v in resident(plan, rank, unified).items() if v > 0 or k == "weights"}
    levels["kv_cache"] = levels.get("kv_cache", 0.0) + cached
    levels["transient"] = max((transient_of(b, largest) for b in blocks), default=0.0)
    gathered = sorted((b.gathered_bytes for b in blocks), reverse=True)
    levels["buffers"] = sum(gathered[: 1 + plan.schedule.prefetch])
    return with_reserve({k: constant(v) for k, v in levels.items()}, scenario)


@attrs.frozen
class Room:
    """What is left for the cache: whole blocks on the tightest rank class.

    Attributes:
        blocks: of `block` tokens each; the same number of tokens on every stage.
        bytes_per_block: on each rank class, on its devices and on their hosts.

    """

    blocks: int
    block: int
    bytes_per_block: tuple[float, ...]
    host_bytes_per_block: tuple[float, ...]


def room(plan: Plan, scenario: Scenario, largest: StepShape, longest: float) -> Room:
    """Return the cache's room beside weights, working set and reserve."""
    cluster, block = scenario.cluster, max(1, plan.schedule.kv_block)
    runtime = scenario.runtime
    here = min(cluster.devices_per_node, cluster.devices)
    device_rows, host_rows, counts = [], [], [UNBOUNDED]
    for rank in plan.ranks:
        levels = inference_levels(plan, rank, scenario, largest, 0, longest)
        left = cluster.device.memory_bytes * runtime.memory_share - peak(levels)[0]
        left *= runtime.cache_share
        # Layers with a window keep fewer tokens of a long sequence; this is their mean.
        each = kv_bytes(plan, rank, longest, "device") / longest * block
        apart = kv_bytes(plan, rank, longest, "host") / longest * block
        if cluster.device.unified:
            each, apart = each + apart, 0.0
        host_left = cluster.host.memory_bytes / here - host_resident(plan, rank)
        counts += [int(max(0.0, left) // each)] if each > 0 else []
        counts += [int(max(0.0, host_left) // apart)] if apart > 0 else []
        device_rows.append(each)
        host_rows.append(apart)
    return Room(min(counts), block, tuple(device_rows), tuple(host_rows))
