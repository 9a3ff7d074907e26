"""Configurations per second of the closed form, and how far it is from the event simulation.

    python -m benchmarks.fast_path [--sample 40] [--seed 1]

Llama 3.1 405B on the 16,384 GPUs of `scenarios/cluster.yaml`: every combination of tensor, context
and pipeline parallelism, chunks, micro-batches, recomputation, ZeRO stages and global batches is
timed. A sample of those that fit is then simulated; where links are shared is told apart, since
flows that meet there are what the closed form takes as an average.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from itertools import product
from statistics import median

import attrs

from llamasim.cli.support import read_scenario
from llamasim.diagnostics import Source, Span
from llamasim.plan import build
from llamasim.scenario.spec import Choice, Scenario, Use
from llamasim.simulate import run
from llamasim.simulate.closed_form import evaluate
from llamasim.simulate.costing import step_timings
from llamasim.simulate.fast import step_time
from llamasim.study.combine import combinations
from llamasim.study.workbench import Workbench
from llamasim.units import Quantity

BATCHES = (1024, 2048, 4096, 8192)
#: A difference between shared links and links of one's own below which nothing contends.
SHARED = 1e-6


def use(technique: str, **args: float | bool) -> Use:
    """Return a use of a technique with whole numbers and flags."""
    span = Span(Source("benchmark", ""), 1, 1, 1, 1)
    given = {k: v if isinstance(v, bool) else Quantity(float(v)) for k, v in args.items()}
    return Use(technique.rpartition(".")[2], technique, given, span)


def choices() -> Iterator[Choice]:
    """Yield what is varied."""
    def choice(name: str, *options: tuple[Use, ...]) -> Choice:
        return Choice(name, tuple((str(n), option) for n, option in enumerate(options)))

    tensor, pipe = "parallelism.tensor.tensor_parallel", "parallelism.pipeline.pipeline_parallel"
    yield choice("tp", *(
        (use(tensor, degree=d, sequence_parallel=s),) for s, d in product((False, True),
                                                                          (1, 2, 4, 8))))
    yield choice("cp", (), *(
        (use("parallelism.context.gathered_context", degree=d),) for d in (2, 4, 8, 16)))
    yield choice("pp", (), *(
        (use(pipe, stages=p, chunks=c),) for p, c in product((2, 4, 8, 16), (1, 2, 4, 8))))
    yield choice("micro-batch", *(
        (use("memory.accumulation.gradient_accumulation", micro_batch=m),) for m in (1, 2, 4, 8)))
    yield choice("recompute", (), (use("memory.checkpoint.selective_products"),),
                 (use("memory.checkpoint.full_checkpoint"),))
    yield choice("zero", (use("parallelism.data.data_parallel"),),
                 (use("parallelism.zero.zero1"),),
                 (use("parallelism.zero.zero2", reduce_every=0),), (use("parallelism.zero.zero3"),))


def space() -> Scenario:
    """Return the scenario whose choices are all tried."""
    found = read_scenario("cluster", (), (), as_json=False)
    kept = ("precision.mixed.bf16_mixed", "attention.flash.flash_attention")
    base = tuple(u for u in found.use if u.technique in kept)
    return attrs.evolve(found, use=base, choices=tuple(choices()))


def main() -> None:
    """Time all configurations, and hold a sample against the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=40, help="configurations to simulate")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    scenario = space()
    bench, said = Workbench.of(scenario)
    if bench is None:
        raise SystemExit(said[0].message)
    uses = [c.use for c in combinations(scenario) if not c.clash]
    wall, busy = time.perf_counter(), time.process_time()
    found = evaluate(bench.graph, bench.program, scenario, uses, BATCHES)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    count, fit = len(found.seconds), [int(i) for i in found.fits.nonzero()[0]]
    print(f"{count:,} configurations, {len(fit):,} of them fit: {wall:.1f} s, "
          f"{count / wall:,.0f} a second ({count / busy:,.0f} a second of the processor)")
    errors: dict[bool, list[float]] = {False: [], True: []}
    for index in random.Random(given.seed).sample(fit, min(given.sample, len(fit))):
        workload = attrs.evolve(scenario.workload, global_batch=BATCHES[index % len(BATCHES)])
        one = attrs.evolve(scenario, use=uses[index // len(BATCHES)], workload=workload)
        plan, said = build(bench.graph, bench.program, one)
        if plan is None:
            raise SystemExit(said[0].message)
        timings = step_timings(plan, one)
        shared = step_time(timings) > step_time(timings, sharing=False) * (1 + SHARED)
        errors[shared].append(float(found.seconds[index]) / run(plan, one).makespan - 1)
    for shared, rows in errors.items():
        if rows:
            sizes = sorted(map(abs, rows))
            print(f"{'links shared' if shared else 'nothing shared':14s} {len(rows):4d} simulated: "
                  f"median {median(sizes):.3%}, nine of ten below "
                  f"{sizes[(len(sizes) - 1) * 9 // 10]:.2%}, worst {sizes[-1]:.2%}")


if __name__ == "__main__":
    main()
