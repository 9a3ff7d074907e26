"""A serving run: from the requests of a workload to its trace."""

from __future__ import annotations

import attrs
import numpy as np

from llamasim.plan.spec import Plan, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.arrivals import Stream, draw
from llamasim.simulate.desk import Book
from llamasim.simulate.kv import Room, inference_levels, room
from llamasim.simulate.levels import Level, of_changes, table
from llamasim.simulate.memory import fit
from llamasim.simulate.pools import Shop, in_pools, served
from llamasim.simulate.rows import IterationRows, TaskRows
from llamasim.simulate.server import Server
from llamasim.simulate.stagework import StageWork
from llamasim.simulate.stepcost import StepCosts
from llamasim.simulate.trace import TASKS, Fit, Floats, Iterations, Links, Requests, Trace

MIXED, PREFILL, DECODE = (TASKS.index(k) for k in ("mixed", "prefill", "decode"))
#: Most points of the cache's curve that are kept.
CURVE = 4096


def serve(plan: Plan, scenario: Scenario, *, coalesce: bool = True) -> Trace:
    """Simulate requests from arrival to last token.

    A replica of several stages runs as many batches at once, one in each stage: each is a server of
    its own with its share of the cache. `coalesce=False` takes decode steps one at a time.
    """
    stream = draw(scenario.workload, scenario.seed)
    longest = float((stream.prompt + stream.output).max(initial=1))
    space = room(plan, scenario, _largest(plan), longest)
    book = Book.of(stream)
    shop = Shop(plan, scenario, space, StepCosts(StageWork.of(plan, scenario)), coalesce)
    if plan.schedule.prefill_replicas:
        servers = in_pools(shop, stream, book)
    else:
        servers = served(shop, stream, book, plan.replicas)
    levels = _levels(plan, scenario, servers, book, space, longest)
    makespan = max([0.0, *book.finished])
    return Trace(
        scenario=scenario,
        plan=plan,
        makespan=makespan,
        tasks=_tasks(servers[: len(plan.ranks)]).build(),
        memory=table(enumerate(levels)),
        links=Links(np.zeros(0, dtype=np.int32), (), (), np.zeros(0), np.zeros(0), np.zeros(0)),
        fits=_fits(plan, scenario, servers, levels, space),
        exposed=_exposed(servers, plan, makespan),
        requests=_requests(stream, book),
        iterations=_iterations(servers),
        rejected=tuple(book.rejections),
    )


def _largest(plan: Plan) -> StepShape:
    """Return the step that a runtime sizes its working set for: a full budget of tokens."""
    budget, sequences = plan.schedule.token_budget, plan.schedule.max_sequences
    return attrs.evolve(StepShape.of(1, budget), sequences=float(sequences))


def _levels(
    plan: Plan, scenario: Scenario, servers: list[Server], book: Book, space: Room, longest: float
) -> list[dict[str, Level]]:
    """Return memory over time with the cache of the replica that used most."""
    lanes = len(plan.ranks)
    groups = [servers[i : i + lanes] for i in range(0, len(servers), lanes)]
    group = max(groups, key=lambda g: sum(s.cache.peak for s in g))
    curve = _curve(group)
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


def _curve(group: list[Server]) -> Level:
    """Return the blocks in use over time; the largest of each stretch where there are many."""
    times: list[Floats] = []
    deltas: list[Floats] = []
    for server in group:
        points = np.array([(0.0, 0.0), *server.used])
        times.append(points[1:, 0])
        deltas.append(np.diff(points[:, 1]))
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
    return tuple(
        fit(plan, i, v, scenario, used * space.host_bytes_per_block[i])
        for i, v in enumerate(levels)
    )


def _requests(stream: Stream, book: Book) -> Requests:
    turned_away = {r.request for r in book.rejections}
    kept = np.array([i not in turned_away for i in range(len(stream.time))], dtype=bool)

    def column(values: list[float]) -> Floats:
        selected: Floats = np.array(values, dtype=np.float64)[kept]
        return selected

    return Requests(
        column(book.arrived), column(book.admitted), column(book.first_token),
        column(book.finished), stream.prompt[kept], stream.output[kept],
        np.array(book.preemptions, dtype=np.int32)[kept],
        np.array(book.cached, dtype=np.int32)[kept],
    )


def _iterations(servers: list[Server]) -> Iterations:
    rows = IterationRows()
    for server in servers:
        rows.extend(server.rows)
    return rows.build()


def _tasks(servers: list[Server]) -> TaskRows:
    """Return what the first replica's stages did: each iteration's share of each stage."""
    tasks = TaskRows()
    for server in servers:
        stages = server.usage.stages
        whole = sum(stages)
        for number, (start, end, _, prefill, decoding, _, _) in enumerate(server.rows):
            kind = MIXED if prefill and decoding else PREFILL if prefill else DECODE
            at = start
            for stage, seconds in enumerate(stages):
                share = (end - start) * seconds / whole if whole > 0 else 0.0
                tasks.add(stage, kind, 0, number, at, at + share)
                at += share
    return tasks


def _exposed(servers: list[Server], plan: Plan, makespan: float) -> dict[str, float]:
    """Return what a device waited for; `idle` is the time in which its server had no request."""
    lanes = len(plan.ranks)
    replicas = len(servers) // lanes
    waits: dict[str, float] = {}
    busy = 0.0
    for server in servers:
        busy += sum(server.usage.stages) / lanes
        for cause, seconds in server.usage.waits.items():
            waits[cause] = waits.get(cause, 0.0) + seconds / replicas
    for cause in ("host", "send"):
        waits[cause] = waits.get(cause, 0.0) / lanes
    active = sum(max(s.usage.active for s in servers[i : i + lanes])
                 for i in range(0, len(servers), lanes)) / replicas
    rest = makespan - busy / replicas - waits["host"] - waits["send"]
    waits["idle"] = min(max(0.0, makespan - active), max(0.0, rest))
    waits["bubble"] = max(0.0, rest - waits["idle"])
    return {k: v for k, v in sorted(waits.items()) if v > 1e-9 * makespan}
