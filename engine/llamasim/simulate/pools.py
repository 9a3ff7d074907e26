"""Replicas behind a round-robin router, all alike or in two pools that prefill and decode."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs
import numpy as np
from simpy import Environment

from llamasim.cost import comm_cost
from llamasim.plan.spec import CommWork, Group, Plan, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.arrivals import Stream
from llamasim.simulate.cache import Cache
from llamasim.simulate.desk import Book, Desk
from llamasim.simulate.kv import Room, kv_bytes
from llamasim.simulate.prefixes import Prefixes
from llamasim.simulate.server import Lanes, Limits, Server
from llamasim.simulate.stepcost import StepCosts


@attrs.frozen(eq=False)
class Shop:
    """What all servers of a run share."""

    plan: Plan
    scenario: Scenario
    space: Room
    costs: StepCosts
    coalesce: bool

    def limits(self, *, loaded: bool = False) -> Limits:
        """Return what bounds an iteration of one server."""
        schedule = self.plan.schedule
        sequences = max(1, schedule.max_sequences // len(self.plan.ranks))
        fitting = max(1, int(schedule.token_budget / schedule.rows))
        return Limits(
            schedule.token_budget, min(sequences, fitting), schedule.rows, schedule.tokens_out,
            schedule.admission == "batch", self.coalesce, loaded,
        )

    def cache(self, stream: Stream) -> tuple[Cache, Prefixes | None]:
        """Return one server's cache, and what of it beginnings of prompts share."""
        schedule = self.plan.schedule
        reserve = (schedule.admission == "batch" or schedule.cache == "contiguous"
                   or schedule.tokens_out != 1)
        cache = Cache(self.space.blocks // len(self.plan.ranks), self.space.block,
                      schedule.tokens_out, reserve=reserve)
        shared = self.scenario.workload.shared_prefix
        if schedule.cache != "prefix" or reserve or not shared:
            return cache, None
        return cache, Prefixes(cache, stream.group.tolist(), shared)


def served(
    shop: Shop, stream: Stream, book: Book, replicas: int, queue: Sequence[int] | None = None,
    *, loaded: bool = False,
) -> list[Server]:
    """Run requests (all, or those of a queue in order of arrival) over replicas to the end.

    A replica of several stages runs as many batches at once, one in each stage: each is a server of
    its own with its share of the cache.
    """
    arrivals = shop.scenario.workload.arrivals
    lanes = len(shop.plan.ranks)
    count = max(1, replicas) * lanes
    order = list(range(len(stream.time))) if queue is None else list(queue)
    closed = arrivals is not None and arrivals.process == "closed"
    users = arrivals.concurrency if arrivals is not None else 0
    prompt, output = stream.prompt.tolist(), stream.output.tolist()
    env, shared = Environment(), deque(order)
    groups = [Lanes(lanes) for _ in range(count // lanes)]
    servers = []
    for i in range(count):
        cache, prefixes = shop.cache(stream)
        desk = Desk(
            prompt, output, book, shared if closed else deque(order[i::count]),
            cache.capacity * shop.space.block, (users - i + count - 1) // count if closed else None,
        )
        limits = shop.limits(loaded=loaded)
        servers.append(Server(
            env, shop.costs, limits, cache, desk, groups[i // lanes],
            None if loaded else prefixes,
        ))
    for server in servers:
        env.process(server.run())
    env.run()
    return servers


def in_pools(shop: Shop, stream: Stream, book: Book) -> list[Server]:
    """Run requests through replicas that prefill and then, with their cache, through the others.

    The first token comes from the first pool (DistServe, arXiv:2401.09670, section 4).
    """
    schedule = shop.plan.schedule
    first = attrs.evolve(stream, output=np.ones_like(stream.output))
    made = served(shop, first, book, schedule.prefill_replicas)
    later = Book.of(stream)
    going = [i for i, end in enumerate(book.finished) if end >= 0 and stream.output[i] > 1]
    for request in going:
        later.arrived[request] = book.finished[request] + _handover(shop, stream.prompt[request])
    going.sort(key=lambda r: (later.arrived[r], r))
    rest = shop.plan.replicas - schedule.prefill_replicas
    decoded = served(shop, stream, later, rest, going, loaded=True)
    for request in going:
        book.finished[request] = later.finished[request]
        book.preemptions[request] += later.preemptions[request]
    book.rejections += later.rejections
    return made + decoded


def _handover(shop: Shop, prompt: int) -> float:
    """Return the seconds in which a prompt's cache passes from one replica to another."""
    group = Group("pools", 2, 1 if shop.scenario.cluster.nodes > 1 else 2)
    shape = StepShape.of(1, 1)
    return max(
        comm_cost(
            CommWork("cache", "send", group, bytes_fixed=kv_bytes(shop.plan, r, prompt, "device")),
            shape, shop.costs.work.costs.machine,
        ).seconds
        for r in shop.plan.ranks
    )
