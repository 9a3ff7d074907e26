"""Replicas behind a router, all alike or in two pools that prefill and decode."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import cast

import attrs

from llamasim.cost import comm_cost
from llamasim.plan.spec import CommWork, Group, Plan, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.arrivals import Stream
from llamasim.simulate.cache import Cache
from llamasim.simulate.clock import Clock
from llamasim.simulate.desk import ROUTES, Book, Desk, Route, Scaling, Serves
from llamasim.simulate.kept import Kept
from llamasim.simulate.kv import Room, kv_bytes, variant_bytes
from llamasim.simulate.limits import Limits
from llamasim.simulate.memory import blocks_of
from llamasim.simulate.parts import parts_of
from llamasim.simulate.prefixes import Parts, Prefixes
from llamasim.simulate.server import Lanes, Server
from llamasim.simulate.slots import Slots
from llamasim.simulate.spool import Spool
from llamasim.simulate.stepcost import StepCosts


@attrs.frozen(eq=False)
class Shop:
    """What all servers of a run share."""

    plan: Plan
    scenario: Scenario
    space: Room
    costs: StepCosts
    stream: Stream
    coalesce: bool
    #: What prompts share, where servers keep beginnings; which variant each request asks for.
    parts: Callable[[int], Parts] | None = attrs.field(init=False)
    asked: array[int] = attrs.field(init=False)

    @asked.default
    def _asked(self) -> array[int]:
        return array("i", self.stream.variant.tolist())

    @parts.default
    def _parts(self) -> Callable[[int], Parts] | None:
        if self.plan.schedule.cache != "prefix":
            return None
        return parts_of(self.stream, self.scenario, self.space.block)

    def limits(self, *, loaded: bool = False, hands_over: bool = False) -> Limits:
        """Return the policy of one server."""
        schedule = self.plan.schedule
        sequences = max(1, schedule.max_sequences // len(self.plan.ranks))
        fitting = max(1, int(schedule.token_budget / schedule.rows))
        block = max(self.space.bytes_per_block)
        return Limits(
            schedule.token_budget, min(sequences, fitting), schedule.rows, schedule.tokens_out,
            static=schedule.admission == "batch", whole=schedule.prompts == "whole",
            apart=schedule.mixing == "apart", swap_bytes=schedule.swap_bytes,
            swap_block_s=self._swap_seconds(block) if schedule.swap_bytes else 0.0,
            kept_block_s=self.seconds("host", block) if schedule.kept_bytes else 0.0,
            swap_block_bytes=block, coalesce=self.coalesce, loaded=loaded, hands_over=hands_over,
            longest=self.scenario.workload.longest,
        )

    def _swap_seconds(self, block: float) -> float:
        """Return the seconds in which a block of all layers passes between device and host.

        Keys and values of each layer lie in arrays of their own, so it goes in as many pieces
        (arXiv:2309.06180, section 7.3: small transfers limit the bandwidth).
        """
        layers = max(sum(b.kv_per_token > 0 for b in blocks_of(self.plan, r))
                     for r in self.plan.ranks)
        pieces = max(1, 2 * layers)
        return pieces * self.seconds("host", block / pieces)

    def seconds(self, link: str, size: float) -> float:
        """Return the seconds in which bytes of a device pass over a link to its like."""
        machine = self.costs.work.costs.machine
        if link == "host":
            work = CommWork("cache", "copy", Group("host", 1, 1), bytes_fixed=size, stream="copy")
        else:
            work = CommWork("cache", "send", Group("pools", 2, 1 if link == "outer" else 2),
                            bytes_fixed=size)
        return comm_cost(work, StepShape.of(1, 1), machine).seconds

    def cache(self, *, prefixes: bool) -> Cache:
        """Return one server's cache; with `prefixes`, beginnings of prompts share it."""
        schedule, space = self.plan.schedule, self.space
        reserve = (schedule.admission == "batch" or schedule.cache == "contiguous"
                   or schedule.reserve != "grown" or schedule.tokens_out != 1)
        kept = None
        if self.parts and prefixes:
            kept = Prefixes(space.block, self.parts, self._host())
        context = self.scenario.workload.sequence if schedule.reserve == "context" else 0
        return Cache(space.blocks // len(self.plan.ranks), space.block, schedule.tokens_out,
                     reserve=reserve, context=context, prefixes=kept)

    def _host(self) -> Kept | None:
        """Return one server's room for beginnings on the host; its share of a replica's."""
        size = max(self.space.bytes_per_block)
        if not self.plan.schedule.kept_bytes or not size:
            return None
        return Kept(int(self.plan.schedule.kept_bytes / size) // len(self.plan.ranks))

    def slots(self) -> Slots | None:
        """Return one server's places for variants of the weights; its share of a replica's."""
        count = self.plan.schedule.variants
        if count == 1:
            return None
        seconds = self.seconds("host", max(variant_bytes(self.plan, r) for r in self.plan.ranks))
        return Slots(max(1, count // len(self.plan.ranks)), seconds, self.asked)

    def servers(
        self, clock: Clock, replicas: range, *, loaded: bool = False, hands_over: bool = False
    ) -> list[Server]:
        """Return the servers of some replicas, by their numbers.

        A replica of several stages runs as many batches at once, one in each stage: each is a
        server of its own with its share of the cache.
        """
        found = []
        for number in replicas:
            lanes = Lanes()
            for _ in self.plan.ranks:
                server = Server(
                    self.limits(loaded=loaded, hands_over=hands_over),
                    self.cache(prefixes=not loaded), self.slots(), number, clock, self.costs,
                    lanes,
                )
                lanes.servers.append(server)
                found.append(server)
        return found


@attrs.frozen(eq=False)
class Floor:
    """The servers of a run, and who gives them requests."""

    clock: Clock
    desk: Desk
    servers: list[Server]
    handover: Handover | None = None
    spool: Spool = attrs.Factory(Spool)

    def run(self) -> None:
        """Serve until no request is left."""
        self.desk.start()
        self.clock.run()

    def come(self) -> int:
        """Return the requests that have come so far."""
        return self.desk.at + sum(s.fed for s in self.servers)


def floor_of(shop: Shop, book: Book) -> Floor:
    """Return the servers of a plan's replicas."""
    clock, schedule = Clock(), shop.plan.schedule
    arrivals = shop.scenario.workload.arrivals
    closed = arrivals is not None and arrivals.process == "closed"
    users = arrivals.concurrency if closed and arrivals is not None else None
    first, pool = schedule.prefill_replicas, []
    if first:
        servers = shop.servers(clock, range(first), hands_over=True)
        pool = shop.servers(clock, range(first, shop.plan.replicas), loaded=True)
    else:
        servers = shop.servers(clock, range(max(1, shop.plan.replicas)))
    desk = Desk(clock, book, cast("list[Serves]", servers), ROUTES[schedule.routing](), users)
    if schedule.replicas_least:
        desk.scaling = Scaling(
            clock, desk.servers, schedule.replicas_least, schedule.replica_start,
            schedule.open_above, schedule.close_below, len(shop.plan.ranks),
        )
    if not servers[0].limits.whole:
        whole = shop.stream.prompt + shop.stream.output
        desk.longest = max(servers[0].cache.context, int(whole.max(initial=0)))
        desk.holds = min(s.cache.capacity * s.cache.block for s in (*servers, *pool))
        if shop.scenario.workload.longest is not None:
            desk.holds = min(desk.holds, shop.scenario.workload.longest)
    handover = None
    if pool:
        desk.also = pool[0]
        handover = Handover(clock, shop, cast("list[Serves]", pool))
        for server in servers:
            server.handover = handover.send
    for server in (*servers, *pool):
        server.attach(desk)
    simple = len(servers) == 1 or (users is None and schedule.routing == "round_robin")
    if simple and not pool and desk.scaling is None and len(shop.plan.ranks) == 1:
        _leave_alone(desk, servers)
    return Floor(clock, desk, [*servers, *pool], handover)


def _leave_alone(desk: Desk, servers: list[Server]) -> None:
    """Let servers that nothing joins go their own ways; each knows its turns."""
    count = len(servers)
    for number, server in enumerate(servers):
        server.alone = True
        if desk.users is None:
            server.follow(range(number, len(desk.book.arrived), count))
            server.wake(0.0)
    desk.fed = desk.users is None


@attrs.define(eq=False, repr=False)
class Handover:
    """Passes requests with their cache from replicas that prefill to those that decode.

    The first token comes from the first pool (DistServe, arXiv:2401.09670, section 4). A replica
    sends one cache at a time and keeps it until it has arrived.
    """

    clock: Clock
    shop: Shop
    servers: list[Serves]
    sent: float = 0.0
    _route: Route = attrs.Factory(ROUTES["least_outstanding"])
    _free: dict[int, float] = attrs.Factory(dict)
    _seconds: dict[int, float] = attrs.Factory(dict)

    def send(self, request: int, server: Server, now: float) -> None:
        """Send a request's cache on as soon as the link is free."""
        lane = server.number
        prompt = server.desk.book.prompt[request]
        end = max(now, self._free.get(lane, 0.0)) + self._time(prompt)
        self.sent += end - now
        self._free[lane] = end
        self.clock.at(end, self._arrive, (request, server))

    def _arrive(self, sent: tuple[int, Server]) -> None:
        (request, server), now = sent, self.clock.now
        server.release(request, now)
        self.servers[self._route(request, self.servers)].submit(request, now)

    def _time(self, prompt: int) -> float:
        """Return the seconds in which a prompt's cache passes from one replica to another."""
        found = self._seconds.get(prompt)
        if found is None:
            plan, cluster = self.shop.plan, self.shop.scenario.cluster
            link = plan.schedule.pool_link
            if link == "nearest":
                link = "outer" if cluster.nodes > 1 else "inner"
            size = max(kv_bytes(plan, r, prompt, "device") for r in plan.ranks)
            # By way of the hosts' memory, out of it and in again.
            times = 2 if link == "host" else 1
            found = self._seconds[prompt] = self.shop.seconds(link, size) * times
        return found
