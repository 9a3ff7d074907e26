"""A serving run: from the requests of a workload to its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from llamasim.plan.spec import Plan, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.arrivals import Stream, draw
from llamasim.simulate.desk import Book
from llamasim.simulate.kv import Room, inference_levels, room, variant_bytes
from llamasim.simulate.levels import Level, of_changes, table
from llamasim.simulate.memory import fit
from llamasim.simulate.pools import Floor, Shop, floor_of
from llamasim.simulate.server import Server
from llamasim.simulate.stagework import StageWork
from llamasim.simulate.stepcost import StepCosts
from llamasim.simulate.trace import (
    TASKS,
    Fit,
    Floats,
    Iterations,
    Links,
    Requests,
    Service,
    Tasks,
    Trace,
)

if TYPE_CHECKING:
    from llamasim.simulate.unfinished import Watch

Pieces = tuple[Iterations, ...]
MIXED, PREFILL, DECODE = (TASKS.index(k) for k in ("mixed", "prefill", "decode"))
#: Most points of the cache's curve that are kept.
CURVE = 4096


def serve(
    plan: Plan, scenario: Scenario, *, coalesce: bool = True, watch: Watch | None = None
) -> Trace:
    """Simulate requests from arrival to last token.

    A replica of several stages runs as many batches at once, one in each stage: each is a server of
    its own with its share of the cache. `coalesce=False` takes decode steps one at a time. A
    `watch` sees how far the run is and may end it.

    Raises:
        Unfit: what the watch wants to go on from is not a state of this run.

    """
    stream = draw(scenario.workload, scenario.seed)
    longest = float((stream.prompt + stream.output).max(initial=1))
    space = room(plan, scenario, _largest(plan), longest)
    costs = StepCosts(StageWork.of(plan, scenario))
    shop = Shop(plan, scenario, space, costs, stream, coalesce)
    floor = _served(shop, watch)
    book, servers = floor.desk.book, floor.servers
    pieces = floor.spool.pieces(servers, None if watch is None else watch.folder())
    levels = _levels(plan, scenario, servers, pieces, book, space, longest)
    makespan = max([0.0, *book.finished])
    return Trace(
        scenario=scenario,
        plan=plan,
        makespan=makespan,
        tasks=_tasks(servers[: len(plan.ranks)], pieces, costs),
        memory=table(enumerate(levels)),
        links=Links.none(),
        fits=_fits(plan, scenario, servers, levels, space),
        exposed=_exposed(servers, pieces, plan, costs, makespan),
        requests=_requests(stream, book),
        iterations=pieces,
        rejected=tuple(book.rejections),
        service=_service(floor, book, makespan),
    )


def _served(shop: Shop, watch: Watch | None) -> Floor:
    if watch is not None:
        from llamasim.simulate.unfinished import watched

        return watched(lambda: floor_of(shop, Book.of(shop.stream)), shop, watch)
    floor = floor_of(shop, Book.of(shop.stream))
    floor.run()
    return floor


def _largest(plan: Plan) -> StepShape:
    """Return the step that a runtime sizes its working set for: a full budget of tokens."""
    budget, sequences = plan.schedule.token_budget, plan.schedule.max_sequences
    return attrs.evolve(StepShape.of(1, budget), sequences=float(sequences))


def _levels(
    plan: Plan, scenario: Scenario, servers: list[Server], pieces: Pieces, book: Book, space: Room,
    longest: float,
) -> list[dict[str, Level]]:
    """Return memory over time with the cache of the replica that used most."""
    lanes = len(plan.ranks)
    groups = [range(i, i + lanes) for i in range(0, len(servers), lanes)]
    group = max(groups, key=lambda g: sum(servers[i].cache.peak for i in g))
    curve = _curve(pieces, group)
    if book.rejections and curve.top == 0:
        # Nothing fits: show what the smallest request would have taken.
        least = min(r.prompt + r.output for r in book.rejections)
        curve = Level(np.zeros(1), np.array([float(-(-least // space.block))]))
    result = []
    for index, rank in enumerate(plan.ranks):
        levels = inference_levels(plan, rank, scenario, _largest(plan), 0, longest)
        levels["kv_cache"] = Level(curve.time, curve.bytes * space.bytes_per_block[index])
        result.append(levels)
    return result


def _of(pieces: Pieces, server: int, *names: str) -> list[Any]:
    """Return columns of one server's iterations."""
    return [
        np.concatenate([np.zeros(0), *(getattr(p, n)[p.server == server] for p in pieces)])
        for n in names
    ]


def _curve(pieces: Pieces, group: range) -> Level:
    """Return the blocks in use over time; the largest of each stretch where there are many."""
    times: list[Floats] = []
    deltas: list[Floats] = []
    for server in group:
        start, end, blocks = _of(pieces, server, "start", "end", "kv_blocks")
        # What an iteration holds at its end counts from its start; nothing while none runs.
        idle = np.append(start[1:] > end[:-1], True)[: len(start)]
        time = np.concatenate((start, end[idle]))
        order = np.argsort(time, kind="stable")
        used = np.concatenate((blocks, np.zeros(int(idle.sum()))))[order]
        times.append(time[order])
        deltas.append(np.diff(used, prepend=0.0))
    level = of_changes(np.concatenate(times), np.concatenate(deltas))
    if len(level.time) <= CURVE:
        return level
    starts = np.linspace(0, len(level.time), CURVE, endpoint=False).astype(int)
    return Level(level.time[starts], np.maximum.reduceat(level.bytes, starts))


def _fits(
    plan: Plan, scenario: Scenario, servers: list[Server], levels: list[dict[str, Level]],
    space: Room,
) -> tuple[Fit, ...]:
    used = levels[0]["kv_cache"].top / space.bytes_per_block[0] if space.bytes_per_block[0] else 0
    # All variants lie on the host, from where devices take those that they hold; room for caches
    # is set aside there.
    variants = scenario.workload.variants if plan.schedule.variants > 1 else 0
    aside = plan.schedule.swap_bytes + plan.schedule.kept_bytes
    beside = [variants * variant_bytes(plan, r) + aside for r in plan.ranks]
    return tuple(
        fit(plan, i, v, scenario, used * space.host_bytes_per_block[i] + beside[i])
        for i, v in enumerate(levels)
    )


def _requests(stream: Stream, book: Book) -> Requests:
    kept = np.ones(len(stream.time), dtype=bool)
    kept[[r.request for r in book.rejections]] = False

    def column(values: Any) -> Any:
        held = np.frombuffer(values, dtype=np.float64 if values.typecode == "d" else np.int32)
        return held[kept] if book.rejections else held

    def drawn(values: Any) -> Any:
        return values[kept] if book.rejections else values

    return Requests(
        column(book.arrived), column(book.admitted), column(book.first_token),
        column(book.finished), drawn(stream.prompt), drawn(stream.output),
        column(book.preemptions), column(book.cached), drawn(stream.variant), column(book.replica),
        np.flatnonzero(kept).astype(np.int32),
    )


def _service(floor: Floor, book: Book, makespan: float) -> Service:
    servers, scaling = floor.servers, floor.desk.scaling
    gaps = np.array(book.gaps, dtype=np.float64), np.array(book.often, dtype=np.int32)
    there = 1.0
    if scaling is not None and makespan > 0:
        most = len(servers) // scaling.lanes
        there = min(1.0, scaling.end(makespan) / (most * makespan))
    return Service(
        len(servers), servers[0].cache.capacity, servers[0].cache.block, gaps, there,
        tuple(scaling.changes) if scaling is not None else (),
        sum(s.usage.swapped for s in servers),
        floor.handover.sent if floor.handover is not None else 0.0,
        sum(s.slots.loads for s in servers if s.slots is not None),
    )


def _tasks(servers: list[Server], pieces: Pieces, costs: StepCosts) -> Tasks:
    """Return each iteration's share of each of the first replica's stages; none of a single one."""
    parts: list[list[Any]] = [[np.zeros(0)] * 5]
    for number, server in enumerate(servers if len(servers) > 1 else ()):
        at, ends, prefill, decoding = _of(
            pieces, number, "start", "end", "prefill_tokens", "decode_sequences")
        kind = np.where(prefill == 0, DECODE, np.where(decoding > 0, MIXED, PREFILL))
        seconds = ends - at
        for stage, share in enumerate(costs.shares(server.usage.corners)):
            end = at + seconds * share
            parts.append([np.full(len(at), stage), kind, np.arange(len(at)), at, end])
            at = end
    columns = [np.concatenate(c) for c in zip(*parts, strict=True)]
    stages, kinds, numbers = (c.astype(np.int32) for c in columns[:3])
    none = np.zeros(len(stages), dtype=np.int32)
    return Tasks(stages, kinds, none, numbers, columns[3], columns[4], none)


def _sums(pieces: Pieces, servers: int) -> list[list[float]]:
    """Return each server's steps, decodes in them, and the seconds in which it was at work."""
    sums = [np.zeros(servers) for _ in range(3)]
    for piece in pieces:
        sums[0] += np.bincount(piece.server, piece.steps, servers)
        decodes = piece.steps.astype(np.float64) * piece.decode_sequences
        sums[1] += np.bincount(piece.server, decodes, servers)
        sums[2] += np.bincount(piece.server, piece.end - piece.start, servers)
    return [s.tolist() for s in sums]


def _exposed(
    servers: list[Server], pieces: Pieces, plan: Plan, costs: StepCosts, makespan: float
) -> dict[str, float]:
    """Return what a device waited for; `idle` is the time in which its server had no request."""
    lanes = len(plan.ranks)
    replicas = len(servers) // lanes
    waits: dict[str, float] = {"host": 0.0, "send": 0.0, "copy": 0.0}
    busy = swapping = 0.0
    steps, decodes, active = _sums(pieces, len(servers))
    for number, server in enumerate(servers):
        usage = server.usage
        host = costs.work.host_s * steps[number]
        host += costs.work.each_host_s * (decodes[number] + usage.pieces)
        alone = usage.alone if costs.waits_matter else active[number] - usage.swap_s
        busy += (alone - host - usage.send) / lanes
        waits["host"] += host / replicas / lanes
        waits["send"] += usage.send / replicas / lanes
        swapping += usage.swap_s / lanes
        waits["copy"] += (usage.swap_s + usage.copies_s) / replicas / lanes
        for cause, seconds in costs.waits(usage.corners).items():
            waits[cause] = waits.get(cause, 0.0) + seconds / replicas
    most = sum(max(active[i : i + lanes]) for i in range(0, len(active), lanes)) / replicas
    # What a step waits for is part of it.
    rest = makespan - (busy + swapping) / replicas - waits["host"] - waits["send"]
    waits["idle"] = min(max(0.0, makespan - most), max(0.0, rest))
    waits["bubble"] = max(0.0, rest - waits["idle"])
    return {k: v for k, v in sorted(waits.items()) if v > 1e-9 * makespan}
